"""Keep what a person said of a run: one line of `rollouts.jsonl` a thumb, which `filter` and `train` read.

    give(folder, turn, liked=True)

A changed thumb adds a line that supersedes the one before; a withdrawn one takes the run's lines out of
the file. Nothing is written of runs without a thumb. The record of a run stops at its answer, and the turns
of a conversation before it stand in its messages as context: they are not trained on, since only the
messages of its own steps are.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ..secrets import without_keys
from ..trajectory import Trajectory

FILE = "rollouts.jsonl"
BENCHMARK = "chat"
PERSON = "person"
"""The scorer of such rollouts."""
NOT_KNOWN = "(not known"
"""What stands for the right answer, with random digits, where nobody has told it."""
WAIT = 5.0
"""Seconds to wait for others who write in the folder."""
LONGEST = 2000
"""Characters of a right answer that a visitor gives: as many as the scorer looks at."""


class Turn(Protocol):
    """A question and the run that it led to, which is over; a conversation has such."""

    id: str
    """Unguessable: whoever has it can change the run's thumb."""
    question: str
    trajectory: Trajectory


def give(folder: Path, turn: Turn, liked: bool | None, *, right: str | None = None) -> None:
    """Write down a thumb: up, down, or (None) withdrawn.

    right: the right answer, if a visitor who did not like the given one knows it. Raises ValueError where
    another process holds the folder, nothing can be written there, or the right answer is too long.
    """
    if right and len(right) > LONGEST:
        raise ValueError(f"A right answer has at most {LONGEST:,} characters.")
    folder = Path(folder)
    if liked is None and not (folder / FILE).is_file():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder):
            if (folder / FILE).is_symlink():
                # What it leads to is not ours to cut and write.
                raise ValueError(f"The feedback could not be stored: {FILE} is a link there.")
            if liked is None:
                _take_out(folder / FILE, turn.id)
            else:
                _append(folder / FILE, rollout(turn, liked, right))
    except OSError as error:
        raise ValueError(f"The feedback could not be stored: {error.strerror}.") from error


def rollout(turn: Turn, liked: bool | None = None, right: str | None = None) -> dict[str, Any]:
    """A run as the repository's record has it (`distill.rollout.Rollout`).

    The score is 1.0 for a liked answer, None where nobody judged, else 0.0.
    """
    trajectory, right = turn.trajectory, (right or "").strip()
    answer = (trajectory.answer or "").strip() if trajectory.stop == "answered" else ""
    good = bool(liked and trajectory.stop == "answered")
    if right and not good:
        answers = [right]
    elif good and answer:
        answers = [answer]
    else:
        # A problem has an answer. No prediction equals this one, so that no rule and no judge scores it right.
        answers = [f"{NOT_KNOWN}: {secrets.token_hex(8)})"]
    return {
        "problem": {
            "id": turn.id,
            "question": turn.question,
            "answers": answers,
            "benchmark": BENCHMARK,
            "kind": "factual",
        },
        "attempt": 0,
        "trajectory": trajectory.model_dump(mode="json"),
        "score": None if liked is None else float(good),
        "scorer": PERSON,
    }


def known(answers: Iterable[str]) -> list[str]:
    """Of a problem's answers those that are some."""
    return [answer for answer in answers if not answer.startswith(f"{NOT_KNOWN}: ")]


def as_line(record: dict[str, Any]) -> str:
    """JSON on one line, without this process's keys. Half a surrogate pair, which no file holds, becomes "?"."""
    text = json.dumps(_without_keys(record), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"


def _without_keys(value: Any) -> Any:
    if isinstance(value, str):
        return without_keys(value)
    if isinstance(value, dict):
        return {name: _without_keys(one) for name, one in value.items()}
    return [_without_keys(one) for one in value] if isinstance(value, list) else value


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which those who score it again take too."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=WAIT)
    except Timeout:
        told = (
            "The feedback could not be stored: another program is at work there. Try again later."
        )
        raise ValueError(told) from None
    try:
        yield
    finally:
        lock.release()


def _append(file: Path, record: dict[str, Any]) -> None:
    """After the last whole line: what a kill left of one is cut off."""
    with file.open("ab+") as lines:
        whole = _whole(lines)
        lines.seek(whole)
        if _is_record(lines.read()):  # whole but for its end, as some editors leave it
            lines.write(b"\n")
        else:
            lines.truncate(whole)
        lines.write(as_line(record).encode("utf-8"))
        lines.flush()


def _whole(lines) -> int:
    """Bytes up to the end of the last whole line."""
    end = lines.seek(0, 2)
    while end:
        start = max(0, end - 65536)
        lines.seek(start)
        if (at := lines.read(end - start).rfind(b"\n")) >= 0:
            return start + at + 1
        end = start
    return 0


def _take_out(file: Path, id: str) -> None:
    """The file without the lines of a run: whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    with file.open("rb") as before, new.open("wb") as after:
        for line in before:
            whole = line.endswith(b"\n") or _is_record(line)
            if whole and not _is_of(line, id):
                after.write(line.removesuffix(b"\n") + b"\n")
    new.replace(file)


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_of(line: bytes, id: str) -> bool:
    if id.encode() not in line:
        return False
    try:
        return json.loads(line)["problem"]["id"] == id
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
