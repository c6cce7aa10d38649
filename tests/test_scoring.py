"""Scores: what equals an answer is right, what does not is wrong, and nothing hangs."""

from __future__ import annotations

import threading

import pytest

from distill.problems import Problem
from distill.scoring import score


def scored(kind: str, gold: str, prediction) -> float:
    return score(Problem(id="1", question="q", answers=(gold,), kind=kind), prediction)


@pytest.mark.parametrize(
    ("gold", "prediction"),
    [
        ("5", "5"), ("5", "5.0"), ("5", " 5 "), ("5", r"\boxed{5}"), ("5", "$5$"), ("13138980.0", "13,138,980"),
        ("-3", "\N{MINUS SIGN}3"), ("0.5", ".5".replace(".", "0.")), ("1000", "1e3"), (r"\frac{1}{2}", "0.5"),
        (r"\frac{1}{2}", "1/2"), (r"\left( 3, \frac{\pi}{2} \right)", r"(3, \frac{\pi}{2})"),
        (r"(-\infty,-8]\cup [8,\infty)", r"(-\infty, -8] \cup [8, \infty)"), ("x+1", "1+x"),
    ],
)  # fmt: skip
def test_equal_mathematics_is_right(gold, prediction):
    assert scored("math", gold, prediction) == 1.0


@pytest.mark.parametrize(
    ("gold", "prediction"),
    [
        ("5", "500"), ("5", "0.05"), ("123456", "123460"), ("5", ""), ("5", None), ("5", "None"), ("5", "fifty"),
        ("5", "5" * 5000), ("5", r"\boxed{"), ("5", r"\frac{" * 200), ("5", "1e999999999"), ("5", "5 or 6"),
        ("0", "None"), ("10000", "10001"),
    ],
)  # fmt: skip
def test_other_mathematics_is_wrong(gold, prediction):
    assert scored("math", gold, prediction) == 0.0


@pytest.mark.parametrize(
    ("gold", "prediction", "right"),
    [
        ("The Beatles", "beatles", 1.0), ("Coahuila, Mexico", "coahuila mexico", 1.0), ("Oba", "the Oba.", 1.0),
        ("Oba", "Obama", 0.0), ("yes", "no", 0.0), ("Oba", None, 0.0), ("1874", "1874", 1.0), ("a", "", 0.0),
    ],
)  # fmt: skip
def test_words_are_compared_after_the_official_normalisation(gold, prediction, right):
    assert scored("factual", gold, prediction) == right


def test_any_of_the_answers_counts():
    problem = Problem(id="1", question="q", answers=("New York City", "NYC"))
    assert score(problem, "nyc") == 1.0


def test_mathematics_can_be_scored_outside_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(scored("math", r"\frac{1}{2}", "0.5")))
    thread.start()
    thread.join()
    assert found == [1.0]
