"""Score a prediction against the answers that count: 1.0 or 0.0."""

from __future__ import annotations

import re
import string
import threading
from fractions import Fraction

from .problems import Problem

LONGEST = 2000
"""Characters of a prediction that are looked at; no answer is longer."""
NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?([eE][-+]?\d+)?")


def score(problem: Problem, prediction: str | None) -> float:
    """1.0 if the prediction equals one of the problem's answers, as its kind compares them; else 0.0."""
    if prediction is None or not prediction.strip() or len(prediction) > LONGEST:
        return 0.0
    same = same_mathematics if problem.kind == "math" else same_words
    return float(any(same(answer, prediction) for answer in problem.answers))


def same_words(gold: str, prediction: str) -> bool:
    """Exact match after the normalisation of SQuAD and HotpotQA: case, articles, punctuation, spaces."""
    return normalised(gold) == normalised(prediction)


def normalised(text: str) -> str:
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def same_mathematics(gold: str, prediction: str) -> bool:
    """Numbers by value, exactly; everything else by `math-verify` (LaTeX, sets, intervals)."""
    gold, prediction = _bare(gold), _bare(prediction)
    if gold == prediction:
        return True
    a, b = as_number(gold), as_number(prediction)
    if a is not None and b is not None:
        return a == b
    return _verified(gold, prediction)


def as_number(text: str) -> Fraction | None:
    """The exact value of a decimal number, thousands separators allowed; None for anything else."""
    text = text.replace("\N{MINUS SIGN}", "-").strip().rstrip(".")
    match = NUMBER.fullmatch(text)
    if not match or (match[2] and abs(int(match[2][1:])) > 400):
        return None  # 1e999999999 would be a number of a billion digits
    return Fraction(text.replace(",", ""))


def _bare(text: str) -> str:
    text = text.strip().strip("$").strip()
    boxed = re.fullmatch(r"\\boxed\{(.*)\}", text, re.DOTALL)
    return boxed[1].strip() if boxed else text


def _verified(gold: str, prediction: str) -> bool:
    from math_verify import parse, verify

    # math-verify keeps its time limits with a signal, which only the main thread can have.
    limit = 5 if threading.current_thread() is threading.main_thread() else None
    try:
        left, right = (parse(f"${text}$", parsing_timeout=limit) for text in (gold, prediction))
        return bool(verify(left, right, timeout_seconds=limit))
    except Exception:
        # Whatever a hostile or broken formula does to the parser, it is not the right answer.
        return False
