"""When two answers are one: as the field's scorers compare words, and numbers by their value."""

from __future__ import annotations

import re
import string
from fractions import Fraction

NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?([eE][-+]?\d+)?")

LONGEST = 1000
"""Characters of a number; Python refuses to read one of more than 4,300 digits."""
FORMULA = re.compile(r"[\d+*/^=<>\\-]")


def same_answer(a: str, b: str) -> bool:
    """The same number, or the same words; of formulas, for which a sign counts, the same text."""
    one, other = as_number(a), as_number(b)
    if one is not None and other is not None:
        return one == other
    if FORMULA.search(a + b):
        return a.split() == b.split()
    return same_words(a, b)


def same_words(a: str, b: str) -> bool:
    """Exact match after the normalisation of SQuAD and HotpotQA: case, articles, punctuation, spaces."""
    return normalised(a) == normalised(b)


def normalised(text: str) -> str:
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def as_number(text: str) -> Fraction | None:
    """The exact value of a decimal number, thousands separators allowed; None for anything else."""
    text = text.replace("\N{MINUS SIGN}", "-").strip().rstrip(".")
    match = NUMBER.fullmatch(text) if len(text) <= LONGEST else None
    if not match or (match[2] and abs(int(match[2][1:])) > 400):
        return None  # 1e999999999 would be a number of a billion digits
    return Fraction(text.replace(",", ""))
