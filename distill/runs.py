"""Read a run's folder: what was asked for, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .problems import Problem, read_problems
from .results import Outcome
from .rollout import Rollout, read_rollouts

PROBLEMS = "problems.jsonl"


class About(BaseModel):
    """Of `run.json`: what the model is (distill/identity.py)."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: str | None = None
    base: str | None = None
    parameters: int | None = None
    distilled: bool | None = None
    simulated: bool = False


class Asked(BaseModel):
    """Of `run.json`: what the last call asked for."""

    model_config = ConfigDict(extra="ignore", strict=True)

    attempts: int = Field(default=1, ge=1, le=100_000)
    problems: int | None = None


class RunFile(BaseModel):
    """What of `run.json` a report reads."""

    model_config = ConfigDict(extra="ignore", strict=True)

    settings: dict[str, Any] = {}
    about: About = About()
    asked: Asked | None = None
    before: list[dict] = []
    """Other settings it was made with first, where it was gone on with --force."""


@dataclass(frozen=True)
class Run:
    """A folder: what was asked for, and what came of it."""

    folder: Path
    rollouts: list[Rollout]
    asked: list[Problem]
    attempts: int
    file: RunFile


def read_run(folder: Path) -> Run:
    """Raises ValueError where the folder holds no rollouts, or files that were cut or are not ours."""
    folder = Path(folder)
    rollouts = list(read_rollouts(folder))
    file = RunFile()
    if (folder / "run.json").exists():
        try:
            file = RunFile.model_validate_json((folder / "run.json").read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise ValueError(
                f"{folder / 'run.json'} was not written by smoldistill: {where}: {first['msg']}."
            ) from None
    asked = list(dict.fromkeys(r.problem for r in rollouts))
    attempts = max((r.attempt for r in rollouts), default=0) + 1
    if file.asked:
        # What the last call asked for; an earlier one may have asked for more, or for other problems.
        asked = list(read_problems(folder / PROBLEMS))
        attempts = file.asked.attempts
        if file.asked.problems not in (None, len(asked)):
            raise ValueError(
                f"{folder / PROBLEMS} holds {len(asked)} of the {file.asked.problems} problems that were asked for; "
                "evaluate writes it anew."
            )
        there = set(asked)
        rollouts = [r for r in rollouts if r.problem in there and r.attempt < attempts]
    if not asked:
        raise ValueError(f"There is no finished rollout to report in {folder}.")
    return Run(folder, rollouts, asked, attempts, file)


def outcome_of(rollout: Rollout) -> Outcome:
    """How a rollout ended; only the first is a point."""
    trajectory = rollout.trajectory
    if trajectory.stop == "failed":
        return "failed"
    if rollout.score is None:
        return "undecided"
    if trajectory.stop == "answered":
        if rollout.score == 1.0:
            return "right"
        empty = not (trajectory.answer or "").strip() or trajectory.answer == "None"
        return "none" if empty else "wrong"
    last = trajectory.steps[-1] if trajectory.steps else None
    if last and last.error in ("parsing", "execution"):
        return last.error
    return "limit" if last and last.limit else "steps"
