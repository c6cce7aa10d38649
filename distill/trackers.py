"""Send a training's metrics to where its user looks at them: TensorBoard, Trackio, Weights & Biases.

The same numbers as in `metrics.jsonl`. None of the three asks the network for anything unless the user has told it
to: Trackio by TRACKIO_SPACE_ID, Weights & Biases by WANDB_MODE=online.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROJECT = "smoldistill"
Send = Callable[[int, dict[str, float]], None]
"""Takes a step and its values by name."""


@contextmanager
def trackers(names: Sequence[str], out: Path, settings: Mapping, begun: int = 0) -> Iterator[Send]:
    """A function that sends (step, values) to all of them; they are closed at the end.

    out: the student's folder, whose name the run has. settings: kept with the run. begun: the step from which the
    training goes on.
    """
    with ExitStack() as stack:
        senders = [
            stack.enter_context(TRACKERS[name](out, dict(settings), begun)) for name in names
        ]

        def send(step: int, values: dict[str, float]) -> None:
            told = {_name(name): float(v) for name, v in values.items() if v is not None}
            for one in senders:
                one(step, told)

        yield send


def _name(name: str) -> str:
    return "validation/loss" if name == "validation" else f"train/{name}"


@contextmanager
def _tensorboard(out: Path, settings: dict, begun: int) -> Iterator[Send]:
    from torch.utils.tensorboard import SummaryWriter

    def send(step, values):
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    with SummaryWriter(str(out / "tensorboard"), purge_step=begun + 1 if begun else None) as writer:
        writer.add_text("settings", "\n\n".join(f"{k}: {v}" for k, v in settings.items()))
        yield send


@contextmanager
def _trackio(out: Path, settings: dict, begun: int) -> Iterator[Send]:
    import trackio

    run = trackio.init(
        project=PROJECT,
        name="/".join(out.resolve().parts[-2:]),
        config=settings,
        resume="allow" if begun else "never",
        embed=False,
    )
    try:
        yield lambda step, values: run.log(values, step=step)
    finally:
        trackio.finish()


@contextmanager
def _wandb(out: Path, settings: dict, begun: int) -> Iterator[Send]:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported
    import wandb

    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name="/".join(out.resolve().parts[-2:]),
        dir=out,
        config=settings,
        mode=os.environ.get("WANDB_MODE", "offline"),
        settings=wandb.Settings(console="off"),
    )
    try:
        yield lambda step, values: run.log(values, step=step)
    finally:
        run.finish()


TRACKERS = {"trackio": _trackio, "tensorboard": _tensorboard, "wandb": _wandb}
