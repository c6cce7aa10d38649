"""Read new tokens of many sequences in one forward of a transformers model, and choose what comes next.

A model whose layers are attention, full or of a sliding window, reads all sequences packed side by side
(agents/attention.py). That it does so rightly is tried once, on a few tokens; any other model (states,
convolutions, attention of its own making) reads each sequence by itself, with transformers' own cache.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers.cache_utils import DynamicCache

from . import attention

TRIED = 0.05
"""How far packed logits may be from plain ones, as a part of the largest; bfloat16 alone makes 0.01."""


class Decoder:
    """A model, as something that reads tokens into memories and tells the logits after them."""

    def __init__(self, model):
        self.model = model
        config = model.config.get_text_config()
        self.edge = _edge(config)
        """Length past which all positions are rotated otherwise (longrope); None: there is none."""
        attention.take_over(model)
        self.packs = _packs(model, config, self)
        """Whether sequences are read together, and what was read can be continued from any place."""
        if not self.packs:
            attention.give_back(model)

    @property
    def on_cpu(self) -> bool:
        return self.model.device.type == "cpu"

    def memory(self, far: bool = False):
        """An empty one. far: of a sequence past the edge."""
        memory = attention.Memory() if self.packs else Alone(self.model)
        memory.far = far
        return memory

    def far(self, length: int) -> bool:
        """Whether a sequence of this length is past the edge; what was read before it is then of no use."""
        return self.edge is not None and length > self.edge

    @torch.inference_mode()
    def read(self, memories: Sequence, tokens: Sequence[list[int]]) -> torch.Tensor:
        """Read each memory's new tokens into it; float32 logits after the last of them, (rows, vocabulary).

        When this raises, a memory is as it was, or empty.
        """
        if not self.packs:
            return torch.cat([m.read(t) for m, t in zip(memories, tokens, strict=True)])
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]) > 1)  # single ones first
        logits = self._packed([memories[i] for i in order], [tokens[i] for i in order])
        if order == list(range(len(order))):
            return logits
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return logits[back.to(logits.device)]

    def _packed(self, memories: list, tokens: list[list[int]]) -> torch.Tensor:
        device = self.model.device
        counts = [len(new) for new in tokens]
        positions = [
            place
            for memory, n in zip(memories, counts, strict=True)
            for place in range(memory.length, memory.length + n)
        ]
        with attention.packed(memories, counts, device):
            out = self.model(
                input_ids=torch.tensor([[t for new in tokens for t in new]], device=device),
                position_ids=torch.tensor([positions], device=device),
                # Of four dimensions it is taken for a finished mask, and none is made; it is not read.
                attention_mask=torch.zeros(1, 1, 1, 1, device=device),
                use_cache=False,
                logits_to_keep=torch.tensor(counts, device=device).cumsum(0) - 1,
            )
        for memory, n in zip(memories, counts, strict=True):
            memory.length += n
        return out.logits[0].float()

    @staticmethod
    @torch.inference_mode()
    def choose(logits, temperatures: list[float], numbers: list[float]) -> list[int]:
        """The likeliest token of each row, or where its temperature is above 0 the one its number draws.

        logits: (rows, vocabulary). numbers: uniform in [0, 1), one a row.
        """
        tokens = logits.argmax(dim=-1).tolist()
        warm = [i for i, t in enumerate(temperatures) if t > 0]
        if warm:
            heat = torch.tensor([temperatures[i] for i in warm]).unsqueeze(1)
            chances = torch.softmax(logits[warm].cpu() / heat.clamp(min=1e-6), dim=-1)
            sums = chances.cumsum(dim=-1)
            place = torch.tensor([numbers[i] for i in warm]).unsqueeze(1) * sums[:, -1:]
            drawn = torch.searchsorted(sums, place).squeeze(1).clamp(max=logits.shape[-1] - 1)
            for i, token in zip(warm, drawn.tolist(), strict=True):
                tokens[i] = token
        return tokens

    @staticmethod
    def uniform(seed: int, n: int) -> list[float]:
        """n numbers in [0, 1) of a seed, the same on every device."""
        return torch.rand(n, generator=torch.Generator().manual_seed(seed)).tolist()


class Alone:
    """The memory of one sequence that is read by itself: transformers' cache of the model's own kinds."""

    far = False

    def __init__(self, model):
        self.model = model
        self._empty()

    def _empty(self) -> None:
        self.cache, self.length = DynamicCache(config=self.model.config), 0

    def read(self, tokens: list[int]) -> torch.Tensor:
        try:
            return self._read(tokens)
        except BaseException:  # half of its layers may have the new tokens: it is read again
            self._empty()
            raise

    def _read(self, tokens: list[int]) -> torch.Tensor:
        device = self.model.device
        end = self.length + len(tokens)
        out = self.model(
            input_ids=torch.tensor([tokens], device=device),
            attention_mask=torch.ones(1, end, dtype=torch.long, device=device),
            position_ids=torch.arange(self.length, end, device=device).unsqueeze(0),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.length = end
        return out.logits[:, -1].float()


def _edge(config) -> int | None:
    """Phi-3's long contexts: one set of rotations up to a length, another for all of a longer sequence."""
    parameters = getattr(config, "rope_parameters", None) or {}
    nested = [p for p in parameters.values() if isinstance(p, dict)] or [parameters]
    for each in nested:
        if each.get("rope_type") == "longrope":
            return each.get("original_max_position_embeddings") or getattr(
                config, "original_max_position_embeddings", None
            )
    return None


@torch.inference_mode()
def _packs(model, config, decoder: Decoder) -> bool:
    """Whether two packed sequences, one read in three parts, give the logits of plain forwards."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds - {"full_attention", "sliding_attention"}:
        return False
    top = config.vocab_size - 1
    first, second = [min(i, top) for i in (5, 3, 8, 2, 9, 7)], [min(i, top) for i in (4, 6, 1)]
    a, b = attention.Memory(), attention.Memory()
    try:
        decoder._packed([a], [first[:3]])
        decoder._packed([a, b], [first[3:5], second[:2]])
        ours = decoder._packed([a, b], [first[5:], second[2:]])
        plain = torch.cat([_plain(model, ids) for ids in (first, second)])
    except Exception:  # of whatever kind: a model that cannot be called so is read in the other way
        return False
    return bool((ours - plain).abs().max() <= TRIED * plain.abs().max())


def _plain(model, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids], device=model.device), use_cache=False).logits[:, -1].float()
