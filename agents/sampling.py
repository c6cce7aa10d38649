"""Draw several replies to the same messages: in one request where the model can, else in many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from smolagents import Model
from smolagents.models import ChatMessage


def draw(
    model: Model, messages, n: int, stop_sequences: list[str] | None = None, **settings
) -> list[ChatMessage]:
    """n replies in the order they were asked for; `settings` are those of `generate`.

    Uses `model.sample` where there is one. Raises what the model raises: replies are drawn all or none.
    """
    if sample := getattr(model, "sample", None):
        return sample(messages, n, stop_sequences, **settings)
    if n == 1:
        return [model.generate(messages, stop_sequences=stop_sequences, **settings)]
    with ThreadPoolExecutor(n, thread_name_prefix="draw") as pool:
        asked = [
            pool.submit(model.generate, messages, stop_sequences=stop_sequences, **settings)
            for _ in range(n)
        ]
    return [reply.result() for reply in asked]
