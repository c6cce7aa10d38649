"""The end of a run that somebody stopped."""

from __future__ import annotations

import threading
from contextvars import ContextVar

OUTER: ContextVar[threading.Event | None] = ContextVar("outer", default=None)
"""While a tool is called: what stops the run that called it. An agent that is a tool stops with it."""


class Cancelled(BaseException):
    """Not an Exception: smolagents would take that for the model's or the server's fault."""
