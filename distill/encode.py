"""A conversation as training tokens: loss on every assistant turn and on nothing else.

Each turn is trained on after exactly the tokens that inference sends before it, because the same function
makes them. Where a chat template does not only append (it drops old thoughts, say), a new sample starts.
`check` then proves it from the outside: it decodes what is trained on and asks inference for its tokens.
Nothing is cut here but by `shorten`, which says so in the text itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.template import control_ids, end_of_turn_id, prompt_ids, reply_ids, whole_ids
from agents.trajectory import Message, Trajectory

IGNORED = -100
"""The label of a token without loss."""
KINDS = ("error", "final", "first", "other")
"""Kinds of an assistant's turns; of two that fit, the one that stands first here."""
SHORTEST = 200
"""Characters of an observation that `shorten` always leaves."""


@dataclass(frozen=True)
class Sample:
    input_ids: list[int]
    labels: list[int]
    """As long as `input_ids`: the token itself where it is trained on, else IGNORED."""
    weights: list[float] | None = None
    """As long as `input_ids`: how much each token counts in the loss; None: every trained token 1."""

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


def encode(
    tokenizer, messages: Sequence[Message], weights: Sequence[float] | None = None
) -> list[Sample]:
    """The samples of one conversation; one, if the template only appends.

    weights: of each assistant turn, in order; a turn of weight 0 is context and not trained on. Where no turn
    is trained on, one sample without labels. Raises ValueError for a conversation that is none (see `spoken`),
    and for an empty turn that would be trained on.
    """
    chat = spoken(messages)
    turns = _trained(chat, weights)
    end = end_of_turn_id(tokenizer)
    samples: list[Sample] = []
    ids: list[int] = []
    labels: list[int] = []
    counts: list[float] = []

    def close():
        if ids:
            samples.append(Sample(ids, labels, counts if weights is not None else None))

    for turn, weight in turns:
        prompt = prompt_ids(tokenizer, chat[:turn])
        if prompt[: len(ids)] != ids:
            close()
            ids, labels, counts = [], [], []
        gap = len(prompt) - len(ids)
        reply = [*reply_ids(tokenizer, chat[turn]["content"]), end]
        ids += [*prompt[len(ids) :], *reply]
        labels += [*[IGNORED] * gap, *reply]
        counts += [*[0.0] * gap, *[weight] * len(reply)]
    if not turns:
        ids = prompt_ids(tokenizer, chat[: _last_turn(chat)])
        labels, counts = [IGNORED] * len(ids), [0.0] * len(ids)
    close()
    return samples


def spoken(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The conversation as role and text, the assistant's words stripped as an agent strips what it has said.

    Raises ValueError unless the user and the assistant speak in turns, the user first, after at most one system
    message, and the assistant speaks at all.
    """
    chat = [{"role": m.role, "content": m.content} for m in messages]
    for message in chat:
        if message["role"] == "assistant":
            message["content"] = message["content"].strip()
    start = int(bool(chat) and chat[0]["role"] == "system")
    for at, message in enumerate(chat[start:], start):
        expected = "assistant" if (at - start) % 2 else "user"
        if message["role"] != expected:
            raise ValueError(
                f"Message {at} is of the {message['role']} where it is the {expected}'s turn; "
                "join messages of one role."
            )
    if len(chat) - start < 2:
        raise ValueError(
            f"A conversation of {len(chat)} messages has no turn of the assistant to train on."
        )
    return chat


def _trained(
    chat: list[dict[str, str]], weights: Sequence[float] | None
) -> list[tuple[int, float]]:
    """Index and weight of every assistant turn that is trained on."""
    turns = [at for at, message in enumerate(chat) if message["role"] == "assistant"]
    if weights is None:
        weights = [1.0] * len(turns)
    if len(weights) != len(turns):
        raise ValueError(f"{len(weights)} weights for {len(turns)} turns of the assistant.")
    for turn, weight in zip(turns, weights, strict=True):
        if not (weight >= 0 and math.isfinite(weight)):
            raise ValueError(f"A turn's weight is a number from 0 on, not {weight}.")
        if weight and not chat[turn]["content"]:
            raise ValueError(
                f"Message {turn}, of the assistant, is empty; leave it out, or give it no weight."
            )
    return [(turn, weight) for turn, weight in zip(turns, weights, strict=True) if weight]


def _last_turn(chat: list[dict[str, str]]) -> int:
    return max(at for at, message in enumerate(chat) if message["role"] == "assistant")


def turn_weights(
    trajectory: Trajectory,
    mask_errors: bool = False,
    step_weights: Mapping[str, float] | None = None,
) -> list[float]:
    """The weight of each assistant turn, in order, by what became of it.

    mask_errors: 0 for an action that did not parse or raised. step_weights: by kind, 1 for those not named:
    "error" such an action, "final" the turn that answered, "first" the first one, "other" the rest. An empty
    turn has weight 0, and so have those of a conversation before this run: they are none of its steps. Raises
    ValueError for another kind, or a weight below 0.
    """
    named = dict(step_weights or {})
    for kind, weight in named.items():
        if kind not in KINDS:
            raise ValueError(f"No kind of step named {kind!r}; there are: {', '.join(KINDS)}.")
        if not (weight >= 0 and math.isfinite(weight)):
            raise ValueError(f"The weight of {kind!r} is a number from 0 on, not {weight}.")
    if mask_errors:
        named["error"] = 0.0
    turns = [at for at, message in enumerate(trajectory.messages) if message.role == "assistant"]
    own = {step.message for step in trajectory.steps} or set(turns)
    failed = {step.message for step in trajectory.steps if step.error}
    answered = turns[-1:] if trajectory.stop == "answered" else []
    return [
        float(named.get(_kind(turn, failed, answered, min(own)), 1.0))
        if turn in own and trajectory.messages[turn].content.strip()
        else 0.0
        for turn in turns
    ]


def _kind(turn: int, failed: set[int], answered: list[int], first: int) -> str:
    if turn in failed:
        return "error"
    if turn in answered:
        return "final"
    return "first" if turn == first else "other"


def shorten(tokenizer, messages: Sequence[Message], max_length: int) -> tuple[Message, ...] | None:
    """The conversation with its observations cut, so that no sample is longer than `max_length` tokens.

    Observations are cut to one common length, the largest that fits, so the longest are cut first and shorter
    ones stay whole; each keeps its head and its tail, and says between them how many characters are left out.
    The last observation is cut only if it does not fit otherwise. The system prompt, the question and the
    assistant's words stay as they are. None where that is not enough.
    """
    if _fits(tokenizer, messages, max_length):
        return tuple(messages)
    start = 2 if messages[0].role == "system" else 1
    last = max(at for at, message in enumerate(messages) if message.role == "assistant")
    seen = [at for at in range(start, last) if messages[at].role == "user"]
    for places in (seen[:-1], seen):
        longest = max((len(messages[at].content) for at in places), default=0)
        low, high = SHORTEST, longest
        if longest <= low or not _fits(tokenizer, _cut(messages, places, low), max_length):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if _fits(tokenizer, _cut(messages, places, middle), max_length):
                low = middle
            else:
                high = middle
        return _cut(messages, places, low)
    return None


def _fits(tokenizer, messages: Sequence[Message], max_length: int) -> bool:
    said = [1.0 if m.content.strip() else 0.0 for m in messages if m.role == "assistant"]
    return max(len(s.input_ids) for s in encode(tokenizer, messages, said)) <= max_length


def _cut(messages: Sequence[Message], places: Sequence[int], length: int) -> tuple[Message, ...]:
    """The messages, those at `places` with at most `length` characters of their own."""
    cut = list(messages)
    for at in places:
        text = cut[at].content
        left_out = len(text) - length
        note = f"\n[{left_out} characters are left out here]\n"
        if left_out > len(note):  # else the text would not become shorter
            head = length - length // 2
            shorter = text[:head] + note + text[len(text) - length // 2 :]
            cut[at] = cut[at].model_copy(update={"content": shorter})
    return tuple(cut)


def check(
    tokenizer,
    messages: Sequence[Message],
    samples: Sequence[Sample],
    weights: Sequence[float] | None = None,
) -> None:
    """Raise ValueError unless the samples train exactly the assistant's turns, after inference's own tokens.

    weights: as given to `encode`. What is wrong is named with its message, its token, and both sides decoded.
    """
    chat = spoken(messages)
    turns = _trained(chat, weights)
    spans = [(sample, start, end) for sample in samples for start, end in sample.spans()]
    if len(spans) != len(turns):
        raise ValueError(f"{len(turns)} turns, but {len(spans)} are trained on.")
    for (turn, weight), (sample, start, end) in zip(turns, spans, strict=True):
        _check_words(tokenizer, chat[turn]["content"], turn, sample, start, end)
        _check_weights(turn, weight, sample, start, end)
        sent = prompt_ids(tokenizer, chat[:turn])
        if told := first_difference(sample.input_ids[:start], sent, tokenizer):
            raise ValueError(
                f"Message {turn}: the tokens before it are not those that inference sends: {told}"
            )
        if end == len(sample.input_ids) and (
            told := first_difference(sent, whole_ids(tokenizer, chat[:turn]), tokenizer)
        ):
            raise ValueError(f"Message {turn}: its prompt in pieces is not the whole one: {told}")


def _check_words(tokenizer, content: str, turn: int, sample: Sample, start: int, end: int) -> None:
    """The labels are the tokens, and the tokens the content, as text, and the end of the turn."""
    if told := first_difference(sample.labels[start:end], sample.input_ids[start:end], tokenizer):
        raise ValueError(f"Message {turn}: the labels are not the tokens: {told}")
    *words, last = sample.input_ids[start:end]
    wanted = end_of_turn_id(tokenizer)
    if last != wanted:
        raise ValueError(
            f"Message {turn} does not end with the end-of-turn token: "
            f"{first_difference([last], [wanted], tokenizer)}"
        )
    if control := control_ids(tokenizer) & set(words):
        at = next(at for at, word in enumerate(words, start) if word in control)
        raise ValueError(
            f"Message {turn}, token {at}: {tokenizer.decode(sample.input_ids[at])!r} controls the chat; "
            "in the assistant's words it is text."
        )
    if not _says(tokenizer, words, content):
        raise ValueError(
            f"Message {turn}, tokens {start} to {end - 1}, would be trained as {_text(tokenizer, words)!r} "
            f"where {content!r} was said."
        )


def _check_weights(turn: int, weight: float, sample: Sample, start: int, end: int) -> None:
    if sample.weights is None:
        counted = {1.0}
    elif len(sample.weights) == len(sample.input_ids):
        counted = set(sample.weights[start:end])
    else:
        raise ValueError(f"{len(sample.weights)} weights for {len(sample.input_ids)} tokens.")
    if counted != {weight}:
        raise ValueError(f"Message {turn} has weight {weight}, its tokens have {sorted(counted)}.")


def _says(tokenizer, ids: Sequence[int], text: str) -> bool:
    """Whether the tokens are the text, as far as the tokenizer can tell texts apart.

    It may write one letter for another that means the same (NFC), and a space for its own mark of a space; two
    private characters are lost to transformers, which marks control tokens with them.
    """
    normalizer = tokenizer.backend_tokenizer.normalizer

    def told(text: str) -> str:
        text = re.sub("[\U000f0000\U000f0001]", "", text)
        text = normalizer.normalize_str(text) if normalizer else text
        return text.replace("\u2581", " ").strip()

    decoded = _text(tokenizer, ids)
    return decoded == text or told(decoded) == told(text)


def _text(tokenizer, ids: Sequence[int]) -> str:
    return tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)


def first_difference(a: Sequence[int], b: Sequence[int], tokenizer) -> str | None:
    """The first token at which two sequences differ, decoded on both sides, and what stands before; None: equal."""
    if list(a) == list(b):
        return None
    at = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )

    def there(ids: Sequence[int]) -> str:
        if at >= len(ids):
            return "the end"
        return repr(_text(tokenizer, [ids[at]])) + f" ({ids[at]})" if ids[at] >= 0 else "no token"

    before = f" after {_text(tokenizer, a[max(0, at - 8) : at])!r}" if at and a[0] >= 0 else ""
    return f"token {at} is {there(a)} on one side and {there(b)} on the other{before}."
