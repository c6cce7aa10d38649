"""What a reader of a report would otherwise be misled about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from .contamination import FILE as CONTAMINATION
from .results import Result, Row
from .rollout import EXACT
from .rows import Part, by, printable
from .runs import Run


def notes(
    runs: Sequence[Run],
    rows: Sequence[Row],
    results: Sequence[Result],
    parts: Mapping[str, Sequence[Part]],
    scores: Mapping[str, Mapping[str, Mapping[tuple[str, str], float]]],
) -> list[str]:
    """What a reader would otherwise be misled about. parts, scores: by row id."""
    told = []
    if any(row.simulated for row in rows):
        told.append("Outcomes are simulated: drawn from a random generator. No model was run.")
    for row in rows:
        own = [r for r in results if r.row == row.id]
        where = f"{row.name}, {row.label}"
        if missing := {r.benchmark: r.missing for r in own if r.missing}:
            told.append(
                f"{where}: rollouts that were never run ({_counted(missing)}) count as wrong; calling evaluate again "
                "runs them. With more than one in a hundred missing, the row is not compared on that benchmark."
            )
        undecided = {r.benchmark: n for r in own if (n := r.outcomes.get("undecided"))}
        if undecided:
            told.append(
                f"{where}: what the judge could not decide ({_counted(undecided)}) counts as wrong; calling score again "
                "asks again."
            )
        stood = _contaminated(row, own)
        if stood:
            notes_of = (
                f"{where}: training problems that stand in a benchmark to the word were trained on"
            )
            told.append(f"{notes_of} ({_counted(stood)}).")
        if len(parts[row.id]) > 1 and any(len(r.accuracies) > 1 for r in own):
            told += [f"{where}: {odd}" for odd in _repeated(parts[row.id])]
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
            told.append(
                f"{run.folder} was gone on with other settings ({', '.join(changed)}) by --force: what it holds may "
                "be of several."
            )
    unequal: dict[str, list[str]] = {}
    for benchmark, own in by(results, lambda r: r.benchmark).items():
        scorers = sorted({r.scorer for r in own})
        if scorers != [EXACT]:
            mixed = (
                "; rows that were scored in different ways do not compare"
                if len(scorers) > 1
                else ""
            )
            told.append(f"{benchmark} was scored by {' and by '.join(scorers)}{mixed}.")
        sets = [scores[r.row][benchmark].keys() for r in own]
        if any(one != sets[0] for one in sets):
            ids = [{i for i, _ in one} for one in sets]
            pairs = combinations(range(len(sets)), 2)
            alike = any(ids[i] & ids[j] and not sets[i] & sets[j] for i, j in pairs)
            sizes = f"{min(map(len, sets))} to {max(map(len, sets))}"
            also = ", of which some have the same ids and other questions" if alike else ""
            unequal.setdefault(f"({sizes}{also})", []).append(benchmark)
    for how, benchmarks in unequal.items():
        told.append(
            f"{', '.join(benchmarks)}: rows were run on different problems {how}; comparisons take only those that "
            "both rows have."
        )
    return told


def _contaminated(row: Row, results: Sequence[Result]) -> dict[str, int]:
    """By benchmark, training problems of a student trained here that stand in it to the word."""
    folder = Path(row.model)
    try:
        if json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"][
            "drop_contaminated"
        ]:
            return {}
        found = json.loads((folder / CONTAMINATION).read_text(encoding="utf-8"))["rows"]
        exact = {f"{one['benchmark']}": int(one["exact"]) for one in found if one["exact"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # not trained here, or not by this version
    return {name: n for name, n in exact.items() if name in {r.benchmark for r in results}}


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
        seeds = [(part.model, part.seed) for part in there]
        if len(set(seeds)) < len(seeds):
            told.append(f"some of its repetitions on {name} have the same seed.")
    return told


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {name}" for name, count in counts.items())
