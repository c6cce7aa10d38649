"""What the paper's published evaluation code gets wrong, one test each, on ours.

The faults are those of its score_answers.py, qwen_math_grader.py and base.py (commit 0f6cae3).
"""

from __future__ import annotations

import os
import signal

from agents import make_agent, make_thinker, solve
from distill import referee
from distill.judge import Judge, judge_all
from distill.problems import Problem
from distill.rollout import read_rollouts, run_rollouts
from distill.scoring import score

from .scripted import ScriptedModel, step
from .test_study import PROBLEMS, folder, made, rollout

TOWN = Problem(id="1", question="Which town?", answers=("Oslo",), benchmark="towns")


def ran(path, *replies, problems=PROBLEMS[:1], **settings):
    run_rollouts(
        problems, lambda p: make_agent(ScriptedModel(*replies), [], max_steps=2, **settings), path
    )
    return list(read_rollouts(path))


def test_a_crashed_question_is_not_correct(tmp_path):
    """Theirs compares None with None, and gives a point."""
    [crashed] = ran(tmp_path / "a", OSError("gone"))
    assert (crashed.trajectory.stop, crashed.score) == ("failed", 0.0)
    assert score(PROBLEMS[0], None) == 0.0


def test_running_out_of_steps_is_an_outcome_not_a_crash(tmp_path):
    """Theirs unpacks a text into two values, which becomes a crash, which becomes a point."""
    [out] = ran(tmp_path / "a", step("Hm.", "print(1)"), step("Hm.", "print(2)"))
    assert (out.trajectory.stop, out.trajectory.error, out.score) == ("max_steps", None, 0.0)


def test_answering_none_is_wrong_even_where_the_gold_is_none(tmp_path):
    problem = PROBLEMS[0].model_copy(update={"answers": ("None",)})
    [none] = ran(tmp_path / "a", step("So.", "final_answer(None)"), problems=[problem])
    assert (none.trajectory.stop, none.trajectory.answer, none.score) == ("answered", None, 0.0)


def test_the_three_are_wrong_and_counted_apart(tmp_path):
    replies = [OSError("gone")], [step("Hm.", "print(1)")] * 2, [step("So.", "final_answer(None)")]
    scripts = dict(zip("012", replies, strict=True))
    run_rollouts(
        PROBLEMS[:3],
        lambda p: make_agent(ScriptedModel(*scripts[p.id]), [], max_steps=2),
        tmp_path / "a",
    )
    [result] = made(tmp_path / "a").results
    assert result.accuracy == 0.0 and result.n == 3
    assert result.outcomes == {"failed": 1, "steps": 1, "none": 1}


def test_a_hundredfold_is_another_number():
    for gold, said in (("5", "500"), ("5", "0.05"), ("750", "7.5"), ("100", "1"), ("50", r"50\%")):
        assert score(PROBLEMS[0].model_copy(update={"answers": (gold,)}), said) == 0.0


def test_large_integers_are_exact():
    """A relative 1e-4 would let an error of a thousand pass on most of GSM-Hard."""
    for gold, said in (("123456", "123460"), ("13138980.0", "13138981"), ("999", "998.95")):
        assert score(PROBLEMS[0].model_copy(update={"answers": (gold,)}), said) == 0.0


def test_the_denominator_is_the_benchmark_not_the_lines_of_a_file(tmp_path):
    [result] = made(folder(tmp_path / "a", [rollout(p) for p in PROBLEMS[:2]])).results
    assert (result.accuracy, result.n, result.missing) == (2 / 8, 8, 6)


def test_a_judge_is_shown_a_thousand_characters(tmp_path):
    model = ScriptedModel('{"reason": "no", "correct": false}')
    judge_all([(TOWN, "x" * 5000)], Judge(model, workers=1), tmp_path / "verdicts.jsonl")
    assert "x" * 1000 in str(model.requests[0]) and "x" * 1001 not in str(model.requests[0])


def test_one_reply_that_cannot_be_read_does_not_end_the_judging(tmp_path):
    other = TOWN.model_copy(update={"id": "2", "question": "Which other?"})
    model = ScriptedModel("Well…", "Well…", "Well…", '{"reason": "yes", "correct": true}')
    judge = Judge(model, workers=1, waits=())
    found = judge_all([(TOWN, "a"), (other, "b")], judge, tmp_path / "verdicts.jsonl")
    assert [verdict.correct for verdict in found] == [None, True]
    model = ScriptedModel('{"reason": "no", "correct": false}')
    found = judge_all(
        [(TOWN, "a"), (other, "b")], Judge(model, workers=1), tmp_path / "verdicts.jsonl"
    )
    assert [verdict.correct for verdict in found] == [False, True]  # the second is remembered
    assert len(model.requests) == 1


def test_mathematics_needs_no_key_and_no_judge(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert score(PROBLEMS[0].model_copy(update={"answers": (r"\frac12",)}), "0.5") == 1.0


def test_a_comparison_whose_process_dies_does_not_wait_for_it():
    problem = PROBLEMS[0].model_copy(update={"answers": (r"\frac{1}{3}",)})
    assert score(problem, "2/6") == 1.0
    os.kill(referee._child().pid, signal.SIGKILL)
    assert score(problem, "3/9") == 1.0


def test_compute_can_be_made_equal():
    """Theirs sets eight samples a step against one greedy chain; here a chain of thought votes too."""
    said = ["<answer>2</answer>", "<answer>1</answer>", "I cannot say.", "<answer>1.0</answer>"]
    trajectory = solve(make_thinker(ScriptedModel(*said), samples=4), "q")
    votes = trajectory.steps[0].votes
    assert (trajectory.answer, trajectory.samples, trajectory.temperature) == ("1", 4, 0.4)
    assert (votes.sampled, votes.parsed, votes.votes, votes.distinct) == (4, 3, 2, 2)
    assert trajectory.messages[-1].content == "<answer>1</answer>"
    assert trajectory.usage.requests == 4


def test_a_chain_of_thought_samples_no_more_once_decided():
    model = ScriptedModel(*["<answer>1</answer>"] * 8)
    trajectory = solve(make_thinker(model, samples=8, sequential=True), "q")
    assert (trajectory.steps[0].votes.sampled, len(model.requests)) == (4, 4)
    trajectory = solve(make_thinker(ScriptedModel("No.", "No."), samples=2), "q")
    assert (trajectory.stop, trajectory.answer) == ("max_steps", None)


def test_a_key_that_a_server_repeats_is_not_written_down(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-secret-123")
    for solver in (make_agent(ScriptedModel(OSError("no: planted-secret-123")), []),
                   make_thinker(ScriptedModel(OSError("no: planted-secret-123")))):  # fmt: skip
        trajectory = solve(solver, "q")
        assert trajectory.stop == "failed" and "***" in trajectory.error
        assert "planted" not in trajectory.model_dump_json()
