"""The whole loop on the pocket world, from problems to a table, on a laptop's CPU.

A simulated teacher solves training problems in three ways; what it got right trains three students of
one tiny base model, which differ in the method alone; each is then measured on problems with names,
numbers and facts that none of them was trained on, and on longer ones than any it was trained on.
"""

from __future__ import annotations

import time
from pathlib import Path

from agents import load_model

from .collect import collect
from .evaluate import evaluate
from .filter import filter_rollouts
from .pocket.world import BENCHMARKS, TRAINING
from .report import Result, print_table, report
from .rollout import read_rollouts
from .run import write_json
from .train import WEIGHTS, read_summary, train

BASE = "pocket-base"
AGENT_TOKENS = 112
"""Of an agent's reply at most, base and student alike: the longest right one takes 98."""
RATE, WARMUP = 2e-3, 0.05
"""Ten times the paper's rate: the base has two million parameters, not hundreds of millions."""


def demo(
    out: Path = Path("runs/demo"), *, seed: int = 0, limit: int | None = None, force: bool = False
) -> list[Result]:
    """Everything, resumable; returns what the table shows. limit: problems per set, for a quick look."""
    clock: dict[str, float] = {}
    seeds = {"seed": seed, "force": force}
    teacher = load_model("pocket-teacher", seed=seed)
    for method in ("agent", "cot", "cot_rag"):
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
    for method in ("agent", "cot", "cot_rag"):
        with _timed(clock, f"train {method}"):
            student = out / f"student-{method}"
            if (
                not any((student / name).is_file() for name in WEIGHTS)
                or not (student / "train.json").is_file()
            ):
                train(
                    [out / f"teacher-{method}"],
                    BASE,
                    student,
                    rate=RATE,
                    warmup=WARMUP,
                    dropout=0.0,
                    seed=seed,
                    force=True,
                )
    runs = {"base": (BASE, "agent")} | {
        m: (str(out / f"student-{m}"), m) for m in ("cot", "cot_rag", "agent")
    }
    for name, (model, method) in runs.items():
        with _timed(clock, f"evaluate {name}"):
            evaluate(
                ",".join(BENCHMARKS),
                model,
                out / f"eval-{name}",
                method=method,
                max_tokens=AGENT_TOKENS if method == "agent" else None,
                workers=64,
                limit=limit,
                **seeds,
            )
    found = report([out / f"eval-{name}" for name in runs], out)
    write_json(out / "clock.json", _speeds(out, clock, runs))
    print()
    print_table(found)
    print(f"\nTable, figure and every rollout are in {out}. Ask the student yourself: make app")
    return found


class _timed:
    def __init__(self, clock: dict[str, float], name: str):
        self.clock, self.name = clock, name

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *_) -> None:
        self.clock[self.name] = round(time.monotonic() - self.start, 1)


def _speeds(out: Path, clock: dict[str, float], runs: dict) -> dict:
    """Where the time went, and tokens per second of it."""
    speeds = {name: {"seconds": seconds} for name, seconds in clock.items()}
    for method in ("agent", "cot", "cot_rag"):
        speeds[f"train {method}"]["tokens_per_second"] = read_summary(out / f"student-{method}")[
            "tokens_per_second"
        ]
    for name in runs:
        usages = [r.trajectory.usage for r in read_rollouts(out / f"eval-{name}")]
        seconds = max(clock[f"evaluate {name}"], 0.1)
        speeds[f"evaluate {name}"]["input_tokens_per_second"] = round(
            sum(u.input_tokens for u in usages) / seconds
        )
        speeds[f"evaluate {name}"]["output_tokens_per_second"] = round(
            sum(u.output_tokens for u in usages) / seconds
        )
    return speeds
