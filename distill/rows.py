"""Sort runs' rollouts into rows: the ways of answering that a report compares."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from .identity import size
from .problems import Problem
from .results import Row
from .rollout import EXACT, Rollout
from .runs import About, Run

T = TypeVar("T")
METHODS = {"cot": "CoT", "cot_rag": "CoT + RAG", "agent": "agent"}
PROMPTED = "_prompted"
LABELS = METHODS | {name + PROMPTED: f"base {label} (prompted)" for name, label in METHODS.items()}
APART = (
    "verb",
    "problems",
    "model",
    "method",
    "samples",
    "temperature",
    "seed",
    "index",
    "first_thought",
)
"""Settings that a row shows in another place, or that do not change what it is."""


def label(method: str, samples: int = 1, temperature: float | None = None) -> str:
    """What a row is called: the method, and how it chooses among candidates."""
    name = LABELS.get(method, method)
    warmth = "" if temperature is None else f"T={temperature:g}"
    if samples == 1:
        return f"{name} ({warmth})" if warmth else name
    vote = "sag" if method.startswith("agent") else "majority"
    return f"{name} + {vote} ({', '.join(filter(None, (f'N={samples}', warmth)))})"


@dataclass(frozen=True)
class Part:
    """What one folder adds to one row."""

    key: tuple
    folder: Path
    method: str
    model: str
    name: str
    base: str
    about: About
    samples: int
    temperature: float | None
    first_thought: str | None
    settings: dict
    teacher: bool
    asked: dict[str, list[Problem]]
    rollouts: dict[str, list[Rollout]]
    attempts: int
    seed: int | None


def parts_of(run: Run, base: tuple[str, ...], teacher: bool) -> list[Part]:
    """A folder's rollouts by the way they were made: one, unless it was forced on with other settings."""
    asked: dict[str, list[Problem]] = defaultdict(list)
    for problem in run.asked:
        asked[problem.key[0]].append(problem)
    groups: dict[tuple, list[Rollout]] = defaultdict(list)
    for rollout in run.rollouts:
        t = rollout.trajectory
        groups[t.method, t.model, t.samples, t.temperature, t.first_thought].append(rollout)
    s, about = run.file.settings, run.file.about
    if not groups:  # killed before the first was written
        groups[
            s.get("method", "agent"),
            s.get("model", "?"),
            s.get("samples", 1),
            s.get("temperature"),
            None,
        ] = []
    settings = {
        name: str(value)
        for name, value in s.items()
        if name not in APART and value not in (None, "", False)
    }
    found = []
    for (method, model, samples, temperature, thought), rollouts in groups.items():
        if len(groups) == 1 and not any(
            old.get("model") != s.get("model") for old in run.file.before
        ):
            model = str(s.get("model") or model)  # with its address
        is_teacher = teacher or model == "pocket-teacher"
        prompted = about.distilled is False or (about.distilled is None and model in base)
        if prompted and not is_teacher:
            method += PROMPTED
        by_benchmark: dict[str, list[Rollout]] = {name: [] for name in asked}
        for rollout in rollouts:
            by_benchmark[rollout.problem.key[0]].append(rollout)
        scorers = sorted({r.scorer for r in rollouts})
        own = settings | ({"scorer": ", ".join(scorers)} if scorers not in ([], [EXACT]) else {})
        name = printable(about.name or model)
        base_name = _last_part(about.base or model)
        key = (method, name, base_name, samples, temperature, thought, tuple(sorted(own.items())))
        found.append(
            Part(
                key,
                run.folder,
                method,
                model,
                name,
                base_name,
                about,
                samples,
                temperature,
                thought,
                own,
                is_teacher,
                dict(asked),
                by_benchmark,
                run.attempts,
                s.get("seed"),
            )
        )
    return found


def apart(parts: Mapping[tuple, list[Part]]) -> dict[tuple, list[Part]]:
    """Only runs of the same problems are repetitions of one another; others become rows of their own."""
    found: dict[tuple, list[Part]] = {}
    for key, group in parts.items():
        groups: list[list[Part]] = []
        for part in group:
            for own in groups:
                if all(_same_problems(part, other) for other in own):
                    own.append(part)
                    break
            else:
                groups.append([part])
        for own in groups:
            if len(groups) > 1:
                folder = str(own[0].folder)
                own = [replace(part, settings=part.settings | {"run": folder}) for part in own]
                found[(*key, folder)] = own
            else:
                found[key] = own
    return found


def _same_problems(one: Part, other: Part) -> bool:
    return all(
        set(map(identity_of, one.asked[name])) == set(map(identity_of, other.asked[name]))
        for name in one.asked.keys() & other.asked.keys()
    )


def make_rows(parts: Mapping[tuple, list[Part]]) -> list[Row]:
    groups = list(parts.values())
    names = _short([group[0].name for group in groups])
    rows = []
    for i, (group, name) in enumerate(zip(groups, names, strict=True)):
        part = group[0]
        rows.append(
            Row(
                id=f"r{i}",
                label=label(part.method, part.samples, part.temperature)
                + (" (teacher)" if part.teacher else ""),
                name=name,
                method=part.method,
                model=printable(part.model),
                base=printable(part.base),
                parameters=part.about.parameters or size(part.base),
                samples=part.samples,
                temperature=part.temperature,
                runs=tuple(dict.fromkeys(str(p.folder) for p in group)),
                teacher=part.teacher,
                simulated=part.about.simulated,
            )
        )
    # Rows that would be called the same say what tells them apart.
    for same in by(range(len(rows)), lambda i: (rows[i].label, rows[i].name)).values():
        every = [
            groups[i][0].settings | {"first_thought": str(groups[i][0].first_thought)} for i in same
        ]
        apart = sorted({n for s in every for n in s if len({one.get(n) for one in every}) > 1})
        for i, settings in zip(same, every, strict=True):
            told = {name: settings.get(name, "not set") for name in apart}
            more = ", ".join(f"{name}={value}" for name, value in told.items())
            rows[i] = rows[i].model_copy(
                update={"settings": told, "label": rows[i].label + (f" [{more}]" if more else "")}
            )
    return rows


def order(row: Row) -> tuple:
    """For sorting: the teacher first, then by size, by method, by samples."""
    methods = [*(f"{name}{PROMPTED}" for name in METHODS), *METHODS]
    method = methods.index(row.method) if row.method in methods else len(methods)
    size = row.parameters or 0
    return (not row.teacher, size, row.base, method, row.name, row.samples, row.label)


def _short(names: Sequence[str]) -> list[str]:
    """Names cut to the fewest last parts that still tell different ones apart."""
    for parts in range(1, max(len(_path(name)) for name in names) + 1):
        short = ["/".join(_path(name)[-parts:]) for name in names]
        if len(set(short)) == len(set(names)):
            return short
    return list(names)


def _path(name: str) -> list[str]:
    return [part for part in re.split(r"[/#]", name) if part] or [name]


def _last_part(name: str) -> str:
    return _path(name)[-1]


def printable(name: str) -> str:
    """Without what would move the cursor of a terminal, or end a line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def identity_of(problem: Problem) -> tuple[str, str]:
    """What makes two rows' problems one: files may number different questions alike."""
    return problem.id, problem.question


def by(items: Iterable[T], key: Callable[[T], Hashable]) -> dict:
    """The items in lists, by their key."""
    found: dict[Hashable, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found
