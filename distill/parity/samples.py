"""Keep what was trained on beside the student, and read it again turn by turn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agents import Message
from agents.template import end_of_turn_id

from ..encode import Sample
from ..run import write_json, write_text
from .files import trained_files
from .records import Recorded, Student, Tokens

SAMPLES = "parity_samples.jsonl"
STUDENT = "student.json"
MOST = 16
"""Rollouts that are kept."""


@dataclass(frozen=True)
class Turn:
    """One trained turn: the tokens before it, and its own."""

    rollout: str
    turn: int
    """Index of its message."""
    messages: tuple[Message, ...]
    """Those before it."""
    content: str
    prompt: list[int]
    reply: list[int]
    labels: list[int]
    """Of the reply; the same tokens, if all is well."""


def taken(n: int, most: int = MOST) -> range:
    """Places of up to `most` of n things, evenly taken."""
    return range(0, n, max(1, -(-n // most)))


def write_samples(
    folder: Path,
    items: Sequence[tuple[str, Sequence[Message], Sequence[Sample]]],
    losses: Sequence[float | None] | None = None,
) -> None:
    """Write `parity_samples.jsonl` of up to 16 of the items, evenly taken.

    An item: the rollout's name (benchmark/id/attempt), the messages that were encoded, and the samples
    that were trained on. losses: of every item, as `recorded_losses` gives them for the model that these
    weights are of. Raises ValueError where they are not one for each.
    """
    if losses is not None and len(losses) != len(items):
        raise ValueError(f"{len(losses)} losses for {len(items)} rollouts; give one for each.")
    lines = [
        Recorded(
            problem=problem,
            messages=tuple(messages),
            samples=tuple(
                Tokens(input_ids=tuple(s.input_ids), labels=tuple(s.labels)) for s in samples
            ),
            loss=losses[at] if losses else None,
        ).model_dump_json()
        for at in taken(len(items))
        for problem, messages, samples in items[at : at + 1]
    ]
    write_text(folder / SAMPLES, "".join(line + "\n" for line in lines))


def read_samples(folder: Path) -> list[Recorded]:
    """Raises ValueError where there are none, or a line is no sample."""
    file = folder / SAMPLES
    if not file.is_file():
        raise ValueError(
            f"{folder} has no {SAMPLES}, the tokens it was trained on: name rollouts to encode in their "
            "stead (--rollouts DIR), or train it again."
        )
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(Recorded.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ValueError(
                f"{file}, line {number} is no recorded sample: {place} {first['msg']}."
            ) from None
    if not found:
        raise ValueError(f"{file} is empty; train the student again, or name rollouts.")
    return found


def write_student(
    folder: Path,
    tokenizer,
    *,
    method: str,
    prompt: str,
    tags: str | None,
    tools: Iterable[str] = (),
    stops: Iterable[int] = (),
    digests: bool = True,
) -> Student:
    """Write `student.json`, after everything else of the student.

    stops: tokens that end a turn beside the template's own. digests: with those of the files that training left.
    """
    end = end_of_turn_id(tokenizer)
    student = Student(
        method=method,
        prompt=prompt,
        tags=tags,
        tools=tuple(tools),
        template=template_digest(tokenizer),
        stops=(end, *sorted({*stops} - {end})),
        files=trained_files(folder) if digests else {},
    )
    write_json(folder / STUDENT, student.model_dump(mode="json"))
    return student


def read_student(folder: Path) -> Student | None:
    """None where there is no `student.json`; ValueError where it cannot be read."""
    file = folder / STUDENT
    if not file.is_file():
        return None
    try:
        return Student.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{file}: {'.'.join(map(str, first['loc']))} {first['msg']}.") from None


def template_digest(tokenizer) -> str:
    """sha256 of the chat template; of all of them, where a tokenizer has several by name."""
    template = tokenizer.chat_template
    text = template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def turns(recorded: Recorded, tokenizer) -> list[Turn]:
    """The trained turns, each with its message. The tokenizer tells which, where not all were trained."""
    samples = [Sample(list(s.input_ids), list(s.labels)) for s in recorded.samples]
    spans = [(sample, start, end) for sample in samples for start, end in sample.spans()]
    messages = tuple(map(_as_kept, recorded.messages))
    replies = [i for i, m in enumerate(messages) if m.role == "assistant"]
    if len(spans) != len(replies):
        replies = _placed(messages, tokenizer, spans, replies)
    return [
        Turn(
            recorded.problem,
            at,
            messages[:at],
            messages[at].content,
            sample.input_ids[:start],
            sample.input_ids[start:end],
            sample.labels[start:end],
        )
        for at, (sample, start, end) in zip(replies, spans, strict=True)
    ]


def _as_kept(message: Message) -> Message:
    """As an agent keeps it: its own words stripped."""
    if message.role != "assistant":
        return message
    return Message(role="assistant", content=message.content.strip())


def _placed(messages, tokenizer, spans, replies: list[int]) -> list[int]:
    """Message of each span: the next one with its words, turns without loss are passed over.

    The next one at all where none has them; comparing the two tells the difference.
    """
    found, start = [], 0
    for sample, begin, end in spans:
        words = tokenizer.decode(sample.input_ids[begin : end - 1])
        same = (i for i in range(start, len(replies)) if messages[replies[i]].content == words)
        at = next(same, min(start, len(replies) - 1))
        found.append(replies[at])
        start = at + 1
    return found
