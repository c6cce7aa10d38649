"""Whether one way of answering is better than another on the same problems, or whether it is a tie."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from agents.trajectory import Record

from .rollout import Rollout

FILE = "paired.json"
REAL = 0.05
"""A difference that chance alone would make less often than this is called real."""


class Paired(Record):
    """Two ways on the same problems; only those that one of them alone got right tell them apart."""

    name: str
    n: int
    """Problems that both were run on."""
    first_only: int
    """Right by the first way alone."""
    second_only: int
    difference: float
    """Of the accuracies, the second's minus the first's."""
    low: float
    """95% interval of the difference (Bonett and Price's, for paired proportions), with `high`."""
    high: float
    p: float
    """Two-sided, of McNemar's exact test."""

    @property
    def real(self) -> bool:
        return self.p < REAL


def paired(name: str, first: Iterable[Rollout], second: Iterable[Rollout]) -> Paired:
    """Compare the rollouts of problems and attempts that both have. Raises ValueError where there are none."""
    from scipy.stats import binomtest

    one, other = ({(r.problem.benchmark, r.problem.id, r.attempt): r.score == 1.0 for r in rollouts}
                  for rollouts in (first, second))  # fmt: skip
    both = one.keys() & other.keys()
    if not both:
        raise ValueError(f"{name}: no problem was run in both ways.")
    n = len(both)
    b = sum(one[key] and not other[key] for key in both)
    c = sum(other[key] and not one[key] for key in both)
    # One more on each side, so that no difference seen is not taken for certainty that there is none.
    one_only, other_only = (b + 1) / (n + 2), (c + 1) / (n + 2)
    centre = other_only - one_only
    spread = 1.96 * ((one_only + other_only - centre**2) / (n + 2)) ** 0.5
    p = binomtest(c, b + c).pvalue if b + c else 1.0
    return Paired(
        name=name,
        n=n,
        first_only=b,
        second_only=c,
        difference=(c - b) / n,
        low=max(-1.0, centre - spread),
        high=min(1.0, centre + spread),
        p=p,
    )


def self_consistency(rollouts: Iterable[Rollout]) -> list[Paired]:
    """Each model's self-consistent runs against its runs with one sample, over all their benchmarks."""
    runs: dict[tuple[str, str], dict[tuple, list[Rollout]]] = defaultdict(lambda: defaultdict(list))
    for rollout in rollouts:
        t = rollout.trajectory
        runs[t.model, t.method][t.samples, t.temperature].append(rollout)
    found = []
    for (model, _), ways in runs.items():
        single = [way for way in ways if way[0] == 1]
        for samples, temperature in ways:
            if samples == 1:
                continue
            for _, alone in single:
                sag = f"N={samples}" + (f", T={temperature:g}" if temperature is not None else "")
                against = "greedy" if alone is None else f"one sample, T={alone:g}"
                name = f"{model}: sag ({sag}) against {against}"
                found.append(paired(name, ways[1, alone], ways[samples, temperature]))
    return found


def read_paired(folder: Path) -> list[Paired]:
    """What `report` wrote."""
    return [Paired(**pair) for pair in json.loads((folder / FILE).read_text(encoding="utf-8"))]


def print_paired(pairs: Iterable[Paired]) -> None:
    for pair in pairs:
        verdict = "a real difference" if pair.real else "a tie"
        print(
            f"{pair.name}: {100 * pair.difference:+.1f} points ({100 * pair.low:+.1f} to {100 * pair.high:+.1f}) "
            f"on {pair.n} problems; right by it alone {pair.second_only}, by the other alone "
            f"{pair.first_only}; p = {pair.p:.2g}, {verdict}"
        )
