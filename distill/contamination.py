"""Find training problems that are, or nearly are, problems of the test sets.

Two problems are near when they share most of what they say: of the runs of n words in either question, at
least `threshold` stand in both (Jaccard). Not found: the same question in other words or another language,
and a test problem quoted inside a much longer one. Only questions are compared: not answers, and not what
an agent read or wrote on its way.

Why n = 5 and 0.5, and not one shared run of 8 words (open-r1, s1) or of 13 (GPT-3): of the paper's test
files, against its training files, a run of 8 flags 74 of the 500 problems of MATH-500 and 34 of the 90 of
AIME, most of them for a stock phrase ("where m and n are relatively prime positive integers"); a run of 13
still flags 18 and 18, and cannot see the half of 2WikiMultihopQA that is shorter. The default flags 7, 3
and otherwise none, template twins nearly all: the same text with other numbers. Its price: one word changed
in the middle of a question of 15 hides it; n = 3 sees more such, and more that are only alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from agents.trajectory import Record

from .problems import Problem
from .rollout import Rollout
from .run import write_json

FILE = "contamination.json"
N = 5
"""Words in a run."""
THRESHOLD = 0.5
EXAMPLES = 3
SHOWN = {"benchmark", "id", "question"}
"""What a file of overlaps holds of a problem: no answers, so that it can be handed on."""
CELLS = 4_000_000
"""Pairs compared at once: about 100 MB."""

LAYOUT = re.compile(r"\\(?:(?:left|right|displaystyle|q?quad)(?![a-z])|[,;:! ])")
FRACTION = re.compile(r"\\[dt](frac|binom)\b")
RAISED = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
DASH = re.compile("[\N{HYPHEN}-\N{HORIZONTAL BAR}\N{MINUS SIGN}]")
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
"""Thai, Lao, Burmese, Khmer, kana and Han: written without spaces, so that a letter counts as a word."""
TOKEN = re.compile(rf"\d+\.\d+|[{UNSPACED}]|[^\W_{UNSPACED}]+|[^\w\s]")
UNHEARD = frozenset(",.;:?'\"`$\\{}&~\u2018\u2019\u201c\u201d\u3001\u3002\uff0c")
"""Signs that change no question; the others may (4! is not 4, nor 3+4 3-4)."""

T = TypeVar("T", Problem, Rollout)


class Overlap(Record):
    """A training problem and a test problem that are too much alike."""

    training: Problem
    test: Problem
    kind: Literal["exact", "near"]
    """"exact": the same words, numbers and signs, whatever their case, spacing and punctuation."""
    similarity: float
    """Of the runs of n words in either question, the share in both; 1.0 where exact."""


class Row(Record):
    """One training set against one benchmark."""

    training: str
    problems: int
    """Different ones in the training set."""
    exact: int
    """Of them, how many the benchmark has too."""
    near: int
    """Of the others, how many the benchmark has almost."""
    benchmark: str
    tests: int
    tests_exact: int
    """Problems of the benchmark that the training set has; with `tests_near` what a score without them
    leaves out."""
    tests_near: int
    examples: tuple[Overlap, ...]
    """The most alike."""


def overlaps(
    training: Iterable[Problem | Rollout],
    test: Iterable[Problem | Rollout],
    *,
    n: int = N,
    threshold: float = THRESHOLD,
) -> list[Overlap]:
    """Pairs that are equal or near; for every problem that is in one, the closest of each other set.

    A question of fewer than n words is only ever equal to another. Problems that are given twice (several
    rollouts of one) count once, and their order does not matter. Not all pairs are listed: sets made from
    one template have a great many, and the closest say which problems to drop or leave out.
    """
    if n < 1 or not 0 < threshold <= 1:
        raise ValueError(
            f"n starts at 1 and threshold is above 0 and at most 1, not {n} and {threshold}."
        )
    mine, theirs = _distinct(training), _distinct(test)
    if not mine or not theirs:
        return []
    import numpy

    left, right = ([_tokens(p.question) for p in side] for side in (mine, theirs))
    sets = [_numbered([p.benchmark for p in side]) for side in (mine, theirs)]
    texts = _numbered([" ".join(tokens) for tokens in (*left, *right)])
    texts = texts[: len(mine)], texts[len(mine) :]
    pairs = []
    for rows, columns, similarity in _alike(left, right, n, threshold):
        exact = texts[0][rows] == texts[1][columns]
        found = numpy.rec.fromarrays(
            (rows, columns, similarity, exact), names="training,test,similarity,exact"
        )
        pairs.append(_closest(found, *sets))
    found = _closest(numpy.concatenate(pairs).view(numpy.recarray), *sets)
    return [
        Overlap(
            training=mine[pair.training],
            test=theirs[pair.test],
            kind="exact" if pair.exact else "near",
            similarity=round(float(pair.similarity), 4),
        )
        for pair in found
    ]


def clean(items: Iterable[T], found: Iterable[Overlap]) -> list[T]:
    """The problems or rollouts whose problem is in no overlap as a training problem."""
    flagged = {overlap.training for overlap in found}
    return [item for item in items if _problem(item) not in flagged]


def rows(
    training: Iterable[Problem | Rollout],
    test: Iterable[Problem | Rollout],
    found: Iterable[Overlap],
) -> list[Row]:
    """A row per training set and benchmark, those without an overlap too."""
    mine, theirs = (_by_benchmark(_distinct(problems)) for problems in (training, test))
    between: dict[tuple, list[Overlap]] = defaultdict(list)
    for overlap in found:
        between[_name(overlap.training), _name(overlap.test)].append(overlap)
    return [
        Row(
            training=a,
            problems=mine[a],
            exact=len(exact),
            near=len({o.training for o in pairs} - exact),
            benchmark=b,
            tests=theirs[b],
            tests_exact=len(tests),
            tests_near=len({o.test for o in pairs} - tests),
            examples=tuple(sorted(pairs, key=_likeness)[:EXAMPLES]),
        )
        for a in mine
        for b in theirs
        for pairs in [between[a, b]]
        for exact in [{o.training for o in pairs if o.kind == "exact"}]
        for tests in [{o.test for o in pairs if o.kind == "exact"}]
    ]


def table(found: Sequence[Row], *, width: int = 100) -> str:
    """The rows as text, and below it examples of each, their questions cut to `width` characters."""
    head = ("training set", "problems", "exact", "near", "benchmark", "problems", "exact", "near")
    cells = [head] + [
        (r.training, r.problems, r.exact, r.near, r.benchmark, r.tests, r.tests_exact, r.tests_near)
        for r in found
    ]
    widths = [max(len(str(row[i])) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(
            str(cell).ljust(size) if i in (0, 4) else str(cell).rjust(size)
            for i, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    for row in found:
        for overlap in row.examples:
            lines += [
                "",
                f"{row.training} {overlap.training.id} and {row.benchmark} {overlap.test.id}, "
                f"{overlap.kind}, {overlap.similarity:.2f}:",
                f"  {_line(overlap.training.question, width)}",
                f"  {_line(overlap.test.question, width)}",
            ]
    return "\n".join(lines)


def write(
    folder: Path,
    found: Sequence[Overlap],
    rows: Sequence[Row],
    *,
    n: int = N,
    threshold: float = THRESHOLD,
) -> None:
    """`contamination.json` in the folder: how it was looked for, the rows, and all overlaps."""
    write_json(
        folder / FILE,
        {
            "n": n,
            "threshold": threshold,
            "rows": [row.model_dump(exclude={"examples"}) for row in rows],
            "overlaps": [
                {
                    "kind": overlap.kind,
                    "similarity": overlap.similarity,
                    "training": overlap.training.model_dump(include=SHOWN),
                    "test": overlap.test.model_dump(include=SHOWN),
                }
                for overlap in found
            ],
        },
    )


def _tokens(question: str) -> tuple[str, ...]:
    """Words, numbers and signs that count, in one form."""
    text = RAISED.sub(lambda raised: "^" + raised[0], question)  # else 10² would become 102
    text = unicodedata.normalize("NFKC", text).casefold()
    text = DASH.sub("-", FRACTION.sub(r"\\\1", LAYOUT.sub(" ", text)))
    tokens = [token for token in TOKEN.findall(text) if token not in UNHEARD]
    return tuple(tokens or text.split())


def _runs(tokens: tuple[str, ...], n: int) -> set[tuple[str, ...]]:
    """The runs of n words; of a question of fewer, all there is of it, signs too, as one."""
    words = tuple(token for token in tokens if token[0].isalnum())
    if len(words) < n:
        return {("", *tokens)}
    return {words[i : i + n] for i in range(len(words) - n + 1)}


def _alike(left: Sequence[tuple], right: Sequence[tuple], n: int, threshold: float):
    """Yields places in `left`, places in `right` and similarities, for all pairs that reach the threshold.

    Exact: what is counted is a product of two matrices, of questions and runs.
    """
    import numpy
    from scipy.sparse import csr_array

    known: dict[tuple, int] = {}
    theirs = [[known.setdefault(run, len(known)) for run in _runs(t, n)] for t in right]
    runs = [_runs(tokens, n) for tokens in left]
    mine = [[known[run] for run in all_ if run in known] for all_ in runs]
    sizes = numpy.array([len(all_) for all_ in runs]), numpy.array([len(all_) for all_ in theirs])

    def matrix(questions):  # (questions, runs)
        ends = numpy.cumsum([0, *map(len, questions)])
        places = numpy.array([i for question in questions for i in question], dtype=numpy.int32)
        ones = numpy.ones(len(places), dtype=numpy.int32)
        return csr_array((ones, places, ends), shape=(len(questions), len(known)))

    mine, theirs = matrix(mine), matrix(theirs).T.tocsr()
    step = max(1, CELLS // len(right))
    for start in range(0, len(left), step):
        both = (mine[start : start + step] @ theirs).tocoo()
        rows, columns = both.coords
        rows = rows + start
        similarity = both.data / (sizes[0][rows] + sizes[1][columns] - both.data)
        enough = similarity >= threshold
        yield rows[enough], columns[enough], similarity[enough]


def _closest(pairs, training_sets, test_sets):
    """Of each problem's pairs, the best with each set of the other side; in the order of the problems."""
    import numpy

    order = numpy.lexsort((pairs.test, pairs.training, -pairs.similarity, ~pairs.exact))
    pairs = pairs[order]
    count = int(max(training_sets.max(), test_sets.max())) + 1
    mine = numpy.unique(pairs.training * count + test_sets[pairs.test], return_index=True)[1]
    theirs = numpy.unique(pairs.test * count + training_sets[pairs.training], return_index=True)[1]
    pairs = pairs[numpy.union1d(mine, theirs)]
    return pairs[numpy.lexsort((pairs.test, pairs.training))]


def _numbered(values: Sequence[object]):
    """An array with equal numbers for equal values."""
    import numpy

    known: dict[object, int] = {}
    return numpy.array([known.setdefault(value, len(known)) for value in values], dtype=numpy.int64)


def _problem(item: Problem | Rollout) -> Problem:
    return item.problem if isinstance(item, Rollout) else item


def _name(problem: Problem) -> str:
    return problem.benchmark or "problems"


def _distinct(items: Iterable[Problem | Rollout]) -> list[Problem]:
    """In an order that does not depend on theirs."""
    return sorted({_problem(item) for item in items}, key=lambda p: (_name(p), p.id, p.question))


def _by_benchmark(problems: Iterable[Problem]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for problem in problems:
        counts[_name(problem)] += 1
    return dict(counts)


def _likeness(overlap: Overlap) -> tuple:
    return overlap.kind != "exact", -overlap.similarity, overlap.training.id, overlap.test.id


def _line(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."
