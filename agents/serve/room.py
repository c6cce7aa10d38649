"""Room for so many runs at once; who comes later waits in line, and past its end is sent away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..cancelled import Cancelled
from ..chat.rules import RefusedError, Rules

GLANCE = 0.1
"""Seconds between two looks, while waiting, at whether the question was taken back."""
COME_AGAIN = 5.0
"""Seconds after which who was sent away may try again."""


class Room:
    """Thread-safe. One for all doors of a process."""

    def __init__(self, rules: Rules):
        self.rules = rules
        self.taken = 0
        self._line: list[object] = []
        self._under_way: set[threading.Event] = set()
        self._closed = False
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        return len(self._line)

    def close(self) -> None:
        """Stop the runs that are under way or waiting, and let no other begin."""
        with self._changed:
            self._closed = True
            for cancelled in self._under_way:
                cancelled.set()
            self._changed.notify_all()

    @contextmanager
    def place(self, cancelled: threading.Event) -> Iterator[None]:
        """A place for one run, when it is its turn.

        Raises RefusedError, at once, where the line is full; Cancelled where it was cancelled while waiting.
        """
        ticket = object()
        with self._changed:
            if self._closed:
                raise RefusedError("The server is ending.", COME_AGAIN)
            full = self.taken + len(self._line) >= self.rules.runs + self.rules.waiting
            if full:
                raise RefusedError(
                    f"{self.taken} runs are under way and {len(self._line)} are waiting; try again soon.",
                    COME_AGAIN,
                )
            self._line.append(ticket)
            self._under_way.add(cancelled)
            try:
                while self._line[0] is not ticket or self.taken >= self.rules.runs:
                    if cancelled.is_set():
                        raise Cancelled
                    self._changed.wait(GLANCE)
                self.taken += 1
            except BaseException:
                self._under_way.discard(cancelled)
                raise
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.taken -= 1
                self._under_way.discard(cancelled)
                self._changed.notify_all()
