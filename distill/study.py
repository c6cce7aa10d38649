"""Make of runs' folders what a report shows: rows, results, comparisons.

The denominator is what was asked for: each folder says so in `problems.jsonl` and `run.json`. What failed,
never ran or gave nothing is wrong, and counted.
"""

from __future__ import annotations

import gc
import re
import shlex
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.answers import same_words
from agents.vote import grouped, largest

from .compare import compare, pass_at, wilson
from .identity import size
from .problems import Problem, read_problems
from .results import Benchmark, Comparison, Outcome, Result, Row, Study
from .rollout import EXACT, Rollout, read_rollouts
from .scoring import f1, same_mathematics

PROBLEMS = "problems.jsonl"
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
EVERY_PAIR = 8
"""Rows up to which each is compared with each; of more, those of one base or of one label."""


class About(BaseModel):
    """Of `run.json`: what the model is (distill/identity.py)."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: str | None = None
    base: str | None = None
    parameters: int | None = None
    distilled: bool | None = None
    simulated: bool = False


class Asked(BaseModel):
    """Of `run.json`: what the last call asked for."""

    model_config = ConfigDict(extra="ignore", strict=True)

    attempts: int = Field(default=1, ge=1, le=100_000)
    problems: int | None = None


class RunFile(BaseModel):
    """What of `run.json` a report reads."""

    model_config = ConfigDict(extra="ignore", strict=True)

    settings: dict[str, Any] = {}
    about: About = About()
    asked: Asked | None = None
    before: list[dict] = []
    """Other settings it was made with first, where it was gone on with --force."""


@dataclass(frozen=True)
class Run:
    """A folder: what was asked for, and what came of it."""

    folder: Path
    rollouts: list[Rollout]
    asked: list[Problem]
    attempts: int
    file: RunFile


def read_run(folder: Path) -> Run:
    """Raises ValueError where the folder holds no rollouts, or files that were cut or are not ours."""
    folder = Path(folder)
    rollouts = list(read_rollouts(folder))
    file = RunFile()
    if (folder / "run.json").exists():
        try:
            file = RunFile.model_validate_json((folder / "run.json").read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise ValueError(
                f"{folder / 'run.json'} was not written by smoldistill: {where}: {first['msg']}."
            ) from None
    asked = list(dict.fromkeys(r.problem for r in rollouts))
    attempts = max((r.attempt for r in rollouts), default=0) + 1
    if file.asked:
        # What the last call asked for; an earlier one may have asked for more, or for other problems.
        asked = list(read_problems(folder / PROBLEMS))
        attempts = file.asked.attempts
        if file.asked.problems not in (None, len(asked)):
            raise ValueError(
                f"{folder / PROBLEMS} holds {len(asked)} of the {file.asked.problems} problems that were asked for; "
                "evaluate writes it anew."
            )
        there = set(asked)
        rollouts = [r for r in rollouts if r.problem in there and r.attempt < attempts]
    if not asked:
        raise ValueError(f"There is no finished rollout to report in {folder}.")
    return Run(folder, rollouts, asked, attempts, file)


Cells = dict[tuple[str, str], list[Rollout]]
"""The rollouts behind each result, by (row id, benchmark)."""


def study(
    runs: Sequence[Run],
    *,
    title: str = "smoldistill report",
    teachers: Iterable[Path] = (),
    base: tuple[str, ...] = ("pocket-base",),
    compared: bool = True,
) -> tuple[Study, Cells]:
    """All that a report shows, and the rollouts behind each result.

    teachers: folders among the runs that are the teacher's. base: models that were prompted, not distilled,
    where the folder does not say. compared: also test pairs of rows against each other.
    """
    teachers = {Path(folder).resolve() for folder in teachers}
    parts: dict[tuple, list[Part]] = defaultdict(list)
    for run in runs:
        for part in _parts(run, base, run.folder.resolve() in teachers):
            parts[part.key].append(part)
    rows = _rows(parts)
    results, cells = [], {}
    scores: dict[str, dict[str, dict[tuple[str, str], float]]] = {}
    for row, group in zip(rows, parts.values(), strict=True):
        scores[row.id] = {}
        for benchmark in dict.fromkeys(name for part in group for name in part.asked):
            there = [part for part in group if benchmark in part.asked]
            result, scores[row.id][benchmark] = _result(row, benchmark, there)
            results.append(result)
            cells[row.id, benchmark] = [r for part in there for r in part.rollouts[benchmark]]
    of_rows = {row.id: group for row, group in zip(rows, parts.values(), strict=True)}
    rows, results = _sorted(rows, results)
    comparisons = _compared(rows, scores) if compared else []
    notes = _notes(runs, rows, results, of_rows, scores)
    return (
        Study(
            title=title,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            command=shlex.join(["python", "-m", "distill", *sys.argv[1:]])
            if "distill" in sys.argv[0]
            else "",
            benchmarks=_benchmarks(runs),
            rows=rows,
            results=results,
            comparisons=comparisons,
            notes=notes,
        ),
        cells,
    )


def outcome_of(rollout: Rollout) -> Outcome:
    """How a rollout ended; only the first is a point."""
    trajectory = rollout.trajectory
    if trajectory.stop == "failed":
        return "failed"
    if rollout.score is None:
        return "undecided"
    if trajectory.stop == "answered":
        if rollout.score == 1.0:
            return "right"
        empty = not (trajectory.answer or "").strip() or trajectory.answer == "None"
        return "none" if empty else "wrong"
    last = trajectory.steps[-1] if trajectory.steps else None
    if last and last.error in ("parsing", "execution"):
        return last.error
    return "limit" if last and last.limit else "steps"


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


def _parts(run: Run, base: tuple[str, ...], teacher: bool) -> list[Part]:
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


def _rows(parts: Mapping[tuple, list[Part]]) -> list[Row]:
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
    for same in _groups(range(len(rows)), key=lambda i: (rows[i].label, rows[i].name)):
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


def _result(
    row: Row, benchmark: str, parts: Sequence[Part]
) -> tuple[Result, dict[tuple[str, str], float]]:
    """The result, and each problem's score."""
    rollouts = [r for part in parts for r in part.rollouts[benchmark]]
    expected = sum(len(part.asked[benchmark]) * part.attempts for part in parts)
    accuracies, points = [], defaultdict(list)
    for part in parts:
        got: dict[str, float] = defaultdict(float)
        for rollout in part.rollouts[benchmark]:
            got[_identity(rollout.problem)] += outcome_of(rollout) == "right"
        own = {_identity(p): got[_identity(p)] / part.attempts for p in part.asked[benchmark]}
        accuracies.append(sum(own.values()) / len(own))
        for problem, score in own.items():
            points[problem].append(score)
    scores = {problem: sum(own) / len(own) for problem, own in points.items()}
    n = len(scores)
    right = sum(scores.values())
    low, high = wilson(right, n)
    outcomes = Counter(outcome_of(r) for r in rollouts)
    outcomes["missing"] = expected - len(rollouts)
    stops = Counter(r.trajectory.stop for r in rollouts)
    votes = [s.votes for r in rollouts for s in r.trajectory.steps if s.votes]
    attempts = min(part.attempts for part in parts)
    return (
        Result(
            row=row.id,
            benchmark=benchmark,
            method=row.method,
            model=row.model,
            samples=row.samples,
            temperature=row.temperature,
            scorer=", ".join(sorted({r.scorer for r in rollouts})) or EXACT,
            n=n,
            attempts=attempts,
            accuracy=right / n,
            low=low,
            high=high,
            outcomes={name: count for name, count in outcomes.items() if count},
            answered=stops["answered"],
            max_steps=stops["max_steps"],
            failed=stops["failed"],
            missing=outcomes["missing"],
            **_of_words(parts, benchmark),
            **(_of_attempts(parts, benchmark, attempts) if attempts > 1 else {}),
            accuracies=tuple(accuracies) if len(parts) > 1 else (),
            spread=statistics.stdev(accuracies) if len(parts) > 1 else None,
            input_tokens=sum(r.trajectory.usage.input_tokens for r in rollouts),
            output_tokens=sum(r.trajectory.usage.output_tokens for r in rollouts),
            seconds=round(sum(r.trajectory.seconds for r in rollouts), 1),
            limits=Counter(
                limit
                for r in rollouts
                for limit in {s.limit for s in r.trajectory.steps if s.limit}
            ),
            agreement=round(sum(v.agreement for v in votes) / len(votes), 4) if votes else None,
            sampled=round(sum(v.sampled for v in votes) / len(votes), 2) if votes else None,
        ),
        scores,
    )


def _of_words(parts: Sequence[Part], benchmark: str) -> dict[str, float]:
    """Of the factual problems, where there are any."""
    expected = sum(
        p.kind == "factual"
        for part in parts
        for p in part.asked[benchmark]
        for _ in range(part.attempts)
    )
    exact = shared = 0.0
    for rollout in (r for part in parts for r in part.rollouts[benchmark]):
        if rollout.problem.kind != "factual":
            continue
        if rollout.trajectory.stop == "answered" and (answer := rollout.trajectory.answer):
            exact += any(same_words(gold, answer) for gold in rollout.problem.answers)
            shared += f1(rollout.problem, answer)
    return {"exact_match": exact / expected, "f1": shared / expected} if expected else {}


def _of_attempts(
    parts: Sequence[Part], benchmark: str, attempts: int
) -> dict[str, dict[int, float]]:
    """pass@k and majority@k for k = 1, 2, 4, … and all attempts."""
    ks = sorted({attempts, *(2**i for i in range(attempts.bit_length()) if 2**i <= attempts)})
    passed: dict[int, list[float]] = {k: [] for k in ks}
    voted: dict[int, list[float]] = {k: [] for k in ks}
    for part in parts:
        tries: dict[str, list[Rollout]] = defaultdict(list)
        for rollout in part.rollouts[benchmark]:
            tries[rollout.problem.id].append(rollout)
        for problem in part.asked[benchmark]:
            own = sorted(tries[problem.id], key=lambda r: r.attempt)
            right = sum(outcome_of(r) == "right" for r in own)
            for k in ks:
                passed[k].append(pass_at(right, part.attempts, k))
                voted[k].append(_majority_is_right([r for r in own if r.attempt < k], problem))
    return {
        "pass_at": {k: sum(of) / len(of) for k, of in passed.items()},
        "majority_at": {k: sum(of) / len(of) for k, of in voted.items()},
    }


def _majority_is_right(rollouts: Sequence[Rollout], problem: Problem) -> bool:
    same = same_mathematics if problem.kind == "math" else same_words
    answered = [r for r in rollouts if r.trajectory.stop == "answered" and r.trajectory.answer]
    groups = grouped(answered, lambda a, b: same(a.trajectory.answer, b.trajectory.answer))
    return bool(groups) and outcome_of(largest(groups)[0]) == "right"


def _compared(
    rows: Sequence[Row], scores: Mapping[str, Mapping[str, Mapping[tuple[str, str], float]]]
) -> list[Comparison]:
    found = []
    gc.freeze()  # statsmodels collects garbage at each correction: over many rollouts, a second each
    try:
        for one, other in combinations(rows, 2):
            if len(rows) > EVERY_PAIR and one.base != other.base and one.label != other.label:
                continue
            both = [name for name in scores[one.id] if name in scores[other.id]]
            found += compare(
                one.id,
                other.id,
                {name: (scores[one.id][name], scores[other.id][name]) for name in both},
            )
    finally:
        gc.unfreeze()
    return found


def _sorted(rows: list[Row], results: list[Result]) -> tuple[list[Row], list[Result]]:
    """The teacher first, then by size, by method, by samples; results by benchmark, as they were asked for."""
    order = [*(f"{name}{PROMPTED}" for name in METHODS), *METHODS]

    def place(row: Row) -> tuple:
        method = order.index(row.method) if row.method in order else len(order)
        return (
            not row.teacher,
            row.parameters or 0,
            row.base,
            method,
            row.name,
            row.samples,
            row.label,
        )

    rows = sorted(rows, key=place)
    at = {row.id: i for i, row in enumerate(rows)}
    names = list(dict.fromkeys(result.benchmark for result in results))
    return rows, sorted(results, key=lambda r: (names.index(r.benchmark), at[r.row]))


def _benchmarks(runs: Sequence[Run]) -> list[Benchmark]:
    asked: dict[str, list[Problem]] = {}
    for run in runs:
        for name, own in _groups_by(run.asked, lambda p: p.key[0]).items():
            if len(own) > len(asked.get(name, ())):
                asked[name] = own
    return [Benchmark(name=name, kind=own[0].kind, n=len(own)) for name, own in asked.items()]


def _notes(
    runs: Sequence[Run],
    rows: Sequence[Row],
    results: Sequence[Result],
    parts: Mapping[str, Sequence[Part]],
    scores: Mapping[str, Mapping[str, Mapping[tuple[str, str], float]]],
) -> list[str]:
    """What a reader would otherwise be misled about. parts, scores: by row id."""
    notes = []
    if any(row.simulated for row in rows):
        notes.append("Outcomes are simulated: drawn from a random generator. No model was run.")
    for row in rows:
        own = [r for r in results if r.row == row.id]
        where = f"{row.name}, {row.label}"
        if missing := {r.benchmark: r.missing for r in own if r.missing}:
            notes.append(
                f"{where}: rollouts that were never run ({_counted(missing)}) count as wrong; calling evaluate again "
                "runs them."
            )
        undecided = {r.benchmark: n for r in own if (n := r.outcomes.get("undecided"))}
        if undecided:
            notes.append(
                f"{where}: what the judge could not decide ({_counted(undecided)}) counts as wrong; calling score again "
                "asks again."
            )
        if len(parts[row.id]) > 1 and any(len(r.accuracies) > 1 for r in own):
            notes += [f"{where}: {told}" for told in _repeated(parts[row.id])]
    for run in runs:
        changed = sorted(
            {
                name
                for old in run.file.before
                for name in {*old, *run.file.settings}
                if old.get(name) != run.file.settings.get(name)
            }
        )
        if changed:
            notes.append(
                f"{run.folder} was gone on with other settings ({', '.join(changed)}) by --force: what it holds may "
                "be of several."
            )
    for benchmark, own in _groups_by(results, lambda r: r.benchmark).items():
        scorers = sorted({r.scorer for r in own})
        if scorers != [EXACT]:
            mixed = (
                "; rows that were scored in different ways do not compare"
                if len(scorers) > 1
                else ""
            )
            notes.append(f"{benchmark} was scored by {' and by '.join(scorers)}{mixed}.")
        sets = [scores[r.row][benchmark].keys() for r in own]
        if any(one != sets[0] for one in sets):
            ids = [{i for i, _ in one} for one in sets]
            alike = any(
                ids[i] & ids[j] and not sets[i] & sets[j]
                for i in range(len(sets))
                for j in range(i)
            )
            notes.append(
                f"{benchmark}: rows were run on different problems ({min(map(len, sets))} to {max(map(len, sets))}"
                f"{', of which some have the same ids and other questions' if alike else ''}); comparisons take only "
                "those that both rows have."
            )
    return notes


def _repeated(parts: Sequence[Part]) -> list[str]:
    """What is odd about runs that are taken for repetitions of one another."""
    told = []
    models = sorted({part.model for part in parts})
    if len(models) > 1:
        told.append(
            f"its repetitions are of {len(models)} models, {', '.join(map(printable, models))}."
        )
    for name in dict.fromkeys(name for part in parts for name in part.asked):
        there = [part for part in parts if name in part.asked]
        if len({frozenset(map(_identity, part.asked[name])) for part in there}) > 1:
            told.append(f"its repetitions were run on different problems of {name}.")
        seeds = [(part.model, part.seed) for part in there]
        if len(set(seeds)) < len(seeds):
            told.append(f"some of its repetitions on {name} have the same seed.")
    return told


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {name}" for name, count in counts.items())


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


def _groups(items: Iterable, key) -> list[list]:
    return list(_groups_by(items, key).values())


def _groups_by(items: Iterable, key) -> dict:
    found = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def _identity(problem: Problem) -> tuple[str, str]:
    """What makes two rows' problems one: files may number different questions alike."""
    return problem.id, problem.question


def printable(name: str) -> str:
    """Without what would move the cursor of a terminal, or end a line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
