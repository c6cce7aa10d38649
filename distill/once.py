"""What all samples of a step have in common is computed once: the start of their prompts, and folded weights.

The agent's system prompt opens every sample; a small student's LoRA matrices cost more per token than the
weights they change. Both are computed once a step and cut out of the graph: the samples' backward passes
end there and add up, and one pass goes on from there. The gradient is the one of doing it for every sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from transformers import DynamicCache

LEAST = 32
"""Tokens in common from which reading them once pays."""
SHORT, PADDING = 768, 1.25
"""Tokens of a forward of several samples, and what of them may be padding; longer ones are read alone."""


class Once:
    """Tensors that several backward passes end at; `back` goes on from there, once."""

    def __init__(self, tensors: Sequence[Tensor]):
        self.tensors = tensors
        self.leaves = [tensor.detach().requires_grad_() for tensor in tensors]

    def back(self) -> None:
        reached = [
            (tensor, leaf.grad)
            for tensor, leaf in zip(self.tensors, self.leaves, strict=True)
            if tensor.requires_grad and leaf.grad is not None
        ]
        if reached:
            torch.autograd.backward(*zip(*reached, strict=True))


def shared_start(rows: Sequence[Tensor], labels: Sequence[Tensor]) -> int:
    """How many tokens all rows begin with, before any that is trained on; 0 where reading them once saves little.

    At least one token is left to every row, whose prediction is the first that is trained on.
    """
    if len(rows) < 2:
        return 0
    n = min(int((one >= 0).int().argmax()) for one in labels) - 1
    for row in rows[1:]:
        same = row[:n] == rows[0][:n]
        n = n if bool(same.all()) else int((~same).int().argmax())
    return n if n >= LEAST else 0


def read_once(model, ids: Tensor) -> Once:
    """The keys and values of a prompt's start, for `continued`."""
    cache = DynamicCache(config=model.config)
    model(input_ids=ids[None], use_cache=True, past_key_values=cache, logits_to_keep=1)
    return Once([tensor for layer in cache.layers for tensor in (layer.keys, layer.values)])


def continued(model, start: Once, rows: int) -> DynamicCache:
    """A cache to read the rest of so many samples with, as one batch."""
    cache = DynamicCache(config=model.config)
    for number in range(len(start.leaves) // 2):
        keys, values = (
            leaf.expand(rows, -1, -1, -1) for leaf in start.leaves[2 * number : 2 * number + 2]
        )
        cache.update(keys, values, number)
    return cache


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Which samples to read in one forward: short ones of like length, for which starting a forward costs more than
    a little padding does. Indices, of every sample once."""
    found: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        group = [*found[-1], at] if found else []
        padded = lengths[at] * len(group)
        if group and padded <= SHORT and padded <= PADDING * sum(lengths[i] for i in group):
            found[-1] = group
        else:
            found.append([at])
    return found


def can_share(config, longest: int) -> bool:
    """Whether every layer attends to all that came before, at this length; others' states are not handed on."""
    config = config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    if kinds == {"full_attention"}:
        return window is None or "layer_types" in config.to_dict() or longest < window
    return kinds <= {"full_attention", "sliding_attention"} and bool(window) and longest < window


def foldable(model) -> list[nn.Module]:
    """LoRA layers that are cheaper as one changed weight: W + sBA costs 6 operations an entry and token, W beside
    B and A costs 4 and 6; with dropout, or the norms of DoRA, the two are not the same function."""
    from peft.tuners.lora import Linear

    return [module for module in model.modules() if isinstance(module, Linear) and _folds(module)]


def _folds(module) -> bool:
    base = module.get_base_layer()
    if type(base) is not nn.Linear or not base.weight.is_floating_point() or module.merged:
        return False
    if module.active_adapters != ["default"] or module.use_dora.get("default"):
        return False
    a, b = module.lora_A["default"], module.lora_B["default"]
    dropout = module.lora_dropout["default"]
    if b.bias is not None or getattr(dropout, "p", 0.0) > 0:
        return False
    return base.weight.numel() < 3 * (a.weight.numel() + b.weight.numel())


@contextmanager
def folded(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Within it the layers multiply by W + sBA; at its end their gradients go on to A and B."""
    once = Once(
        [
            layer.get_base_layer().weight
            + layer.scaling["default"]
            * (layer.lora_B["default"].weight @ layer.lora_A["default"].weight)
            for layer in layers
        ]
    )
    for layer, weight in zip(layers, once.leaves, strict=True):
        layer.forward = partial(_linear, weight, layer.get_base_layer().bias)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
    once.back()


def _linear(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return nn.functional.linear(x, weight, bias)
