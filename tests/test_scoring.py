"""Scores: what equals an answer is right, what does not is wrong, and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distill.problems import Problem
from distill.scoring import f1, score

from . import pairs


def scored(kind: str, gold: str | tuple[str, ...], prediction) -> float:
    golds = gold if isinstance(gold, tuple) else (gold,)
    return score(Problem(id="1", question="q", answers=golds, kind=kind), prediction)


@pytest.mark.parametrize(("gold", "prediction", "same", "why"), [*pairs.MATHEMATICS, *pairs.TRAPS])
def test_mathematics_is_the_same_by_value(gold, prediction, same, why):
    assert scored("math", gold, prediction) == same, why


@pytest.mark.parametrize(("gold", "prediction", "same", "why"), pairs.FACTUAL)
def test_words_are_the_same_after_the_official_normalisation(gold, prediction, same, why):
    assert scored("factual", gold, prediction) == same, why


@pytest.mark.parametrize(("golds", "prediction", "same", "why"), pairs.ALIASES)
def test_any_of_the_answers_counts(golds, prediction, same, why):
    golds = tuple(gold for gold in golds if gold.strip())  # an empty one is refused by Problem
    assert scored("factual", golds, prediction) == same, why


@pytest.mark.parametrize("kind", ["math", "factual"])
@pytest.mark.parametrize(
    "prediction",
    [None, b"5", "", " ", float("nan"), [], {}, object(), "5" * 10_000_000, "\\frac{" * 1_000_000, "\x00", "\ud800"],
    ids=lambda value: repr(value)[:12],
)  # fmt: skip
def test_what_is_no_answer_is_wrong(kind, prediction):
    assert scored(kind, "5", prediction) == 0.0


def test_numbers_are_read_as_they_print():
    assert scored("math", "5", 5) == scored("math", "0.5", 0.5) == scored("factual", "5", 5) == 1.0


def test_the_box_at_the_end_of_a_long_text_is_found():
    assert scored("math", "5", "So it goes. " * 1000 + r"\boxed{5}") == 1.0


def test_the_faults_of_the_papers_grader_are_not_ours():
    """facts: x100 and /100, 1e-4 on integers, None equal to None, 0 equal to False."""
    wrong = [
        ("5", "500"),
        ("5", "0.05"),
        ("750", "7.5"),
        ("123456", "123460"),
        ("None", None),
        ("0", "False"),
    ]
    assert [scored("math", gold, said) for gold, said in wrong] == [0.0] * len(wrong)


def test_a_point_is_no_punctuation_between_digits():
    assert scored("factual", "10.8", "108") == 0.0 and scored("factual", "10.8", "10.8") == 1.0


@pytest.mark.parametrize(
    ("golds", "prediction", "value"),
    [
        (("Coahuila, Mexico",), "Coahuila", 2 / 3), (("yes",), "yes it is", 0.0), (("yes",), "Yes.", 1.0),
        (("no",), "not the no", 0.0), (("a b c", "x y"), "y", 2 / 3), (("the cat cat",), "cat", 2 / 3),
        (("The The",), "the the", 1.0), (("Oslo",), None, 0.0), (("Oslo",), "", 0.0), (("Oslo",), "the", 0.0),
    ],
)  # fmt: skip
def test_f1_is_hotpotqas(golds, prediction, value):
    problem = Problem(id="1", question="q", answers=golds)
    assert f1(problem, prediction) == pytest.approx(value)


def test_a_comparison_that_never_ends_is_given_up_and_the_next_is_made():
    assert scored("math", r"\frac{1}{7}", "9**9**9**9") == 0.0
    assert scored("math", r"\frac{1}{7}", r"\dfrac{2}{14}") == 1.0


def test_mathematics_can_be_scored_in_many_threads():
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda i: scored("math", rf"\frac{{1}}{{{i}}}", f"1/{i}"), range(2, 40))
        )
    assert found == [1.0] * 38


def test_mathematics_can_be_scored_in_a_fork():
    assert scored("math", r"\frac{1}{2}", "2/4") == 1.0
    script = "import os; from tests.test_scoring import scored; scored('math', '\\\\frac12', '2/4'); pid = os.fork()\n"
    script += "ok = scored('math', '\\\\frac13', '2/6') == 1.0\nif pid == 0: os._exit(not ok)\n"
    script += "assert ok and os.waitpid(pid, 0)[1] == 0"
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=100)


def test_the_referee_ends_with_the_process_that_started_it():
    script = "from distill import referee; referee.same_mathematics('x', 'y'); print(referee._child().pid, flush=True); "
    script += "import time; time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if (
            not os.path.exists(f"/proc/{pid}")
            or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
        ):
            return
        time.sleep(0.1)
    raise AssertionError("it is still there")
