"""Keep the rollouts worth learning from, and say why the others went."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .rollout import Rollout, read_rollouts
from .run import write_json

KEPT = "kept.jsonl"
POLICIES = ("correct", "answered")


def filter_rollouts(folder: Path, *, policy: str = "correct") -> Counter:
    """Write `kept.jsonl` and `filter.json` into a run's folder; returns the count per reason, and "kept".

    policy: "correct" keeps right answers reached without a parsing error and never cut off; "answered" does
    not ask for the right answer. Code that raised stays: the model read the error and mended it.
    """
    if policy not in POLICIES:
        raise ValueError(f"No policy {policy!r}; there are: {', '.join(POLICIES)}.")
    counts: Counter = Counter(kept=0)
    new = folder / f"{KEPT}.new"
    rollouts = list(read_rollouts(folder))
    with new.open("w", encoding="utf-8") as lines:
        for rollout in rollouts:
            reason = reason_to_drop(rollout, policy)
            counts[reason or "kept"] += 1
            if reason is None:
                lines.write(rollout.model_dump_json() + "\n")
    new.replace(folder / KEPT)
    write_json(
        folder / "filter.json",
        {"policy": policy, "rollouts": len(rollouts), "counts": dict(counts)},
    )
    return counts


def reason_to_drop(rollout: Rollout, policy: str) -> str | None:
    """The first of the reasons that holds; None for a rollout to keep."""
    trajectory = rollout.trajectory
    if trajectory.stop == "failed":
        return "failed"
    if any(step.finish_reason == "length" for step in trajectory.steps):
        return "truncated"
    if any(step.error == "parsing" for step in trajectory.steps):
        return "not parsed"
    if trajectory.stop != "answered" or trajectory.answer is None:
        return "no answer"
    if policy == "correct" and rollout.score != 1.0:
        return "wrong"
    return None
