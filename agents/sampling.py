"""Draw several replies to the same messages: in one request where the model can, else in many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from smolagents import Model
from smolagents.models import ChatMessage

T = TypeVar("T")


def draw(
    model: Model, messages, n: int, stop_sequences: list[str] | None = None, **settings
) -> list[ChatMessage]:
    """n replies in the order they were asked for; `settings` are those of `generate`.

    Uses `model.sample` where there is one. Raises what the model raises: replies are drawn all or none.
    """
    if sample := getattr(model, "sample", None):
        return sample(messages, n, stop_sequences, **settings)
    one = partial(model.generate, messages, stop_sequences=stop_sequences, **settings)
    return at_once([one] * n)


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What the calls return, in their order, each made in a thread; raises what the first of them raised."""
    if len(calls) == 1:
        return [calls[0]()]
    with ThreadPoolExecutor(len(calls), thread_name_prefix="sample") as pool:
        return list(pool.map(lambda call: call(), calls))
