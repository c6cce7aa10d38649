"""A student is a tool of a larger agent: fresh at each call, at the same time, one within another."""

from __future__ import annotations

import threading

import pytest
from smolagents import CodeAgent

from agents import Limits, make_agent, solve, stream
from agents.as_tool import student_tool
from agents.sandbox import forkserver
from agents.solve import STOPPED
from distill.problems import Problem
from distill.rollout import run_rollouts
from distill.solvers import load_tools, make_solvers

from .scripted import ScriptedModel, step

LIMITS = Limits(output_chars=4000)


def student(*replies, **settings):
    return student_tool(ScriptedModel(*replies), [], **settings)


def test_a_larger_agent_asks_a_student_and_uses_its_answer():
    asked = student(step("I multiply.", "final_answer(6 * 7)"))
    larger = ScriptedModel(
        step("I ask.", "n = student('Six times seven?')\nfinal_answer(int(n) + 1)")
    )
    assert solve(make_agent(larger, [asked]), "One more than six times seven?").answer == "43"
    assert "Six times seven?" in str(asked.model.requests[0])


def test_every_call_is_a_student_of_its_own():
    asked = student(step("I answer.", "final_answer(1)"))
    runs = []
    asked.runs = runs.append
    threads = [threading.Thread(target=asked, args=(f"Who is {i}?",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 4
    for run in runs:
        assert len(run.steps) == 1
        assert [m.content.count("Who is") for m in run.messages] == [0, 1, 0]


def test_why_there_is_no_answer_is_a_sentence():
    assert "used up its 2 steps" in student(step("Hm.", "x = 1"), max_steps=2)("?")
    with pytest.raises(RuntimeError, match=r"student failed: .*server is gone"):
        student(RuntimeError("the server is gone"))("?")
    with pytest.raises(ValueError, match="takes a question"):
        student(step("", "final_answer(1)"))("  ")


def test_a_name_that_cannot_be_called_is_refused():
    with pytest.raises(ValueError, match="cannot be called"):
        student("", name="my-student")
    with pytest.raises(ValueError, match="No model"):
        student_tool("no-such-model")


def test_actions_that_take_all_memory_leave_room_for_the_students_they_wait_for():
    limits = Limits(memory_mb=4 * forkserver.memory(), output_chars=4000)  # one runs at a time
    innermost = student(step("", "final_answer(2)"), name="inner", limits=limits)
    middle = student_tool(
        ScriptedModel(step("", "final_answer(inner('?'))")),
        [innermost],
        name="middle",
        limits=limits,
    )
    larger = ScriptedModel(step("", "final_answer(middle('?'))"))
    assert solve(make_agent(larger, [middle], limits=limits), "?").answer == "2"


def test_many_at_a_time_with_two_levels_all_end(tmp_path):
    asked = student(step("", "final_answer(6 * 7)"))
    larger = ScriptedModel(step("", "final_answer(student('?'))"))
    problems = [Problem(id=str(i), question=f"{i}?", answers=("42",)) for i in range(8)]
    counts = run_rollouts(
        problems, lambda problem: make_agent(larger, [asked]), tmp_path, workers=4, title="nested"
    )
    assert counts["answered"] == 8


def test_stopping_the_larger_run_stops_the_student():
    cancelled = threading.Event()

    class Stopping(ScriptedModel):
        def generate(self, *args, **settings):
            cancelled.set()
            return super().generate(*args, **settings)

    asked = student_tool(Stopping(step("", "final_answer(1)")), [])
    ended = threading.Event()
    runs = []
    asked.runs = lambda run: (runs.append(run), ended.set())
    larger = ScriptedModel(step("", "final_answer(student('?'))"))
    *_, run = stream(make_agent(larger, [asked]), "?", cancelled=cancelled)
    assert run.error == STOPPED
    assert ended.wait(20) and runs[0].error == STOPPED


def test_a_student_with_a_tool_that_changes_the_world_changes_it(tool):
    assert not student_tool(ScriptedModel(""), [tool]).side_effects
    tool.side_effects = True
    assert student_tool(ScriptedModel(""), [tool]).side_effects


def test_a_stock_agent_of_smolagents_takes_it_too():
    asked = student(step("", "final_answer(6 * 7)"))
    larger = CodeAgent(
        [asked], ScriptedModel(step("", "final_answer(int(student('?')))")), verbosity_level=0
    )
    assert larger.run("Six times seven?") == 42


def test_agent_and_a_model_name_make_a_tool():
    [asked] = load_tools("solver=agent:pocket-teacher")
    assert asked.name == "solver" and [tool.name for tool in asked.tools] == ["wiki_search"]
    assert asked("Who wrote The Crooked Letter?")  # the simulated teacher's own world
    with pytest.raises(ValueError, match="No model"):
        make_solvers(None, tools="agent:no-such-model")
