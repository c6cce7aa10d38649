"""The report: every problem in the denominator, an interval around every number, a figure to look at."""

from __future__ import annotations

import json

import pytest

from agents import make_agent
from distill.paired import paired, read_paired
from distill.problems import Problem
from distill.report import print_table, report, results
from distill.rollout import read_rollouts, run_rollouts

from .scripted import ScriptedModel, step


@pytest.fixture
def folder(tmp_path):
    """Ten problems: six right, two wrong, one out of steps, one failed."""
    replies = [step("So.", "final_answer(1)")] * 6 + [step("So.", "final_answer(2)")] * 2
    replies += [step("Hm.", "print(1)"), OSError("gone")]
    problems = [
        Problem(id=str(i), question="q", answers=("1",), benchmark="ones", kind="math")
        for i in range(10)
    ]
    run_rollouts(
        problems,
        lambda p: make_agent(ScriptedModel(replies[int(p.id)]), [], max_steps=1),
        tmp_path / "run",
    )
    return tmp_path / "run"


def test_failed_and_unanswered_are_wrong_and_counted(folder):
    [result] = results(read_rollouts(folder))
    assert (result.n, result.accuracy) == (10, 0.6)
    assert (result.answered, result.max_steps, result.failed) == (8, 1, 1)


def test_the_interval_is_wilsons(folder):
    [result] = results(read_rollouts(folder))
    assert (round(result.low, 4), round(result.high, 4)) == (
        0.3127,
        0.8318,
    )  # 6 of 10, by the formula


def test_a_base_model_is_told_from_a_student(folder):
    assert [r.method for r in results(read_rollouts(folder), base=("scripted",))] == [
        "agent_prompted"
    ]


def test_table_numbers_and_figure_are_written(folder, tmp_path):
    report([folder], tmp_path / "report")
    [row] = json.loads((tmp_path / "report" / "results.json").read_text())
    assert row["benchmark"] == "ones" and row["accuracy"] == 0.6
    assert (tmp_path / "report" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "report" / "report.svg").read_text()


def test_names_are_no_markup_and_no_formula(tmp_path):
    problem = Problem(id="1", question="q", answers=("1",), benchmark="[/bold] $x^{$", kind="math")
    run_rollouts(
        [problem],
        lambda p: make_agent(ScriptedModel(step("So.", "final_answer(1)")), []),
        tmp_path / "r",
    )
    print_table(report([tmp_path / "r", tmp_path / "r"], tmp_path / "report"))
    assert len(json.loads((tmp_path / "report" / "results.json").read_text())) == 1


def test_a_report_does_not_overwrite_a_run(folder, tmp_path):
    (folder / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="folder of a run"):
        report([folder], folder)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "rollouts.jsonl").write_text("")
    with pytest.raises(ValueError, match="no finished rollout"):
        report([tmp_path / "empty"], tmp_path / "report")


def sampled(folder, answers: dict[str, str], samples: int):
    """Rollouts of problems whose answer is 1, with so many candidates a step."""
    problems = [
        Problem(id=name, question="q", answers=("1",), benchmark="ones", kind="math")
        for name in answers
    ]
    run_rollouts(
        problems,
        lambda p: make_agent(
            ScriptedModel(step("So.", f"final_answer({answers[p.id]})")), [], samples=samples
        ),
        folder,
    )
    return folder


def test_self_consistent_rows_say_how_many_were_sampled_and_how_warm(tmp_path, capsys):
    one = sampled(tmp_path / "one", {"a": "1", "b": "2"}, 1)
    eight = sampled(tmp_path / "eight", {"a": "1", "b": "1"}, 8)
    found = report([eight, one], tmp_path / "report")
    print_table(found)
    assert [(r.samples, r.accuracy, r.agreement) for r in found] == [(1, 0.5, None), (8, 1.0, 1.0)]
    assert "agent + sag (N=8, T=0.4)" in capsys.readouterr().out


def test_a_pair_is_told_from_a_tie(tmp_path):
    many = {str(i): "2" for i in range(20)}
    one = sampled(tmp_path / "one", many, 1)
    better = sampled(tmp_path / "better", dict.fromkeys(many, "1"), 2)
    report([one, better], tmp_path / "report")
    [pair] = read_paired(tmp_path / "report")
    assert (pair.n, pair.first_only, pair.second_only, pair.difference) == (20, 0, 20, 1.0)
    assert pair.p == pytest.approx(2 * 0.5**20) and pair.real
    same = sampled(tmp_path / "same", {**many, "0": "1"}, 2)
    tie = paired("tie", read_rollouts(one), read_rollouts(same))
    assert (tie.second_only, tie.p, tie.real) == (1, 1.0, False)
    assert tie.low < 0 < tie.high


def test_limits_that_were_reached_are_counted(tmp_path, capsys):
    problem = Problem(id="1", question="q", answers=("1",), benchmark="ones")
    run_rollouts(
        [problem],
        lambda p: make_agent(
            ScriptedModel(step("Long.", "print('x' * 9999)"), step("So.", "final_answer(1)")), []
        ),
        tmp_path / "run",
    )
    found = report([tmp_path / "run"], tmp_path / "report")
    assert found[0].limits == {"output": 1}
    print_table(found)
    assert "output:1" in capsys.readouterr().out
