"""Training: what the filter keeps becomes a student that is sent what it was trained on."""

from __future__ import annotations

import json
import shutil

import pytest

from agents import load_model, make_agent, make_thinker, solve
from distill.filter import KEPT, filter_rollouts
from distill.problems import Problem
from distill.rollout import FILE, Rollout, read_rollouts, run_rollouts
from distill.solvers import load_tools
from distill.train import train
from distill.training_data import read_kept, student_messages

from .scripted import ScriptedModel, step

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
    assert not {"README.md", "checkpoints"} & names
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "."
    moved = shutil.move(out, tmp_path / "elsewhere")  # the folder runs by itself
    assert solve(make_agent(load_model(str(moved), max_tokens=40), []), question).answer == "3"
    with pytest.raises(ValueError, match="holds a trained student"):
        train([collected], str(tiny), tmp_path / "elsewhere")


def test_all_weights_can_be_trained(collected, tiny, tmp_path):
    filter_rollouts(collected)
    train([collected], str(tiny), tmp_path / "student", full=True, epochs=1)
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
