"""Score a prediction against the answers that count: 1.0 or 0.0."""

from __future__ import annotations

import re
import threading
from functools import cache

from smolagents.local_python_executor import ExecutionTimeoutError

from agents.answers import as_number, same_words

from .problems import Problem

LONGEST = 2000
"""Characters of a prediction that are looked at; no answer is longer."""


def score(problem: Problem, prediction: str | None) -> float:
    """1.0 if the prediction equals one of the problem's answers, as its kind compares them; else 0.0."""
    if prediction is None or not prediction.strip() or len(prediction) > LONGEST:
        return 0.0
    same = same_mathematics if problem.kind == "math" else same_words
    return float(any(same(answer, prediction) for answer in problem.answers))


def same_mathematics(gold: str, prediction: str) -> bool:
    """Numbers by value, exactly; everything else by `math-verify` (LaTeX, sets, intervals)."""
    gold, prediction = _bare(gold), _bare(prediction)
    if gold == prediction:
        return True
    a, b = as_number(gold), as_number(prediction)
    if a is not None and b is not None:
        return a == b
    return _verified(gold, prediction)


def _bare(text: str) -> str:
    text = text.strip().strip("$").strip()
    boxed = re.fullmatch(r"\\boxed\{(.*)\}", text, re.DOTALL)
    return boxed[1].strip() if boxed else text


def _verified(gold: str, prediction: str) -> bool:
    # math-verify keeps its time limits with a signal, which only the main thread can have.
    if threading.current_thread() is not threading.main_thread():
        return _verified_apart(gold, prediction)
    from math_verify import parse, verify

    try:
        left, right = (parse(f"${text}$", parsing_timeout=5) for text in (gold, prediction))
        return bool(verify(left, right, timeout_seconds=5))
    except Exception:
        # Whatever a hostile or broken formula does to the parser, it is not the right answer.
        return False


def _verified_apart(gold: str, prediction: str) -> bool:
    """In the sandbox, whose limits hold in any thread: candidates' answers are compared while agents run."""
    from agents.sandbox import SandboxError

    code = (
        "from math_verify import parse, verify\n"
        f"left, right = (parse(text, parsing_timeout=None) for text in {(f'${gold}$', f'${prediction}$')!r})\n"
        "verify(left, right, timeout_seconds=None)"
    )
    try:
        with _comparing:
            return _executor()(code).output is True
    except (ValueError, SandboxError, ExecutionTimeoutError):
        return False


_comparing = threading.Lock()


@cache
def _executor():
    from agents.sandbox import Limits, SandboxExecutor

    return SandboxExecutor(["math_verify"], interpreter="python", limits=Limits(seconds=5))
