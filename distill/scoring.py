"""Score a prediction against the answers that count: 1.0 or 0.0; of words, also how many they share (F1)."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from agents.answers import as_number, normalised, same_words

from . import referee
from .problems import Problem

LONGEST = 2000
"""Characters of an answer; of a longer text the end is looked at, where a box may stand."""
CLOSED = ("yes", "no", "noanswer")
"""Answers that HotpotQA's F1 gives no part of a point for."""


def score(problem: Problem, prediction: str | None) -> float:
    """1.0 if the prediction equals one of the problem's answers, as its kind compares them; else 0.0.

    Mathematics: by value (`distill/mathematics.py`), integers exactly. Factual: exact match after the
    normalisation of HotpotQA. Anything that is no text is wrong, numbers are read as they print.
    """
    text = as_text(prediction)
    if text is None:
        return 0.0
    same = same_mathematics if problem.kind == "math" else same_words
    return float(any(same(answer, text) for answer in problem.answers))


def f1(problem: Problem, prediction: str | None) -> float:
    """The harmonic mean of precision and recall of the words, 0 to 1; of several answers, the best.

    HotpotQA's (hotpot_evaluate_v1.py): after normalisation; "yes", "no" and "noanswer" only as a whole.
    """
    text = as_text(prediction)
    return max((_f1(answer, text) for answer in problem.answers), default=0.0) if text else 0.0


def as_text(prediction) -> str | None:
    """A prediction as text; None for what is no answer (None, bytes, nan, a blank)."""
    if isinstance(prediction, int | float | Fraction) and not isinstance(prediction, bool):
        try:
            prediction = str(prediction)
        except ValueError:  # more digits than Python prints
            return None
    if not isinstance(prediction, str):
        return None
    text = prediction.strip()
    return (text if len(text) <= LONGEST else _end(text)) or None


def same_mathematics(gold: str, prediction: str) -> bool:
    """Whether two mathematical answers are the same; of unequal standing: the first is the gold one."""
    a, b = as_number(gold), as_number(prediction)
    if a is not None and a.denominator == 1 and b is not None:
        return a == b  # most of all comparisons; the rest takes a process
    return referee.same_mathematics(gold, prediction)


def _end(text: str) -> str:
    """Of a long text the last box or "answer …", if one begins near its end."""
    near = len(text) - LONGEST
    start = max(text.rfind(word, near) for word in ("\\boxed", "\\fbox", "answer", "Answer"))
    return text[text.rfind("\n", near, start) + 1 :] if start >= 0 else ""


def _f1(answer: str, prediction: str) -> float:
    gold, said = normalised(answer), normalised(prediction)
    if gold != said and (gold in CLOSED or said in CLOSED):
        return 0.0
    if not gold or not said:
        return float(same_words(answer, prediction))
    shared = sum((Counter(gold.split()) & Counter(said.split())).values())
    return 2 * shared / (len(gold.split()) + len(said.split()))
