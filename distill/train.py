"""Fine-tune a student on kept rollouts: LoRA with TRL and PEFT, the paper's settings by default.

What is trained on is what the student will be sent: the teacher's long prompt is replaced by the
student's, and before the first step every sample is checked, token for token, against inference.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from smolagents import Model

from agents import Message, Trajectory, make_agent
from agents.agent import read_prompt
from agents.models import resolve
from agents.weights import load_pretrained

from .benchmarks import at_hand, load
from .contamination import clean, overlaps, rows, table
from .contamination import write as write_contamination
from .encode import Sample, check, encode
from .filter import KEPT
from .progress import progress
from .rollout import Rollout, read_lines
from .run import run_folder, write_json
from .solvers import load_tools

SMALL = 1_000_000_000
"""Bytes of a base model up to which it is copied beside its adapter, so that the folder runs by itself."""
WEIGHTS = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")


def train(
    folders: Sequence[Path],
    student: str,
    out: Path,
    *,
    method: str | None = None,
    full: bool = False,
    rate: float = 2e-4,
    epochs: float = 2,
    batch_size: int = 8,
    rank: int = 64,
    alpha: int = 128,
    dropout: float = 0.05,
    max_length: int = 10240,
    warmup: float = 0.0,
    stop_at: float = 1.0,
    prompt: str = "student",
    tools: str = "",
    against: str | None = None,
    drop_contaminated: bool = False,
    seed: int = 0,
    force: bool = False,
) -> dict:
    """Train on the `kept.jsonl` of the folders; write the student and `train.json` into `out`; return the latter.

    Defaults are the paper's (LoRA r=64, alpha=128 on all linear layers, 2e-4, 2 epochs, 8 a batch).
    warmup: steps, or below 1 the share of all steps. max_length: tokens; a longer sample is left out and
    counted, never cut. full: train all weights. stop_at: share of the steps after which to stop, with the
    rate where it is then: a checkpoint of the whole training. against: benchmarks, by name or file, that are
    looked for among the training problems before anything else (those at hand, if None; none, if empty); what is
    found is printed, kept in `contamination.json`, and left out with drop_contaminated. Raises ValueError for a
    caller's mistake.
    """
    _sensible(rate, epochs, batch_size, rank, alpha, dropout, max_length, warmup, stop_at, seed)
    base = resolve(student)
    if (Path(base) / "adapter_config.json").is_file():
        raise ValueError(f"{student} is an adapter; train from its base model, or merge it first.")
    rollouts = read_kept(folders, method)
    rollouts, contamination = decontaminated(rollouts, against, drop_contaminated, seed)
    student_messages(rollouts[:1], prompt, tools)  # told now if a tool or the prompt is missing
    method = rollouts[0].trajectory.method
    _finished(out)
    settings = {
        "data": [str(folder) for folder in folders],
        "student": student,
        "method": method,
        "full": full,
        "rate": rate,
        "epochs": epochs,
        "batch_size": batch_size,
        "rank": rank,
        "alpha": alpha,
        "dropout": dropout,
        "max_length": max_length,
        "warmup": warmup,
        "stop_at": stop_at,
        "prompt": prompt,
        "tools": tools,
        "drop_contaminated": drop_contaminated,
        "seed": seed,
    }
    with run_folder(out, "train", settings, force=force):
        if contamination:
            write_contamination(out, *contamination)
        return _train(
            rollouts,
            base,
            student,
            out,
            **{
                k: v
                for k, v in settings.items()
                if k not in ("data", "student", "drop_contaminated")
            },
        )


def read_kept(folders: Sequence[Path], method: str | None = None) -> list[Rollout]:
    """The kept rollouts of the folders; ValueError where there are none, or of several methods."""
    kept: list[Rollout] = []
    for folder in folders:
        if not (folder / KEPT).is_file():
            raise ValueError(
                f"No {KEPT} in {folder}; run `python -m distill filter {folder}` first."
            )
        kept += read_lines(folder / KEPT).values()
    if method:
        kept = [r for r in kept if r.trajectory.method == method]
    if not kept:
        where = ", ".join(map(str, folders))
        raise ValueError(
            f"Nothing to train on: {where} kept no rollout{f' of method {method}' if method else ''}."
        )
    methods = {r.trajectory.method for r in kept}
    if len(methods) > 1:
        raise ValueError(
            f"The rollouts are of several methods ({', '.join(sorted(methods))}); choose one with --method."
        )
    return kept


def decontaminated(
    rollouts: list[Rollout], against: str | None, drop: bool, seed: int
) -> tuple[list[Rollout], tuple | None]:
    """The rollouts to train on, and what was found of the benchmarks among their problems; it is printed.

    Raises ValueError where nothing is left.
    """
    names = at_hand({r.problem.benchmark for r in rollouts}) if against is None else against
    if not names:
        if drop:
            raise ValueError("No benchmark is at hand to look for; name them with --against.")
        return rollouts, None
    test = [p for name in names.split(",") for p in load(name, seed=seed).problems]
    found = overlaps(rollouts, test)
    counted = rows(rollouts, test, found)
    there = [row for row in counted if row.exact or row.near]
    print(f"Contamination, {len({r.problem for r in rollouts})} training problems against {names}:")
    print(
        table(there) if there else "none of them stands there, to the word or nearly.", flush=True
    )
    flagged = len({overlap.training for overlap in found if overlap.kind == "exact"})
    if flagged and not drop:
        print(
            f"{flagged} training problems stand in a benchmark and are kept; --drop-contaminated leaves them out."
        )
    if drop and found:
        clean_ones = clean(rollouts, found)
        print(
            f"Left out {len(rollouts) - len(clean_ones)} of {len(rollouts)} rollouts.", flush=True
        )
        if not clean_ones:
            raise ValueError(
                f"Every training problem stands in {names}; nothing is left to train on."
            )
        rollouts = clean_ones
    return rollouts, (found, counted)


def student_messages(
    rollouts: Sequence[Rollout], prompt: str = "student", tools: str = ""
) -> list[tuple[Message, ...]]:
    """The rollouts' conversations under the student's system prompt, the one that inference will send.

    tools: files of tools that are not found by their names.
    """
    given = {tool.name: tool for tool in load_tools(tools)}
    prompts: dict[tuple[str, ...], str] = {}
    conversations = []
    for rollout in rollouts:
        trajectory = rollout.trajectory
        if (names := trajectory.tools) not in prompts:
            if trajectory.method == "agent":
                loaded = [given.get(name) or load_tools(name)[0] for name in names]
                prompts[names] = make_agent(Model(), loaded, prompt=prompt).system_prompt
            else:
                prompts[names] = read_prompt("cot")
        system = Message(role="system", content=prompts[names])
        conversations.append((system, *_as_asked(trajectory)))
    return conversations


def _as_asked(trajectory: Trajectory) -> list[Message]:
    """The conversation from the question on: without the first thought that was put beside it."""
    said = [m for m in trajectory.messages if m.role != "system"]
    if trajectory.first_thought == "prompt":
        head, question, _ = said[0].content.partition(trajectory.question)
        said[0] = Message(role="user", content=head + question)
    return said


def _train(
    rollouts,
    base,
    student,
    out,
    *,
    method,
    full,
    rate,
    epochs,
    batch_size,
    rank,
    alpha,
    dropout,
    max_length,
    warmup,
    stop_at,
    prompt,
    tools,
    seed,
) -> dict:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports its use otherwise
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import (
        PrinterCallback,
        TrainerCallback,
        set_seed,
    )
    from trl import SFTConfig, SFTTrainer

    set_seed(seed)
    cuda = torch.cuda.is_available()
    model, tokenizer = load_pretrained(base, torch.bfloat16 if cuda and not full else torch.float32)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    samples, too_long = encode_checked(
        tokenizer, student_messages(rollouts, prompt, tools), max_length
    )
    tokens, trained = (
        sum(len(s.input_ids) for s in samples),
        sum(e - b for s in samples for b, e in s.spans()),
    )
    print(
        f"{len(samples)} samples of {len(rollouts)} rollouts, {tokens} tokens, {trained} trained on; checked.",
        flush=True,
    )
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(
            [{"input_ids": s.input_ids, "labels": s.labels} for s in samples]
        ),
        peft_config=None
        if full
        else LoraConfig(
            r=rank,
            lora_alpha=alpha,
            lora_dropout=dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        args=SFTConfig(
            output_dir=str(out / "checkpoints"),
            num_train_epochs=epochs,
            per_device_train_batch_size=batch_size,
            learning_rate=rate,
            lr_scheduler_type="linear",
            warmup_steps=warmup,
            max_length=None,  # TRL would cut the end of a trajectory, its answer; too long ones are out already
            packing=False,
            train_sampling_strategy="group_by_length",
            bf16=cuda or fast_bf16(),
            use_cpu=not cuda,
            gradient_checkpointing=cuda,
            dataloader_pin_memory=cuda,
            logging_steps=20,
            save_strategy="no",
            report_to=[],
            seed=seed,
            disable_tqdm=True,
        ),
    )
    start = time.monotonic()
    with progress(
        f"train {out.name}", trainer_steps(len(samples), batch_size, epochs, stop_at)
    ) as advance:

        class Advance(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                advance()
                if state.global_step >= stop_at * state.max_steps:
                    control.should_training_stop = True

        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Advance())
        trainer.train()
    seconds = time.monotonic() - start
    _save(trainer, tokenizer, base, student, out, full)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    summary = {
        "rollouts": len(rollouts),
        "samples": len(samples),
        "too_long": too_long,
        "tokens": tokens,
        "trained_tokens": trained,
        "steps": trainer.state.global_step,
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
        "seconds": round(seconds, 1),
        "tokens_per_second": round(tokens * epochs * stop_at / seconds),
    }
    write_json(out / "train.json", {**summary, "losses": losses})
    return summary


def trainer_steps(samples: int, batch_size: int, epochs: float, stop_at: float) -> int:
    return math.ceil(stop_at * math.ceil(epochs * math.ceil(samples / batch_size)))


def encode_checked(tokenizer, conversations, max_length: int) -> tuple[list[Sample], int]:
    """Samples of all conversations, each checked against inference; and how many were too long."""
    kept, too_long = [], 0
    for messages in conversations:
        samples = encode(tokenizer, messages)
        check(tokenizer, messages, samples)
        fitting = [sample for sample in samples if len(sample.input_ids) <= max_length]
        too_long += len(samples) - len(fitting)
        kept += fitting
    if not kept:
        raise ValueError(f"Every sample is longer than {max_length} tokens; raise --max-length.")
    return kept, too_long


def fast_bf16() -> bool:
    """Whether this processor multiplies bfloat16 itself; elsewhere it would be slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or " bf16" in flags


def _save(trainer, tokenizer, base: str, student: str, out: Path, full: bool) -> None:
    if full:
        trainer.save_model(str(out))
        return
    folder = Path(base)
    beside = (
        folder.is_dir() and sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) < SMALL
    )
    if beside:
        for file in folder.iterdir():
            if file.suffix in (".json", ".safetensors", ".jinja", ".model", ".txt"):
                shutil.copy2(file, out / file.name)
    trainer.model.save_pretrained(str(out))
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))
    write_json(
        out / "adapter_config.json",
        {**config, "base_model_name_or_path": "." if beside else student},
    )
    (out / "README.md").unlink(
        missing_ok=True
    )  # PEFT's form, not filled in, with the base's local path
    tokenizer.save_pretrained(str(out))


def _sensible(
    rate, epochs, batch_size, rank, alpha, dropout, max_length, warmup, stop_at, seed
) -> None:
    least = {"batch_size": batch_size, "rank": rank, "alpha": alpha, "max_length": max_length}
    for name, value in least.items():
        if value < 1:
            raise ValueError(f"{name} starts at 1, not {value}.")
    if not 0 < stop_at <= 1:
        raise ValueError(f"stop_at is a share of the steps, above 0 and at most 1, not {stop_at}.")
    if not (rate > 0 and epochs > 0 and 0 <= dropout < 1 and warmup >= 0 and seed >= 0):
        raise ValueError(
            "rate and epochs are above 0, dropout is from 0 to below 1, warmup and seed at least 0."
        )


def _finished(out: Path) -> None:
    if any((out / name).is_file() for name in WEIGHTS):
        raise ValueError(f"{out} holds a trained student; name another folder.")
