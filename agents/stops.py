"""Where a reply ends: at a stop string, found as its last token is written and never shown."""

from __future__ import annotations


class Stops:
    """Stop strings over a tokenizer, checked token by token.

    Exact: a reply has ended when its text holds one of them, whether inside a token, as one or across
    several. Cheap: the text is looked at only after a token that can be the last of a stop string, which
    is worked out once for each token that is written.
    """

    def __init__(self, tokenizer, strings: tuple[str, ...]):
        """Raises ValueError for an empty stop string."""
        if not all(strings):
            raise ValueError(f"A stop string is empty: {list(strings)}; leave it out.")
        self.tokenizer, self.strings = tokenizer, strings
        self._last = {string[-1] for string in strings}
        if not all(character.isascii() for character in self._last):
            self._last.add("\N{REPLACEMENT CHARACTER}")  # a token may hold part of a character
        self._may_end: dict[int, bool] = {}

    def reached(self, written: list[int]) -> bool:
        """Whether the newest token completes a stop string."""
        if not self.strings:
            return False
        newest = written[-1]
        may = self._may_end.get(newest)
        if may is None:
            # Twice, as some tokenizers drop the space that a text begins with.
            text = self.tokenizer.decode([newest, newest])
            may = self._may_end[newest] = any(last in text for last in self._last)
        return may and self.cut(text_of(self.tokenizer, written)) is not None

    def cut(self, text: str) -> str | None:
        """The text before the first stop string; None where there is none."""
        ends = [at for stop in self.strings if (at := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else None

    def safe(self, text: str) -> str:
        """As much of an unfinished text as whatever follows will leave as it is."""
        # A replacement character at the end may yet become another.
        return safe(text.rstrip("\N{REPLACEMENT CHARACTER}"), self.strings)


def cut(text: str, stops: tuple[str, ...]) -> str:
    """The text up to the first stop string, as servers return it."""
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def safe(text: str, stops: tuple[str, ...]) -> str:
    """As much of an unfinished text as is sure to be before a stop string."""
    if (known := cut(text, stops)) != text:
        return known
    held = max((_overlap(text, stop) for stop in stops), default=0)
    return text[: len(text) - held]


def text_of(tokenizer, written: list[int]) -> str:
    return tokenizer.decode(written, skip_special_tokens=True)


def _overlap(text: str, stop: str) -> int:
    """Characters at the text's end that may begin a stop string."""
    most = min(len(text), len(stop) - 1)
    return next((n for n in range(most, 0, -1) if text.endswith(stop[:n])), 0)
