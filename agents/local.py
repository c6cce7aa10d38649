"""A student on this machine: weights, or a LoRA adapter on its base, answering many runs at once.

Agents run in threads and each asks for one reply at a time. Requests that wait together are generated
together, each row with its own stop strings; a row that is done does not hold up its text.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

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
        """path: a folder or Hub id. max_tokens: per reply; the model's own setting, or 1024."""
        import torch

        super().__init__(model_id=name or path, flatten_messages_as_text=True)
        self.model, self.tokenizer = load_weights(path)
        self.temperature = temperature
        self.max_tokens = max_tokens or self.model.generation_config.max_new_tokens or 1024
        self.batch_size = batch_size
        self.end_ids = end_ids(self.model, self.tokenizer)
        self._waiting: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._worker: threading.Thread | None = None
        torch.manual_seed(seed)

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
        """n replies to the same messages, each with its token usage and finish reason."""
        ids = prompt_ids(self.tokenizer, plain(messages))
        if prefix:
            ids = ids + self.tokenizer(prefix, add_special_tokens=False).input_ids
        limit = min(max_tokens or self.max_tokens, self.context - len(ids))
        if limit < 1:
            raise ValueError(
                f"The prompt is {len(ids)} tokens; {self.model_id} holds {self.context}."
            )
        request = _Request(
            ids=ids,
            n=n,
            stop=tuple(stop_sequences or ()),
            temperature=self.temperature if temperature is None else temperature,
            max_tokens=limit,
        )
        self._submit(request)
        replies = request.future.result()
        return [
            ChatMessage(
                MessageRole.ASSISTANT,
                prefix + text,
                raw={"finish_reason": reason},
                token_usage=TokenUsage(len(ids) if i == 0 else 0, tokens),
            )
            for i, (text, reason, tokens) in enumerate(replies)
        ]

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may take together."""
        return getattr(self.model.config, "max_position_embeddings", None) or 10**9

    def _submit(self, request: _Request) -> None:
        with self._starting:
            if self._worker is None:
                self._worker = threading.Thread(target=self._serve, daemon=True, name="generate")
                self._worker.start()
        self._waiting.put(request)

    def _serve(self) -> None:
        """Take what waits, generate it together, hand the replies out; for ever."""
        held: list[_Request] = []
        while True:
            held = held or [self._waiting.get()]
            while len(held) < self.batch_size:
                try:
                    held.append(self._waiting.get(timeout=LINGER))
                except queue.Empty:
                    break
            batch = [request for request in held if request.temperature == held[0].temperature]
            held = [r for r in held if r not in batch]
            try:
                for request, replies in zip(batch, self._generate(batch), strict=True):
                    request.future.set_result(replies)
            except (
                Exception
            ) as error:  # out of memory, a broken kernel: told to every run that waits for it
                for request in batch:
                    if not request.future.done():
                        request.future.set_exception(error)

    def _generate(self, batch: list[_Request]) -> list[list[tuple[str, str, int]]]:
        """Per request its n (text, finish reason, tokens)."""
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        rows = [request for request in batch for _ in range(request.n)]
        width = max(len(request.ids) for request in rows)
        pad = (
            self.tokenizer.pad_token_id
            if self.tokenizer.pad_token_id is not None
            else self.end_ids[0]
        )
        # Padded on the left, so that every row's next token comes at the same place. (rows, width)
        ids = torch.tensor(
            [[pad] * (width - len(r.ids)) + r.ids for r in rows], device=self.model.device
        )
        mask = torch.tensor(
            [[0] * (width - len(r.ids)) + [1] * len(r.ids) for r in rows], device=self.model.device
        )
        stops = _Stops(self.tokenizer, rows, width, self.end_ids)
        temperature = batch[0].temperature
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_k": 0}
            if temperature > 0
            else {"do_sample": False}
        )
        config = GenerationConfig(
            max_new_tokens=max(r.max_tokens for r in rows),
            pad_token_id=pad,
            eos_token_id=self.end_ids,
            **sampling,
        )
        with torch.inference_mode():
            self.model.generate(
                ids,
                attention_mask=mask,
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([stops]),
            )
        replies = iter(stops.replies())
        return [[next(replies) for _ in range(request.n)] for request in batch]


@dataclass(eq=False)
class _Request:
    ids: list[int]
    n: int
    stop: tuple[str, ...]
    temperature: float
    max_tokens: int
    future: Future = field(default_factory=Future)


class _Stops:
    """Watches every row as it is written: its stop strings, its own limit, the end of its turn."""

    def __init__(self, tokenizer, rows: list[_Request], width: int, end_ids: list[int]):
        self.tokenizer, self.rows, self.width, self.end_ids = tokenizer, rows, width, set(end_ids)
        self.written: list[list[int]] = [[] for _ in rows]
        self.reasons: list[str | None] = [None] * len(rows)

    def __call__(self, input_ids, scores, **kwargs):
        import torch

        newest = input_ids[:, -1].tolist()
        for i, (row, token) in enumerate(zip(self.rows, newest, strict=True)):
            if self.reasons[i]:
                continue
            if token in self.end_ids:
                self.reasons[i] = "stop"
                continue
            self.written[i].append(token)
            # The last 24 tokens hold any stop string that this token can have completed.
            if any(stop in self.tokenizer.decode(self.written[i][-24:]) for stop in row.stop):
                self.reasons[i] = "stop"
            elif len(self.written[i]) >= row.max_tokens:
                self.reasons[i] = "length"
        return torch.tensor(
            [reason is not None for reason in self.reasons], device=input_ids.device
        )

    def replies(self) -> list[tuple[str, str, int]]:
        return [
            (
                cut(self.tokenizer.decode(ids, skip_special_tokens=True), row.stop),
                reason or "length",
                len(ids),
            )
            for row, ids, reason in zip(self.rows, self.written, self.reasons, strict=True)
        ]


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
