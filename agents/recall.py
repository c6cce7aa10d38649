"""What was read before, for whoever's prompt begins alike: the next step of a run, or another run.

Looked up by the tokens themselves, so that nothing but the same beginning is ever taken for it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(eq=False)
class Read:
    """Tokens that were read, as `packed_tokens`, and the memory that holds their keys and values."""

    tokens: bytes
    memory: object

    @property
    def length(self) -> int:
        return len(self.tokens) // SIZE


class Recall:
    """Memories of rows that are done, the most recently used, up to a number of bytes."""

    def __init__(self, most: int):
        """most: bytes of keys and values, together."""
        self.most = most
        self._kept: list[Read] = []  # the least recently used first

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        return sum(read.memory.nbytes for read in self._kept)

    def keep(self, read: Read, prompt: int = 0) -> None:
        """Also lets go of what could tell little more: its beginnings, and other replies to its prompt.

        prompt: tokens of the read ones that were the prompt. A run goes on with one of its samples; that one's
        words are read again if another's were kept, the prompt is not.
        """
        asked = read.tokens[: prompt * SIZE]
        self._kept = [
            other
            for other in self._kept
            if not read.tokens.startswith(other.tokens)
            and not (asked and other.tokens.startswith(asked))
        ]
        self._kept.append(read)
        total = self.nbytes
        while self._kept and total > self.most:
            total -= self._kept.pop(0).memory.nbytes

    def longest(self, tokens: bytes) -> tuple[Read | None, int]:
        """The kept one that begins most like these tokens, and how many of them it shares."""
        read, same = longest(self._kept, tokens)
        if read is not None:
            self._kept.remove(read)
            self._kept.append(read)
        return read, same

    def __contains__(self, read: Read) -> bool:
        return read in self._kept

    def take(self, read: Read):
        """The memory of one, which somebody goes on with."""
        self._kept.remove(read)
        return read.memory

    def clear(self) -> None:
        self._kept.clear()


SIZE = array("i").itemsize


def packed_tokens(ids: list[int]) -> bytes:
    return array("i", ids).tobytes()


def longest(reads: Iterable[Read], tokens: bytes) -> tuple[Read | None, int]:
    """Of several the one that shares most of these tokens' beginning, and how many; None and 0: none does."""
    best, most = None, 0
    for read in reads:
        if not _alike(read.tokens, tokens, most + 1):
            continue  # as most of them: it shares no more than the best so far
        best, most = read, common(read.tokens, tokens)
    return best, most


def _alike(a: bytes, b: bytes, n: int) -> bool:
    return min(len(a), len(b)) >= n * SIZE and a[: n * SIZE] == b[: n * SIZE]


def common(a: bytes, b: bytes) -> int:
    """How many tokens two sequences have in common from their beginning on."""
    low, high = 0, min(len(a), len(b)) // SIZE
    while low < high:
        middle = (low + high + 1) // 2
        if a[low * SIZE : middle * SIZE] == b[low * SIZE : middle * SIZE]:
            low = middle
        else:
            high = middle - 1
    return low
