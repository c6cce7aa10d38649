"""Find stored rollouts in a folder of runs: an index of thousands, and any one of them whole.

Files are read line by line and only what is listed stays in memory. No name leads out of the folder, and
a line that is no rollout, as the half-written last one of a run at work, is passed over.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ..trajectory import Trajectory
from .feedback import FILE, known

Outcome = Literal["right", "wrong", "no answer", "failed", "not scored"]
OUTCOMES: tuple[Outcome, ...] = ("right", "wrong", "no answer", "failed", "not scored")
TROUBLES = ("parsing", "execution", "other", "limit", "cut off")
"""What may have happened in a step: an error by its kind, a limit, a reply that was cut off."""
NO_BENCHMARK = "problems"
DEEPEST = 6
"""Folders below the one that is looked in."""
SHORT = 160
"""Characters of a text in the index."""
LONGEST = 20_000_000
"""Bytes of a line; a longer one is no rollout of ours."""


@dataclass(frozen=True)
class Entry:
    """A rollout in the index. Its texts are cut; the whole of it is read when it is opened."""

    run: str
    """Its folder, seen from the folder of runs."""
    start: int
    """Where its line begins, in bytes; with `run`, what it is opened by."""
    length: int
    id: str
    attempt: int
    benchmark: str
    question: str
    answer: str | None
    gold: str
    outcome: Outcome
    troubles: frozenset[str]
    tools: frozenset[str]
    """Those that its code called."""
    steps: int
    tokens: int
    seconds: float

    @property
    def key(self) -> str:
        return f"{self.start}:{self.run}"


@dataclass(frozen=True)
class Wanted:
    """A filter; what is None or empty lets all pass."""

    run: str | None = None
    benchmark: str | None = None
    outcome: str | None = None
    trouble: str | None = None
    tool: str | None = None
    steps: int | None = None
    or_more: bool = False
    """As many steps, or more."""
    text: str = ""
    """Words that all stand in it: in the question, the answers, what was said."""


@dataclass(frozen=True)
class Stored:
    """A rollout that was opened."""

    id: str
    question: str
    trajectory: Trajectory
    record: dict[str, Any]
    """Its line as it stands in the file."""


class StoredRuns:
    """The runs below a folder. Thread-safe; a run's index is made anew when its file has changed."""

    def __init__(self, root: Path, *, without: Path | None = None):
        """without: a folder that is passed over, with all that is in it."""
        self.root = Path(root).resolve()
        self.without = Path(without).resolve() if without else None
        self._known: dict[str, tuple[tuple[int, int], list[Entry]]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The runs that are there, in the order of their names; of a name that is no text no page can be told."""
        found = []
        for folder, folders, files in os.walk(self.root):
            below = Path(folder).relative_to(self.root)
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            if len(below.parts) >= DEEPEST or Path(folder) == self.without:
                folders.clear()
            if Path(folder) == self.without:
                continue
            if FILE in files and is_plain(Path(folder) / FILE):
                found.append(below.as_posix())
        return [name for name in found if name == name.encode("utf-8", "replace").decode()]

    def entries(self, run: str | None = None) -> list[Entry]:
        """Of one run, or of all. Raises ValueError for a name that is no run's."""
        names = self.names()
        if run is None:
            return [entry for name in names for entry in self._indexed(name)]
        if run not in names:
            raise ValueError("There is no such run; it may have been removed.")
        return list(self._indexed(run))

    def find(self, wanted: Wanted) -> list[Entry]:
        """Those that pass the filter, in their order."""
        found = [entry for entry in self.entries(wanted.run) if passes(entry, wanted)]
        words = wanted.text.casefold().split()
        return [entry for entry in found if self._holds(entry, words)] if words else found

    def open(self, key: str) -> Stored:
        """A rollout by its entry's key. Raises ValueError for a key that is none, or is no more."""
        start, _, run = key.partition(":")
        entry = next((e for e in self.entries(run) if str(e.start) == start), None)
        if entry is None:
            raise ValueError("There is no such rollout; its file may have changed.")
        record = self._read(entry)
        try:
            trajectory = Trajectory.model_validate(record["trajectory"])
            if any(step.message >= len(trajectory.messages) for step in trajectory.steps):
                raise KeyError("message")
            return Stored(entry.id, record["problem"]["question"], trajectory, record)
        except (ValidationError, KeyError, TypeError):
            raise ValueError("This line is no rollout of this version.") from None

    def _indexed(self, run: str) -> list[Entry]:
        file = self.root / run / FILE
        try:
            now = file.stat()
            stamp = (now.st_mtime_ns, now.st_size)
            with self._lock:
                before, entries = self._known.get(run, (None, []))
            if before != stamp:
                # Of one that was retried, the last counts, as everywhere.
                entries = list(
                    {(e.benchmark, e.id, e.attempt): e for e in read(file, run)}.values()
                )
                with self._lock:
                    self._known[run] = (stamp, entries)
        except OSError:  # removed meanwhile
            return []
        return entries

    def _read(self, entry: Entry) -> dict[str, Any]:
        try:
            with opened(self.root / entry.run / FILE) as lines:
                lines.seek(entry.start)
                record = json.loads(lines.read(entry.length))
        except (OSError, ValueError, RecursionError):
            record = None
        return record if isinstance(record, dict) else {}

    def _holds(self, entry: Entry, words: list[str]) -> bool:
        record = self._read(entry)
        if not is_rollout(record):
            return False
        problem, trajectory = record["problem"], record["trajectory"]
        said = [m.get("content") for m in trajectory["messages"][1:] if isinstance(m, dict)]
        texts = [problem["question"], trajectory.get("answer"), *problem["answers"], *said]
        text = "\n".join(one for one in texts if isinstance(one, str)).casefold()
        return all(word in text for word in words)


def passes(entry: Entry, wanted: Wanted) -> bool:
    """Whether an entry is wanted, but for the text."""
    return (
        wanted.benchmark in (None, entry.benchmark)
        and wanted.outcome in (None, entry.outcome)
        and (wanted.trouble is None or wanted.trouble in entry.troubles)
        and (wanted.tool is None or wanted.tool in entry.tools)
        and (
            wanted.steps is None
            or entry.steps == wanted.steps
            or (wanted.or_more and entry.steps > wanted.steps)
        )
    )


def read(file: Path, run: str) -> Iterator[Entry]:
    """The rollouts of a file, as they stand in it; what is none is passed over."""
    start = 0
    with opened(file) as lines:
        while line := lines.readline(LONGEST):
            length, whole = len(line), line.endswith(b"\n")
            while not whole and (rest := lines.readline(LONGEST)):
                length, whole, line = length + len(rest), rest.endswith(b"\n"), b""
            if line and whole:
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    record = None
                if is_rollout(record):
                    yield entry_of(record, run, start, length)
            start += length


def is_plain(file: Path) -> bool:
    """Whether it is a file: no link, and no pipe, which would keep its reader waiting."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False


def opened(file: Path):
    """For reading; a link is refused, wherever it leads."""
    return os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def is_rollout(record: Any) -> bool:
    """Whether it has what the index takes."""
    try:
        problem, trajectory = record["problem"], record["trajectory"]
        return (
            isinstance(problem["id"], str)
            and isinstance(problem["question"], str)
            and all(isinstance(answer, str) for answer in problem["answers"])
            and isinstance(problem.get("benchmark"), str | None)
            and isinstance(trajectory["messages"], list)
            and all(
                isinstance(step, dict) and isinstance(step.get("message"), int | None)
                for step in trajectory.get("steps", ())
            )
            and isinstance(trajectory.get("tools"), list | None)
            and isinstance(trajectory.get("usage", {}), dict)
            and isinstance(trajectory.get("answer"), str | None)
            and isinstance(record["attempt"], int)
        )
    except (TypeError, KeyError, AttributeError):
        return False


def entry_of(record: dict[str, Any], run: str, start: int, length: int) -> Entry:
    problem, trajectory = record["problem"], record["trajectory"]
    steps, usage = trajectory.get("steps", ()), trajectory.get("usage", {})
    seconds = trajectory.get("seconds", 0.0)
    return Entry(
        run=run,
        start=start,
        length=length,
        id=problem["id"],
        attempt=record["attempt"],
        benchmark=problem.get("benchmark") or NO_BENCHMARK,
        question=shortened(problem["question"]),
        answer=None if trajectory.get("answer") is None else shortened(trajectory["answer"]),
        gold=shortened(" / ".join(known(problem["answers"]))),
        outcome=outcome_of(record),
        troubles=frozenset(troubles_of(steps)),
        tools=frozenset(called(trajectory)),
        steps=len(steps),
        tokens=sum(n for n in (usage.get("input_tokens"), usage.get("output_tokens")) if isinstance(n, int)),
        seconds=seconds if isinstance(seconds, int | float) else 0.0,
    )  # fmt: skip


def outcome_of(record: dict[str, Any]) -> Outcome:
    """How a rollout ended."""
    trajectory, score = record["trajectory"], record.get("score")
    if trajectory.get("stop") == "failed":
        return "failed"
    if score is None:
        return "not scored"
    if trajectory.get("stop") == "answered" and score == 1.0:
        return "right"
    answered = trajectory.get("stop") == "answered" and (trajectory.get("answer") or "").strip()
    return "wrong" if answered else "no answer"


def troubles_of(steps: list[dict[str, Any]]) -> Iterator[str]:
    for step in steps:
        if step.get("error") in TROUBLES:
            yield step["error"]
        if step.get("limit"):
            yield "limit"
        if step.get("finish_reason") == "length":
            yield "cut off"


def called(trajectory: dict[str, Any]) -> Iterator[str]:
    """The tools that its code called, of those that it had."""
    own = {step.get("message") for step in trajectory.get("steps", ())}
    said = [m.get("content") for at, m in enumerate(trajectory["messages"]) if at in own]
    text = "\n".join(words for words in said if isinstance(words, str))
    for name in trajectory.get("tools") or ():
        if isinstance(name, str) and re.search(rf"\b{re.escape(name)}\s*\(", text):
            yield name


def shortened(text: str) -> str:
    line = " ".join(text[: 4 * SHORT].split())
    return line if len(line) <= SHORT else line[: SHORT - 1] + "…"
