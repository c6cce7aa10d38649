"""What is known of a model from files that are there: how it was made, what it was measured at, what was proved.

Nothing is guessed: a file that is missing leaves its fact out, and the card says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from ..contamination import FILE as CONTAMINATION
from ..filter import KEPT
from ..parity import Certificate, still_holds
from ..parity.files import read_certificate
from ..results import Result, Row, Study
from ..rollout import Rollout, read_lines, read_rollouts
from .weights import Weights

TRAINED = (
    "method", "full", "qlora", "rank", "alpha", "dropout", "rslora", "dora", "rate", "schedule", "warmup",
    "epochs", "batch_size", "max_length", "too_long", "mask_errors", "step_weights", "validation", "seed",
)  # fmt: skip
"""Settings of a training that a card tells; the others may name places of this machine."""
COUNTED = ("rollouts", "samples", "steps", "trained_tokens", "tokens", "first_loss", "last_loss")


@dataclass(frozen=True)
class Facts:
    weights: Weights
    study: Study | None = None
    certificate: Certificate | None = None
    why_no_parity: str | None = None
    """None where the certificate holds."""
    training: dict = field(default_factory=dict)
    trained: dict = field(default_factory=dict)
    """Counts and losses of the training."""
    contamination: dict = field(default_factory=dict)
    dropped_contaminated: bool = False
    """Whether what was found was left out of the training."""
    rollouts: tuple[Rollout, ...] = ()
    """Those that are published."""
    trained_on: bool | None = None
    """Whether the student was trained on these very rollouts; None where that cannot be told."""
    collected: int | None = None
    """How many they were chosen from; None where nobody counted."""
    policy: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def teachers(self) -> tuple[str, ...]:
        """The models that the rollouts are of, the commonest first."""
        counts = Counter(rollout.trajectory.model for rollout in self.rollouts)
        return tuple(short(name) for name, _ in counts.most_common())

    @property
    def simulated(self) -> bool:
        """Whether a program of the pocket world stood in for a teacher, or outcomes were drawn."""
        shown = self.study is not None and any(row.simulated for row in self.study.rows)
        return shown or any(name.startswith("pocket-teacher") for name in self.teachers)

    @property
    def base(self) -> str | None:
        """What it was distilled from, as a name and not a place."""
        if self.weights.name == "pocket":
            return "pocket-base"
        named = self.weights.student.get("base") or self.weights.base
        if not named or (self.weights.beside and named == self.weights.base):
            return None
        return short(str(named))

    def measured(self) -> list[tuple[Row, list[Result]]]:
        """The report's rows with their results; those of this model first."""
        if self.study is None:
            return []
        rows = [
            (row, [result for result in self.study.results if result.row == row.id])
            for row in self.study.rows
        ]
        return sorted(rows, key=lambda pair: not self.is_ours(pair[0]))

    def is_ours(self, row: Row) -> bool:
        folder, place = self.weights.folder, Path(row.model)
        if folder is None or self.weights.name == "pocket":
            return row.model == self.weights.name
        if place.exists():  # two students may be called alike
            return place.resolve() == folder.resolve()
        alike = place.name == folder.resolve().name
        return alike and (self.base is None or short(row.base) == self.base)


def gather(weights: Weights, report: Path | None, rollouts: Path | None) -> Facts:
    """Raises ValueError for a report or rollouts that were named and are not there."""
    folder = weights.folder
    certificate = None
    if folder is not None:
        try:
            certificate = read_certificate(folder)
        except ValueError:
            certificate = None
    kept, filtered = _rollouts(rollouts) if rollouts else ((), {})
    settings = _json(folder, "run.json").get("settings") or {}
    return Facts(
        weights=weights,
        study=_study(report) if report else None,
        certificate=certificate,
        why_no_parity=still_holds(folder) if folder is not None else None,
        training={name: value for name, value in settings.items() if name in TRAINED},
        trained={
            name: value
            for name, value in _json(folder, "train.json").items()
            if name in COUNTED and isinstance(value, int | float)
        },
        contamination=_json(folder, CONTAMINATION),
        dropped_contaminated=bool(settings.get("drop_contaminated")),
        rollouts=tuple(kept),
        trained_on=_trained_on(kept, settings),
        collected=filtered.get("rollouts"),
        policy=filtered.get("policy"),
        dropped={name: n for name, n in (filtered.get("counts") or {}).items() if name != "kept"},
    )


def _trained_on(rollouts: Sequence[Rollout], settings: dict) -> bool | None:
    from ..train import digest_of

    told = settings.get("rollouts")
    several = settings.get("drop_contaminated") or len(settings.get("data") or ()) != 1
    if not rollouts or not told or several:
        return None
    method = settings.get("method")
    return digest_of([r for r in rollouts if r.trajectory.method == method]) == told


def short(name: str) -> str:
    """A model's name without the places of this machine in it."""
    if name.startswith(("http://", "https://")):
        return name.partition("#")[2] or name
    return Path(name).name if name.count("/") != 1 or name.startswith((".", "/", "~")) else name


def _study(folder: Path) -> Study:
    file = folder / "report.json"
    if not file.is_file():
        raise ValueError(f"{folder} holds no report.json; `python -m distill report` makes one.")
    try:
        return Study.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{file} is no report: {error.errors()[0]['msg']}. Make it again."
        ) from None


def _rollouts(folder: Path) -> tuple[Sequence[Rollout], dict]:
    """The kept ones, where the folder was filtered, and what was said of it then; else all."""
    kept = folder / KEPT
    if not kept.is_file():
        return list(read_rollouts(folder)), {}
    return list(read_lines(kept).values()), _json(folder, "filter.json")


def _json(folder: Path | None, name: str) -> dict:
    """A file's object; empty where there is none that can be read."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
