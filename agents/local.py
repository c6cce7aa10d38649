"""A student on this machine: weights, or a LoRA adapter on its base, answering many runs at once.

Agents run in threads and each asks for one reply at a time; requests that wait together are written
together (agents/decode.py).
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from concurrent.futures import Future

from smolagents import Model
from smolagents.models import ChatMessage, MessageRole
from smolagents.monitoring import TokenUsage

from .template import end_of_turn_id, plain, prompt_ids
from .weights import load_weights

LINGER = 0.01
"""Seconds without a new request after which a batch starts."""


class LocalModel(Model):
    """A transformers model behind smolagents' interface."""

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
        from .decode import Decoder

        super().__init__(model_id=name or path, flatten_messages_as_text=True)
        self.model, self.tokenizer = load_weights(path)
        self.temperature = temperature
        self.max_tokens = max_tokens or self.model.generation_config.max_new_tokens or 1024
        self.batch_size = batch_size
        self.seed = seed
        self._decoder = Decoder(self.model, self.tokenizer, end_ids(self.model, self.tokenizer))
        self._drawn: Counter[int] = Counter()
        self._waiting: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None

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
    ) -> list[ChatMessage]:
        """n replies to the same messages, each with its token usage and finish reason.

        prefix: the unfinished start of the reply; the returned text begins with it.
        Raises ValueError for a prompt longer than the model's context.
        """
        from .decode import Row

        chat = plain(messages)
        ids = prompt_ids(self.tokenizer, chat)
        if prefix:
            ids = ids + self.tokenizer(prefix, add_special_tokens=False).input_ids
        limit = min(max_tokens or self.max_tokens, self.context - len(ids))
        if limit < 1:
            raise ValueError(
                f"The prompt is {len(ids)} tokens; {self.model_id} holds {self.context}."
            )
        stop = tuple(stop_sequences or ())
        temperature = self.temperature if temperature is None else temperature
        run = hash(
            tuple((m["role"], m["content"]) for m in chat[:2])
        )  # its system prompt and its question
        seeds = self._seeds(ids, n) if temperature > 0 else [0] * n
        rows = [Row(ids, limit, stop, temperature, seed, run) for seed in seeds]
        self._write(rows)
        return [
            ChatMessage(
                MessageRole.ASSISTANT,
                prefix + cut(self.tokenizer.decode(row.written, skip_special_tokens=True), stop),
                raw={"finish_reason": row.reason},
                token_usage=TokenUsage(len(ids) if i == 0 else 0, len(row.written)),
            )
            for i, row in enumerate(rows)
        ]

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may take together."""
        return getattr(self.model.config, "max_position_embeddings", None) or 10**9

    def _seeds(self, ids: list[int], n: int) -> list[int]:
        """A seed per sample: of the prompt, and of how often it has been asked."""
        prompt = hash(tuple(ids))
        with self._lock:
            first = self._drawn[prompt]
            self._drawn[prompt] += n
        return [hash((self.seed, prompt, first + i)) % 2**63 for i in range(n)]

    def _write(self, rows: list) -> None:
        """Have the rows written, with whatever else is waiting; returns when they are."""
        request = _Request(rows)
        with self._lock:
            if self._worker is None:
                self._worker = threading.Thread(target=self._serve, daemon=True, name="decode")
                self._worker.start()
        self._waiting.put(request)
        request.done.result()

    def _serve(self) -> None:
        """Take what waits, write it, tell who waits for it; for ever."""
        while True:
            batch = [self._waiting.get()]
            while sum(len(request.rows) for request in batch) < self.batch_size:
                try:
                    batch.append(self._waiting.get(timeout=LINGER))
                except queue.Empty:
                    break
            try:
                self._decoder.decode([row for request in batch for row in request.rows])
            except (
                Exception
            ) as error:  # out of memory, a broken kernel: told to every run that waits for it
                for request in batch:
                    request.done.set_exception(error)
            else:
                for request in batch:
                    request.done.set_result(None)


class _Request:
    def __init__(self, rows: list):
        self.rows, self.done = rows, Future()


def cut(text: str, stops: tuple[str, ...]) -> str:
    """The text up to the first stop string, as servers return it."""
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def end_ids(model, tokenizer) -> list[int]:
    """Every token that ends a reply."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return sorted(
        {i for i in (*ids, tokenizer.eos_token_id, end_of_turn_id(tokenizer)) if i is not None}
    )
