"""Evaluate a model: run it over benchmarks, and count what was right."""

from __future__ import annotations

from pathlib import Path

from .collect import collect
from .report import Result, results
from .rollout import read_rollouts
from .run import write_json


def evaluate(problems: str, model: str, out: Path, **settings) -> list[Result]:
    """As `collect`, with the student's prompt, and a result per benchmark in `out/results.json`."""
    collect(problems, model, out, verb="evaluate", **settings)
    found = results(read_rollouts(out))
    write_json(out / "results.json", [result.model_dump() for result in found])
    return found
