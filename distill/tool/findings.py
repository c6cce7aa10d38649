"""What is found in a tool's file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One thing, in one line."""

    line: int
    """From 1."""
    breaks: bool
    """It would fail, or harm other runs; else a remark."""
    what: str
    do: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.line}: {'breaks' if self.breaks else 'remark'}: {self.what}; {self.do}."
