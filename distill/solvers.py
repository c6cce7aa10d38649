"""What is run on a problem: an agent, or a chain of thought with or without passages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from smolagents import Model

import tools as toolbox
from agents import make_agent, make_thinker
from agents.agent import IMPORTS, LIMITS, read_prompt
from agents.answers import same_words
from agents.models import FirstThought, Way
from agents.sandbox import Limits

from .problems import Problem
from .scoring import same_mathematics

METHODS = ("agent", "cot", "cot_rag")
SEARCH = "wiki_search"


def make_solvers(
    model,
    *,
    method: str = "agent",
    tools: str = SEARCH,
    index=None,
    samples: int = 1,
    sequential: bool = False,
    temperature: float | None = None,
    max_steps: int = 5,
    prompt: str | None = None,
    tags: str | None = None,
    imports: str = ",".join(IMPORTS),
    limits: str = "",
    unsafe_local: bool = False,
    first_thoughts: dict[str, str] | None = None,
    way: Way | None = None,
) -> Callable[[Problem], object]:
    """A function that makes a fresh solver for a problem; model, tools and index are shared.

    index: a folder or a Retriever for the search tool. first_thoughts: per question, how its first
    thought begins, given in that `way`; the run of a problem without one fails. imports: with commas
    between; limits: as `Limits.read` takes them; the rest as in `agents.make_agent`.
    Raises ValueError for a method, tool or limit that is not there, SandboxError where code cannot be
    confined.
    """
    if method not in METHODS:
        raise ValueError(f"No method {method!r}; there are: {', '.join(METHODS)}.")
    read_prompt(
        prompt or ("student" if method == "agent" else "cot")
    )  # told now if it is not there
    if tags and method != "agent":
        raise ValueError("--tags is how an agent marks its code; a chain of thought has none.")
    if method != "agent":
        search = load_tools(SEARCH, index)[0] if method == "cot_rag" else None
        return lambda problem: make_thinker(
            model,
            search,
            samples=samples,
            temperature=temperature,
            prompt=prompt or "cot",
            sequential=sequential,
            same_answer=_same(problem),
        )
    loaded = load_tools(tools, index, unsafe_local=unsafe_local)
    settings = {
        "samples": samples,
        "sequential": sequential,
        "temperature": temperature,
        "max_steps": max_steps,
        "prompt": prompt,
        "tags": tags,
        "imports": [name for name in (n.strip() for n in imports.split(",")) if name],
        "limits": Limits.read(limits, output_chars=LIMITS.output_chars),
        "unsafe_local": unsafe_local,
    }
    make_agent(Model(), [], **settings)  # told now what is wrong with them

    def solver(problem: Problem):
        thinking = model
        if first_thoughts is not None:
            thinking = FirstThought(
                model, first_thoughts.get(problem.question, ""), way or "prefix"
            )
        return make_agent(
            thinking,
            loaded,
            same_answer=_same(problem),
            **settings,
        )

    return solver


def _same(problem: Problem) -> Callable[[str, str], bool]:
    return same_mathematics if problem.kind == "math" else same_words


def with_folder(names: str, folder: Path | None) -> str:
    """The list with a folder's tool files behind it, so that a run's record has each file's contents."""
    if folder is None:
        return names
    from tools.compose import tool_files

    files = [str(path) for path in tool_files(folder)]
    if odd := next((file for file in files if "," in file), None):
        raise ValueError(
            f"{odd} has a comma in its path, which separates tools; name it otherwise."
        )
    return ",".join(filter(None, [names, *files]))


def load_tools(names: str, index=None, *, unsafe_local: bool = False) -> list:
    """The tools of a comma-separated list as `tools.compose` takes it; a bad index or model is told at once.

    `agent:MODEL` has the tools that its student was trained with, over the same index.
    """

    def student(model: str):
        from agents.as_tool import student_tool, trained_with

        own = toolbox.compose(trained_with(model), index=index)
        return student_tool(model, own, unsafe_local=unsafe_local)

    return toolbox.compose(names, index=index, agent=student)
