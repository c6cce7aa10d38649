"""One visitor's agent: questions that follow one another, and the way back to before any of them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from smolagents import ActionStep, CodeAgent

from ..models import unwrapped
from ..solve import Piece, stream
from ..trajectory import Trajectory

BOOKMARKS = 8
"""Turns, the newest, before which Python's variables are kept; each costs a process. Further back it starts anew."""


@dataclass
class Turn:
    """A question that was asked, and what came of it."""

    question: str
    since: int
    """The agent's memory had so many steps before it."""
    bookmark: object | None
    """Python as it was before it; None where it is not known any more."""
    trajectory: Trajectory | None = None
    """None while it runs."""
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    """The run's, in feedback and exports; nobody can guess it."""


class Conversation:
    """make: a function that returns a fresh agent. remembers: else every question starts with one.

    One question at a time: whoever asks sees to that.
    """

    def __init__(self, make: Callable[[], CodeAgent], *, remembers: bool = True):
        self.make, self.remembers = make, remembers
        self.turns: list[Turn] = []
        self.forgotten = 0
        """Turns, the oldest, that the model is shown no more: its context would not hold them."""
        self._agent: CodeAgent | None = None

    def ask(
        self, question: str, cancelled: threading.Event | None = None
    ) -> Iterator[Piece | ActionStep | Trajectory]:
        """What `agents.stream` yields, with its pieces. Setting `cancelled`, or closing it, stops the run."""
        if not self.remembers:
            self.close()
        agent = self._ready()
        self._make_room(agent)
        turn = Turn(question, len(agent.memory.steps), self._bookmark())
        self.turns.append(turn)
        for event in stream(agent, question, pieces=True, cancelled=cancelled, keep=True):
            if isinstance(event, Trajectory):
                turn.trajectory = event
            yield event

    def rewind(self, n: int) -> None:
        """Forget turn n, from 0, and all after it: in the agent's memory and in its Python variables."""
        if n >= len(self.turns):
            return
        if n < 0:
            raise ValueError(f"Turns are counted from 0; there is no turn {n}.")
        turn, gone = self.turns[n], self.turns[n:]
        del self.turns[n:]
        self.forgotten = min(self.forgotten, n)
        agent = self._agent
        if agent is None:
            return
        if turn.since > len(agent.memory.steps):  # it was asked of an agent that is no more
            self._end()
            return
        del agent.memory.steps[turn.since :]
        self._restore(agent.python_executor, turn.bookmark)
        for each in gone:
            self._let_go(each)

    def close(self) -> None:
        """Forget everything, and end what runs."""
        self.turns.clear()
        self.forgotten = 0
        self._end()

    def _make_room(self, agent: CodeAgent) -> None:
        """Drop the oldest turns while what was said takes more than half of the model's context."""
        model = unwrapped(agent.model)
        if not hasattr(model, "count"):  # a server: it tells when it is too much
            return
        steps = agent.memory.steps
        while steps and model.count(agent.write_memory_to_messages()) > model.context // 2:
            self.forgotten += 1
            later = self.turns[self.forgotten :]
            first = later[0].since if later else len(steps)
            del steps[:first]
            for turn in later:
                turn.since -= first
            self.turns[self.forgotten - 1].since = 0

    def _ready(self) -> CodeAgent:
        if self._agent is None:
            self._agent = self.make()
        return self._agent

    def _end(self) -> None:
        agent, self._agent = self._agent, None
        if agent is not None:
            agent.cleanup()

    def _bookmark(self):
        executor = self._agent.python_executor
        if not hasattr(executor, "bookmark"):
            return None
        for turn in self.turns[: max(0, len(self.turns) + 1 - BOOKMARKS)]:
            self._let_go(turn)
        return executor.bookmark()

    def _restore(self, executor, bookmark) -> None:
        if bookmark is not None:
            try:
                executor.go_back(bookmark)
                return
            except ValueError:  # its process was lost with others of the run
                pass
        agent, memory = self._agent, self._agent.memory
        self._agent = self.make()
        self._agent.memory = memory
        agent.cleanup()

    def _let_go(self, turn: Turn) -> None:
        executor = self._agent.python_executor if self._agent else None
        if turn.bookmark is not None and hasattr(executor, "forget"):
            executor.forget(turn.bookmark)
        turn.bookmark = None
