"""Evaluate a model: run it over benchmarks, and count what was right."""

from __future__ import annotations

from pathlib import Path

from .collect import collect
from .results import Study
from .run import write_json
from .runs import read_run
from .study import study


def evaluate(problems: str, model: str, out: Path, **settings) -> Study:
    """As `collect`, with the student's prompt, and a result per benchmark in `out/results.json`."""
    collect(problems, model, out, verb="evaluate", **settings)
    # The folder knows what was asked for; it may hold more: an earlier call had a larger limit, say.
    made, _ = study([read_run(out)], compared=False)
    write_json(out / "results.json", [result.model_dump() for result in made.results])
    return made
