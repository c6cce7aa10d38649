"""The losses of a report's students while they were trained, read from `metrics.jsonl` in their folders."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.models import POCKET

from .results import Curve, Row

METRICS = "metrics.jsonl"
EARLY = "early"
POINTS = 240
"""Points of a line at most: more than a figure has room for, few enough for a page."""
AROUND = 20
"""A step's loss is smoothed over the steps within the AROUNDth part of them all, before and after it."""


class Line(BaseModel):
    """A line of `metrics.jsonl`: a step, or an evaluation after it. Bounds keep numbers that no training has out."""

    model_config = ConfigDict(extra="ignore", strict=True)

    step: int = Field(ge=0, le=10**12)
    loss: float | None = Field(None, ge=0, le=1e9)
    validation: float | None = Field(None, ge=0, le=1e9)
    trained: float | None = Field(None, ge=0, le=1e12)
    skipped: bool = False


@dataclass
class Student:
    """A training, and the rows of what came of it."""

    lines: list[Line]
    folders: list[Path] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    early: list[Row] = field(default_factory=list)
    """Those of `rows` that answer with the early checkpoint."""


def curves(
    rows: Sequence[Row], models: Mapping[str, Sequence[str]]
) -> tuple[list[Curve], list[str]]:
    """A curve for each student among the models, and a note for each file that could not be read to its end.

    models: those of each row, by its id. Copies of a file are of one student: its early checkpoint, and what it was
    merged into, share its curve.
    """
    students: dict[bytes, Student] = {}
    notes = []
    for row in rows:
        for model in models.get(row.id, ()):
            folder, early = trained_in(model)
            if folder is None:
                continue
            try:
                content = (folder / METRICS).read_bytes()
            except OSError as error:
                notes.append(f"{folder / METRICS} cannot be read ({error.strerror}).")
                continue
            if content not in students:
                lines, note = read_lines(content)
                students[content] = Student(lines)
                notes += [f"{folder / METRICS}: {note}"] if note else []
            student = students[content]
            student.folders.append(folder)
            if row not in student.rows:
                student.rows.append(row)
                student.early += [row] if early else []
    for student in students.values():
        student.rows.sort(key=lambda row: row in student.early)
    found = [s for s in students.values() if any(line.loss is not None for line in s.lines)]
    known = all(
        line.trained is not None for s in found for line in s.lines if line.loss is not None
    )
    labels = _labels(found)
    where = _tokens if known else _steps
    return [_curve(s, label, where) for s, label in zip(found, labels, strict=True)], notes


def trained_in(model: str) -> tuple[Path | None, bool]:
    """The folder with the metrics of the training that a model is of, and whether it is its early checkpoint."""
    folder = POCKET.get(model, Path(model))
    try:
        if (folder / METRICS).is_file():
            return folder, False
        if folder.name == EARLY and (folder.parent / METRICS).is_file():
            return folder.parent, True
    except OSError:  # a name that no file can have, or a folder that is closed
        pass
    return None, False


def read_lines(content: bytes) -> tuple[list[Line], str | None]:
    """The lines up to the first that is cut or not of a training, and what to say of that."""
    lines: list[Line] = []
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = Line.model_validate_json(text)
        except ValidationError:
            line = None
        if line is None or (lines and line.step < lines[-1].step):
            if any(one.loss is not None for one in lines):
                return lines, f"line {number} is cut or not of a training; the curve ends there."
            break
        lines.append(line)
    if any(line.loss is not None for line in lines):
        return lines, None
    return [], "it holds no losses of a training; no curve is shown of it."


def early_step(folders: Sequence[Path]) -> int | None:
    """After which step the early checkpoint was taken, by what `train` wrote into one of the folders."""
    for folder in folders:
        try:
            asked = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]
            done = json.loads((folder / "train.json").read_text(encoding="utf-8"))
            steps = done["steps"]
            if asked.get("patience"):  # it may have stopped before the last step
                steps = math.ceil(
                    asked["epochs"] * math.ceil(done["samples"] / asked["batch_size"])
                )
            return math.ceil(asked["early_at"] * steps)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
            continue
    return None


def _tokens(lines: Sequence[Line]) -> list[float]:
    """How many tokens were trained on by the end of each line's step."""
    total, found = 0.0, []
    for line in lines:
        total += line.trained or 0.0
        found.append(round(total))
    return found


def _steps(lines: Sequence[Line]) -> list[float]:
    return [line.step for line in lines]


def _curve(student: Student, label: str, where: Callable) -> Curve:
    lines, at = student.lines, where(student.lines)
    points = [(x, line.loss) for x, line in zip(at, lines, strict=True) if line.loss is not None]
    weights = [line.trained if where is _tokens else 1.0 for line in lines if line.loss is not None]
    step = early_step(student.folders) if student.early else None
    reached = [x for x, line in zip(at, lines, strict=True) if line.step <= (step or 0)]
    return Curve(
        label=label,
        rows=tuple(row.id for row in student.rows),
        unit="tokens" if where is _tokens else "steps",
        steps=lines[-1].step,
        loss=_rounded(_envelope(points)),
        smooth=_rounded(_thinned(_smoothed(points, weights))),
        validation=_rounded(
            (x, v) for x, line in zip(at, lines, strict=True) if (v := line.validation) is not None
        ),
        skipped=tuple(x for x, line in zip(at, lines, strict=True) if line.skipped),
        early=reached[-1] if step and reached and step <= lines[-1].step else None,
    )


def _smoothed(points: Sequence[tuple], weights: Sequence[float]) -> list[tuple]:
    """Means over the neighbours, by tokens; the first points have as few before as after them, since a loss
    falls steeply there."""
    reach = len(points) // AROUND
    if not reach:
        return list(points)
    weight = [0.0, *accumulate(weights)]
    total = [0.0, *accumulate(y * w for (_, y), w in zip(points, weights, strict=True))]
    found = []
    for i, (x, loss) in enumerate(points):
        first, last = i - min(i, reach), min(len(points), i + min(i, reach) + 1)
        inside = weight[last] - weight[first]
        found.append((x, (total[last] - total[first]) / inside if inside else loss))
    return found


def _thinned(points: Sequence[tuple]) -> list[tuple]:
    """At even distances, the last among them."""
    every = math.ceil(len(points) / POINTS)
    return list(points[::-1][::every][::-1])


def _envelope(points: Sequence[tuple]) -> list[tuple]:
    """Of every few neighbours the lowest and the highest, so that no peak is lost."""
    if len(points) <= POINTS:
        return list(points)
    few = math.ceil(len(points) / (POINTS // 2))
    groups = [points[i : i + few] for i in range(0, len(points), few)]
    both = [{min(g, key=lambda p: p[1]), max(g, key=lambda p: p[1])} for g in groups]
    return [point for ends in both for point in sorted(ends)]


def _rounded(points) -> tuple[tuple[float, float], ...]:
    return tuple((x, float(f"{y:.4g}")) for x, y in points)


def _labels(students: Sequence[Student]) -> list[str]:
    """The labels of a student's rows; with its name where another has one of them, its place where that tells none."""
    own = [list(dict.fromkeys(row.label for row in s.rows)) for s in students]
    often = Counter(label for labels in own for label in labels)
    told = [
        ", ".join(labels) + (f" · {s.rows[0].name}" if max(map(often.get, labels)) > 1 else "")
        for s, labels in zip(students, own, strict=True)
    ]
    often = Counter(told)
    return [f"{label} ({i + 1})" if often[label] > 1 else label for i, label in enumerate(told)]
