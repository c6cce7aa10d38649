"""Attention for many sequences side by side in one forward, each over its own keys and values.

transformers' models take their attention as a function. Ours lets tokens of different sequences lie in one
packed row, (1, tokens), whatever the sequences' lengths: nothing is padded, and a sequence joins or leaves
from one forward to the next. Keys and values lie in buffers with room to grow, which does what a static
cache is for (nothing is copied to append a token; transformers' own cache copies all of it) without fixing
the longest length beforehand. Sliding windows are read off the call; keys outside them are kept, not read.

Outside of `packed` a model with this attention behaves as with the one that it had.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ROOM = 128
"""Tokens that a buffer grows by, at least."""
NAME = "packed_or_"
"""Begins the name of our attention; the rest is the one that the model had."""
KNOWN = {"sliding_window", "softcap", "dropout", "is_causal", "position_ids", "use_cache"}
"""What else an attention may be called with and still be the one written here."""
_now = threading.local()


class Memory:
    """Keys and values of one sequence, by layer: (keys and values, 1, heads, room, width)."""

    def __init__(self, length: int = 0):
        self.layers: dict[int, torch.Tensor] = {}
        self.length = length
        """Tokens whose keys and values are in it."""
        self.far = False
        """Read as part of a sequence past the model's edge (agents/decode.py)."""

    def room(self, layer: int, like: torch.Tensor, end: int) -> torch.Tensor:
        """The layer's buffer, made to hold `end` tokens. like: (keys and values, heads, tokens, width)."""
        buffer = self.layers.get(layer)
        if buffer is None or buffer.shape[3] < end:
            kinds, heads, _, width = like.shape
            room = end + max(ROOM, end // 2)
            grown = like.new_empty(kinds, 1, heads, room, width)
            if buffer is not None:
                grown[:, :, :, : self.length] = buffer[:, :, :, : self.length]
            self.layers[layer] = buffer = grown
        return buffer

    def first(self, n: int) -> Memory:
        """A copy of the first n tokens'."""
        copy = Memory(n)
        for layer, buffer in self.layers.items():
            kinds, _, heads, _, width = buffer.shape
            copy.layers[layer] = buffer.new_empty(kinds, 1, heads, n + ROOM, width)
            copy.layers[layer][:, :, :, :n] = buffer[:, :, :, :n]
        return copy

    def cut(self, n: int) -> Memory:
        """The same, of the first n tokens alone."""
        self.length = n
        return self

    @property
    def nbytes(self) -> int:
        return sum(buffer.nbytes for buffer in self.layers.values())


class Packed:
    """The new tokens of one forward: single ones (being written) first, then runs of a prompt's."""

    def __init__(self, memories: Sequence[Memory], counts: Sequence[int], device):
        self.memories, self.counts, self.device = memories, counts, device
        self.starts = [memory.length for memory in memories]
        self.singles = next((i for i, n in enumerate(counts) if n > 1), len(counts))
        self._masks: dict[tuple[int, int | None], torch.Tensor] = {}

    def attend(self, module, query, keys, values, scaling, softcap, window) -> torch.Tensor:
        """query: (1, heads, tokens, width), keys and values with their own heads; (1, tokens, heads, width)."""
        new = torch.stack((keys[0], values[0]))
        buffers = [
            memory.room(module.layer_idx, new, start + n)
            for memory, start, n in zip(self.memories, self.starts, self.counts, strict=True)
        ]
        heads, groups, width = query.shape[1], keys.shape[1], query.shape[3]
        out = query.new_empty(query.shape[2], heads, values.shape[3])
        if self.singles:
            n = self.singles
            torch._foreach_copy_(
                [b.select(3, s).squeeze(1) for b, s in zip(buffers[:n], self.starts, strict=False)],
                list(new[:, :, :n].unbind(2)),
            )
            # The heads that share keys are attended as so many queries of one head.
            one = query[0, :, :n].transpose(0, 1).reshape(n, 1, groups, heads // groups, width)
            found = []
            for q, buffer, start in zip(one.unbind(0), buffers, self.starts, strict=False):
                first = max(0, start + 1 - window) if window else 0
                k, v = buffer.narrow(3, first, start + 1 - first).unbind(0)
                found.append(attend(q, k, v, scaling, softcap))
            out[:n] = torch.cat(found).view(n, heads, -1)
        at = self.singles
        for i in range(self.singles, len(self.counts)):
            n, start = self.counts[i], self.starts[i]
            end = start + n
            buffers[i][:, 0, :, start:end] = new[:, :, at : at + n]
            first = max(0, start + 1 - window) if window else 0
            k, v = buffers[i][:, :, :, first:end]
            if groups != heads:
                k, v = (t.repeat_interleave(heads // groups, dim=1) for t in (k, v))
            plain = start == 0 and not (window and end > window) and softcap is None
            mask = None if plain else self._mask(i, window, first)
            q = query[:, :, at : at + n]
            out[at : at + n] = attend(q, k, v, scaling, softcap, mask, plain)[0].transpose(0, 1)
            at += n
        return out.unsqueeze(0)

    def _mask(self, i: int, window: int | None, first: int) -> torch.Tensor:
        """Which keys, from the `first` on, each new token of the i-th sequence sees: (tokens, keys)."""
        if (i, window) not in self._masks:
            start, end = self.starts[i], self.starts[i] + self.counts[i]
            here = torch.arange(start, end, device=self.device).unsqueeze(1)
            keys = torch.arange(first, end, device=self.device)
            mask = keys <= here
            if window:
                mask &= keys > here - window
            self._masks[i, window] = mask
        return self._masks[i, window]


def attend(q, k, v, scaling, softcap, mask=None, causal=False) -> torch.Tensor:
    """Attention over (1, heads, tokens, width)."""
    if softcap is None:
        return scaled_dot_product_attention(
            q, k, v, attn_mask=mask, scale=scaling, is_causal=causal
        )
    scores = torch.tanh(q @ k.transpose(2, 3) * scaling / softcap) * softcap
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype) @ v


@contextmanager
def packed(memories: Sequence[Memory], counts: Sequence[int], device) -> Iterator[None]:
    """The forward inside, in this thread, reads so many new tokens of each sequence, packed in this order."""
    _now.batch = Packed(memories, counts, device)
    try:
        yield
    finally:
        _now.batch = None


def take_over(model) -> None:
    """Have the model attend by `packed` where it is in force, and as before elsewhere."""
    before = model.config._attn_implementation
    if before.startswith(NAME):
        return
    name = NAME + before
    if name not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(name, _attention(before))
        ALL_MASK_ATTENTION_FUNCTIONS.register(name, ALL_MASK_ATTENTION_FUNCTIONS[before])
    _set(model, name)


def give_back(model) -> None:
    """Undo `take_over`."""
    _set(model, model.config._attn_implementation.removeprefix(NAME))


def _set(model, name: str) -> None:
    for module in model.modules():
        if hasattr(module, "config") and hasattr(module.config, "_attn_implementation"):
            module.config._attn_implementation = name


def _attention(before: str):
    """The function that transformers calls in every layer."""

    def attention(module, query, key, value, attention_mask, scaling=None, **kwargs):
        batch = getattr(_now, "batch", None)
        if batch is None:
            inner = ALL_ATTENTION_FUNCTIONS.get(before)
            if inner is None:  # "eager" is a function of each model's own file
                inner = sys.modules[type(module).__module__].eager_attention_forward
            return inner(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
        strange = sorted(k for k, v in kwargs.items() if v is not None and k not in KNOWN)
        window = kwargs.get("sliding_window")
        slides = getattr(module, "is_sliding", False) or (
            getattr(module, "layer_type", None) == "sliding_attention"
        )
        if strange or (slides and not window) or not getattr(module, "is_causal", True):
            raise NotImplementedError(f"attention with {strange or 'a mask of its own'}")
        scaling = query.shape[3] ** -0.5 if scaling is None else scaling
        softcap = kwargs.get("softcap")
        return batch.attend(module, query, key, value, scaling, softcap, window), None

    return attention
