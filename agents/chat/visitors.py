"""Who is here: each visitor of the page has an agent, a sandbox and a memory of their own, which end.

The page keeps a visitor's id in a `gr.State` of its session and does, for each question:

    visitor = visitors.get(id, address)            # the id goes back into the state, as an output
    if visitor.expired: gr.Info(EXPIRED)           # the agent remembers nothing
    text, note = clean(message, visitors.rules)    # RefusedError is one sentence: gr.Warning(str(error))
    with visitors.turn(visitor, address) as cancelled:
        for event in visitor.conversation.ask(text, cancelled=cancelled): ...

Stop calls `visitor.stop()`, outside of the queue. The place in the queue is Gradio's own to show: give the
event that runs the agent `concurrency_id="agent", concurrency_limit=rules.runs`, the page
`.queue(max_size=rules.waiting)`, and the event a visible output: that shows "queue: 2/3" while it waits.
`gr.State(None, time_to_live=rules.idle_seconds, delete_callback=visitors.drop)` ends a visitor whose tab was
closed; one who left it open is ended here.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .rules import Rate, RefusedError, Rules

EXPIRED = "You were away for so long that the agent's memory of this chat was given up; it begins anew here."
GONE = "This chat has ended; reload the page to begin another."
BUSY = "Your last question is still being answered; stop it first, or wait."
FULL = "Everybody's place is taken; please come back in a minute."
LOOKS = 4
"""How often within the idle time is looked who has gone."""


class Visitor:
    """One chat. Its id is a secret: whoever has it is this visitor."""

    def __init__(
        self, conversation: Any, seen: float, expired: bool = False, address: str | None = None
    ):
        self.address = address
        self.id = secrets.token_urlsafe(24)
        self.conversation = conversation
        self.talk = ""
        """Names the conversation; empty before its first turn."""
        self.expired = expired
        """A page named a visitor that is no longer known, and got this one instead."""
        self.seen = seen
        self.running: set[threading.Event] = set()
        """Of the turns under way, what stops each."""
        self.closed = False

    @property
    def busy(self) -> bool:
        return bool(self.running)

    def stop(self) -> None:
        """Stop what is under way; finished steps stay. At once, and from any thread."""
        for cancelled in tuple(self.running):
            cancelled.set()


class Visitors:
    """All visitors. Thread-safe."""

    def __init__(
        self,
        make_conversation: Callable[[], Any],
        rules: Rules = Rules(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.monotonic,
    ):
        """make_conversation: a new one, with a `close()`. clock: seconds, of any beginning."""
        self.make, self.rules, self.clock = make_conversation, rules, clock
        self._known: dict[str, Visitor] = {}
        self._lock = threading.RLock()
        self._rate = Rate(rules.per_minute, clock)
        self._addresses = Rate(rules.per_minute_address, clock)
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._known)

    def get(self, id: str | None = None, address: str | None = None) -> Visitor:
        """The visitor of that id; a new one, with an id of its own, for None or an id that is not known.

        address: as in `turn`. Raises RefusedError where all places are taken by visitors with a run under
        way, and, rather than make a new one, where that address asks too often.
        """
        with self._lock:
            if self._closed.is_set():
                raise RefusedError(GONE)
            gone = self._expire()
            visitor = self._known.get(id or "")
            if visitor is None:
                if address and (seconds := self._addresses.wait(address)):
                    raise too_often(self.rules.per_minute_address, seconds)
                gone += self._make_room(address)
                visitor = Visitor(self.make(), self.clock(), expired=bool(id), address=address)
                self._known[visitor.id] = visitor
                self._begin_watch()
            else:
                visitor.seen, visitor.expired = self.clock(), False
        end(gone)
        return visitor

    def known(self, id: str | None) -> Visitor | None:
        """The visitor of that id, if there is one; it counts as no visit."""
        return self._known.get(id or "")

    def drop(self, id: str | None) -> None:
        """End a visitor: what it runs is stopped, its sandbox and its memory go. Unknown ones are none."""
        with self._lock:
            visitor = self._known.pop(id or "", None)
        end([visitor] if visitor else [])

    @contextmanager
    def turn(self, visitor: Visitor, address: str | None = None) -> Iterator[threading.Event]:
        """One question of a visitor; yields the event that stops it.

        address: where it comes from (`rules.address_of`), or the name of who is signed in.
        Raises RefusedError, with nothing begun, for a visitor who is gone, still has one running, or asks too
        often.
        """
        cancelled = threading.Event()
        with self._lock:
            if visitor.closed or self._closed.is_set():
                raise RefusedError(GONE)
            if len(visitor.running) >= self.rules.runs_each:
                raise RefusedError(BUSY)
            if seconds := self._rate.wait(visitor.id):
                raise too_often(self.rules.per_minute, seconds)
            if address and (seconds := self._addresses.take(address)):
                raise too_often(self.rules.per_minute_address, seconds)
            self._rate.take(visitor.id)
            visitor.running.add(cancelled)
            visitor.seen = self.clock()
        try:
            yield cancelled
        finally:
            with self._lock:
                visitor.running.discard(cancelled)
                visitor.seen = self.clock()
                ended = visitor.closed and not visitor.running
            if ended:  # it was dropped meanwhile
                close(visitor)

    def sweep(self) -> None:
        """End those who were idle for too long."""
        with self._lock:
            gone = self._expire()
        end(gone)

    def close(self) -> None:
        """End all, and take no more."""
        self._closed.set()
        with self._lock:
            gone = list(self._known.values())
            self._known.clear()
        end(gone)

    def _expire(self) -> list[Visitor]:
        since = self.clock() - self.rules.idle_seconds
        idle = [v for v in self._known.values() if not v.busy and v.seen <= since]
        for visitor in idle:
            del self._known[visitor.id]
        return idle

    def _make_room(self, address: str | None) -> list[Visitor]:
        """Let go of who was idle for longest, if there is no place for one more."""
        here = [v for v in self._known.values() if address and v.address == address]
        if len(here) < self.rules.visitors_address:
            if len(self._known) < self.rules.visitors:
                return []
            here = list(self._known.values())
        idle = [v for v in here if not v.busy]
        if not idle:
            raise RefusedError(FULL, retry_after=60.0)
        longest = min(idle, key=lambda v: v.seen)
        del self._known[longest.id]
        return [longest]

    def _begin_watch(self) -> None:
        if self._watch is None:
            seconds = self.rules.idle_seconds / LOOKS
            arguments = (weakref.ref(self), self._closed, seconds)
            self._watch = threading.Thread(target=watch, args=arguments, daemon=True)
            self._watch.start()


def watch(visitors: weakref.ref, closed: threading.Event, seconds: float) -> None:
    """Sweep every so often, for as long as somebody has the visitors."""
    while not closed.wait(seconds):
        alive = visitors()
        if alive is None:
            return
        alive.sweep()
        del alive


def end(gone: list[Visitor]) -> None:
    """Stop what they run, and close them once that has stopped. Without the registry's lock: it takes time."""
    for visitor in gone:
        visitor.closed = True
        visitor.stop()
        if not visitor.running:  # else the turn closes it when it ends
            close(visitor)


def close(visitor: Visitor) -> None:
    with suppress(OSError, RuntimeError):  # its sandbox may have died before
        visitor.conversation.close()


def too_often(per_minute: int, seconds: float) -> RefusedError:
    wait = math.ceil(seconds)
    return RefusedError(
        f"That is more than {per_minute} questions a minute; please wait {wait} s.", seconds
    )
