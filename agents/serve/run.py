"""One run of the agent in a thread of its own, its events awaited by an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

from ..cancelled import Cancelled
from ..solve import stream
from .room import Room

END = object()


def run(
    make: Callable, task: str, room: Room, cancelled: threading.Event, *, pieces: bool
) -> Iterator:
    """The events of `agents.stream`, once there is room for the run.

    make: returns a fresh agent. Raises RefusedError where the line is full, Cancelled where it was stopped
    while waiting.
    """
    with room.place(cancelled):
        yield from stream(make(), task, pieces=pieces, cancelled=cancelled)


async def awaited(
    events: Callable[[], Iterator], cancelled: threading.Event
) -> AsyncIterator[object]:
    """What the iterator yields, made in a thread; what it raises is raised here.

    Left early, as where whoever asked has gone, the run is stopped.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Queue()

    def put(event) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody is there to be told
            loop.call_soon_threadsafe(told.put_nowait, event)

    def work() -> None:
        try:
            for event in events():
                put(event)
        except BaseException as error:  # raised where it is awaited
            put(error)
        finally:
            put(END)

    in_context = contextvars.copy_context().run
    threading.Thread(target=in_context, args=(work,), daemon=True, name="served").start()
    try:
        while (event := await told.get()) is not END:
            if isinstance(event, Cancelled):
                return
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        cancelled.set()


class gone:
    """While in it, a client that goes away stops its run.

    request: Starlette's, its body read; nobody else may listen to it meanwhile.
    """

    def __init__(self, request, cancelled: threading.Event):
        self.request, self.cancelled = request, cancelled

    async def __aenter__(self):
        self._watch = asyncio.ensure_future(self._see())

    async def __aexit__(self, *_):
        self._watch.cancel()
        with suppress(asyncio.CancelledError):
            await self._watch

    async def _see(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass
        self.cancelled.set()
