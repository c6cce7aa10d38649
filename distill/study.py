"""Make of runs' folders what a report shows: rows, results, comparisons.

The denominator is what was asked for: each folder says so in `problems.jsonl` and `run.json`. What failed,
never ran or gave nothing is wrong, and counted.
"""

from __future__ import annotations

import gc
import random
import shlex
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from math import comb
from pathlib import Path

from agents.answers import same_words
from agents.vote import grouped, largest

from .compare import compare, pass_at, wilson
from .curves import curves
from .notes import notes
from .problems import Problem
from .results import Benchmark, Comparison, Result, Row, Study
from .rollout import EXACT, Rollout
from .rows import Part, apart, by, identity_of, make_rows, order, parts_of
from .runs import Run, outcome_of
from .scoring import f1, same_mathematics

EVERY_PAIR = 8
"""Rows up to which each is compared with each; of more, those of one base or of one label, and the teacher."""
UNFINISHED = 0.01
"""Share of rollouts that were never run, above which a row is not compared on that benchmark."""
SUBSETS = 200
"""Choices of k attempts that majority@k is averaged over, at most."""


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
        for part in parts_of(run, base, run.folder.resolve() in teachers):
            parts[part.key].append(part)
    parts = apart(parts)
    rows = make_rows(parts)
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
    rows = sorted(rows, key=order)
    at = {row.id: i for i, row in enumerate(rows)}
    names = list(dict.fromkeys(result.benchmark for result in results))
    results.sort(key=lambda r: (names.index(r.benchmark), at[r.row]))
    comparisons = _compared(rows, results, scores) if compared else []
    models = {id: list(dict.fromkeys(p.model for p in group)) for id, group in of_rows.items()}
    losses, unread = curves(rows, models)
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
            curves=losses,
            notes=notes(runs, rows, results, of_rows, scores) + unread,
        ),
        cells,
    )


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
            got[identity_of(rollout.problem)] += outcome_of(rollout) == "right"
        own = {identity_of(p): got[identity_of(p)] / part.attempts for p in part.asked[benchmark]}
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
                voted[k].append(_majority(own, problem, part.attempts, k))
    return {
        "pass_at": {k: sum(of) / len(of) for k, of in passed.items()},
        "majority_at": {k: sum(of) / len(of) for k, of in voted.items()},
    }


def _majority(own: Sequence[Rollout], problem: Problem, attempts: int, k: int) -> float:
    """How often k of the attempts have a majority that is right: of all choices of k, or of `SUBSETS` drawn."""
    if comb(attempts, k) <= SUBSETS:
        chosen = list(combinations(range(attempts), k))
    else:
        draw = random.Random(k)
        chosen = [draw.sample(range(attempts), k) for _ in range(SUBSETS)]
    there = {r.attempt: r for r in own}
    right = [
        _majority_is_right([there[i] for i in sorted(some) if i in there], problem)
        for some in chosen
    ]
    return sum(right) / len(right)


def _majority_is_right(rollouts: Sequence[Rollout], problem: Problem) -> bool:
    same = same_mathematics if problem.kind == "math" else same_words
    answered = [r for r in rollouts if r.trajectory.stop == "answered" and r.trajectory.answer]
    groups = grouped(answered, lambda a, b: same(a.trajectory.answer, b.trajectory.answer))
    return bool(groups) and outcome_of(largest(groups)[0]) == "right"


def _unfinished(results: Iterable[Result]) -> set[tuple[str, str]]:
    """Rows on benchmarks of which too much was never run: what was not tried is not worse."""
    return {
        (r.row, r.benchmark) for r in results if r.missing > UNFINISHED * sum(r.outcomes.values())
    }


def _compared(
    rows: Sequence[Row],
    results: Sequence[Result],
    scores: Mapping[str, Mapping[str, Mapping[tuple[str, str], float]]],
) -> list[Comparison]:
    found = []
    unfinished = _unfinished(results)
    gc.freeze()  # statsmodels collects garbage at each correction: over many rollouts, a second each
    try:
        for one, other in combinations(rows, 2):
            related = (
                one.base == other.base or one.label == other.label or one.teacher or other.teacher
            )
            if len(rows) > EVERY_PAIR and not related:
                continue
            both = [
                name
                for name in scores[one.id]
                if name in scores[other.id] and not {(one.id, name), (other.id, name)} & unfinished
            ]
            found += compare(
                one.id,
                other.id,
                {name: (scores[one.id][name], scores[other.id][name]) for name in both},
            )
    finally:
        gc.unfreeze()
    return found


def _benchmarks(runs: Sequence[Run]) -> list[Benchmark]:
    asked: dict[str, list[Problem]] = {}
    for run in runs:
        for name, own in by(run.asked, lambda p: p.key[0]).items():
            if len(own) > len(asked.get(name, ())):
                asked[name] = own
    return [Benchmark(name=name, kind=own[0].kind, n=len(own)) for name, own in asked.items()]
