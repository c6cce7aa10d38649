"""Tools stay in the app: sandboxed code sends a call, and is sent back what the tool returned or raised."""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType

from ..cancelled import OUTER
from ..secrets import without_keys
from .frames import pack
from .values import Handle, NotDataError, encode, plainly

MAX_RESULT = 1 << 22
"""Bytes, as JSON, of what a tool returns."""
MAX_TEXT = 20_000
"""Characters that are shown of an object that stays in the app."""
DEPTH: ContextVar[int] = ContextVar("depth", default=0)
"""In how many calls of tools this is: an agent that is a tool runs within another's action."""


@dataclass(frozen=True)
class Call:
    """Of a tool, by sandboxed code."""

    name: str
    args: tuple
    kwargs: dict
    key: str
    """As it was sent: the same for calls that are alike."""


class Tools:
    """The tools of one step."""

    def __init__(
        self,
        tools: dict[str, Callable],
        *,
        once: bool,
        objects: list,
        cancelled: threading.Event | None = None,
    ):
        """once: calls alike, whoever makes them, are made once, and all get its result.

        objects: what tools have returned in this run that is no plain data; handles are numbers in it.
        cancelled: stops the run.
        """
        self.tools, self.objects, self.cancelled = tools, objects, cancelled
        self._made: dict[str, Future] | None = {} if once else None
        self._lock = threading.Lock()

    def has_effects(self, name: str) -> bool:
        return bool(getattr(self.tools.get(name), "side_effects", False))

    def answer(self, call: Call, refusal: str | None) -> bytes:
        """Make the call, or refuse it. As a frame: what the tool returned or raised."""
        if refusal:
            return raised(RuntimeError(refusal))
        if self._made is None or self.has_effects(call.name):
            return self._call(call)
        with self._lock:
            first = call.key not in self._made
            made = self._made.setdefault(call.key, Future())
        if first:
            made.set_result(self._call(call))
        return made.result()

    def _call(self, call: Call) -> bytes:
        if call.name not in self.tools:
            return raised(NameError(f"There is no tool {call.name!r}."))
        within, stopped = DEPTH.set(DEPTH.get() + 1), OUTER.set(self.cancelled)
        try:
            value = self.tools[call.name](*call.args, **call.kwargs)
            frame = pack({"op": "result", "value": self._sent(value)})
        except BaseException as error:
            # The tool's own, whatever it is: the model reads it, and this thread has no one else to tell.
            return raised(error)
        finally:
            DEPTH.reset(within)
            OUTER.reset(stopped)
        if len(frame) > MAX_RESULT:
            return raised(ValueError(f"The result of {call.name} is {len(frame):,} bytes long."))
        return frame

    def _sent(self, value):
        try:
            return encode(value)
        except NotDataError:
            return encode(plainly(value, self._keep))

    def _keep(self, value) -> Handle:
        with self._lock:
            self.objects.append(value)
            return Handle(len(self.objects) - 1, str(value)[:MAX_TEXT])


def raised(error: BaseException) -> bytes:
    """An error to be raised again inside, by the name of its class and of the built-in one that it is."""
    base = next(c for c in type(error).__mro__ if getattr(builtins, c.__name__, None) is c)
    kind = [type(error).__name__, type(error).__module__, base.__name__]
    text = "it cannot be shown"
    try:
        text = without_keys(str(error))[:MAX_TEXT]  # a server may repeat the key that it was sent
        # Of other classes, the text alone: it is what they mean to tell.
        args = error.args if type(error) is base else (text,)
        if isinstance(error, OSError) and error.filename is not None and len(args) == 2:
            args = (*args, error.filename)  # which OSError takes, but does not keep there
        args = tuple(without_keys(arg) if isinstance(arg, str) else arg for arg in args)
        frame = pack({"op": "result", "raised": kind, "args": encode(args), "text": text})
        if len(frame) <= MAX_RESULT // 16:
            return frame
    except BaseException:  # it holds what is no data, or cannot be shown, or is made to raise
        pass
    return pack({"op": "result", "raised": kind, "args": encode((text,)), "text": text})


def standard_function(tool) -> tuple[str, str] | None:
    """Module and name of a function of the standard library: it need not, and must not, run in the app."""
    if not isinstance(tool, FunctionType | BuiltinFunctionType):
        return None
    module = tool.__module__ or ""
    if module.split(".")[0] not in sys.stdlib_module_names or module == "__main__":
        return None
    if (
        "<" in tool.__qualname__
        or getattr(sys.modules.get(module), tool.__name__, None) is not tool
    ):
        return None
    return module, tool.__qualname__
