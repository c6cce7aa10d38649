"""Rollouts on disk: stopped in any way, called again, nothing is lost and nothing is there twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents import make_agent
from distill.problems import Problem
from distill.rollout import FILE, read_rollouts, run_rollouts
from distill.run import run_folder

from .scripted import ScriptedModel, step

PROBLEMS = [
    Problem(id=f"p{i}", question=f"What is {i} + 1?", answers=(str(i + 1),), kind="math")
    for i in range(5)
]


def answering(value):
    return lambda problem: make_agent(ScriptedModel(step("So.", f"final_answer({value})")), [])


def test_each_problem_gets_its_attempts_and_a_score(tmp_path):
    ended = run_rollouts(PROBLEMS, answering(3), tmp_path, attempts=2, workers=4)
    rollouts = list(read_rollouts(tmp_path))
    assert sorted((r.problem.id, r.attempt) for r in rollouts) == [
        (f"p{i}", k) for i in range(5) for k in (0, 1)
    ]
    assert {r.problem.id: r.score for r in rollouts} == {
        "p0": 0,
        "p1": 0,
        "p2": 1,
        "p3": 0,
        "p4": 0,
    }
    assert ended["answered"] == 10 and ended["correct"] == 2


def test_a_second_call_does_nothing_again(tmp_path):
    run_rollouts(PROBLEMS, answering(1), tmp_path)
    before = (tmp_path / FILE).read_bytes()
    assert not run_rollouts(PROBLEMS, answering(2), tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_problem_that_has_changed_is_run_again(tmp_path):
    run_rollouts(PROBLEMS, answering(1), tmp_path)
    changed = [PROBLEMS[0].model_copy(update={"question": "Now what?"}), *PROBLEMS[1:]]
    assert run_rollouts(changed, answering(1), tmp_path)["answered"] == 1
    assert sorted((r.problem for r in read_rollouts(tmp_path)), key=lambda p: p.id) == changed


def test_a_half_written_line_is_passed_over_and_made_again(tmp_path):
    run_rollouts(PROBLEMS, answering(1), tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:-40])
    assert len(list(read_rollouts(tmp_path))) == 4
    assert run_rollouts(PROBLEMS, answering(1), tmp_path)["answered"] == 1
    assert (
        len(list(read_rollouts(tmp_path))) == len((tmp_path / FILE).read_text().splitlines()) == 5
    )


def test_a_failed_rollout_is_wrong_counted_and_retried(tmp_path):
    broken = run_rollouts(
        PROBLEMS, lambda p: make_agent(ScriptedModel(OSError("gone")), []), tmp_path
    )
    assert broken["failed"] == 5
    assert all(r.score == 0.0 and r.trajectory.stop == "failed" for r in read_rollouts(tmp_path))
    assert run_rollouts(PROBLEMS, answering(1), tmp_path)["answered"] == 5
    assert [r.trajectory.stop for r in read_rollouts(tmp_path)] == ["answered"] * 5


def test_one_failure_does_not_stop_the_batch(tmp_path):
    def solver(problem):
        reply = OSError("gone") if problem.id == "p1" else step("So.", "final_answer(1)")
        return make_agent(ScriptedModel(reply), [])

    ended = run_rollouts(PROBLEMS, solver, tmp_path, workers=2)
    assert (ended["failed"], ended["answered"]) == (1, 4)


def test_a_spoilt_line_is_named(tmp_path):
    run_rollouts(PROBLEMS, answering(1), tmp_path)
    with (tmp_path / FILE).open("a") as lines:
        lines.write('{"problem": 1}\n')
    with pytest.raises(ValueError, match="line 6"):
        list(read_rollouts(tmp_path))


KILLED = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.scripted import ScriptedModel, step
from tests.test_rollout import PROBLEMS
from distill.rollout import run_rollouts
from agents import make_agent

class Slow(ScriptedModel):
    def generate(self, *args, **kwargs):
        time.sleep(0.2)
        return super().generate(*args, **kwargs)

run_rollouts(PROBLEMS, lambda p: make_agent(Slow(step("So.", "final_answer(1)")), []), Path({out!r}), workers=1)
"""


def test_kill_9_loses_only_what_was_running(tmp_path):
    root = str(Path(__file__).parent.parent)
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(root=root, out=str(tmp_path))], cwd=root
    )
    while not ((tmp_path / FILE).is_file() and (tmp_path / FILE).read_bytes().count(b"\n") >= 2):
        assert child.poll() is None
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = (tmp_path / FILE).read_text().splitlines()
    run_rollouts(PROBLEMS, answering(1), tmp_path)
    lines = (tmp_path / FILE).read_text().splitlines()
    assert lines[: len(kept)] == kept and 2 <= len(kept) < 5
    assert sorted(json.loads(line)["problem"]["id"] for line in lines) == [
        f"p{i}" for i in range(5)
    ]


def test_a_folder_of_other_settings_is_refused_and_kept(tmp_path):
    out = tmp_path / "run"
    with run_folder(out, "collect", {"model": "a"}):
        pass
    before = (out / "run.json").read_bytes()
    with (
        pytest.raises(ValueError, match="model = 'a', now it is 'b'"),
        run_folder(out, "collect", {"model": "b"}),
    ):
        pass
    with pytest.raises(ValueError, match="verb"), run_folder(out, "train", {"model": "a"}):
        pass
    assert (out / "run.json").read_bytes() == before
    with run_folder(out, "collect", {"model": "b"}, force=True):
        assert json.loads((out / "run.json").read_text())["settings"]["model"] == "b"


def test_two_at_once_in_one_folder_are_refused(tmp_path):
    out = tmp_path / "run"
    with (
        run_folder(out, "v", {}),
        pytest.raises(ValueError, match="Another process"),
        run_folder(out, "v", {}),
    ):
        pass


def test_a_folder_with_other_things_is_not_written_into(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"no run\.json"), run_folder(tmp_path, "v", {}):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_mistake_noticed_late_leaves_no_folder_but_loses_no_work(tmp_path):
    with pytest.raises(ValueError), run_folder(tmp_path / "new", "v", {}):
        raise ValueError("late")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError), run_folder(tmp_path / "run", "v", {}):
        (tmp_path / "run" / FILE).write_text("work\n")
        raise ValueError("late")
    assert (tmp_path / "run" / FILE).read_text() == "work\n"


def test_run_json_tells_how_it_was_made(tmp_path):
    with run_folder(tmp_path / "run", "v", {"seed": 3}):
        pass
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["settings"] == {"verb": "v", "seed": 3}
    assert run["versions"]["smolagents"].startswith("1.26") and run["started"] <= run["ended"]
