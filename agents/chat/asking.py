"""Ask a visitor's agent from an event loop: the run as it grows, a few times a second, until it is over.

The agent works in a thread. Whoever does not wait for the end (a closed tab) stops it by that.
"""

from __future__ import annotations

import asyncio
import contextvars
import secrets
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

from smolagents import CodeAgent

from ..agent import LIMITS
from ..secrets import without_keys
from ..trajectory import Trajectory
from .conversation import Conversation
from .offer import Offer
from .rules import RefusedError, Rules
from .steps import RunView, begin, follow
from .visitors import Visitor, Visitors

PAUSE = 0.1
"""Seconds between two states that are shown."""
TICK = 1.0
"""Seconds after which one is shown though nothing has happened: the clock goes on."""


@dataclass(frozen=True)
class Choice:
    """What a visitor has chosen in the settings; another choice is another agent."""

    model: str
    tools: tuple[str, ...]
    max_steps: int
    samples: int
    temperature: float | None
    remembers: bool


@dataclass(frozen=True)
class Making:
    """A function that makes the agent of a choice, within the rules for strangers."""

    offer: Offer
    rules: Rules
    choice: Choice

    def __call__(self) -> CodeAgent:
        choice = self.choice
        return self.offer.agent(
            choice.model,
            choice.tools,
            max_steps=choice.max_steps,
            samples=choice.samples,
            temperature=choice.temperature,
            limits=self.rules.limits(self.offer.settings.get("limits", LIMITS)),
        )


def continues(visitor: Visitor, making: Making) -> bool:
    """Whether the visitor's conversation is of this choice, so that a question goes on with it."""
    return visitor.conversation.make == making


async def ask(
    visitors: Visitors,
    visitor: Visitor,
    making: Making,
    question: str,
    *,
    after: int = 0,
    who: str | None = None,
    note: str = "",
    talk: str = "",
) -> AsyncIterator[tuple[RunView, float]]:
    """The run and the seconds it has taken, again and again; the last one is over.

    after: how many turns of the conversation are kept before this one; those behind are forgotten.
    who: for whom its rate is counted. note: told to the reader below the question.
    talk: the name of the conversation, if another begins with it.
    Raises RefusedError, with nothing begun or forgotten, where the rules do not allow it now.
    """
    loop, events = asyncio.get_running_loop(), asyncio.Queue()

    def tell(event) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody is there to be told
            loop.call_soon_threadsafe(events.put_nowait, event)

    def work() -> None:
        try:
            # Here, not in the event loop: the visitor is busy for as long as the agent really works.
            with visitors.turn(visitor, who) as cancelled:
                tell("begun")
                conversation = prepare(visitor, making, after, talk)
                for event in conversation.ask(question, cancelled=cancelled):
                    tell(event)
        except BaseException as error:  # the one who waits is told, whatever it is
            tell(error)
        tell(None)

    in_context = contextvars.copy_context().run  # Gradio's request
    threading.Thread(target=in_context, args=(work,), daemon=True, name="asking").start()
    first = await events.get()
    if isinstance(first, RefusedError):
        raise first
    start = time.monotonic()
    run = begin(question, secrets.token_hex(8), tools=making.choice.tools, note=note, talk=talk)
    ended = False
    try:
        while not ended:
            yield run, time.monotonic() - start
            for event in await news(events):
                # To the very end: then the visitor is free to ask again.
                ended = event is None
                run = after_event(run, event, time.monotonic() - start)
        yield run, run.seconds
    finally:
        if not ended:
            visitor.stop()


def prepare(visitor: Visitor, making: Making, after: int, talk: str) -> Conversation:
    """The visitor's conversation, gone back to where the question goes on; a new one for another choice."""
    if not continues(visitor, making):
        visitor.conversation.close()
        visitor.conversation = Conversation(making, remembers=making.choice.remembers)
        visitor.talk = talk
    elif making.choice.remembers:
        visitor.conversation.rewind(after)
    return visitor.conversation


async def news(events: asyncio.Queue) -> list:
    """What has happened, at least `PAUSE` seconds' worth; nothing at all if nothing does within a tick."""
    try:
        found = [await asyncio.wait_for(events.get(), TICK)]
    except TimeoutError:
        return []
    if found[0] is not None and not isinstance(found[0], Trajectory):
        await asyncio.sleep(PAUSE)
    while not events.empty():
        found.append(events.get_nowait())
    return found


def after_event(run: RunView, event, seconds: float) -> RunView:
    """As `follow`; of an error that is no event of a run, and of an end without a record, the failure."""
    if run.over:
        return run
    if isinstance(event, BaseException):
        reason = without_keys(str(event).strip()) or type(event).__name__
        return replace(run, state="failed", reason=reason, seconds=seconds)
    if event is None:
        return replace(
            run, state="failed", reason="The run ended without a record.", seconds=seconds
        )
    return follow(run, event)
