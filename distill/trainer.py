"""TRL's SFTTrainer, spending nothing on what is not trained on: no padding, logits for labelled tokens alone.

On one machine's CPU a step's samples are read one after the other, and what they have in common once
(distill/once.py). Under a launcher the stock loop runs, one sample a forward pass, accumulated. On CUDA with
flash attention TRL's own packing is used instead of this class (see `distill/train.py`).
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack, nullcontext

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from trl import SFTTrainer

from .encode import IGNORED
from .once import batches, can_share, continued, foldable, folded, read_once, shared_start

TOLERANCE = {False: 1e-3, True: 2e-2}
"""Relative difference of a batch's loss, read once and read apart, up to which the two are taken for the same;
in bfloat16 (True) they round otherwise."""


def as_rows(rows: list[dict]) -> dict[str, list[Tensor | None]]:
    """Samples as they are, without padding."""
    return {
        "input_ids": [torch.tensor(row["input_ids"]) for row in rows],
        "labels": [torch.tensor(row["labels"]) for row in rows],
        "weights": [
            None if row.get("weights") is None else torch.tensor(row["weights"]) for row in rows
        ],
    }


class StudentTrainer(SFTTrainer):
    """Loss: the mean over a step's trained tokens of their negative log-likelihood, weighted where samples say so."""

    def __init__(self, *args, together: bool, longest: int, **kwargs):
        """together: read a step's samples in one pass of this process; its batch is then the whole step's.

        longest: tokens of the longest sample.
        """
        super().__init__(*args, data_collator=as_rows, **kwargs)
        self.loss_is_scaled_for_ga = True
        self.together = together
        self.share = together and can_share(self.model.config, longest)
        self.fold = foldable(self.model) if together else []
        self.step_loss = self.step_tokens = self.step_trained = 0.0
        self.step_gradient: float | None = None
        """The gradient's norm before it was clipped."""

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        trained = sum(trained_weight(batch) for batch in batches)
        if self.accelerator.num_processes > 1:
            trained = self.accelerator.gather(torch.tensor(trained, device=device)).sum().item()
        self.step_tokens = sum(len(ids) for batch in batches for ids in batch["input_ids"])
        self.step_trained, self.step_loss = trained, 0.0
        return batches, trained

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        if not self.together:
            loss = super().training_step(model, inputs, num_items_in_batch)
        else:
            model.train()
            loss = self._read_together(model, self._prepare_inputs(inputs), num_items_in_batch)
        self.step_loss += loss.item()
        return loss

    def _clip_grad_norm(self, model):
        norm = super()._clip_grad_norm(model)
        self.step_gradient = None if norm is None else float(norm)
        return norm

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """As the class says; of every process's tokens where several work, so that their mean is the step's."""
        total = sum(nll(model, *padded([row])) for row in zip(*inputs.values(), strict=True))
        count = trained_weight(inputs) if num_items_in_batch is None else num_items_in_batch
        return total / max(count, 1e-9) * self.accelerator.num_processes

    def measured(self) -> dict[str, float]:
        """Of the last step, over all processes: loss, tokens read, and how many were trained on, by weight."""
        here = torch.tensor([self.step_loss, self.step_tokens], device=self.args.device)
        if (processes := self.accelerator.num_processes) > 1:
            here = self.accelerator.gather(here[None]).sum(0)
        loss, tokens = here.tolist()
        return {"loss": loss / processes, "tokens": int(tokens), "trained": self.step_trained}

    def _read_together(self, model, inputs, count: float) -> Tensor:
        start = shared_start(inputs["input_ids"], inputs["labels"]) if self.share else 0
        total = torch.zeros((), device=self.args.device)
        with ExitStack() as stack:
            stack.enter_context(folded(self.fold) if self.fold else nullcontext())
            common = None
            if start:
                with self.compute_loss_context_manager():
                    common = read_once(model, inputs["input_ids"][0][:start])
            for rows in in_batches(inputs, start):
                with self.compute_loss_context_manager():
                    past = continued(model, common, len(rows[0])) if common else None
                    loss = nll(model, *rows, past) / max(count, 1e-9)
                self.accelerator.backward(loss)
                total += loss.detach()
            if common:
                common.back()
        return total

    @torch.no_grad()
    def agree(self, rows: list[dict]) -> bool:
        """Whether these samples have the same loss read together as read apart; if not, they will be read apart."""
        if not (self.share or self.fold):
            return True
        inputs = self._prepare_inputs(as_rows(rows))
        self.model.eval()
        with self.compute_loss_context_manager():
            apart = self.compute_loss(self.model, inputs).item()
            start = shared_start(inputs["input_ids"], inputs["labels"]) if self.share else 0
            with folded(self.fold) if self.fold else nullcontext():
                common = read_once(self.model, inputs["input_ids"][0][:start]) if start else None
                once = 0.0
                for rows in in_batches(inputs, start):
                    past = continued(self.model, common, len(rows[0])) if common else None
                    once += nll(self.model, *rows, past).item() / trained_weight(inputs)
        if abs(once - apart) <= TOLERANCE[bool(self.args.bf16)] * abs(apart):
            return True
        self.share, self.fold = False, []
        return False

    @torch.no_grad()
    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        """Mean loss over the validation samples; every process reads all of them."""
        self.model.eval()
        total = count = 0.0
        for row in eval_dataset or self.eval_dataset:
            inputs = self._prepare_inputs(as_rows([row]))
            n = trained_weight(inputs)
            with self.compute_loss_context_manager():
                loss = self.compute_loss(self.model_wrapped, inputs).item()
            total += loss / self.accelerator.num_processes * n
            count += n
        metrics = {f"{metric_key_prefix}_loss": total / max(count, 1e-9)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def floating_point_ops(self, inputs) -> int:
        return 0  # counted in tokens instead


def in_batches(inputs: dict, start: int) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """A step's samples from a place on, as batches that are read at once."""
    rows = [
        (ids[start:], labels[start:], None if weights is None else weights[start:])
        for ids, labels, weights in zip(*inputs.values(), strict=True)
    ]
    return [padded([rows[i] for i in group]) for group in batches([len(row[0]) for row in rows])]


def padded(rows: list[tuple]) -> tuple[Tensor, Tensor, Tensor | None]:
    """ids, labels and weights as (rows, tokens); padding follows, where no token that counts looks."""
    ids, labels, weights = zip(*rows, strict=True)
    if any(one is not None for one in weights):
        weights = [
            torch.ones(len(i)) if w is None else w for i, w in zip(ids, weights, strict=True)
        ]
        weights = pad_sequence(weights, batch_first=True).to(ids[0].device)
    else:
        weights = None
    labels = pad_sequence(labels, batch_first=True, padding_value=IGNORED)
    return pad_sequence(ids, batch_first=True), labels, weights


def nll(model, ids: Tensor, labels: Tensor, weights: Tensor | None = None, past=None) -> Tensor:
    """Negative log-likelihood of the samples' labels, summed; ids, labels, weights: (rows, tokens).

    past: the cache of what came before. Padding stands at the end; causal attention needs no mask for it.
    """
    counts = labels[:, 1:] != IGNORED
    at = counts.any(0).nonzero().squeeze(1)  # positions that some row is trained on
    settings = (
        {"use_cache": False} if past is None else {"past_key_values": past, "use_cache": True}
    )
    if keeps_logits(model):
        logits = model(input_ids=ids, logits_to_keep=at, **settings).logits
    else:
        logits = model(input_ids=ids, **settings).logits[:, at]
    counts = counts[:, at]
    losses = cross_entropy(logits[counts].float(), labels[:, 1:][:, at][counts], reduction="none")
    return losses.sum() if weights is None else (losses * weights[:, 1:][:, at][counts]).sum()


def keeps_logits(model) -> bool:
    """Whether the model can be asked for some positions' logits alone."""
    while hasattr(model, "module"):
        model = model.module
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(base.forward).parameters


def trained_weight(batch: dict) -> float:
    """How many tokens are trained on, each counted by its weight."""
    return float(
        sum(
            (labels[1:] != IGNORED).sum()
            if weights is None
            else weights[1:][labels[1:] != IGNORED].sum()
            for labels, weights in zip(batch["labels"], batch["weights"], strict=True)
        )
    )
