"""Fine-tune a student on kept rollouts: with TRL and PEFT, the paper's settings by default.

What is trained on is what the student will be sent: the teacher's long prompt is replaced by the
student's, and before the first step every sample is checked, token for token, against inference.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import shutil
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from functools import partial
from pathlib import Path

from agents.models import resolve

from .contamination import write as write_contamination
from .rollout import Rollout
from .run import RunError, first_process, processes, run_folder, write_json
from .settings import Settings
from .training_data import (
    decontaminated,
    encode_rollouts,
    prompt_of,
    read_kept,
    student_messages,
)

FINISHED = "train.json"
"""Written last: a folder that holds it holds a trained student."""
CERTIFICATE = "parity.json"
FULL = 1_000_000
"""Bytes left on a disk that is called full."""


def train(
    folders: Sequence[Path],
    student: str,
    out: Path,
    *,
    against: str | None = None,
    drop_contaminated: bool = False,
    dry_run: bool = False,
    force: bool = False,
    **settings,
) -> dict:
    """Train on the `kept.jsonl` of the folders; write the student and `train.json` into `out`; return the latter.

    settings: the fields of `Settings`, whose defaults are the paper's. Called again on a folder that was
    left in the middle, it goes on from the last checkpoint, to the same weights.
    against: benchmarks, by name or file, that are looked for among the training problems before anything
    else (those at hand, if None; none, if empty); what is found is printed, kept in `contamination.json`,
    and left out with drop_contaminated. dry_run: return what would be done, and make nothing.
    Raises ValueError for a caller's mistake, RunError for a training that cannot go on.
    """
    try:
        asked = Settings(**settings)
    except TypeError:
        unknown = sorted(set(settings) - set(Settings.__dataclass_fields__))
        raise ValueError(f"No setting {unknown[0]!r} of a training.") from None
    base = resolve(student)
    if (Path(base) / "adapter_config.json").is_file():
        raise ValueError(
            f"{student} is an adapter; train from its base model, or merge it first: "
            f"`python -m distill merge {student} --out DIR`."
        )
    rollouts = read_kept(folders, asked.method)
    with nullcontext() if first_process() else redirect_stdout(None):
        rollouts, contamination = decontaminated(rollouts, against, drop_contaminated, asked.seed)
    student_messages(rollouts[:1], asked.prompt, asked.tools)  # told now if a tool is missing
    if dry_run:
        from .plan import plan

        return plan(rollouts, base, student, asked)
    if (out / FINISHED).is_file() and (out / CERTIFICATE).is_file():
        raise ValueError(f"{out} holds a trained student; name another folder.")
    settings = {
        "data": [str(folder) for folder in folders],
        "rollouts": digest_of(rollouts),
        "student": student,
        "base": base_digest(base),
        **asked.as_dict(),
        "method": rollouts[0].trajectory.method,
        "drop_contaminated": drop_contaminated,
        "processes": processes(),
    }
    holding = run_folder(out, "train", settings, force=force) if first_process() else nullcontext()
    with holding:
        if (out / FINISHED).is_file():  # killed while it was certified
            summary = json.loads((out / FINISHED).read_text(encoding="utf-8"))
        else:
            if contamination and first_process():
                write_contamination(out, *contamination)
            summary = fine_tune(rollouts, base, student, out, asked)
        if not first_process():
            return {}
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        return {**summary, "parity": certified(out)}


def fine_tune(rollouts: list[Rollout], base: str, student: str, out: Path, s: Settings) -> dict:
    """The training itself, in a folder that is held; ends with `train.json`, whose content it returns."""
    import torch
    from huggingface_hub import constants
    from transformers import set_seed

    from agents.weights import load_pretrained

    from .memory import context
    from .save import enough_disk, save_student

    # TRL reports its use otherwise. The variable of this name was read when the library was imported.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    set_seed(s.seed)
    cuda = torch.cuda.is_available()
    dtype = torch.bfloat16 if cuda and not s.full else torch.float32
    model, tokenizer = load_pretrained(base, dtype, **_loading(s, cuda))
    if broken := not_finite(model):
        raise ValueError(f"{student} holds numbers that are not finite, such as in {broken}.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    data = encode_rollouts(tokenizer, rollouts, s, context(model.config))
    enough_disk(out, model, s)
    say(described(data, len(rollouts)))
    trainer = make_trainer(model, tokenizer, data, out, s)

    def save(folder: Path) -> None:
        records = partial(write_records, trainer, tokenizer, rollouts, data, student, s)
        save_student(trainer, tokenizer, base, student, folder, records, data.longest_reply)

    with troubles_told(out, data.longest):
        first_try(trainer, data)
        fit(trainer, data, out, s, save)
        if broken := not_finite(trainer.model):
            raise RunError(
                f"The training ended in numbers that are not finite, such as in {broken}. Lower --rate."
            )
        save(out)
    if not first_process():
        return {}
    summary = summed_up(out, len(rollouts), data, trainer.state.global_step)
    write_json(out / FINISHED, summary)
    return summary


def fit(trainer, data, out: Path, s: Settings, save) -> None:
    """Every step, from the last whole checkpoint on. save: writes the student as it is into a folder."""
    from transformers import EarlyStoppingCallback, PrinterCallback

    from .callbacks import Advance, Checkpoints, Guard, Metrics, is_whole, last_whole
    from .progress import progress
    from .trackers import trackers

    checkpoints = out / "checkpoints"
    begun = last_whole(checkpoints)
    if first_process():
        for folder in checkpoints.glob("checkpoint-*"):
            if not is_whole(folder):
                shutil.rmtree(folder)
    at = int(begun.name.rpartition("-")[2]) if begun else 0
    names = s.trackers() if first_process() else ()
    guard = Guard()
    with (
        progress(f"train {out.name}", trainer_steps(len(data.train), s)) as advance,
        trackers(names, out, s.as_dict(), at) as send,
    ):
        metrics = Metrics(out, guard, send)
        metrics.trainer = trainer
        trainer.remove_callback(PrinterCallback)
        for callback in (
            guard,
            metrics,
            Advance(advance),
            Checkpoints(s.early_at, lambda: save(out / "early")),
            *([EarlyStoppingCallback(s.patience)] if s.patience else ()),
        ):
            trainer.add_callback(callback)
        if begun:
            say(f"Going on from step {at}.")
            for _ in range(at):
                advance()
        trainer.train(resume_from_checkpoint=str(begun) if begun else None)
    if guard.skipped == trainer.state.global_step:
        raise RunError("No step had a finite gradient, and nothing was learnt. Lower --rate.")


def write_records(
    trainer, tokenizer, rollouts, data, student: str, s: Settings, folder: Path
) -> None:
    """What tells how a student is to be run, and what lets its certificate be made."""
    from .parity import recorded_losses, write_samples, write_student

    # A model that is spread over processes cannot be asked by one; one in four bits is not the one that is served.
    asked = processes() == 1 and not s.qlora
    losses = recorded_losses(trainer.model, data.recorded) if asked else None
    write_samples(folder, data.recorded, losses)
    trajectory = rollouts[0].trajectory
    write_student(
        folder,
        tokenizer,
        method=trajectory.method,
        prompt=s.prompt or prompt_of(trajectory),
        tags=trajectory.tags,
        tools=trajectory.tools,
    )
    file = folder / "student.json"
    # A place on this machine says nothing elsewhere.
    named = Path(student).name if Path(student).is_dir() else student
    write_json(file, {**json.loads(file.read_text(encoding="utf-8")), "base": named})


def summed_up(out: Path, rollouts: int, data, steps: int) -> dict:
    """What `train.json` holds."""
    from .callbacks import read_metrics

    lines = read_metrics(out / "metrics.jsonl")
    losses = [line["loss"] for line in lines if line.get("loss") is not None]
    held_out = [line["validation"] for line in lines if line.get("validation") is not None]
    seconds = lines[-1]["seconds"] if lines else 0.0
    few = max(1, min(20, len(losses) // 4))
    return {
        "rollouts": rollouts,
        "samples": len(data.train),
        "validation_samples": len(data.validation),
        "too_long": data.too_long,
        "shortened": data.shortened,
        "tokens": data.tokens,
        "trained_tokens": data.trained_tokens,
        "steps": steps,
        "skipped_steps": sum(line.get("skipped", False) for line in lines),
        "first_loss": _mean(losses[:few]),
        "last_loss": _mean(losses[-few:]),
        "validation_loss": min(held_out, default=None),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(
            sum(line.get("tokens", 0) for line in lines) / max(seconds, 1e-9)
        ),
    }


def not_finite(model) -> str | None:
    """The name of a weight that is no number; None where all are finite."""
    import torch

    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not torch.isfinite(parameter).all():
            return name
    return None


def digest_of(rollouts: Sequence[Rollout]) -> str:
    """What is trained on, so that a training does not go on with other data."""
    found = hashlib.sha256()
    for rollout in rollouts:
        found.update(rollout.model_dump_json().encode())
    return f"{len(rollouts)} sha256:{found.hexdigest()[:16]}"


def base_digest(base: str) -> str | None:
    """The files of a base on this machine: their names and sizes, and its configuration."""
    folder = Path(base)
    if not folder.is_dir():
        return None
    found = hashlib.sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        found.update(f"{file.name} {file.stat().st_size}".encode())
    return f"sha256:{found.hexdigest()[:16]}"


def certified(out: Path) -> bool:
    """The parity certificate of the student, printed. Raises RunError where it fails; the student stays."""
    from .parity import certify, print_certificate

    certificate = certify(str(out), k=4, tokens=16)
    print_certificate(certificate)
    if not certificate.passed:
        raise RunError(
            f"{out} is trained, but what is served is not what was trained; {out / 'parity.json'} says where."
        )
    return True


def make_trainer(model, tokenizer, data, out: Path, s: Settings):
    """TRL's trainer as it suits the machine: ours, or on CUDA with flash attention TRL's with packing."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from .lora import lora_config
    from .trainer import StudentTrainer

    cuda = torch.cuda.is_available()
    n = processes()
    if s.batch_size % n:
        raise ValueError(f"A batch of {s.batch_size} samples cannot be shared by {n} processes.")
    checkpointing = cuda if s.checkpointing is None else s.checkpointing
    packing = cuda and flash_attention() and not any("weights" in _row(x) for x in data.train)
    together = n == 1 and not checkpointing and not packing
    one = 1 if packing or not together else s.batch_size
    args = SFTConfig(
        output_dir=str(out / "checkpoints"),
        num_train_epochs=s.epochs,
        per_device_train_batch_size=one,
        gradient_accumulation_steps=s.batch_size // n // one,
        learning_rate=s.rate,
        lr_scheduler_type=s.schedule,
        warmup_steps=s.warmup,
        # TRL would cut the end of a trajectory, its answer; too long ones are out already.
        max_length=data.longest if packing else None,
        packing=packing,
        remove_unused_columns=packing,
        dataset_kwargs=None if packing else {"skip_prepare_dataset": True},
        bf16=cuda or fast_bf16(),
        use_cpu=not cuda,
        gradient_checkpointing=checkpointing,
        dataloader_pin_memory=False,
        logging_steps=1 if packing else 20,
        save_strategy="steps",
        save_steps=s.checkpoint_steps,
        save_total_limit=2,
        eval_strategy="steps" if data.validation else "no",
        eval_steps=s.checkpoint_steps,
        load_best_model_at_end=bool(data.validation),
        metric_for_best_model="eval_loss" if data.validation else None,
        report_to=[],  # `Metrics` sends what `metrics.jsonl` has
        seed=s.seed,
        disable_tqdm=True,
        restore_callback_states_from_checkpoint=bool(s.patience),
    )
    rows = [_row(sample) for sample in data.train]
    if n > 1:  # else the last batch of an epoch would be filled with samples that were read already
        rows += [_empty(rows[0])] * (-len(rows) % s.batch_size)
    shared = {
        "model": model,
        "processing_class": tokenizer,
        "train_dataset": Dataset.from_list(rows),
        "eval_dataset": Dataset.from_list([_row(sample) for sample in data.validation])
        if data.validation
        else None,
        "peft_config": None if s.full else lora_config(s),
        "args": args,
    }
    if packing:
        return SFTTrainer(**shared)
    return StudentTrainer(**shared, together=together, longest=data.longest)


def first_try(trainer, data) -> None:
    """The longest sample forwards and backwards, so that a machine too small is told before the first step."""
    import torch

    if not hasattr(trainer, "agree"):
        return
    longest = max(data.train, key=lambda sample: len(sample.input_ids))
    batch = [_row(sample) for sample in (longest, *data.train[:1])]
    with torch.random.fork_rng():
        if not trainer.agree(batch):
            say("This model does not read a shared prompt alike; every sample is read whole.")
        if trainer.together:
            rows = trainer.data_collator(batch[:1])
            trainer._read_together(trainer.model, trainer._prepare_inputs(rows), 1.0)
    trainer.model.zero_grad(set_to_none=True)


class troubles_told:
    """Says what to change when the machine's memory or its disk is used up."""

    def __init__(self, out: Path, longest: int):
        self.out, self.longest = out, longest

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, _) -> None:
        import torch

        used_up = isinstance(error, torch.OutOfMemoryError | MemoryError) or (
            isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
        )
        if used_up:
            raise RunError(
                f"The memory was used up; the longest sample has {self.longest} tokens. Lower --max-length (with "
                "--too-long shorten), train an adapter instead of all weights, or on a GPU say --checkpointing or "
                "--qlora. `--dry-run` says how much is needed."
            ) from error
        # A dozen kinds of error, by what was being written.
        if isinstance(error, Exception) and shutil.disk_usage(self.out).free < FULL:
            raise OSError(
                errno.ENOSPC,
                "The disk is full; make room and call it again to go on",
                str(self.out),
            ) from error


def trainer_steps(samples: int, s: Settings) -> int:
    return math.ceil(s.epochs * math.ceil(samples / s.batch_size))


def described(data, rollouts: int) -> str:
    text = (
        f"{len(data.train)} samples of {rollouts} rollouts, {data.tokens} tokens, {data.trained_tokens} trained on, "
        f"the longest {data.longest}; checked."
    )
    if data.validation:
        text += f" {len(data.validation)} samples held out."
    if data.too_long:
        text += f" {data.too_long} rollouts left out: too long."
    if data.shortened:
        text += f" {data.shortened} rollouts shortened."
    return text


def say(text: str) -> None:
    if first_process():
        print(text, flush=True)


def flash_attention() -> bool:
    from transformers.utils import is_flash_attn_2_available

    return is_flash_attn_2_available()


def fast_bf16() -> bool:
    """Whether this processor multiplies bfloat16 itself; elsewhere it would be slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or " bf16" in flags


def _loading(s: Settings, cuda: bool) -> dict:
    """How the base is loaded beside its precision."""
    settings: dict = {}
    if cuda and flash_attention():
        settings["attn_implementation"] = "flash_attention_2"
    if s.qlora:
        import torch
        from transformers import BitsAndBytesConfig

        settings["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    return settings


def _row(sample) -> dict:
    row = {"input_ids": sample.input_ids, "labels": sample.labels}
    # A weight of 0 is in the labels already.
    return {**row, "weights": sample.weights} if {*(sample.weights or ())} - {0.0, 1.0} else row


def _empty(row: dict) -> dict:
    """A sample that teaches nothing."""
    empty = {"input_ids": row["input_ids"][:2], "labels": [-100, -100]}
    return {**empty, "weights": [0.0, 0.0]} if "weights" in row else empty


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
