"""Score the rollouts of a folder again, without running anything: by rule, or by a judge model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .judge import FILE as VERDICTS
from .judge import Judge, judge_all
from .progress import progress
from .results import Study
from .rollout import EXACT, Rollout, read_rollouts, write_rollouts
from .run import held, write_json
from .runs import read_run
from .scoring import score
from .study import study


def rescore(
    folder: Path, *, judge: str | None = None, prompt: str = "judge", workers: int = 8
) -> tuple[Study, Counter]:
    """Write new scores into `rollouts.jsonl` and `results.json`; returns the results and what changed.

    judge: a model (any name `load_model` takes) that says of each factual answer whether it is right; its
    verdicts and reasons are kept in `verdicts.jsonl`, and asked for once. Mathematics is scored by value in any
    case. What the judge could not decide has no score, counts as wrong and is asked again by the next call.
    Raises ValueError for a folder without rollouts, and where another process works in it.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"No folder {folder}.")
    read_run(folder)  # told now what is wrong with it
    lock = held(folder)
    try:
        rollouts = list(read_rollouts(folder))
        scored = (
            _judged(rollouts, Judge(judge, workers=workers, prompt=prompt), folder) if judge else {}
        )
        with progress("score", len(rollouts)) as advance:
            new = []
            for rollout in rollouts:
                new.append(scored.get(rollout.key) or _by_rule(rollout))
                advance()
        changes = Counter(
            _change(before, after) for before, after in zip(rollouts, new, strict=True)
        )
        changes["undecided"] = scored.pop(None, 0)
        write_rollouts(new, folder)
        made, _ = study([read_run(folder)], compared=False)
        write_json(folder / "results.json", [result.model_dump() for result in made.results])
        return made, changes
    finally:
        lock.release()


def _by_rule(rollout: Rollout) -> Rollout:
    right = rollout.trajectory.stop == "answered" and score(
        rollout.problem, rollout.trajectory.answer
    )
    return rollout.model_copy(update={"score": float(right), "scorer": EXACT})


def _judged(rollouts: list[Rollout], judge: Judge, folder: Path) -> dict:
    """By rollout, as the judge scores it; under None, how many it could not decide."""
    asked = [r for r in rollouts if r.problem.kind == "factual" and r.trajectory.stop == "answered"]
    with progress("judge", len(asked)) as advance:
        items = [(r.problem, r.trajectory.answer) for r in asked]
        verdicts = judge_all(items, judge, folder / VERDICTS, advance)
    found = {
        r.key: r.model_copy(
            update={
                "score": None if v.correct is None else v.score,
                "scorer": f"judge: {judge.name}",
            }
        )
        for r, v in zip(asked, verdicts, strict=True)
    }
    return found | {None: sum(v.correct is None for v in verdicts)}


def _change(before: Rollout, after: Rollout) -> str:
    if before.score == after.score:
        return "unchanged"
    return {1.0: "now right", None: "undecided now"}.get(after.score, "now wrong")
