"""smolagents' executor interface over the sandbox: run code, or try several and keep the effects of one."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from smolagents import FinalAnswerTool, Tool
from smolagents import local_python_executor as upstream
from smolagents.local_python_executor import CodeOutput, LocalPythonExecutor, PythonExecutor

from . import forkserver
from .forkserver import SandboxError
from .frames import BrokenChannelError
from .limits import Limits
from .session import Outcome, Process, Session
from .tier import require
from .tools import DEPTH, Tools, standard_function
from .values import NotDataError, encode

LOST = (
    "The Python process of this run was lost, and every variable, function and import with it; "
    "start again from the beginning."
)
SETTINGS = ("MAX_OPERATIONS", "MAX_WHILE_ITERATIONS", "ALLOWED_DUNDER_METHODS")
"""Of smolagents' interpreter: as they are set in the app, so they are inside."""


class SandboxExecutor(PythonExecutor):
    """The Python of one run, in a confined process; see the package's docstring.

    additional_authorized_imports: modules beside smolagents' own list, "numpy" or "numpy.*" or "*".
    logger: taken because smolagents hands executors one; not used.
    interpreter: "ast", smolagents' own; "python" bypasses it, to test the layers below.
    sealed: no file can be opened at all; None: if the imports allow. Else Python's own files can be read.
    max_print_outputs_length, additional_functions, timeout_seconds: as in smolagents'
        LocalPythonExecutor; they overrule `limits`.
    Raises SandboxError, naming the ways out, where the machine cannot confine code.
    """

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        logger: Any = None,
        *,
        interpreter: Literal["ast", "python"] = "ast",
        sealed: bool | None = None,
        limits: Limits = Limits(),
        max_print_outputs_length: int | None = None,
        additional_functions: dict[str, Callable] | None = None,
        timeout_seconds: float | None = None,
    ):
        if interpreter not in ("ast", "python"):
            raise ValueError(f'interpreter is "ast" or "python", not {interpreter!r}.')
        imports = list(additional_authorized_imports)
        # For its check that they are installed, and for its list.
        self.authorized_imports = sorted(LocalPythonExecutor(imports).authorized_imports)
        self.interpreter = interpreter
        self.limits = replace(
            limits,
            output_chars=max_print_outputs_length or limits.output_chars,
            seconds=timeout_seconds or limits.seconds,
        )
        self.sealed = require(imports, sealed)
        self._server = forkserver.server_for(imports)
        self._imports = imports
        self.additional_functions = additional_functions or {}
        self.tools: dict[str, Callable] = {}
        self.state: dict[str, Any] = {"__name__": "__main__"}
        """What smolagents looks for in it: what was printed last, under "_print_outputs"."""
        self.last: Outcome | None = None
        """How the newest action that counts went."""
        self.cancelled: threading.Event | None = None
        """Once it is set, running code is ended, and whoever waits for it is raised Cancelled."""
        self._variables: dict[str, Any] = {}
        self._session: Session | None = None
        self._objects: list = []
        """What tools have returned in this run that is no plain data; sandboxed code has handles of it."""
        self._once: Tools | None = None
        """The tools of the newest trials, which know what was called in them."""
        self._new = True
        """Tools or variables have come that the sandbox does not have yet."""

    @property
    def static_tools(self) -> dict[str, Callable]:
        """What the code may call by name."""
        return {**self.tools, **upstream.BASE_PYTHON_TOOLS, **self.additional_functions}

    def send_tools(self, tools: dict[str, Tool]) -> None:
        self.tools = dict(tools)
        self._new = True

    def send_variables(self, variables: dict[str, Any]) -> None:
        """Raises ValueError for one that is no plain data."""
        for name, value in variables.items():
            try:
                self._variables[name] = encode(value)
            except NotDataError as error:
                raise ValueError(
                    f"Sandboxed code cannot be given the variable {name!r}: it is or holds {error}; "
                    "pass text, numbers, lists and dicts."
                ) from None
        self.state |= variables
        self._new = True

    def __call__(self, code: str) -> CodeOutput:
        """Run the code; raises InterpreterError with what the model is to read."""
        self._once = None
        outcome = self._try([code], effects=True)[0]
        self._keep(outcome)
        return outcome.result()

    def trials(self, codes: Sequence[str], *, more: bool = False) -> list[Outcome]:
        """How each would go, run side by side, each in its own fork of the state; nothing is kept.

        A tool is called once for calls that are alike. One that is marked `side_effects` is not called:
        the candidate waits before it, and runs on if it is adopted. The outcomes hold until the next call,
        and beyond it if that asks for `more` of the same step.
        """
        if not more:
            self._once = None
        return self._try(list(codes), effects=False)

    def adopt(self, outcome: Outcome) -> Outcome:
        """Make one of the newest trials' outcomes the state, without running it again.

        Returns it; if it was waiting before an effect, how it went on. Raises ValueError for an outcome
        that is not, or no longer, there.
        """
        candidate = outcome._candidate
        if candidate is None and outcome.limit is not None:
            self._keep(outcome)  # it was stopped: the state stays what it was
            return outcome
        if self._session is None or candidate not in self._session.candidates:
            raise ValueError("This outcome is not of the newest trials, or was adopted already.")
        if outcome.effect is not None:
            with admitted(1, self.limits):
                self._session.follow(
                    [candidate], self._tools(once=False), effects=True, cancelled=self.cancelled
                )
            outcome = candidate.outcome
        self._keep(outcome)
        return outcome

    def bookmark(self) -> Bookmark:
        """The variables, functions and imports as they are now, to `go_back` to; each costs a process."""
        session = self._ready()
        return Bookmark(session, session.keep())

    def go_back(self, bookmark: Bookmark) -> None:
        """Undo what has run since. The bookmark stays. Raises ValueError if its state is lost."""
        if self._session is None or self._session is not bookmark.session:
            raise ValueError("The Python process of this bookmark is gone.")
        self._once = None
        self._session.back(bookmark.state)
        self._new = True  # tools and variables may have come since

    def forget(self, bookmark: Bookmark) -> None:
        """Let a bookmark's process go."""
        if self._session is bookmark.session and self._session is not None:
            self._session.forget(bookmark.state)

    def cleanup(self) -> None:
        """End the run's processes. The executor can be used again, with a fresh state."""
        session, self._session, self._new = self._session, None, True
        self._objects = []
        if session is not None:
            session.close()

    def __reduce__(self):
        raise TypeError("A running Python cannot be copied or pickled; make another executor.")

    def __del__(self):
        with contextlib.suppress(Exception):
            self.cleanup()

    def _try(self, codes: list[str], *, effects: bool) -> list[Outcome]:
        if not codes:
            return []
        codes = [code.encode("utf-8", "replace").decode() for code in codes]
        try:
            session = self._ready()
            if self._once is None:
                session.discard()
                self._once = self._tools(once=not effects)
            with admitted(len(codes), self.limits):
                candidates = session.launch(codes)
                session.follow(candidates, self._once, effects, self.cancelled)
        except (BrokenChannelError, SandboxError):
            # A process that should be waiting for us is not: killed from outside, or broken by the code.
            self.cleanup()
            self._ready()  # a new one, or the system's fault
            return [Outcome(code, error=LOST, limit="process") for code in codes]
        return [candidate.outcome for candidate in candidates]

    def _keep(self, outcome: Outcome) -> None:
        session = self._session
        if outcome._candidate is not None:
            session.adopt(outcome._candidate)
        elif session is not None:
            session.discard()
        self.last = outcome
        self.state["_print_outputs"] = outcome.logs

    def _ready(self) -> Session:
        """The session, with what was sent to it; a fresh one if there is none."""
        if self._session is not None and self._session.owner != os.getpid():
            raise SandboxError("The state is that of the process that this one was forked from.")
        if self._session is None:
            self._server = forkserver.server_for(self._imports)
            settings = {
                "seconds": self.limits.seconds,
                "memory_mb": self.limits.memory_mb,
                "sealed": self.sealed,
                "landlock": self._server.layers["landlock"] > 0,
            }
            self._session, self._new = Session(self._server, settings, self.limits), True
        if self._new:
            self._session.set_up(self._setup())
            self._new = False
        return self._session

    def _tools(self, *, once: bool) -> Tools:
        _, outside = self._placed()
        return Tools(outside, once=once, objects=self._objects, cancelled=self.cancelled)

    def _placed(self) -> tuple[dict[str, tuple[str, str]], dict[str, Callable]]:
        """Functions that are there inside too, by module and name; and tools, which run in the app.

        The former are never to be had by a call: `os.getenv` inside knows nothing, here it knows all.
        """
        given = {**self.tools, **self.additional_functions}
        if self._plain_final_answer:
            del given["final_answer"]
        inside = {n: known for n, tool in given.items() if (known := standard_function(tool))}
        return inside, {n: tool for n, tool in given.items() if n not in inside}

    @property
    def _plain_final_answer(self) -> bool:
        """smolagents' own: it hands its argument on, which can be done inside."""
        return type(self.static_tools.get("final_answer")) is FinalAnswerTool

    def _setup(self) -> dict:
        inside, outside = self._placed()
        return {
            "interpreter": self.interpreter,
            "imports": self.authorized_imports,
            "output_chars": self.limits.output_chars,
            "settings": {name: getattr(upstream, name) for name in SETTINGS},
            "tools": list(outside),
            "inside": inside,
            "functions": list(self.additional_functions),
            "plain_final_answer": self._plain_final_answer,
            "variables": self._variables,
        }


@dataclass(frozen=True)
class Bookmark:
    """A state of a run's Python; `SandboxExecutor.go_back` returns to it."""

    session: Session
    state: Process


class admitted:
    """Lets as many candidates run at once as there is memory for, should one in four take all it may.

    Those that run within a tool's call are counted apart, by how deep they are: the action that waits for
    them holds its memory until they are done, and together such actions may hold all there is.
    """

    _room = threading.Condition()
    _taken: ClassVar[Counter[int]] = Counter()  # megabytes, by depth

    def __init__(self, candidates: int, limits: Limits):
        self.memory = candidates * limits.memory_mb
        self.depth = DEPTH.get()

    def __enter__(self):
        with self._room:
            # One that is larger than all there is runs alone.
            self._room.wait_for(
                lambda: (
                    not self._taken[self.depth]
                    or self._taken[self.depth] + self.memory <= 4 * forkserver.memory()
                )
            )
            self._taken[self.depth] += self.memory

    def __exit__(self, *_):
        with self._room:
            self._taken[self.depth] -= self.memory
            self._room.notify_all()
