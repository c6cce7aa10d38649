"""Write several replies at once, with a plain transformers model.

Four things make it faster than `generate` for agents. A run's prompt only grows, so the keys and values
of what was read before are kept and only the new part is read. Several samples of one prompt read it once.
Keys and values lie in buffers with room to grow; transformers' own cache copies all of them for every
token. And a row that is done leaves the batch.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

ROOM = 128
"""Tokens that a buffer grows by."""
LOOK_BACK = 24
"""A stop string that the newest token completes lies within this many tokens."""


@dataclass(eq=False)
class Row:
    """One reply being written."""

    ids: list[int]
    """The prompt."""
    limit: int
    """Tokens at most."""
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0
    key: int | None = None
    """What rows of one run have in common."""
    written: list[int] = field(default_factory=list)
    reason: str | None = None
    """Why it ended: "stop" or "length"."""

    def take(self, token: int, decoder: Decoder) -> None:
        """Append a token, or end."""
        if token in decoder.end_ids:
            self.reason = "stop"
            return
        self.written.append(token)
        # A stop string ends with its last character: only a token that has it can complete one.
        text = decoder.text(token)
        if any(stop[-1] in text for stop in self.stop):
            tail = decoder.tokenizer.decode(self.written[-LOOK_BACK:])
            if any(stop in tail for stop in self.stop):
                self.reason = "stop"
                return
        if len(self.written) >= self.limit:
            self.reason = "length"


class Decoder:
    """A model, its tokenizer, and what it remembers of the runs it is in the middle of."""

    def __init__(self, model, tokenizer, end_ids: list[int], memory: int = 1_000_000_000):
        """memory: bytes of keys and values kept between the steps of runs."""
        self.model, self.tokenizer, self.end_ids, self.memory = (
            model,
            tokenizer,
            set(end_ids),
            memory,
        )
        kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
        # Other kinds of layers (sliding windows, states) keep what cannot be continued from the middle.
        self.can_remember = kinds == {"full_attention"}
        self._kept: OrderedDict[int, _Read] = OrderedDict()
        self._texts: dict[int, str] = {}

    @torch.inference_mode()
    def decode(self, rows: list[Row]) -> None:
        """Write every row to its end."""
        logits, cache, mask = self._read_once(rows)
        active = list(range(len(rows)))  # the batch's rows, by their place in `rows`
        choose = Choice(rows)
        while True:
            tokens = choose(logits, active)
            for at, (i, token) in enumerate(zip(active, tokens, strict=True)):
                if rows[i].reason is None:
                    rows[i].take(token, self)
                    if rows[i].reason is not None:
                        self._remember(rows[i], cache, at, mask)
            going = [at for at, i in enumerate(active) if rows[i].reason is None]
            if not going:
                return
            if len(going) <= 0.75 * len(active):
                keep = torch.tensor(going, device=mask.device)
                cache.batch_select_indices(keep)
                mask, active, tokens = (
                    mask[keep],
                    [active[at] for at in going],
                    [tokens[at] for at in going],
                )
            positions = mask.sum(
                1, keepdim=True
            )  # (rows, 1): each row's next place, padding not counted
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
            logits = self._forward(
                torch.tensor(tokens, device=mask.device).unsqueeze(1), mask, positions, cache
            )

    def _read_once(self, rows: list[Row]):
        """As `_read`; a prompt that several rows have is read for one of them, and what was read is copied."""
        place: dict[tuple[int, ...], int] = {}
        for row in rows:
            place.setdefault(tuple(row.ids), len(place))
        if len(place) == len(rows):
            return self._read(rows)
        at = [place[tuple(row.ids)] for row in rows]
        logits, cache, mask = self._read([rows[at.index(unique)] for unique in range(len(place))])
        copies = torch.tensor(at, device=mask.device)
        cache.batch_select_indices(copies)
        return logits[copies], cache, mask[copies]

    def _read(self, rows: list[Row]):
        """Read the prompts, from where the last step of their run ended; logits, cache and mask of all rows."""
        device = self.model.device
        kept = [self._recall(row) for row in rows]
        starts = [known.length if known else 0 for known in kept]
        past, new = (
            max(starts),
            max(len(row.ids) - start for row, start in zip(rows, starts, strict=True)),
        )
        # Known tokens end, and new ones end, at the same column in every row. (rows, past + new)
        ids = torch.zeros(len(rows), new, dtype=torch.long)
        mask = torch.zeros(len(rows), past + new, dtype=torch.long)
        positions = torch.zeros(len(rows), new, dtype=torch.long)
        for at, (row, start) in enumerate(zip(rows, starts, strict=True)):
            n = len(row.ids) - start
            ids[at, new - n :] = torch.tensor(row.ids[start:])
            positions[at, new - n :] = torch.arange(start, len(row.ids))
            mask[at, past - start : past] = 1
            mask[at, past + new - n :] = 1
        ids, mask, positions = ids.to(device), mask.to(device), positions.to(device)
        cache = self._cache(kept, past)
        return self._forward(ids, mask, positions, cache), cache, mask

    def _forward(self, ids, mask, positions, cache):
        """Logits of the next token, (rows, vocabulary)."""
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()

    def text(self, token: int) -> str:
        """What a token alone reads as."""
        known = self._texts.get(token)
        if known is None:
            known = self._texts[token] = self.tokenizer.decode([token])
        return known

    def _cache(self, kept: list[_Read | None], past: int):
        if not self.can_remember:
            return DynamicCache(config=self.model.config)
        cache = Cache(layer_class_to_replicate=RoomyLayer)
        if past:
            first = next(known for known in kept if known)
            cache.layers = [RoomyLayer() for _ in first.layers]
            for number, layer in enumerate(cache.layers):
                layer.load([known.layers[number] if known else None for known in kept], past)
        return cache

    def _recall(self, row: Row) -> _Read | None:
        """What this run has read before, as far as the prompt repeats it; at least one token is left to read."""
        known = self._kept.get(row.key) if row.key is not None else None
        if known is None:
            return None
        same = 0
        for a, b in zip(known.ids, row.ids[:-1], strict=False):
            if a != b:
                break
            same += 1
        return known.first(same) if same else None

    def _remember(self, row: Row, cache, at: int, mask) -> None:
        if row.key is None or not self.can_remember:
            return
        columns = mask[at].bool()
        ids = (row.ids + row.written)[
            : int(columns.sum())
        ]  # the newest token has not been read yet
        layers = [
            (layer.keys[at][:, columns].clone(), layer.values[at][:, columns].clone())
            for layer in cache.layers
        ]
        self._kept.pop(row.key, None)
        self._kept[row.key] = _Read(ids, layers)
        while sum(known.size for known in self._kept.values()) > self.memory:
            self._kept.popitem(last=False)


class Choice:
    """The next token of each row: the likeliest, or drawn. Each row has random numbers of its own."""

    def __init__(self, rows: list[Row]):
        self.temperatures = torch.tensor([row.temperature for row in rows])
        self.warm = bool((self.temperatures > 0).any())
        if self.warm:
            longest = max(row.limit for row in rows)
            self.numbers = torch.zeros(
                len(rows), longest
            )  # uniform, one for each token of each row
            for at, row in enumerate(rows):
                if row.temperature > 0:
                    generator = torch.Generator().manual_seed(row.seed)
                    self.numbers[at, : row.limit] = torch.rand(row.limit, generator=generator)
        self.step = 0

    def __call__(self, logits: torch.Tensor, active: list[int]) -> list[int]:
        """logits: (rows in `active`, vocabulary)."""
        tokens = logits.argmax(dim=-1).cpu()
        if self.warm:
            temperatures = self.temperatures[active].unsqueeze(1)
            chances = torch.softmax(logits.cpu() / temperatures.clamp(min=1e-6), dim=-1)
            sums = chances.cumsum(dim=-1)
            drawn = torch.searchsorted(
                sums, self.numbers[active, self.step].unsqueeze(1) * sums[:, -1:]
            )
            drawn = drawn.squeeze(1).clamp(max=logits.shape[-1] - 1)
            tokens = torch.where(temperatures.squeeze(1) > 0, drawn, tokens)
        self.step += 1
        return tokens.tolist()


@dataclass(frozen=True)
class _Read:
    """Tokens and their keys and values, per layer (heads, tokens, width)."""

    ids: list[int]
    layers: list[tuple[torch.Tensor, torch.Tensor]]

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        return sum(k.nbytes + v.nbytes for k, v in self.layers)

    def first(self, n: int) -> _Read:
        return _Read(self.ids[:n], [(k[:, :n], v[:, :n]) for k, v in self.layers])


class RoomyLayer(DynamicLayer):
    """A layer's keys and values at the front of larger buffers."""

    length = 0

    def load(self, known: list[tuple[torch.Tensor, torch.Tensor] | None], past: int) -> None:
        """Begin with what rows have read before, its end at column `past`."""
        like = next(pair for pair in known if pair)[0]
        heads, _, width = like.shape
        shape = (len(known), heads, past, width)
        keys, values = like.new_zeros(shape), like.new_zeros(shape)
        for at, pair in enumerate(known):
            if pair:
                n = pair[0].shape[1]
                keys[at, :, past - n :], values[at, :, past - n :] = pair
        self.update(keys, values)

    def update(self, key_states, value_states, *args, **kwargs):
        rows, heads, new, width = key_states.shape
        end = self.length + new
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._keys = self._values = key_states.new_empty(rows, heads, 0, width)
        if end > self._keys.shape[2]:
            room = key_states.new_empty(rows, heads, end + ROOM - self.length, width)
            self._keys = torch.cat([self._keys[:, :, : self.length], room], dim=2)
            self._values = torch.cat([self._values[:, :, : self.length], room], dim=2)
        self._keys[:, :, self.length : end] = key_states
        self._values[:, :, self.length : end] = value_states
        return self._show(end)

    def batch_select_indices(self, indices) -> None:
        self._keys, self._values = self._keys[indices], self._values[indices]
        self._show(self.length)

    def _show(self, length: int):
        self.length = length
        self.keys, self.values = self._keys[:, :, :length], self._values[:, :, :length]
        return self.keys, self.values
