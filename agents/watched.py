"""A model whose words are seen while it writes them, and which can be stopped in mid-word: for one run."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial

from smolagents import Model
from smolagents.models import ChatMessage

from .cancelled import Cancelled
from .models import unwrapped
from .sampling import draw

GLANCE = 0.05
"""Seconds between two looks at whether the run was stopped."""


class Watched(Model):
    """The same model, for one run.

    told: called with each piece of the reply, in the order of the text; of several samples, with the first.
    cancelled: once it is set, a request raises `Cancelled` within moments, whatever the model does; models
        that know of `cancelled` (local ones, servers) also stop writing.
    """

    def __init__(
        self,
        inner: Model,
        cancelled: threading.Event,
        told: Callable[[str], None] | None = None,
    ):
        super().__init__(model_id=inner.model_id)
        self.inner, self.cancelled, self.told = inner, cancelled, told
        self.seen = False
        """A sample of this step was told; further ones are not."""

    def generate(self, messages, stop_sequences=None, **settings) -> ChatMessage:
        return self._aside(
            partial(self.inner.generate, messages, stop_sequences=stop_sequences),
            {**self._settings(), **settings},
        )

    def sample(self, messages, n, stop_sequences=None, **settings) -> list[ChatMessage]:
        return self._aside(
            partial(draw, self.inner, messages, n, stop_sequences),
            {**self._settings(), **settings},
        )

    def _settings(self) -> dict:
        """What is asked of models that can tell and be stopped."""
        if not getattr(unwrapped(self.inner), "tells", False):
            return {}
        told = None if self.seen else self.told
        self.seen = True
        return {"cancelled": self.cancelled, **({"told": self._tell(told)} if told else {})}

    def _tell(self, told: Callable[[str], None]) -> Callable[[str], None]:
        def tell(piece: str) -> None:
            if piece and not self.cancelled.is_set():
                told(piece)

        return tell

    def _aside(self, request: Callable, settings: dict):
        """What the request returns, made in a thread of its own, which nobody waits for once stopped."""
        if self.cancelled.is_set():
            raise Cancelled
        done: Future = Future()

        def work() -> None:
            try:
                done.set_result(request(**settings))
            except BaseException as error:
                done.set_exception(error)

        run = contextvars.copy_context().run  # a tracer's span goes with it
        threading.Thread(target=run, args=(work,), daemon=True, name="request").start()
        while not self.cancelled.is_set():
            if wait([done], timeout=GLANCE).done:
                return done.result()
        raise Cancelled
