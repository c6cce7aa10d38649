"""Whether two mathematical answers are the same: by what they are made of, and by value.

    a text -> statement (the answer in what may be prose) -> spelling (one LaTeX for LaTeX, plain text and Python)
           -> structure (lists, sets, points, intervals, matrices) -> quantity (units, percent, numbers) -> formula

What is left of an answer at the end is a number, compared as a fraction, or a formula, which `latex2sympy` reads
and sympy and `math-verify` compare. Any of it may take forever on a hostile text, so nothing but
`distill/referee.py`, in a process of its own, calls this package.
"""

from __future__ import annotations

from .spelling import tidy
from .statement import statement
from .structure import equal


def same(gold: str, prediction: str, by_value: bool = False) -> bool:
    """Whether the prediction says what the gold answer says. May hang or crash on a hostile text.

    by_value: do not be content with the same letters; for proving that golds can be read.
    """
    gold, prediction = tidy(statement(gold)), tidy(statement(prediction))
    return equal(gold, prediction, letters=not by_value)
