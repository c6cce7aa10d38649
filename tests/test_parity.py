"""The sandbox shows a model exactly what smolagents' own interpreter would have shown it."""

from __future__ import annotations

import copy
import itertools
import math
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from smolagents import local_python_executor as upstream
from smolagents.local_python_executor import LocalPythonExecutor, PythonExecutor

from agents.sandbox import Limits, SandboxExecutor
from agents.sandbox.values import DEPTH

from . import snippets
from .snippets import OUTPUT_CHARS, Run

RUNS = snippets.runs()
ADDRESS = re.compile("0x[0-9a-f]{6,}")
FUNCTIONS = {"gcd": math.gcd, "doubled": snippets.doubled}


@dataclass
class Shown:
    """What comes of one action."""

    error: str | None
    logs: str
    final: bool = False
    text: str = ""
    value: str | None = field(default=None, compare=False)
    """As Python would write it, with its type, if it is plain data."""


@pytest.fixture(autouse=True)
def endless_loops_end_soon(monkeypatch):
    monkeypatch.setattr(upstream, "MAX_WHILE_ITERATIONS", 1000)
    monkeypatch.setattr(upstream, "MAX_OPERATIONS", 30_000)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, for a division by zero
@pytest.mark.parametrize("run", RUNS, ids=[f"run{at}" for at in range(len(RUNS))])
def test_an_action_reads_as_in_the_stock_interpreter(run: Run):
    for action, stock, ours in zip(run.actions, *both(run), strict=True):
        assert ours == stock, action
        assert stock.value in (None, ours.value), action


def test_the_generator_makes_as_many_snippets_as_it_says_and_the_same_each_time():
    assert sum(len(run.actions) for run in RUNS) == 700
    assert snippets.runs() == RUNS


def both(run: Run) -> tuple[list[Shown], list[Shown]]:
    stock = LocalPythonExecutor(
        list(run.imports),
        max_print_outputs_length=OUTPUT_CHARS,
        additional_functions=FUNCTIONS,
        timeout_seconds=None,
    )
    stock.authorized_imports.sort()  # else its error messages differ from process to process
    ours = SandboxExecutor(
        run.imports,
        additional_functions=FUNCTIONS,
        limits=Limits(output_chars=OUTPUT_CHARS),
    )
    try:
        return shown(stock, run.actions), shown(ours, run.actions)
    finally:
        ours.cleanup()


def shown(executor: PythonExecutor, actions: tuple[str, ...]) -> list[Shown]:
    executor.send_variables(copy.deepcopy(snippets.VARIABLES))
    executor.send_tools(snippets.tools())
    return [perform(executor, action) for action in actions]


def perform(executor: PythonExecutor, action: str) -> Shown:
    """One action, as an agent does it: of an error it keeps the text, and what was printed before."""
    try:
        result = executor(action)
    except Exception as error:
        return Shown(plain(error), plain(executor.state.get("_print_outputs", "")))
    output = result.output
    value = f"{type(output).__name__}: {output!r}" if is_data(output) else None
    return Shown(None, plain(result.logs), result.is_final_answer, plain(output), value)


def plain(value: Any) -> str:
    return ADDRESS.sub("0x", str(value))


def is_data(value: Any, depth: int = 0) -> bool:
    """Sets are none: their order is not theirs alone."""
    if type(value) in (dict, list, tuple):
        inner = itertools.chain(*value.items()) if type(value) is dict else value
        return depth < DEPTH and all(is_data(item, depth + 1) for item in inner)
    return value is None or type(value) in (bool, int, float, complex, str, bytes)
