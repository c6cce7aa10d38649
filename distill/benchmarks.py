"""Problems by the name of a benchmark, and the passages that go with them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from .pocket import world
from .problems import Problem, read_problems

TEST_SIZE, TRAINING_SIZE = 200, 400


@dataclass(frozen=True)
class Source:
    """Problems to run, and the retriever their search tool uses unless another is asked for."""

    problems: list[Problem]
    side: str | None = None
    """Which encyclopedia of the pocket world ("train" or "test") they are about; None for a file."""
    seed: int = 0

    def passages(self):
        return world.passages(self.side, self.seed) if self.side else None


def load(names: str, *, seed: int = 0, limit: int | None = None) -> Source:
    """Problems of benchmarks by name, comma between, or of a file. `limit` counts per benchmark."""
    if Path(names).is_file():
        return Source(list(read_problems(names))[:limit])
    known = (*world.BENCHMARKS, *world.TRAINING)
    problems, sides = [], set()
    asked = names.split(",")
    if len(set(asked)) < len(asked):
        raise ValueError(f"{names} names a benchmark twice.")
    for name in asked:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"No benchmark or problems file {name!r}; there are: {', '.join(known)}.{hint}"
            )
        sides.add("train" if name in world.TRAINING else "test")
        size = TRAINING_SIZE if name in world.TRAINING else TEST_SIZE
        problems += world.problems(name, limit or size, seed)
    if len(sides) > 1:
        raise ValueError(
            "Training and test sets read different encyclopedias; run them in folders of their own."
        )
    return Source(problems, sides.pop(), seed)
