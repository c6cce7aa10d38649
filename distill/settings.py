"""What a training is asked to do; the defaults are the paper's (arXiv 2505.17612, and its code)."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass, fields

TRACKERS = ("trackio", "tensorboard", "wandb")
TOO_LONG = ("drop", "shorten")
SCHEDULES = ("linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt")
KINDS = ("first", "other", "final", "error")


@dataclass(frozen=True)
class Settings:
    method: str | None = None
    """Of the rollouts to train on, where the folders hold several."""
    prompt: str | None = None
    """The student's system prompt: a name of `agents/prompts` or a file; that of the rollouts' tags, if None."""
    tools: str = ""
    """Files of tools that are not found by their names."""
    full: bool = False
    """All weights, instead of a LoRA adapter."""
    qlora: bool = False
    """The adapter on a base in four bits (bitsandbytes)."""
    rank: int = 64
    alpha: int = 128
    dropout: float = 0.05
    rslora: bool = False
    dora: bool = False
    rate: float = 2e-4
    schedule: str = "linear"
    warmup: float = 0.0
    """Steps, or below 1 the share of all steps."""
    epochs: float = 2
    batch_size: int = 8
    """Samples a step, of all processes together."""
    max_length: int = 10240
    """Tokens; a longer sample is never cut."""
    too_long: str = "drop"
    """"drop": it is left out and counted; "shorten": its middle observations are shortened."""
    mask_errors: bool = False
    """No loss on actions that did not parse or raised; they stay as context."""
    step_weights: str = ""
    """Weights of steps in the loss, as final=2,error=0.5; of first, other, final, error."""
    validation: float = 0.0
    """Share of the problems that is held out."""
    patience: int = 0
    """Evaluations without a better validation loss after which to stop; 0: never."""
    checkpoint_steps: int = 50
    """Steps between two checkpoints, and two evaluations."""
    early_at: float | None = None
    """Share of the steps after which the student is also kept as it is then, in OUT/early."""
    checkpointing: bool | None = None
    """Compute activations again in the backward pass, for memory; on CUDA if nothing is said."""
    track: str = ""
    """Where else to send the metrics: trackio, tensorboard, wandb."""
    seed: int = 0

    def __post_init__(self):
        """Raises ValueError for what cannot be."""
        for name in ("batch_size", "rank", "alpha", "max_length", "checkpoint_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} starts at 1, not {getattr(self, name)}.")
        for name in ("dropout", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is from 0 to below 1, not {getattr(self, name)}.")
        for name in ("rate", "epochs"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is above 0, not {getattr(self, name)}.")
        for name in ("warmup", "patience", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} starts at 0, not {getattr(self, name)}.")
        if self.epochs > 10_000 or self.seed >= 2**32:
            raise ValueError("epochs ends at 10,000, and seed below 2 to the 32nd.")
        if self.early_at is not None and not 0 < self.early_at <= 1:
            raise ValueError(
                f"early_at is a share of the steps, above 0 and at most 1, not {self.early_at}."
            )
        if self.too_long not in TOO_LONG:
            raise ValueError(f"too_long is {' or '.join(TOO_LONG)}, not {self.too_long!r}.")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is one of {', '.join(SCHEDULES)}; not {self.schedule!r}.")
        if self.patience and not self.validation:
            raise ValueError("patience needs a validation share: say --validation 0.05.")
        if self.full and (self.qlora or self.dora or self.rslora):
            raise ValueError("qlora, dora and rslora are ways of LoRA; leave out full.")
        if self.qlora and not importlib.util.find_spec("bitsandbytes"):
            raise ValueError("qlora needs bitsandbytes: `pip install bitsandbytes`.")
        for name in self.trackers():
            if name not in TRACKERS:
                raise ValueError(f"No tracker {name!r}; there are: {', '.join(TRACKERS)}.")
            if not importlib.util.find_spec(name):
                raise ValueError(f"{name} is not installed: `pip install {name}`.")
        self.weights()

    def trackers(self) -> list[str]:
        return [name.strip() for name in self.track.split(",") if name.strip()]

    def weights(self) -> dict[str, float]:
        """`step_weights`, read; ValueError for what is none."""
        found = {}
        for part in filter(None, (p.strip() for p in self.step_weights.split(","))):
            name, _, value = part.partition("=")
            try:
                found[name.strip()] = float(value)
            except ValueError:
                raise ValueError(
                    f"step_weights reads as final=2,error=0.5; not {part!r}."
                ) from None
            if name.strip() not in KINDS or not 0 <= found[name.strip()] <= 1e6:
                raise ValueError(
                    f"step_weights are of {', '.join(KINDS)} and not negative: {part!r}."
                )
        return found

    def as_dict(self) -> dict:
        return asdict(self)


NAMES = tuple(field.name for field in fields(Settings))
