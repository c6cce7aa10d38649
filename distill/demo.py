"""The whole loop on the pocket world, from problems to a table, on a laptop's CPU.

A simulated teacher solves training problems in three ways; what it got right trains three students of
one tiny base model, which differ in the method alone; each is then measured on problems with names,
numbers and facts that none of them was trained on, and on longer ones than any it was trained on. The
agent student, and an early checkpoint of it, are also measured with self-consistent generation.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from agents import load_model

from .collect import collect
from .evaluate import evaluate
from .filter import filter_rollouts
from .pocket.world import BENCHMARKS, TRAINING
from .report import print_comparisons, print_table, report
from .results import Study
from .rollout import read_rollouts
from .run import write_json
from .solvers import METHODS
from .train import train

BASE = "pocket-base"
EVALUATIONS = ("base", *METHODS, "agent-sag", "early", "early-sag", "teacher")
WORKERS = 64
BASE_PROBLEMS = 100
"""A benchmark, for the base and the teacher: the base gets none right and is the slowest of all, as every run
goes on to its last step; the teacher is a line to compare with."""
AGENT_TOKENS = 112
"""Of an agent's reply at most, base and student alike: the longest right one takes 98."""
SAMPLES, SAMPLED = 8, 40
"""Candidates per step of self-consistent generation, and problems a benchmark that it is measured on."""
EARLY = 0.35
"""Share of the training after which the early checkpoint is taken: it knows how, and errs often."""
RATE, WARMUP = 2e-3, 0.05
"""Ten times the paper's rate: the base has two million parameters, not hundreds of millions."""


def demo(
    out: Path = Path("runs/demo"), *, seed: int = 0, limit: int | None = None, force: bool = False
) -> Study:
    """Everything, resumable; returns what the report shows. limit: problems per set, for a quick look."""
    # Two processes share the cores below; threads that spin while they wait would starve each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    clock: dict[str, float] = {}
    seeds = {"seed": seed, "force": force}
    with _evaluating_base(out, seed, limit, force):
        teacher = load_model("pocket-teacher", seed=seed)
        for method in METHODS:
            with _timed(clock, f"collect {method}"):
                data = out / f"teacher-{method}"
                collect(
                    ",".join(TRAINING),
                    "pocket-teacher",
                    data,
                    method=method,
                    limit=limit,
                    loaded=teacher,
                    **seeds,
                )
                counts = filter_rollouts(data)
                print(
                    f"Teacher, {method}: kept {counts['kept']} of {sum(counts.values())} rollouts.",
                    flush=True,
                )
        for method in METHODS:
            with _timed(clock, f"train {method}"):
                _train_student(out, method, seed)
        with _timed(clock, "evaluate teacher"):
            evaluate(
                ",".join(BENCHMARKS),
                "pocket-teacher",
                out / "eval-teacher",
                limit=min(limit or BASE_PROBLEMS, BASE_PROBLEMS),
                loaded=teacher,
                **seeds,
            )
        few = min(limit or SAMPLED, SAMPLED)
        sag = {"samples": SAMPLES, "sequential": True}
        for name, student, n, settings in (
            *((method, method, limit, {"method": method}) for method in METHODS),
            ("agent-sag", "agent", few, sag),
            ("early", "agent/early", few, {}),
            ("early-sag", "agent/early", few, sag),
        ):
            with _timed(clock, f"evaluate {name}"):
                evaluate(
                    ",".join(BENCHMARKS),
                    str(out / f"student-{student}"),
                    out / f"eval-{name}",
                    max_tokens=AGENT_TOKENS if settings.get("method", "agent") == "agent" else None,
                    workers=WORKERS,
                    limit=n,
                    **{**settings, **seeds},
                )
    found = report(
        [out / f"eval-{name}" for name in EVALUATIONS],
        out,
        teachers=[out / "eval-teacher"],
        title="The demo: one small base, three ways to teach it",
    )
    write_json(out / "clock.json", _speeds(out, clock))
    print()
    print_table(found)
    print_comparisons(found)
    print(
        f"\nThe table, the figure and every rollout: {out / 'report.html'}. Ask the student yourself:"
    )
    print("  " + shlex.join([sys.executable, "app.py", "--model", f"{out}/student-agent"]))
    return found


def _train_student(out: Path, method: str, seed: int) -> None:
    """From where an interrupted demo left it; of the agent's training, the early checkpoint is kept too."""
    student = out / f"student-{method}"
    if (student / "train.json").is_file():
        return
    train(
        [out / f"teacher-{method}"],
        BASE,
        student,
        rate=RATE,
        warmup=WARMUP,
        dropout=0.0,
        early_at=EARLY if method == "agent" else None,
        seed=seed,
    )


@contextmanager
def _evaluating_base(out: Path, seed: int, limit: int | None, force: bool) -> Iterator[None]:
    """Evaluate the undistilled agent beside everything else: it needs nothing of it, and takes its time."""
    words = [
        "evaluate",
        "--benchmark",
        ",".join(BENCHMARKS),
        "--model",
        BASE,
        "--out",
        str((out / "eval-base").resolve()),
    ]
    words += ["--max-tokens", str(AGENT_TOKENS), "--workers", str(WORKERS), "--seed", str(seed)]
    words += ["--limit", str(min(limit or BASE_PROBLEMS, BASE_PROBLEMS))] + ["--force"] * force
    out.mkdir(parents=True, exist_ok=True)
    log = out / "eval-base.log"
    with log.open("w", encoding="utf-8") as lines:
        root = Path(__file__).parent.parent
        base = subprocess.Popen(
            [sys.executable, "-m", "distill", *words], cwd=root, stdout=lines, stderr=lines
        )
    try:
        yield
        print("Waiting for the base agent's evaluation.", flush=True)
        if base.wait():
            raise ValueError(
                f"The base agent's evaluation ended with {base.returncode}: {log.read_text()[-500:].strip()}"
            )
    finally:
        base.terminate()


class _timed:
    def __init__(self, clock: dict[str, float], name: str):
        self.clock, self.name = clock, name

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *_) -> None:
        self.clock[self.name] = round(time.monotonic() - self.start, 1)


def _speeds(out: Path, clock: dict[str, float]) -> dict:
    """Where the time went, and tokens per second of it."""
    run = json.loads((out / "eval-base" / "run.json").read_text(encoding="utf-8"))
    beside = datetime.fromisoformat(run["ended"]) - datetime.fromisoformat(run["started"])
    clock = {**clock, "evaluate base": beside.total_seconds()}
    speeds = {name: {"seconds": seconds} for name, seconds in clock.items()}
    for name in METHODS:
        summary = json.loads((out / f"student-{name}" / "train.json").read_text(encoding="utf-8"))
        speeds[f"train {name}"]["tokens_per_second"] = summary["tokens_per_second"]
    for name in EVALUATIONS:
        usages = [r.trajectory.usage for r in read_rollouts(out / f"eval-{name}")]
        speed, seconds = speeds[f"evaluate {name}"], max(clock[f"evaluate {name}"], 0.1)
        speed["input_tokens_per_second"] = round(sum(u.input_tokens for u in usages) / seconds)
        speed["output_tokens_per_second"] = round(sum(u.output_tokens for u in usages) / seconds)
    return speeds
