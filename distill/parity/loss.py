"""The loss of what was recorded, by the model in training's memory and by the student that is served.

The other checks compare the forms of a student with each other; this one tells whether their weights are
those that were trained.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from contextlib import contextmanager

from agents import Message

from ..encode import IGNORED, Sample
from .records import Check, Recorded, Tokens
from .samples import taken

TOLERANCE = {False: (1e-4, 1e-5), True: (2e-2, 1e-2)}
"""How far a loss may be off, relative and absolute; True: where weights are in half precision, in which they
round otherwise when an adapter has become part of them."""


def recorded_losses(
    model, items: Sequence[tuple[str, Sequence[Message], Sequence[Sample]]]
) -> list[float | None]:
    """A loss per item for `write_samples`; None for the items that are not kept.

    model: as training holds it, with its adapter, not spread over processes. It is left as it was.
    """
    kept = taken(len(items))
    return [mean_loss(model, item[2]) if at in kept else None for at, item in enumerate(items)]


def mean_loss(model, samples: Iterable[Sample | Tokens]) -> float:
    """Mean negative log-likelihood of the samples' trained tokens, each counted once, in evaluation mode."""
    total, count = 0.0, 0
    with _as_served(model):
        for sample in samples:
            losses = token_losses(model, sample.input_ids, sample.labels)
            total, count = total + losses.sum().item(), count + len(losses)
    return total / max(count, 1)


def token_losses(model, ids: Sequence[int], labels: Sequence[int]):
    """Negative log-likelihood of every trained token of a sample, (trained tokens,), in float64."""
    import torch
    from torch.nn.functional import cross_entropy

    device = next(model.parameters()).device
    row, wanted = (torch.tensor(list(x), device=device) for x in (ids, labels[1:]))
    at = (wanted != IGNORED).nonzero().squeeze(1)
    settings = {"logits_to_keep": at} if _keeps_logits(model) else {}
    with torch.no_grad():  # what inference mode makes, a training could not go on with
        logits = model(
            input_ids=row[None],
            attention_mask=torch.ones_like(row)[None],
            use_cache=False,
            **settings,
        ).logits[0]
        rows = logits if settings else logits[at]
        return cross_entropy(rows.float(), wanted[at], reduction="none").double()


def check_loss(model, recorded: Sequence[Recorded], most: int, half: bool) -> Check:
    """The student, as our engine loaded it, has the loss that training's own model had.

    most: rollouts that are read. half: whether weights are, or were, in half precision.
    """
    name = "weights as trained"
    lines = [line for line in recorded if line.loss is not None]
    if not lines:
        return Check(name=name, passed=None, detail="the training kept no loss to compare with")
    lines = [lines[at] for at in taken(len(lines), most)]
    relative, absolute = TOLERANCE[half]
    now = [mean_loss(model, line.samples) for line in lines]
    off = [_apart(line.loss, value) for line, value in zip(lines, now, strict=True)]
    worst = max(range(len(lines)), key=off.__getitem__)
    line = lines[worst]
    wrong = [n for n, x in enumerate(off) if not x <= relative * lines[n].loss + absolute]
    told = f"{line.problem}: loss {line.loss:.6g} when it was trained, {now[worst]:.6g} now"
    return Check(
        name=name,
        passed=not wrong,
        detail=f"these are not the weights that were trained: {told}"
        if wrong
        else f"mean loss {sum(now) / len(now):.4g}, within {off[worst]:.1e}",
        compared=len(lines),
    )


def _apart(before: float, now: float) -> float:
    """Infinite where one is no number."""
    off = abs(before - now)
    return off if off == off else float("inf")


def _keeps_logits(model) -> bool:
    """Whether the model can be asked for some positions' logits alone."""
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(type(bare).forward).parameters


@contextmanager
def _as_served(model):
    """Without dropout; in plain float32 where all weights are, though training computed in half precision."""
    import torch

    training, forward = model.training, model.__dict__.get("forward")
    plain = all(p.dtype == torch.float32 for p in model.parameters())
    if plain and forward is not None and hasattr(model, "_original_forward"):
        model.forward = model._original_forward  # accelerate has put autocast around it
    model.eval()
    try:
        with torch.autocast(next(model.parameters()).device.type, enabled=False):
            yield
    finally:
        model.train(training)
        if forward is not None:
            model.forward = forward
