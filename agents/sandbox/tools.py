"""Tools stay in the app: sandboxed code sends a call, and is sent back what the tool returned or raised."""

from __future__ import annotations

import builtins
import contextlib
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import BuiltinFunctionType, FunctionType

from .frames import BrokenChannelError, Channel, pack
from .values import encode, plainly

MAX_RESULT = 1 << 22
"""Bytes, as JSON, of what a tool returns."""


class Tools:
    """The tools of one step. `once`: calls alike, whoever makes them, are made once, and all get its result."""

    def __init__(self, tools: dict[str, Callable], *, once: bool):
        self.tools = tools
        self._made: dict[str, Future] | None = {} if once else None
        self._lock = threading.Lock()

    def has_effects(self, name: str) -> bool:
        return bool(getattr(self.tools.get(name), "side_effects", False))

    def answer(self, channel: Channel, call: tuple[str, tuple, dict], refusal: str | None) -> None:
        """Make the call, or refuse it, and send what came of it; if no one is there any more, so be it."""
        frame = pack(raised(RuntimeError(refusal))) if refusal else self._result(*call)
        with contextlib.suppress(BrokenChannelError):
            channel.send_bytes(frame)

    def _result(self, name: str, args: tuple, kwargs: dict) -> bytes:
        """As a frame: what the tool returned or raised."""
        if self._made is None or self.has_effects(name):
            return self._call(name, args, kwargs)
        key = json.dumps([name, encode(args), encode(kwargs)], sort_keys=True)
        with self._lock:
            first = key not in self._made
            made = self._made.setdefault(key, Future())
        if first:
            made.set_result(self._call(name, args, kwargs))
        return made.result()

    def _call(self, name: str, args: tuple, kwargs: dict) -> bytes:
        if name not in self.tools:
            return pack(raised(NameError(f"There is no tool {name!r}.")))
        try:
            frame = pack(
                {"op": "result", "value": encode(plainly(self.tools[name](*args, **kwargs)))}
            )
        except BaseException as error:
            # The tool's own, whatever it is: the model reads it, and this thread has no one else to tell.
            return pack(raised(error))
        if len(frame) > MAX_RESULT:
            return pack(raised(ValueError(f"The result of {name} is {len(frame):,} bytes long.")))
        return frame


def raised(error: BaseException) -> dict:
    """An error to be raised again inside, by the name of its class and of the built-in one that it is."""
    base = next(c for c in type(error).__mro__ if getattr(builtins, c.__name__, None) is c)
    try:
        text = str(error)
    except Exception:
        text = "it cannot be shown"
    return {"op": "result", "raised": [type(error).__name__, base.__name__], "text": text}


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
