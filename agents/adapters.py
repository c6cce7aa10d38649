"""Exchange the LoRA adapter of a loaded model: the weights that it becomes part of, and nothing else.

An adapter is folded into the weights, so that writing costs what it costs without one. The weights that a
fold replaces are kept, in main memory, and every fold starts from them: after any number of exchanges the
weights are those of a fresh load, bit for bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

from .weights import adapter_base, load_pretrained, load_tokenizer, put_on


class Adapters:
    """What a loaded model's weights are without any adapter, and how to come to those with another."""

    def __init__(self, model, tokenizer, path: str):
        """path: what the model was loaded from. Of an adapter, the base's own weights are read once more."""
        self.model = model
        self.base = adapter_base(path) or path
        self.tokenizer = tokenizer if self.base == path else load_tokenizer(self.base)
        self._tied = model.config.tie_word_embeddings
        self._weights = named(model)
        if self.base != path or Path(path, "adapter_config.json").is_file():
            self._read_base()

    def prepare(self, adapter: str | None) -> Callable[[], object]:
        """A function that puts the adapter's weights in place, at once, and returns the tokenizer to use.

        The model is as it was until that is called. None: the base alone. Raises ValueError for an adapter
        of another base.
        """
        weights, tied, tokenizer = self._weights, self._tied, self.tokenizer
        if adapter is not None:
            if adapter_base(adapter) is None:
                raise ValueError(f"{adapter} holds no adapter: adapter_config.json is not in it.")
            shadow = self._shadow()
            tokenizer = put_on(shadow, tokenizer, adapter, self.base)
            weights, tied = named(shadow), shadow.config.tie_word_embeddings

        def change():
            place(self.model, weights)
            self.model.config.tie_word_embeddings = tied
            return tokenizer

        return change

    def _shadow(self):
        """The base as modules of its own, on the weights that are there: nothing of them is copied."""
        import torch

        device = self.model.device
        mine: dict[int, torch.nn.Parameter] = {}
        for weight in self._weights.values():
            if id(weight) not in mine:
                moved = weight.detach().to(device)
                mine[id(weight)] = torch.nn.Parameter(moved, requires_grad=False)
        shared = [*self.model.parameters(), *self.model.buffers()]
        shadow = copy.deepcopy(self.model, {id(tensor): tensor for tensor in shared})
        place(shadow, {name: mine[id(weight)] for name, weight in self._weights.items()})
        shadow.config.tie_word_embeddings = self._tied
        return shadow

    def _read_base(self) -> None:
        """The base's weights, of which those that the model has not, unchanged, are kept in main memory."""
        import torch

        base, _ = load_pretrained(self.base, self.model.dtype)
        self._tied = base.config.tie_word_embeddings
        loaded = {
            name.replace(".base_layer", ""): weight
            for name, weight in named(base).items()
            if "lora_" not in name
        }
        same = {
            id(weight): self._weights[name]
            for name, weight in loaded.items()
            if torch.equal(weight, self._weights[name].to(weight.device))
        }
        self._weights = {name: same.get(id(weight), weight) for name, weight in loaded.items()}


def named(model) -> dict:
    """Parameters by name; one that stands in two places has two names."""
    return dict(model.named_parameters(remove_duplicate=False))


def place(model, weights: dict) -> None:
    """Have the model's parameters be these, where they are not."""
    for name, weight in weights.items():
        parent, _, leaf = name.rpartition(".")
        module = model.get_submodule(parent)
        if getattr(module, leaf) is not weight:
            setattr(module, leaf, weight)
