"""A student on this machine: weights, or a LoRA adapter on its base, answering many runs at once.

Agents run in threads and each asks for one reply at a time; one engine writes them all (agents/engine.py).
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from smolagents import Model
from smolagents.models import ChatMessage, ChatMessageStreamDelta, MessageRole
from smolagents.monitoring import TokenUsage

from .engine import Engine, Row
from .stops import Stops, cut, text_of
from .template import end_of_turn_id, plain, prompt_ids, reply_ids
from .weights import load_weights

__all__ = ["LocalModel", "cut", "end_ids"]
Cancelled = Callable[[], bool] | threading.Event


class LocalModel(Model):
    """A transformers model behind smolagents' interface."""

    tells = True
    """It takes `told` and `cancelled`."""

    def __init__(
        self,
        path: str,
        *,
        name: str | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = None,
        batch_size: int = 64,
        seed: int = 0,
    ):
        """path: a folder or Hub id. max_tokens: per reply; the model's own setting, or 1024.

        seed: with it, the same requests draw the same samples, whatever else is written beside them.
        """
        super().__init__(model_id=name or path, flatten_messages_as_text=True)
        self.path = path
        self.model, self.tokenizer = load_weights(path)
        self.temperature = temperature
        self.max_tokens = max_tokens or self.model.generation_config.max_new_tokens or 1024
        self.seed = seed
        self.engine = Engine(self.model, end_ids(self.model, self.tokenizer), batch_size=batch_size)
        self._adapters = None
        self._drawn: Counter[int] = Counter()
        self._stops: dict[tuple[str, ...], Stops] = {}
        self._lock, self._swapping = threading.Lock(), threading.Lock()

    def generate(self, messages, stop_sequences=None, **settings) -> ChatMessage:
        """One reply; `settings` as in `sample`."""
        return self.sample(messages, 1, stop_sequences, **settings)[0]

    def sample(
        self,
        messages,
        n: int,
        stop_sequences: list[str] | None = None,
        *,
        prefix: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        cancelled: Cancelled | None = None,
        told: Callable[[str], None] | None = None,
    ) -> list[ChatMessage]:
        """n replies to the same messages, each with its token usage.

        prefix: the unfinished start of the reply; the returned text begins with it.
        told: called with the first reply's text in pieces, as `generate_stream` yields them.
        cancelled: an event, or a function that is asked before each token; once it is set, or says yes, the
            replies end as they are.
        A reply's `raw` holds `finish_reason` ("stop", "length" or "cancelled"), `prompt_ids` (the prefix
        with them) and `token_ids` (what was written, without the token that ends a turn).
        Raises ValueError for a prompt longer than the model's context.
        """
        rows = self._rows(messages, n, stop_sequences, prefix, temperature, max_tokens, cancelled)
        self._write(rows, prefix, told)
        return [
            ChatMessage(
                MessageRole.ASSISTANT,
                prefix + self._text(row),
                raw={
                    "finish_reason": row.reason,
                    "prompt_ids": row.ids,
                    "token_ids": row.written,
                },
                token_usage=TokenUsage(len(row.ids) if i == 0 else 0, len(row.written)),
            )
            for i, row in enumerate(rows)
        ]

    def generate_stream(
        self,
        messages,
        stop_sequences: list[str] | None = None,
        *,
        prefix: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        cancelled: Cancelled | None = None,
    ) -> Iterator[ChatMessageStreamDelta]:
        """The reply that `generate` would return, in pieces as they are written; settings as there.

        No piece has half a character or the beginning of a stop string in it. Closing the iterator
        cancels the reply.
        """
        closed = threading.Event()
        [row] = self._rows(
            messages,
            1,
            stop_sequences,
            prefix,
            temperature,
            max_tokens,
            _either(closed, _asker(cancelled)),
        )
        return self._stream(row, self._pieces(row, prefix), closed)

    def _stream(self, row: Row, pieces, closed) -> Iterator[ChatMessageStreamDelta]:
        self.engine.submit([row])
        try:
            yield from pieces
        finally:
            closed.set()

    def _pieces(self, row: Row, prefix: str) -> Iterator[ChatMessageStreamDelta]:
        """A row's text while it is written; the row is submitted after this call."""
        told: queue.SimpleQueue[None] = queue.SimpleQueue()
        row.told = lambda: told.put(None)
        return self._as_written(row, prefix, told)

    def _as_written(self, row: Row, prefix: str, told) -> Iterator[ChatMessageStreamDelta]:
        shown, counted = "", 0
        yield ChatMessageStreamDelta(prefix, token_usage=TokenUsage(len(row.ids), 0))
        while not row.done.done():
            told.get()
            while not told.empty():  # it may have been asked for late
                told.get()
            written = list(row.written)
            text = row.stops.safe(text_of(self.tokenizer, written))
            if len(text) > len(shown) and not row.done.done():
                usage = TokenUsage(0, len(written) - counted)
                yield ChatMessageStreamDelta(text[len(shown) :], token_usage=usage)
                shown, counted = text, len(written)
        row.done.result()
        usage = TokenUsage(0, len(row.written) - counted)
        yield ChatMessageStreamDelta(self._text(row)[len(shown) :], token_usage=usage)

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may take together."""
        config = self.model.config.get_text_config()
        return getattr(config, "max_position_embeddings", None) or 10**9

    def count(self, messages) -> int:
        """Tokens of a prompt of these messages."""
        return len(prompt_ids(self.tokenizer, plain(messages)))

    def swap(self, adapter: str | None, name: str | None = None) -> None:
        """Exchange the adapter on the loaded base, without loading that again; None: the base alone.

        adapter: a folder or Hub id. name: what the model is called from now on; the adapter's if not given.
        What is being written ends with the old one; what is asked for after this returns has the new one.
        Raises ValueError, with nothing changed, for an adapter of another base.
        """
        from .adapters import Adapters

        with self._swapping:
            if self._adapters is None:
                self._adapters = Adapters(self.model, self.tokenizer, self.path)
            change = self._adapters.prepare(adapter)

            def work() -> None:
                self.tokenizer = change()
                self._stops = {}
                self.engine.recall.clear()  # read with other weights

            self.engine.between(work)
            self.model_id = name or adapter or self._adapters.base

    def _rows(
        self, messages, n, stop_sequences, prefix, temperature, max_tokens, cancelled
    ) -> list[Row]:
        chat = plain(messages)
        ids = prompt_ids(self.tokenizer, chat)
        if prefix:
            ids = ids + reply_ids(self.tokenizer, prefix)
        limit = min(max_tokens or self.max_tokens, self.context - len(ids))
        if limit < 1:
            raise ValueError(
                f"The prompt is {len(ids)} tokens; {self.model_id} holds {self.context}."
            )
        temperature = self.temperature if temperature is None else temperature
        seeds = self._seeds(ids, n) if temperature > 0 else [0] * n
        stops = self._stops_of(tuple(stop_sequences or ()))
        asked = _asker(cancelled)
        return [Row(ids, limit, stops, temperature, seed, asked) for seed in seeds]

    def _stops_of(self, strings: tuple[str, ...]) -> Stops:
        """Made once for each set of stop strings, as it learns of every token."""
        if strings not in self._stops:
            self._stops[strings] = Stops(self.tokenizer, strings)
        return self._stops[strings]

    def _seeds(self, ids: list[int], n: int) -> list[int]:
        """A seed per sample: of the prompt, and of how often it has been asked."""
        prompt = hash(tuple(ids))
        with self._lock:
            first = self._drawn[prompt]
            self._drawn[prompt] += n
        return [hash((self.seed, prompt, first + i)) % 2**63 for i in range(n)]

    def _write(self, rows: list[Row], prefix: str, told: Callable[[str], None] | None) -> None:
        """Have the rows written, beside whatever else is; returns when they are."""
        left = threading.Event()
        for row in rows:
            row.cancelled = _either(left, row.cancelled)
        pieces = self._pieces(rows[0], prefix) if told and rows else ()
        self.engine.submit(rows)
        try:
            for piece in pieces:
                told(piece.content or "")
            for row in rows:
                row.done.result()
        finally:  # nobody waits for the rest, where one failed or the caller was interrupted
            left.set()

    def _text(self, row: Row) -> str:
        return cut(text_of(self.tokenizer, row.written), row.stops.strings)


def _asker(cancelled: Cancelled | None) -> Callable[[], bool] | None:
    return getattr(cancelled, "is_set", cancelled)


def _either(event: threading.Event, asked: Callable[[], bool] | None) -> Callable[[], bool]:
    return (lambda: event.is_set() or asked()) if asked else event.is_set


def end_ids(model, tokenizer) -> list[int]:
    """Every token that ends a reply."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return sorted(
        {i for i in (*ids, tokenizer.eos_token_id, end_of_turn_id(tokenizer)) if i is not None}
    )
