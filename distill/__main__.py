"""`python -m distill VERB`: the pipeline's command line."""

from __future__ import annotations

import logging

from .verbs import app, machine, problems, publish, rollouts, running, serve, students, tool

__all__ = [
    "app",
    "machine",
    "problems",
    "publish",
    "rollouts",
    "running",
    "serve",
    "students",
    "tool",
]
ORDER = (
    *(
        "demo",
        "collect",
        "import",
        "filter",
        "train",
        "evaluate",
        "score",
        "report",
        "merge",
        "export",
        "serve",
        "publish",
    ),
    *("benchmarks", "gold", "contamination", "index", "search", "doctor"),
)
app.registered_commands.sort(key=lambda command: ORDER.index(command.name))

if __name__ == "__main__":
    ours = logging.getLogger("agents")  # says how code is confined; other libraries say too much
    ours.addHandler(logging.StreamHandler())
    ours.setLevel(logging.INFO)
    app(prog_name="python -m distill")
