"""Run smolagents' own tests against this project's agent and sandbox, in place of the classes they are for.

A pytest plugin, not a test. From the repository's root, with smolagents' sources of the version in
requirements.txt checked out somewhere, and pytest-datadir installed:

    python -m pytest -p tests.upstream -o addopts="" --rootdir CHECKOUT \\
        CHECKOUT/tests/test_local_python_executor.py CHECKOUT/tests/test_agents.py

With `--trials`, every action is tried beside another, and adopted.
A test that demands what we deliberately do otherwise is in `DELIBERATE` with the reason, and must fail.
"""

from __future__ import annotations

import sys

import pytest
import smolagents
import smolagents.agents
import smolagents.local_python_executor
from smolagents.local_python_executor import CodeOutput

from agents.sandbox import SandboxExecutor
from agents.student import StudentAgent

STOCK_AGENT = smolagents.agents.CodeAgent
STOCK_EXECUTOR = smolagents.local_python_executor.LocalPythonExecutor

ONLY_DATA = "What leaves the sandbox is plain data or text, never a function that the model wrote."
NO_SHELL = "It starts a shell; no import that is authorised makes the sandbox start a program."
BASICS = "An executor that was sent no tools has Python's basic functions, here."

DELIBERATE = {
    "::test_function_def_recovers_source_code": ONLY_DATA,
    "::test_vulnerability_via_dunder_call[code4-additional_allowed_dunder_methods4-None]": NO_SHELL,
    "::test_vulnerability_via_dunder_indirect_access": BASICS,
}
"""By the end of a test's name: why it fails here."""


class CodeAgent(StudentAgent):
    """Under the stock name, by which agents are saved and made again; with one candidate per step."""


class TryingExecutor(SandboxExecutor):
    """Every action is one of two trials, and then adopted."""

    def __call__(self, code: str) -> CodeOutput:
        return self.adopt(self.trials([code, code])[0]).result()


def rebind(stock: type, ours: type) -> None:
    """Wherever smolagents has imported the stock class."""
    for name, module in list(sys.modules.items()):
        if name == "smolagents" or name.startswith("smolagents."):
            for attribute, value in list(vars(module).items()):
                if value is stock:
                    setattr(module, attribute, ours)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--trials", action="store_true", help=TryingExecutor.__doc__)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before the first test module is imported, and with it the names it tests."""
    rebind(STOCK_AGENT, CodeAgent)
    trials = early_config.known_args_namespace.trials
    rebind(STOCK_EXECUTOR, TryingExecutor if trials else SandboxExecutor)
    smolagents.agents.AGENT_REGISTRY["CodeAgent"] = CodeAgent
    del sys.modules["tests"]  # ours; smolagents' tests import from a package of that name too


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for ending, reason in DELIBERATE.items():
            if item.nodeid.endswith(ending):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
