"""Evaluate a model: run it over benchmarks, and count what was right."""

from __future__ import annotations

from pathlib import Path

from . import benchmarks
from .collect import collect
from .report import Result, results
from .rollout import read_rollouts
from .run import write_json


def evaluate(problems: str, model: str, out: Path, **settings) -> list[Result]:
    """As `collect`, with the student's prompt, and a result per benchmark in `out/results.json`."""
    collect(problems, model, out, verb="evaluate", **settings)
    source = benchmarks.load(problems, seed=settings.get("seed", 0), limit=settings.get("limit"))
    ids, attempts = {problem.id for problem in source.problems}, settings.get("attempts", 1)
    # A folder may hold more than was asked for now: an earlier call had a larger limit, say.
    found = results(r for r in read_rollouts(out) if r.problem.id in ids and r.attempt < attempts)
    write_json(out / "results.json", [result.model_dump() for result in found])
    return found
