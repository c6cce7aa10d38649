"""A student as a tool of a larger agent: it is asked in words, works on its own, and answers in words.

Not smolagents' managed agent, which is one object for all who call it: here every call gets an agent of
its own, so that calls at the same time, and one within another, do not meet.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from smolagents import Model, Tool

from .agent import make_agent
from .cancelled import OUTER
from .models import load_model, student_of
from .solve import stream
from .trajectory import Trajectory

DESCRIPTION = (
    "A small agent with tools of its own. It answers one question, stated in full; it remembers nothing "
    "of earlier ones."
)


class StudentTool(Tool):
    """Made by `student_tool`. `runs` takes a function that is given each call's Trajectory."""

    inputs = {  # noqa: RUF012
        "question": {"type": "string", "description": "the question, with all that it needs"}
    }
    output_type = "string"

    def __init__(self, model: Model, tools: Sequence[Tool], name: str, description: str, settings):
        super().__init__()
        self.name, self.description = name, description
        self.model, self.tools, self.settings = model, list(tools), settings
        self.runs = None
        # What a student may do to the world, a call of it may do.
        self.side_effects = any(getattr(tool, "side_effects", False) for tool in self.tools)

    def forward(self, question: str) -> str:
        if not isinstance(question, str) or not question.strip():
            raise ValueError(f"{self.name} takes a question, in words.")
        agent = make_agent(self.model, self.tools, **self.settings)
        *_, trajectory = stream(agent, question, cancelled=OUTER.get())
        if self.runs is not None:
            self.runs(trajectory)
        return reply(trajectory, self.name)


def student_tool(
    model: Model | str,
    tools: Sequence[Tool] = (),
    *,
    name: str = "student",
    description: str = DESCRIPTION,
    **settings,
) -> Tool:
    """The student as a tool `name(question)`, for any number of calls at a time.

    model: one, or the name of one as in `load_model`, loaded once in the process. settings: as in
    `make_agent`, of each call's own agent. A call returns the answer, or a sentence on why there is none.
    The larger agent's action waits for it, and the waiting counts: give `Limits(seconds=…)` to that one.
    Raises ValueError for a model or a setting that cannot be.
    """
    if not name.isidentifier() or name == "final_answer":
        raise ValueError(f"A tool cannot be called {name!r}: it is the name of a function.")
    model = _loaded(model) if isinstance(model, str) else model
    make_agent(model, tools, **settings)  # told now what is wrong with it
    return StudentTool(model, tools, name, description, settings)


def trained_with(model: str, default: Sequence[str] = ("wiki_search",)) -> list[str]:
    """The names of the tools that the student was trained with, as far as its folder says."""
    return list(student_of(_loaded(model)).get("tools") or default)


@functools.cache
def _loaded(name: str) -> Model:
    return load_model(name)


def reply(trajectory: Trajectory, name: str) -> str:
    """What a larger agent reads of a run. RuntimeError for what is the system's fault."""
    if trajectory.stop == "answered" and trajectory.answer is not None:
        return trajectory.answer
    if trajectory.stop == "failed":
        raise RuntimeError(f"{name} failed: {' '.join((trajectory.error or '').split())[:500]}")
    if trajectory.stop == "max_steps":
        return f"No answer: {name} used up its {len(trajectory.steps)} steps."
    return f"No answer: {name} answered with nothing."
