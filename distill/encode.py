"""A conversation as training tokens: loss on every assistant turn and on nothing else.

Each turn is trained on after exactly the tokens that inference sends before it, because the same function
makes them. Where a chat template does not only append (it drops old thoughts, say), a new sample starts.
`check` then proves it from the outside: it decodes what is trained on and asks inference for its tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.template import end_of_turn_id, prompt_ids
from agents.trajectory import Message

IGNORED = -100
"""The label of a token without loss."""


@dataclass(frozen=True)
class Sample:
    input_ids: list[int]
    labels: list[int]
    """As long as `input_ids`: the token itself where it is trained on, else IGNORED."""

    def spans(self) -> list[tuple[int, int]]:
        """Start and end of every run of trained tokens."""
        edges = [
            i
            for i in range(len(self.labels))
            if (self.labels[i] == IGNORED) != (i == 0 or self.labels[i - 1] == IGNORED)
        ]
        if len(edges) % 2:
            edges.append(len(self.labels))
        return list(zip(edges[::2], edges[1::2], strict=True))


def encode(tokenizer, messages: Sequence[Message]) -> list[Sample]:
    """The samples of one conversation; one, if the template only appends."""
    end = end_of_turn_id(tokenizer)
    chat = [{"role": m.role, "content": m.content} for m in messages]
    samples, ids, labels = [], [], []
    for turn, message in enumerate(chat):
        if message["role"] != "assistant":
            continue
        prompt = prompt_ids(tokenizer, chat[:turn])
        reply = [*reply_ids(tokenizer, message["content"]), end]
        if prompt[: len(ids)] != ids:
            samples.append(Sample(ids, labels))
            ids, labels = [], []
        labels = labels + [IGNORED] * (len(prompt) - len(ids)) + reply
        ids = prompt + reply
    return [*samples, Sample(ids, labels)] if ids else samples


def reply_ids(tokenizer, text: str) -> list[int]:
    """What the model would have written: no special token, whatever the text says."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids


def check(tokenizer, messages: Sequence[Message], samples: Sequence[Sample]) -> None:
    """Raise ValueError unless the samples train exactly the assistant's turns, after inference's own tokens."""
    turns = [i for i, message in enumerate(messages) if message.role == "assistant"]
    spans = [(sample, start, end) for sample in samples for start, end in sample.spans()]
    if len(spans) != len(turns):
        raise ValueError(f"{len(turns)} turns, but {len(spans)} are trained on.")
    chat = [{"role": m.role, "content": m.content} for m in messages]
    for turn, (sample, start, end) in zip(turns, spans, strict=True):
        if sample.labels[start:end] != sample.input_ids[start:end]:
            raise ValueError(f"Turn {turn}: the labels are not the tokens.")
        *words, last = sample.input_ids[start:end]
        if tokenizer.decode(words) != messages[turn].content:
            raise ValueError(f"Turn {turn} would be trained as {tokenizer.decode(words)!r}.")
        if last != end_of_turn_id(tokenizer):
            raise ValueError(f"Turn {turn} does not end with the end-of-turn token.")
        if sample.input_ids[:start] != prompt_ids(tokenizer, chat[:turn]):
            raise ValueError(
                f"Turn {turn}: the tokens before it are not those that inference sends."
            )
