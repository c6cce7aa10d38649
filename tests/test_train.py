"""Training: what the filter keeps becomes a student that is sent what it was trained on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
import yaml
from peft import get_peft_model
from safetensors.torch import load_file, save_file

from agents import load_model, make_agent, make_thinker, solve
from agents.models import POCKET
from agents.template import end_of_turn_id
from agents.weights import load_pretrained, load_tokenizer
from distill.__main__ import app
from distill.callbacks import read_metrics
from distill.filter import KEPT, filter_rollouts
from distill.identity import identity
from distill.lora import lora_config
from distill.memory import memory
from distill.problems import Problem
from distill.rollout import FILE, Rollout, read_rollouts, run_rollouts
from distill.run import RunError
from distill.settings import Settings
from distill.solvers import load_tools
from distill.train import train
from distill.training_data import read_kept, student_messages

from .scripted import ScriptedModel, step

ROOT = Path(__file__).parent.parent
RIGHT = step("It is three.", "final_answer(3)")
WRONG = step("It is four.", "final_answer(4)")
CASES = {
    "right": ([RIGHT], None),
    "mended": ([step("Oops.", "1 / 0"), RIGHT], None),
    "wrong": ([WRONG], "wrong"),
    "words": (["no code", RIGHT], "not parsed"),
    "cut": ([("Thought: so\n<code>\nprint(3)\n", "length"), RIGHT], "truncated"),
    "lost": ([step("Again.", "print(3)")], "no answer"),
    "gone": ([OSError("gone")], "failed"),
}


@pytest.fixture
def collected(tmp_path):
    """A folder with one rollout of every kind."""
    problems = [
        Problem(id=name, question=f"{name}: 1 + 2?", answers=("3",), kind="math") for name in CASES
    ]
    folder = tmp_path / "data"
    run_rollouts(
        problems,
        lambda p: make_agent(ScriptedModel(*CASES[p.id][0]), [], prompt="teacher", max_steps=2),
        folder,
    )
    return folder


def test_the_filter_keeps_the_right_and_counts_why_the_others_went(collected):
    counts = filter_rollouts(collected)
    kept = [
        json.loads(line)["problem"]["id"] for line in (collected / KEPT).read_text().splitlines()
    ]
    assert sorted(kept) == ["mended", "right"]
    expected = {reason: 1 for _, reason in CASES.values() if reason} | {"kept": 2}
    assert counts == expected == json.loads((collected / "filter.json").read_text())["counts"]


def test_the_filter_can_keep_wrong_answers_but_no_broken_run(collected):
    counts = filter_rollouts(collected, policy="answered")
    assert counts["kept"] == 3 and "wrong" not in counts
    with pytest.raises(ValueError, match="correct, answered"):
        filter_rollouts(collected, policy="best")


def test_the_student_is_trained_on_the_prompt_it_will_be_sent(collected):
    filter_rollouts(collected)
    kept = read_kept([collected])
    teacher, student = kept[0].trajectory.messages, student_messages(kept)[0]
    assert (
        student[0].content
        == make_agent(ScriptedModel(RIGHT), []).system_prompt
        != teacher[0].content
    )
    assert student[1:] == teacher[1:]


def test_a_student_learns_and_is_loaded(collected, tiny, tmp_path):
    """A real run of TRL and PEFT on the CPU, on a model of a real architecture."""
    filter_rollouts(collected)
    out = tmp_path / "student"
    summary = train(
        [collected],
        str(tiny),
        out,
        rate=2e-2,
        epochs=40,
        batch_size=1,
        rank=8,
        alpha=16,
        dropout=0.0,
    )
    assert summary["rollouts"] == 2 and summary["steps"] == 80
    assert summary["last_loss"] < summary["first_loss"] / 2
    question = next(iter(read_kept([collected]))).problem.question
    before, after = (
        solve(make_agent(load_model(str(m), max_tokens=40), []), question) for m in (tiny, out)
    )
    assert before.answer is None and after.answer == "3"
    names = {f.name for f in out.iterdir()}
    assert {
        "adapter_model.safetensors",
        "model.safetensors",
        "tokenizer.json",
        "run.json",
        "train.json",
    } <= names
    assert not {"README.md", "checkpoints", "training_args.bin"} & names
    assert json.loads((out / "parity.json").read_text())["passed"]
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "."
    moved = shutil.move(out, tmp_path / "elsewhere")  # the folder runs by itself
    assert solve(make_agent(load_model(str(moved), max_tokens=40), []), question).answer == "3"
    with pytest.raises(ValueError, match="holds a trained student"):
        train([collected], str(tiny), tmp_path / "elsewhere")


def test_all_weights_can_be_trained(collected, tiny, tmp_path):
    filter_rollouts(collected)
    train([collected], str(tiny), tmp_path / "student", full=True, epochs=1, batch_size=1)
    assert not (tmp_path / "student" / "adapter_config.json").exists()
    assert load_model(str(tmp_path / "student"))


def test_nothing_kept_is_refused_before_anything_is_made(collected, tiny, tmp_path):
    out = tmp_path / "student"
    with pytest.raises(ValueError, match="distill filter"):
        train([collected], str(tiny), out)
    (collected / KEPT).write_text("")
    with pytest.raises(ValueError, match="Nothing to train on"):
        train([collected], str(tiny), out)
    assert not out.exists()


def test_a_sample_that_is_too_long_is_left_out_not_cut(collected, tiny, tmp_path):
    filter_rollouts(collected)
    with pytest.raises(ValueError, match="longer than 20 tokens"):
        train([collected], str(tiny), tmp_path / "student", max_length=20)


def test_several_methods_are_not_mixed_unasked(collected, tmp_path):
    filter_rollouts(collected)
    other = tmp_path / "cot"
    problem = Problem(id="x", question="1 + 2?", answers=("3",), kind="math")
    run_rollouts(
        [problem], lambda p: make_thinker(ScriptedModel("Three.\n<answer>3</answer>")), other
    )
    filter_rollouts(other)
    with pytest.raises(ValueError, match="--method"):
        read_kept([collected, other])
    assert len(read_kept([collected, other], "cot")) == 1


def test_a_rollout_survives_its_line(collected):
    for rollout, line in zip(
        read_rollouts(collected), (collected / FILE).read_text().splitlines(), strict=True
    ):
        assert Rollout.model_validate_json(line) == rollout


def test_a_tool_of_ones_own_is_in_the_students_prompt(tmp_path):
    file = tmp_path / "shout.py"
    file.write_text(
        "from smolagents import tool\n\n@tool\ndef shout(text: str) -> str:\n"
        '    """Say it loud.\n\n    Args:\n        text: what to say\n    """\n    return text.upper()\n'
    )
    problem = Problem(id="x", question="Shout hey.", answers=("HEY",))
    shout = load_tools(str(file))
    run_rollouts(
        [problem],
        lambda p: make_agent(ScriptedModel(step("Loud.", 'final_answer(shout("hey"))')), shout),
        tmp_path / "r",
    )
    filter_rollouts(tmp_path / "r")
    kept = read_kept([tmp_path / "r"])
    assert "shout(text): Say it loud." in student_messages(kept, tools=str(file))[0][0].content
    with pytest.raises(ValueError, match="No tool named 'shout'"):
        student_messages(kept)


FAST = {"epochs": 4, "batch_size": 2, "rank": 4, "alpha": 8, "rate": 1e-2, "against": ""}


@pytest.fixture
def kept(collected):
    filter_rollouts(collected)
    return collected


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def test_a_training_that_was_killed_goes_on_to_the_very_same_weights(kept, tiny, tmp_path):
    """kill -9 after a checkpoint, and while the next is being written; dropout makes chance take part."""
    settings = {**FAST, "checkpoint_steps": 1, "dropout": 0.1, "early_at": 0.5}
    train([kept], str(tiny), tmp_path / "whole", **settings)
    code = (
        "import os, sys, distill.callbacks as c; from pathlib import Path; from distill.train import train\n"
        "save = c.Checkpoints.on_save\n"
        "def end(self, args, state, control, **kwargs):\n"
        "    if state.global_step == 3: os.kill(os.getpid(), 9)\n"  # before its mark: half-written
        "    save(self, args, state, control, **kwargs)\n"
        "c.Checkpoints.on_save = end\n"
        f"train([Path({str(kept)!r})], {str(tiny)!r}, Path({str(tmp_path / 'killed')!r}), **{settings!r})"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr[-2000:]
    left = tmp_path / "killed"
    assert {f.name for f in (left / "checkpoints").glob("c*")} == {"checkpoint-2", "checkpoint-3"}
    (left / "checkpoints" / "checkpoint-3" / "adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match="neither config"):
        load_model(str(left))
    with pytest.raises(ValueError, match="rate"):
        train([kept], str(tiny), left, **{**settings, "rate": 1e-3})
    lines = (kept / KEPT).read_text()
    (kept / KEPT).write_text(lines.splitlines()[0] + "\n")
    with pytest.raises(ValueError, match="was made with rollouts"):
        train([kept], str(tiny), left, **settings)
    (kept / KEPT).write_text(lines)
    train([kept], str(tiny), left, **settings)
    for part in (".", "early"):
        one, other = weights(tmp_path / "whole" / part), weights(left / part)
        assert all(torch.equal(one[name], other[name]) for name in one)
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "killed")]
    assert [(x["step"], x["loss"]) for x in lines[0]] == [(x["step"], x["loss"]) for x in lines[1]]
    assert [x["step"] for x in lines[1]] == [1, 2, 3, 4]


def test_the_early_student_is_the_training_as_it_was_then(kept, tiny, tmp_path):
    train([kept], str(tiny), tmp_path / "s", **FAST, early_at=0.5)
    assert load_model(str(tmp_path / "s" / "early"))
    told = identity(str(tmp_path / "s" / "early"))
    assert told["distilled"] and told["base"] == tiny.name
    one, other = weights(tmp_path / "s"), weights(tmp_path / "s" / "early")
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_share_is_held_out_and_the_best_student_is_kept(kept, tiny, tmp_path):
    settings = {**FAST, "epochs": 30, "rate": 5.0, "batch_size": 1}  # so fast that it gets worse
    found = train(
        [kept],
        str(tiny),
        tmp_path / "s",
        **settings,
        validation=0.5,
        patience=2,
        checkpoint_steps=1,
    )
    losses = [
        x["validation"] for x in read_metrics(tmp_path / "s" / "metrics.jsonl") if "validation" in x
    ]
    assert found["validation_samples"] == 1 and found["samples"] == 1
    assert found["steps"] < 30 and found["validation_loss"] == min(losses)
    assert losses.index(min(losses)) == len(losses) - 3  # two more, and it stopped
    with pytest.raises(ValueError, match="none to validate"):
        train([kept], str(tiny), tmp_path / "n", **FAST, validation=0.1)


def test_failed_actions_can_be_left_out_of_the_loss(kept, tiny, tmp_path):
    """One of the two rollouts divides by zero first."""
    plain = train([kept], str(tiny), tmp_path / "a", dry_run=True, **FAST)
    masked = train([kept], str(tiny), tmp_path / "b", dry_run=True, **FAST, mask_errors=True)
    heavy = train([kept], str(tiny), tmp_path / "c", **FAST, step_weights="error=0,final=3")
    assert masked["tokens"] == plain["tokens"]
    assert masked["trained_tokens"] == heavy["trained_tokens"] < plain["trained_tokens"]
    line = read_metrics(tmp_path / "c" / "metrics.jsonl")[0]
    assert line["trained"] == 3 * masked["trained_tokens"]


def test_a_dry_run_tells_what_would_be_done_and_makes_nothing(kept, tiny, tmp_path):
    found = train([kept], str(tiny), tmp_path / "s", dry_run=True, **FAST)
    assert not (tmp_path / "s").exists()
    made = train([kept], str(tiny), tmp_path / "s", **FAST)
    same = ("samples", "tokens", "trained_tokens", "steps")
    assert [found[name] for name in same] == [made[name] for name in same]
    assert found["memory"]["total"] == sum(
        found["memory"][part] for part in ("weights", "trained", "activations")
    )


def test_the_memory_of_activations_is_counted_before_there_are_any():
    """Against what autograd really keeps of the pocket base."""
    base = str(POCKET["pocket-base"])
    settings = Settings(dropout=0.0, rank=16)
    model = get_peft_model(load_pretrained(base, torch.float32)[0], lora_config(settings))
    ids, at = torch.zeros(1, 300, dtype=torch.long), torch.arange(60)
    known = {p.untyped_storage()._cdata for p in model.parameters()}
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=at).logits[0]
        torch.nn.functional.cross_entropy(logits.float(), at)
    real = sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in known)
    assert memory(base, settings, 300, 60)["activations"] == pytest.approx(real, rel=0.15)


def test_memory_that_is_used_up_is_told_with_what_to_change(kept, tiny, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("distill.trainer.StudentTrainer._read_together", full)
    with pytest.raises(RunError, match=r"longest sample has \d+ tokens.*--max-length"):
        train([kept], str(tiny), tmp_path / "s", **FAST)


def test_a_full_disk_is_told_before_the_first_step(kept, tiny, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(
        "distill.save.shutil.disk_usage", lambda _: usage
    )  # and of train, the same module
    with pytest.raises(OSError, match="GB are needed"):
        train([kept], str(tiny), tmp_path / "s", **FAST)


def test_two_processes_train_the_student_of_one(kept, tiny, tmp_path):
    """Data-parallel by gloo on the CPU, each with half of every batch."""
    settings = {**FAST, "dropout": 0.0, "seed": 3}
    train([kept], str(tiny), tmp_path / "one", **settings)
    code = (
        "from pathlib import Path; from distill.train import train\n"
        f"train([Path({str(kept)!r})], {str(tiny)!r}, Path({str(tmp_path / 'two')!r}), **{settings!r})"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    one, two = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("one", "two"))
    assert [x["step"] for x in two] == [1, 2, 3, 4]
    assert [x["trained"] for x in two] == [x["trained"] for x in one]
    assert [x["loss"] for x in two] == pytest.approx([x["loss"] for x in one], rel=0.02)
    apart = total = 0.0  # Adam makes much of a gradient's last bits, in a few numbers
    for name, tensor in weights(tmp_path / "one").items():
        apart += (tensor - weights(tmp_path / "two")[name]).square().sum().item()
        total += tensor.square().sum().item()
    assert apart < 1e-3 * total
    assert json.loads((tmp_path / "two" / "parity.json").read_text())["passed"]


def test_a_training_that_was_killed_while_it_was_certified_is_certified(kept, tiny, tmp_path):
    made = train([kept], str(tiny), tmp_path / "s", **FAST)
    (tmp_path / "s" / "parity.json").unlink()
    assert train([kept], str(tiny), tmp_path / "s", **FAST) == made
    assert (tmp_path / "s" / "parity.json").is_file()


def test_what_lies_beside_a_base_is_not_taken_for_the_students(kept, tiny, tmp_path):
    """A merged student is a base, and brings the records of its own training."""
    base = shutil.copytree(tiny, tmp_path / "base")
    for name in ("train.json", "student.json", "parity.json", "notes.txt"):
        (base / name).write_text("{}")
    train([kept], str(base), tmp_path / "s", **FAST, early_at=0.5)
    assert not (tmp_path / "s" / "notes.txt").exists()
    early = tmp_path / "s" / "early"
    assert not (early / "train.json").exists() and not (early / "parity.json").exists()
    assert json.loads((early / "student.json").read_text())["method"] == "agent"


def test_a_base_with_numbers_that_are_not_finite_is_refused(kept, tiny, tmp_path):
    base = shutil.copytree(tiny, tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"not finite.*model\.norm"):
        train([kept], str(base), tmp_path / "s", **FAST)


def test_a_sample_longer_than_the_model_reads_is_left_out(kept, tiny, tmp_path):
    base = shutil.copytree(tiny, tmp_path / "base")
    file = base / "config.json"
    small = {**json.loads(file.read_text()), "max_position_embeddings": 200}
    file.write_text(json.dumps(small))
    found = train([kept], str(base), tmp_path / "s", dry_run=True, **FAST)
    assert found["too_long"] == 1 and found["longest"] <= 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 0}, "batch_size starts at 1"),
        ({"rate": 0.0}, "rate is above 0"),
        ({"rate": float("nan")}, "rate is above 0"),
        ({"dropout": 1.0}, "dropout is from 0"),
        ({"early_at": 0.0}, "early_at"),
        ({"patience": 2}, "--validation"),
        ({"full": True, "dora": True}, "ways of LoRA"),
        ({"too_long": "cut"}, "drop or shorten"),
        ({"step_weights": "last=2"}, "first, other, final, error"),
        ({"step_weights": "final"}, "final=2"),
        ({"track": "mlflow"}, "trackio, tensorboard, wandb"),
        ({"schedule": "sawtooth"}, "linear"),
        ({"learning_rate": 1e-3}, "learning_rate"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(kept, tiny, tmp_path, settings, said):
    with pytest.raises(ValueError, match=said):
        train([kept], str(tiny), tmp_path / "s", **settings)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda f: f.stem)
def test_a_recipe_says_only_what_its_verb_knows(recipe):
    text = recipe.read_text()
    verb = re.search(r"-m distill (\w+)", text)[1]
    command = typer.main.get_command(app).commands[verb]
    assert set(yaml.safe_load(text)) <= {parameter.name for parameter in command.params}


def test_a_base_with_its_own_generation_settings_becomes_a_student_that_is_served_as_trained(
    kept, tiny, tmp_path
):
    """Released models bring a repetition penalty, or stop only at the end of a text."""
    base = shutil.copytree(tiny, tmp_path / "base")
    file = base / "generation_config.json"
    released = {"repetition_penalty": 1.1, "temperature": 0.7, "do_sample": True, "eos_token_id": 0}
    file.write_text(json.dumps({**json.loads(file.read_text()), **released}))
    assert train([kept], str(base), tmp_path / "s", **FAST, dora=True)["parity"]
    written = json.loads((tmp_path / "s" / "generation_config.json").read_text())
    assert "repetition_penalty" not in written and not written["do_sample"]
    assert end_of_turn_id(load_tokenizer(str(base))) in written["eos_token_id"]
