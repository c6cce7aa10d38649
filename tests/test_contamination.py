"""Contamination: equal and nearly equal questions are found, others are not, in any script and order."""

from __future__ import annotations

import json
import random

import pytest

from agents import Trajectory
from distill.contamination import clean, overlaps, rows, table, write
from distill.problems import Problem
from distill.rollout import Rollout

FENCE = (
    "A fence of length 12 encloses a square garden. What is the area of the garden in square feet?"
)
LATEX = r"Find the value of $\frac{1}{2} + x^2$ for $x = -3$."


def problems(*questions: str, benchmark: str | None = "drill") -> list[Problem]:
    return [
        Problem(id=str(i), question=question, answers=("1",), benchmark=benchmark)
        for i, question in enumerate(questions)
    ]


def found(mine: str, other: str, **settings) -> tuple[str, float] | None:
    pairs = overlaps(problems(mine), problems(other, benchmark="exam"), **settings)
    return (pairs[0].kind, pairs[0].similarity) if pairs else None


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (FENCE, FENCE.upper().replace(" ", "  \n")),
        (FENCE, FENCE.replace(".", "").replace("?", " ?")),
        (LATEX, LATEX.replace("$", "").replace(" + ", "+").replace(" = ", " =\n")),
        (LATEX, LATEX.replace(r"\frac", r"\dfrac").replace("x = -3", "x=\N{MINUS SIGN}3")),
        (LATEX, LATEX.replace("x^2", "x\N{SUPERSCRIPT TWO}")),
        (r"Convert $\left( 3,\,y \right)$.", "Convert (3, y)"),
        ("Where did Zo\u00eb \u201cthe fox\u201d live?", 'where did Zoe\u0308 "the fox" live'),
        ("\uff37\uff48\uff59\uff1f", "why?"),
        ("Why?", "why"),
        ("\u6771\u4eac\u306e\u4eba\u53e3\u306f\uff1f", "\u6771\u4eac\u306e\u4eba\u53e3\u306f?"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u0915\u094d\u092f\u093e \u0939\u0948?",) * 2,
        ("???", "???"),
    ],
)  # fmt: skip
def test_case_spacing_punctuation_and_style_make_no_other_question(mine, other):
    assert found(mine, other) == ("exact", 1.0)


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ("Compute 3+4.", "Compute 3-4."), ("Compute 4!", "Compute 4."), ("What is 3.5?", "What is 35?"),
        ("What is 10\N{SUPERSCRIPT TWO}?", "What is 102?"), ("Compute (2+3)*4", "Compute 2+3*4"),
        ("Why?", "Who?"), ("Why?", "Why did the fox leave the town?"), ("???", "..."), ("", ""),
        ("\u6771\u4eac\u306e\u4eba\u53e3\u306f\uff1f", "\u5927\u962a\u306e\u9762\u7a4d\u306f\uff1f"),
        (FENCE, "Which river flows through the town where the painter of the mural was born?"),
        # One phrase that many share.
        ("Find the sum of the digits of 2048. Express your answer as a common fraction.",
         "A coin is thrown nine times. Express your answer as a common fraction."),
    ],
)  # fmt: skip
def test_other_questions_are_not_flagged(mine, other):
    assert found(mine or "-", other or "+") is None


def test_the_same_text_with_other_numbers_is_near():
    kind, similarity = found(FENCE, FENCE.replace("12", "20"))
    assert kind == "near" and 0.5 <= similarity < 1


def test_a_sign_that_differs_in_a_long_question_is_near():
    assert found(LATEX, LATEX.replace("-3", "3")) == ("near", 1.0)


def test_similarity_is_the_share_of_runs_in_both():
    # Runs of 3 words: abc bcd cde, and bcd cde def: 2 of 4.
    assert found("a b c d e", "b c d e f", n=3) == ("near", 0.5)
    assert found("a b c d e", "b c d e f", n=3, threshold=0.51) is None


def test_scripts_without_spaces_are_compared_letter_by_letter():
    question = "\u6771\u4eac\u30bf\u30ef\u30fc\u306e\u9ad8\u3055\u306f\u4f55\u30e1\u30fc\u30c8\u30eb\u3067\u3059\u304b"
    assert found(question, question.replace("\u3067\u3059", ""))[0] == "near"


@pytest.mark.parametrize("settings", [{"n": 0}, {"threshold": 0}, {"threshold": 1.5}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match="n starts at 1"):
        overlaps(problems("a"), problems("a"), **settings)


def test_nothing_overlaps_with_nothing():
    assert overlaps([], problems("a")) == overlaps(problems("a"), []) == []
    assert rows([], problems("a"), []) == [] and table([])
    assert clean([], []) == []


def naive(mine, other, n, threshold):
    def runs(text):
        words = text.split()
        return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}

    for a in mine:
        for b in other:
            one, two = runs(a.question), runs(b.question)
            if len(one & two) / len(one | two) >= threshold:
                yield a.id, b.id


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_it_finds_the_problems_that_comparing_all_pairs_finds(threshold, monkeypatch):
    monkeypatch.setattr("distill.contamination.CELLS", 200)  # several blocks
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcd", k=draw.randint(4, 12))) for _ in range(160)]
    mine, other = problems(*texts[:100]), problems(*texts[100:], benchmark="exam")
    pairs = overlaps(mine, other, n=3, threshold=threshold)
    all_pairs = set(naive(mine, other, 3, threshold))
    assert {(p.training.id, p.test.id) for p in pairs} <= all_pairs
    for side in (0, 1):
        assert {(p.training.id, p.test.id)[side] for p in pairs} == {ids[side] for ids in all_pairs}
    assert len(pairs) <= len(mine) + len(other)


def test_the_order_and_repetitions_of_problems_change_nothing():
    draw = random.Random(1)
    mine = problems(*(f"{FENCE} {i % 3}" for i in range(9)), "Another one that stands alone here")
    test = problems(*(f"{FENCE} {i}" for i in range(5)), benchmark="exam")
    first = overlaps(mine, test)
    for _ in range(3):
        assert (
            overlaps(draw.sample(mine, len(mine)) + mine[:4], draw.sample(test, len(test))) == first
        )
    assert len({p.training for p in first}) == 9


def test_the_closest_is_named_and_an_exact_one_before_a_near_one():
    pairs = overlaps(
        problems(LATEX),
        problems(LATEX.replace("-3", "3"), LATEX, LATEX + " Why?", benchmark="exam"),
    )
    best = [p for p in pairs if p.test.id == "1"]
    assert [(p.kind, p.similarity) for p in best] == [("exact", 1.0)]
    assert len(pairs) == 3, "each test problem is flagged"


def test_each_benchmark_and_training_set_is_counted_by_itself():
    mine = problems(FENCE, FENCE.replace("12", "20"), "Who wrote it?") + problems(
        LATEX, benchmark="more"
    )
    test = problems(FENCE, "Who painted it?", benchmark="exam") + problems(LATEX, benchmark=None)
    found = rows(mine, test, overlaps(mine, test))
    assert [(r.training, r.benchmark, r.problems, r.exact, r.near) for r in found] == [
        ("drill", "exam", 3, 1, 1), ("drill", "problems", 3, 0, 0),
        ("more", "exam", 1, 0, 0), ("more", "problems", 1, 1, 0),
    ]  # fmt: skip
    assert (found[0].tests, found[0].tests_exact, found[0].tests_near) == (2, 1, 0)
    text = table(found)
    assert text.splitlines()[0].split()[:3] == ["training", "set", "problems"]
    assert "drill 0 and exam 0, exact, 1.00" in text and "A fence of length 20" in text


def test_at_most_three_examples_are_shown_in_lines_that_fit():
    mine = problems(*(f"{FENCE} {i}" for i in range(9)))
    test = problems(*(f"{FENCE} {i}\nsecond line" for i in range(9)), benchmark="exam")
    [row] = rows(mine, test, overlaps(mine, test))
    assert row.near == 9 and len(row.examples) == 3
    assert max(map(len, table([row], width=60).split("\n\n")[1].splitlines())) <= 62


def rollout(problem: Problem, attempt: int = 0) -> Rollout:
    trajectory = Trajectory(
        question=problem.question, messages=(), answer="1", stop="answered", model="m", method="cot"
    )
    return Rollout(problem=problem, attempt=attempt, trajectory=trajectory, score=1.0)


def test_what_is_flagged_is_taken_out_of_problems_and_of_rollouts():
    mine = problems(FENCE, "Who wrote it?")
    test = problems(FENCE.lower(), benchmark="exam")
    kept = [rollout(p, k) for p in mine for k in range(2)]
    pairs = overlaps(kept, test)
    assert pairs == overlaps(mine, test)
    assert clean(mine, pairs) == mine[1:] and clean(kept, pairs) == kept[2:]


def test_problems_with_equal_ids_are_told_apart():
    mine = problems(FENCE) + problems("Who wrote it?")
    assert clean(mine, overlaps(mine, problems(FENCE, benchmark="exam"))) == mine[1:]


def test_the_file_says_how_and_what_and_holds_no_answer(tmp_path):
    mine, test = problems(FENCE), problems(FENCE, benchmark="exam")
    pairs = overlaps(mine, test, n=4, threshold=0.6)
    write(tmp_path, pairs, rows(mine, test, pairs), n=4, threshold=0.6)
    written = json.loads((tmp_path / "contamination.json").read_text(encoding="utf-8"))
    assert (written["n"], written["threshold"], written["rows"][0]["exact"]) == (4, 0.6, 1)
    assert written["overlaps"][0]["test"] == {"benchmark": "exam", "id": "0", "question": FENCE}
