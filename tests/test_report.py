"""The report: every problem in the denominator, an interval around every number, a figure to look at."""

from __future__ import annotations

import json

import pytest
from scipy.stats import binomtest

from agents import make_agent
from bench.study import write_study
from distill.problems import Problem
from distill.report import print_comparisons, print_table, report
from distill.rollout import run_rollouts
from distill.runs import read_run
from distill.study import study

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


def results(*folders, **settings):
    return study([read_run(folder) for folder in folders], **settings)[0].results


def test_failed_and_unanswered_are_wrong_and_counted(folder):
    [result] = results(folder)
    assert (result.n, result.accuracy) == (10, 0.6)
    assert (result.answered, result.max_steps, result.failed) == (8, 1, 1)
    assert result.outcomes == {"right": 6, "wrong": 2, "steps": 1, "failed": 1}


def test_the_interval_is_wilsons(folder):
    [result] = results(folder)
    assert (round(result.low, 4), round(result.high, 4)) == (
        0.3127,
        0.8318,
    )  # 6 of 10, by the formula


def test_a_base_model_is_told_from_a_student(folder):
    assert [r.method for r in results(folder, base=("scripted",))] == ["agent_prompted"]


def test_table_numbers_figures_and_page_are_written(folder, tmp_path):
    out = tmp_path / "report"
    report([folder], out)
    [row] = json.loads((out / "results.json").read_text())
    assert row["benchmark"] == "ones" and row["accuracy"] == 0.6
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "report.svg").read_text()
    assert "60.0 (31-83)" in (out / "report.md").read_text()
    assert "<!doctype html>" in (out / "report.html").read_text().lower()
    assert json.loads((out / "report.json").read_text())["results"] == [row]


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
    made = report([eight, one], tmp_path / "report")
    print_table(made)
    assert [(r.samples, r.accuracy, r.agreement) for r in made.results] == [
        (1, 0.5, None),
        (8, 1.0, 1.0),
    ]
    assert "agent + sag (N=8, T=0.4)" in capsys.readouterr().out


def test_a_difference_is_told_from_a_tie_in_words(tmp_path, capsys):
    many = {str(i): "2" for i in range(20)}
    one = sampled(tmp_path / "one", many, 1)
    better = sampled(tmp_path / "better", dict.fromkeys(many, "1"), 2)
    print_comparisons(report([one, better], tmp_path / "report"))
    said = capsys.readouterr().out
    assert "agent + sag (N=2, T=0.4) is better than agent on ones: +100.0 points" in said
    same = sampled(tmp_path / "same", {**many, "0": "1"}, 2)
    print_comparisons(report([one, same], tmp_path / "tie"))
    assert "agent + sag (N=2, T=0.4) ties with agent" in capsys.readouterr().out


def test_limits_that_were_reached_are_counted(tmp_path, capsys):
    problem = Problem(id="1", question="q", answers=("1",), benchmark="ones")
    run_rollouts(
        [problem],
        lambda p: make_agent(
            ScriptedModel(step("Long.", "print('x' * 9999)"), step("So.", "final_answer(1)")), []
        ),
        tmp_path / "run",
    )
    made = report([tmp_path / "run"], tmp_path / "report")
    assert made.results[0].limits == {"output": 1}
    print_table(made)
    assert "output:1" in capsys.readouterr().out


def test_one_folder_by_two_paths_counts_once(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    made = report([folder, tmp_path / "link"], tmp_path / "report", teachers=[tmp_path / "link"])
    assert made.results[0].accuracies == () and len(made.rows) == 1


def test_a_study_of_the_papers_extent_is_counted_right(tmp_path):
    """Four methods, three sizes, eight benchmarks, simulated; cells and a p recomputed from the raw lines."""
    folders = write_study(tmp_path / "runs", limit=20)
    made = report(folders[:-1], tmp_path / "report", teachers=folders[-1:])
    assert len(made.rows) == 4 * 3 + 1 and len(made.results) == 13 * 8
    assert "simulated" in made.notes[0] and all(row.simulated for row in made.rows)
    rows = {row.runs[0]: row.id for row in made.rows}

    def right(folder, benchmark):
        """By problem id; what never ran or failed is not."""
        asked = [json.loads(line) for line in (folder / "problems.jsonl").open()]
        found = {p["id"]: 0 for p in asked if p["benchmark"] == benchmark}
        for line in (folder / "rollouts.jsonl").open():
            rollout = json.loads(line)
            if rollout["problem"]["benchmark"] == benchmark and rollout["score"] == 1.0:
                found[rollout["problem"]["id"]] = 1
        return found

    for folder, benchmark in (
        (folders[0], "hotpotqa"),
        (folders[6], "gsm_hard"),
        (folders[11], "aime"),
    ):
        points = right(folder, benchmark)
        [cell] = [r for r in made.results if (r.row, r.benchmark) == (rows[str(folder)], benchmark)]
        assert (cell.n, cell.accuracy) == (20, sum(points.values()) / 20)
        interval = binomtest(sum(points.values()), 20).proportion_ci(method="wilson")
        assert (cell.low, cell.high) == pytest.approx((interval.low, interval.high))
    one, other = folders[8], folders[11]  # the largest size, by CoT and by the agent that votes
    pairs = [
        (right(one, b.name)[i], right(other, b.name)[i])
        for b in made.benchmarks
        for i in right(one, b.name)
    ]
    b, c = pairs.count((1, 0)), pairs.count((0, 1))
    [found] = [
        x
        for x in made.comparisons
        if {x.first, x.second} == {rows[str(one)], rows[str(other)]} and x.benchmark is None
    ]
    assert {found.first_only, found.second_only} == {b, c} and found.n == 8 * 20
    assert found.p == pytest.approx(binomtest(c, b + c).pvalue)
