"""What is done at every step of a training beside training: note it, guard it, mark what is whole.

A step whose gradient is not finite is skipped; AdamW would carry it into every weight.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import TrainerCallback

from .curves import METRICS
from .run import RunError, write_json

WHOLE = "whole.json"
"""What a checkpoint holds once all of it is written: its files and their sizes."""
BAD_STEPS = 3
"""Steps in a row without a finite gradient after which a training stops."""


class Guard(TrainerCallback):
    """Skips a step without a finite gradient, counts it, and stops the training when that goes on."""

    def __init__(self):
        self.skipped = self.in_a_row = 0
        self.now = False

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        self.now = not all(bool(torch.isfinite(g).all()) for g in gradients)
        self.in_a_row = self.in_a_row + 1 if self.now else 0
        self.skipped += self.now
        if self.now:
            model.zero_grad(set_to_none=True)  # AdamW passes over what has no gradient
        if self.in_a_row >= BAD_STEPS:
            raise RunError(
                f"The gradient was not finite in {BAD_STEPS} steps in a row, the last of them step "
                f"{state.global_step + 1}. Lower --rate, or leave out the samples that cause it."
            )


class Metrics(TrainerCallback):
    """A line of `metrics.jsonl` per step, and per evaluation; sent to trackers too."""

    def __init__(self, out: Path, guard: Guard, send: Callable[[int, dict], None] | None = None):
        self.file, self.guard, self.send = out / METRICS, guard, send
        self.trainer = None
        self.rate: float | None = None

    def on_train_begin(self, args, state, control, **_):
        self.started = time.monotonic()
        self.before = 0.0
        if state.is_world_process_zero:
            kept = [line for line in read_metrics(self.file) if line["step"] <= state.global_step]
            self.before = max((line["seconds"] for line in kept), default=0.0)
            steps = [line for line in kept if "validation" not in line]
            self.guard.skipped = sum(line.get("skipped", False) for line in steps)
            for line in steps:
                self.guard.in_a_row = self.guard.in_a_row + 1 if line.get("skipped") else 0
            self.file.write_text("".join(map(_line, kept)), encoding="utf-8")

    def on_pre_optimizer_step(self, args, state, control, optimizer=None, **_):
        # By the end of the step the scheduler has moved on.
        self.rate = optimizer.param_groups[0]["lr"] if optimizer else None

    def on_step_end(self, args, state, control, **_):
        trainer = self.trainer
        if not hasattr(trainer, "measured"):
            return  # TRL's own: what it logs is taken, in `on_log`
        measured = trainer.measured()
        self._write(
            state,
            loss=_finite(measured.pop("loss")),
            gradient=_finite(trainer.step_gradient),
            rate=self.rate,
            **measured,
            **({"skipped": True} if self.guard.now else {}),
        )

    def on_log(self, args, state, control, logs=None, **_):
        if not hasattr(self.trainer, "measured") and "loss" in (logs or {}):
            self._write(
                state,
                loss=_finite(logs["loss"]),
                gradient=_finite(logs.get("grad_norm")),
                rate=logs.get("learning_rate"),
            )

    def on_evaluate(self, args, state, control, metrics=None, **_):
        self._write(state, validation=_finite((metrics or {}).get("eval_loss")))

    def _write(self, state, **values) -> None:
        if not state.is_world_process_zero:
            return
        seconds = round(self.before + time.monotonic() - self.started, 2)
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(_line({"step": state.global_step, **values, "seconds": seconds}))
        if self.send:
            self.send(state.global_step, values)


class Checkpoints(TrainerCallback):
    """Marks a checkpoint that is wholly written; keeps the student as it was early on, where asked for."""

    def __init__(self, early_at: float | None, keep_early: Callable[[], None]):
        self.early_at, self.keep_early = early_at, keep_early

    def on_save(self, args, state, control, **_):
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_json(folder / WHOLE, _sizes(folder))

    def on_step_end(self, args, state, control, **_):
        if self.early_at is None:
            return
        at = math.ceil(self.early_at * state.max_steps)
        if state.global_step == at:
            self.keep_early()


class Advance(TrainerCallback):
    """Moves a progress bar."""

    def __init__(self, advance: Callable[[], None]):
        self.advance = advance

    def on_step_end(self, args, state, control, **_):
        self.advance()


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint that was wholly written, and is as it was written; others are passed over aloud."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=_step, reverse=True):
        if is_whole(checkpoint):
            return checkpoint
        print(f"{checkpoint} is not whole, and is passed over.", flush=True)
    return None


def is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / WHOLE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return sizes == _sizes(checkpoint)


def _sizes(folder: Path) -> dict[str, int]:
    files = (f for f in folder.rglob("*") if f.is_file() and not f.name.startswith(WHOLE))
    return {str(f.relative_to(folder)): f.stat().st_size for f in sorted(files)}


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def read_metrics(file: Path) -> list[dict]:
    """The lines of a `metrics.jsonl`; a half-written last one is left out."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _line(values: dict) -> str:
    return json.dumps(values, allow_nan=False) + "\n"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
