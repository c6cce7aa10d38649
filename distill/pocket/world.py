"""The pocket world of a seed: its problems and its two encyclopedias, one to train on and one to test on.

Benchmarks: `sums` and `hops` as trained on, one or two operations and two look-ups; `sums_ood` and
`hops_ood` take three. The test side shares no question and no fact with the training side, for any two
seeds: which side a name or a question falls on is read off its text.
"""

from __future__ import annotations

import random
from functools import lru_cache

from tools.retrieval import Passage

from ..problems import Problem
from . import hops, sums

BENCHMARKS = ("sums", "sums_ood", "hops", "hops_ood")
TRAINING = ("sums_train", "hops_train")
SIZE = {
    "train": {"people": 400, "towns": 120, "books": 300},
    "test": {"people": 150, "towns": 60, "books": 120},
}


def problems(name: str, n: int, seed: int = 0) -> list[Problem]:
    """n problems of a benchmark or a training set, no question twice."""
    rng = random.Random(f"{seed} {name}")
    side, ood = ("train" if name.endswith("_train") else "test"), name.endswith("_ood")
    found: dict[str, Problem] = {}
    while len(found) < n:
        if name.startswith("sums"):
            drawn = sums.make_sum(rng, 3 if ood else rng.randint(1, 2), side == "test")
            kind = "math"
        else:
            drawn = hops.make_hop(rng, entries(side, seed), 3 if ood else 2)
            kind = "factual"
        if drawn.question not in found:
            found[drawn.question] = Problem(
                id=f"{name}-{seed}-{len(found)}",
                question=drawn.question,
                answers=[str(drawn.answer)],
                benchmark=name,
                kind=kind,
            )
    return list(found.values())


@lru_cache(maxsize=8)
def entries(side: str, seed: int = 0) -> list[hops.Entry]:
    """The articles of one side ("train" or "test")."""
    return hops.make_entries(random.Random(f"{seed} {side}"), side == "test", **SIZE[side])


def passages(side: str, seed: int = 0) -> list[Passage]:
    """The same articles as a retriever takes them."""
    return [
        Passage(id=f"{side}-{seed}-{i}", title=entry.title, text=entry.text)
        for i, entry in enumerate(entries(side, seed))
    ]
