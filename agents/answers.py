"""When two answers are one: as the field's scorers compare words, and numbers by their value."""

from __future__ import annotations

import re
import string
import unicodedata
from fractions import Fraction

NUMBER = re.compile(
    r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?([eE][-+]?\d+)?|[-+]?\.\d+([eE][-+]?\d+)?"
)

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


IN_WORDS = re.compile(r"(?:(?<![\w-])-)?\.?\d(?:[\d,.:/-]*\d)?")
TYPOGRAPHY = str.maketrans(
    "\u2018\u2019\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2212\u2026", "''\"\"------."
)
"""Quotes, dashes and dots as a typesetter writes them, and on a keyboard."""


def same_words(a: str, b: str) -> bool:
    """Exact match after `normalised`; where nothing is left of one ("The The"), of what was written."""
    one, other = normalised(a), normalised(b)
    if one and other:
        # Without its point 3.5 would read 35, and 1/5 15.
        return one == other and numbers(a) == numbers(b)
    return bool(a.strip()) and a.casefold().split() == b.casefold().split()


def numbers(text: str) -> list[str]:
    """The numbers in words, with the signs that belong to them; without commas between thousands."""
    text = text.translate(TYPOGRAPHY)
    return [re.sub(r",(?=\d{3}(?!\d))", "", number) for number in IN_WORDS.findall(text)]


def normalised(text: str) -> str:
    """As SQuAD's and HotpotQA's scorers: no case, punctuation, articles or extra spaces.

    Theirs know ASCII punctuation alone; here its typographic forms count as the same, and letters with
    accents are one whether composed or not.
    """
    text = unicodedata.normalize("NFC", text).translate(TYPOGRAPHY).lower()
    text = "".join(character for character in text if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def as_number(text: str) -> Fraction | None:
    """The exact value of a decimal number, thousands separators allowed; None for anything else."""
    text = text.replace("\N{MINUS SIGN}", "-").strip().rstrip(".")
    match = NUMBER.fullmatch(text) if len(text) <= LONGEST and text.isascii() else None
    if not match or abs(int((match[1] or match[2] or "e0")[1:])) > 400:
        return None  # 1e999999999 would be a number of a billion digits
    return Fraction(text.replace(",", ""))
