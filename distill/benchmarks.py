"""The benchmarks by name, where each comes from, and the passages that go with the pocket ones.

A benchmark of the paper is rows of a dataset on the Hub, at one commit, by a rule that needs nothing but those
rows. No problem is stored here. What the rules give was compared with the files that the paper's authors
published, on copies of the sources in public repositories (the Hub itself was out of reach): `rule` says how
far. The pocket ones are made from a seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from random import Random
from typing import Any

from pydantic import ValidationError

from . import hub
from .pocket import world
from .problems import Kind, Problem, explain, read_problems, texts

TEST_SIZE, TRAINING_SIZE = 200, 400


@dataclass(frozen=True)
class Benchmark:
    name: str
    kind: Kind
    size: int
    rule: str
    """Which rows of the source these problems are, and whether they are the paper's."""
    training: bool = False
    """To train on. No problem of such a set may be in a benchmark to test on."""
    side: str | None = None
    """Which encyclopedia of the pocket world ("train" or "test") the search tool has; None for the others."""
    repo: str = ""
    """The dataset on the Hub; empty for the pocket world."""
    config: str | None = None
    split: str = ""
    revision: str = ""
    """Its commit: the last one known when this was written."""
    files: tuple[str, ...] = ()
    """The files of that configuration and split that the rule needs, in the order of their rows."""
    rows: int = 0
    """How many rows they have together: the rule counts on it."""
    id: str | None = None
    """The column with the id; None to number the rows from 0, as the published files do."""
    question: str = "question"
    answers: tuple[str, ...] = ("answer",)
    """The columns with answers that count: each a text, a number, or a list of them."""
    needs: tuple[str, ...] = ()
    """Columns that `take` reads beside those."""
    take: Callable[[Any], Sequence[int]] = lambda rows: range(len(rows))
    """The numbers of the rows that are the benchmark, in order."""
    read: Callable[[Any], tuple[str, ...]] = texts
    """The answers that a cell of an answer column holds."""

    @property
    def source(self) -> str:
        """As a dataset is named elsewhere: repository, configuration, split and commit."""
        if not self.repo:
            return "made here, from the seed"
        return f"{self.repo}{f' {self.config}' if self.config else ''} {self.split} @{self.revision[:7]}"


def boxed(solution: str) -> tuple[str, ...]:
    """What the last box of a written solution holds; nothing where it is empty, not closed, or not there."""
    start = max(solution.rfind("\\boxed"), solution.rfind("\\fbox"))
    if start < 0:
        return ()
    box = solution[start:].removeprefix("\\boxed").removeprefix("\\fbox").lstrip()
    if not box.startswith("{"):
        return (box[:1],) if box else ()  # "\\boxed 2": TeX takes one character
    depth = 0
    for end, character in enumerate(box):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            inside = box[1:end].strip()
            return (inside,) if inside else ()
    return ()


def drawn(n: int, of: int) -> list[int]:
    """The paper's authors draw row numbers like this, wherever they draw."""
    return Random(42).sample(range(of), n)


def hard(rows) -> list[int]:
    return [i for i, level in enumerate(rows["level"]) if level == "hard"][:1000]


def three_steps(rows) -> list[int]:
    return [i for i, steps in enumerate(rows["question_decomposition"]) if len(steps) == 3][:500]


def of_levels(*levels: int) -> Callable[[Any], list[int]]:
    names = {f"Level {level}" for level in levels}

    def take(rows) -> list[int]:
        # Two of the 7,500 solutions box nothing.
        among = [
            i
            for i, (level, solution) in enumerate(zip(rows["level"], rows["solution"], strict=True))
            if level in names and boxed(solution)
        ]
        return [among[k] for k in drawn(min(1000, len(among)), len(among))]

    return take


def _math(name: str, *levels: int) -> Benchmark:
    return Benchmark(
        name, "math", 1000, training=True,
        repo="DigitalLearningGmbH/MATH-lighteval", config="default", split="train",
        revision="0530c78699ea5e8eb5530600900e1f328b48acad",
        files=("data/train-00000-of-00001.parquet",), rows=7500,
        question="problem", answers=("solution",), needs=("level",), take=of_levels(*levels), read=boxed,
        rule=f"Random(42) draws 1,000 of the problems of levels {levels[0]} and {levels[1]} that have an answer. "
        "Not the paper's 1,000: it drew in the same way, but from the files in the order in which its authors' "
        "disk listed them, which no copy that was seen has. Only the published file holds those.",
    )  # fmt: skip


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        *(
            Benchmark(
                name,
                "math" if name.startswith("sums") else "factual",
                TRAINING_SIZE if name in world.TRAINING else TEST_SIZE,
                training=name in world.TRAINING,
                side="train" if name in world.TRAINING else "test",
                rule="Made from the seed, any number of them.",
            )
            for name in (*world.BENCHMARKS, *world.TRAINING)
        ),
        Benchmark(
            "hotpotqa", "factual", 500,
            repo="hotpotqa/hotpot_qa", config="distractor", split="validation",
            revision="1908d6afbbead072334abe2965f91bd2709910ab",
            files=("distractor/validation-00000-of-00001.parquet",), rows=7405,
            id="id", take=lambda rows: range(100, 600),
            rule="Rows 100 to 599; all rows are hard. The paper's, question by question.",
        ),
        Benchmark(
            "bamboogle", "factual", 125,
            repo="chiayewken/bamboogle", config="default", split="test",
            revision="5787baaae24a33baee4cf57a4cc743e8a02cd548",
            files=("data/test-00000-of-00001-fd9def31e0acf72c.parquet",), rows=125,
            question="Question", answers=("Answer",),
            rule="All rows. The paper's by their number; their order was not compared.",
        ),
        Benchmark(
            "musique", "factual", 500,
            repo="dgslibisey/MuSiQue", config="default", split="validation",
            revision="c8f4f8c9465fb69d31a8eae894c3fd509c4ca321",
            files=("musique_ans_v1.0_dev.jsonl",), rows=2417,
            id="id", answers=("answer", "answer_aliases"),
            needs=("question_decomposition",), take=three_steps,
            rule="The first 500 that take three steps, rows 1179 to 1678 (the published file says four). The "
            "paper's, compared at both ends and in between; it leaves the aliases out. One question is there "
            "twice, with two ids: both count.",
        ),
        Benchmark(
            "2wiki", "factual", 500,
            repo="framolfese/2WikiMultihopQA", config="default", split="validation",
            revision="fe713bfbd1afbca1a65246741a75890405d56a3a",
            files=("data/validation-00000-of-00001.parquet",), rows=12576,
            take=lambda rows: drawn(1000, of=len(rows))[:500],
            rule="The first 500 of the 1,000 rows that Random(42) draws. The paper's by all row numbers, and by "
            "the 41 questions among the first 1,000 rows of the original. The source has no aliases.",
        ),
        Benchmark(
            "math_500", "math", 500,
            repo="HuggingFaceH4/MATH-500", config="default", split="test",
            revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
            files=("test.jsonl",), rows=500, question="problem",
            rule="All rows. The paper's, question by question.",
        ),
        Benchmark(
            "gsm_hard", "math", 500,
            repo="reasoning-machines/gsm-hard", config="default", split="train",
            revision="960448f73503112d4226baeb8eb41d3fb5ae2506",
            files=("gsmhardv2.jsonl",), rows=1319, question="input", answers=("target",),
            take=lambda rows: drawn(500, of=len(rows)),
            rule="The 500 rows that Random(42) draws. The paper's, question by question.",
        ),
        Benchmark(
            "aime", "math", 90,
            repo="AI-MO/aimo-validation-aime", config="default", split="train",
            revision="13f9e12f613e720c2a2b2f345dd04b998a29494d",
            files=("data/train-00000-of-00001.parquet",), rows=90, question="problem",
            rule="All rows: 2022 to 2024. The paper's by their number; their order was not compared.",
        ),
        Benchmark(
            "olymmath", "math", 200,
            repo="RUC-AIBOX/OlymMATH", config="en-easy+en-hard", split="test",
            revision="2c6532ea2cf929ac1c421532af5951553eaee727",
            files=("data/OlymMATH-EN-EASY.jsonl", "data/OlymMATH-EN-HARD.jsonl"), rows=200,
            question="problem",
            rule="All rows, the easy ones first. The paper's, question by question; its authors have since "
            "corrected three answers (numbers 157, 169 and 188).",
        ),
        Benchmark(
            "hotpotqa_train", "factual", 1000, training=True,
            repo="hotpotqa/hotpot_qa", config="distractor", split="train",
            revision="1908d6afbbead072334abe2965f91bd2709910ab",
            # The first of two: the rule does not get to the second.
            files=("distractor/train-00000-of-00002.parquet",), rows=45224,
            id="id", needs=("level",), take=hard,
            rule="The first 1,000 hard rows. The paper's by its metadata and its first three problems; the "
            "others were not compared.",
        ),
        _math("math_train", 4, 5),
        _math("math_medium_train", 2, 3),
    )
}  # fmt: skip
ALIASES = {"2wikimultihopqa": "2wiki"}


@dataclass(frozen=True)
class Source:
    """Problems to run, and the retriever their search tool uses unless another is asked for."""

    problems: list[Problem]
    side: str | None = None
    """Which encyclopedia of the pocket world ("train" or "test") they are about; None for all others."""
    seed: int = 0

    def passages(self):
        return world.passages(self.side, self.seed) if self.side else None


def load(
    names: str, *, seed: int = 0, limit: int | None = None, file: str | os.PathLike | None = None
) -> Source:
    """Problems of benchmarks by name, or of files, comma between. `limit` counts per benchmark or file.

    file: read the problems from there instead, and take them for those of the one benchmark named: its name,
    its kind. seed: of the pocket world; the others are always the same problems.
    """
    if file is not None:
        if "," in names:
            raise ValueError(f"A problems file is one benchmark's, so name one of {names}.")
        benchmark = find(names)
        named = {"benchmark": benchmark.name, "kind": benchmark.kind}
        problems = list(read_problems(file))
        theirs = {problem.benchmark for problem in problems} & BENCHMARKS.keys()
        if theirs - {benchmark.name}:
            raise ValueError(
                f"{file} holds problems of {', '.join(sorted(theirs))}, not of {benchmark.name}."
            )
        problems = [problem.model_copy(update=named) for problem in problems]
        ids = [problem.id for problem in problems]
        if (
            twice := next((i for i in ids if ids.count(i) > 1), None)
            if len(set(ids)) < len(ids)
            else None
        ):
            raise ValueError(f"{file}: of {names}, the id {twice!r} stands twice.")
        return Source(problems[:limit], benchmark.side, seed)
    asked = [names] if os.path.isfile(names) else names.split(",")
    wanted = [name if os.path.isfile(name) else find(name) for name in asked]
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"{names} names a benchmark twice.")
    sides = {getattr(one, "side", None) for one in wanted}
    if sides == {"train", "test"}:
        raise ValueError(
            "Training and test sets read different encyclopedias; run them in folders of their own."
        )
    if len(sides) > 1:
        raise ValueError(
            f"Of {names}, some search the pocket world's encyclopedia and some do not; "
            "run them in folders of their own."
        )
    problems: dict[tuple[str, str], Problem] = {}
    for one in wanted:
        for problem in _problems(one, seed, limit):
            key = problem.key
            if key in problems:
                raise ValueError(
                    f"{names} hold two problems of {key[0] or 'no benchmark'} with the id {key[1]!r}."
                )
            problems[key] = problem
    return Source(list(problems.values()), sides.pop(), seed)


def find(name: str) -> Benchmark:
    name = ALIASES.get(name.strip(), name.strip())
    if name not in BENCHMARKS:
        close = get_close_matches(name, [*BENCHMARKS, *ALIASES], n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"No benchmark or problems file {name!r}; there are: {', '.join(BENCHMARKS)}.{hint}"
        )
    return BENCHMARKS[name]


def names() -> list[str]:
    return list(BENCHMARKS)


def test_names() -> list[str]:
    return [name for name, benchmark in BENCHMARKS.items() if not benchmark.training]


def training_names() -> list[str]:
    return [name for name, benchmark in BENCHMARKS.items() if benchmark.training]


def at_hand(training: Iterable[str | None]) -> str:
    """The benchmarks to look for among problems of these sets, without fetching any; commas between.

    Those of the pocket world for its own training sets, for all others those in the Hub's cache.
    """
    pocket = any(name in BENCHMARKS and BENCHMARKS[name].side for name in training)
    tests = [benchmark for benchmark in BENCHMARKS.values() if not benchmark.training]
    if pocket:
        return ",".join(b.name for b in tests if b.side)
    return ",".join(b.name for b in tests if b.repo and hub.cached(b.repo, b.files, b.revision))


def describe() -> list[dict[str, str | int]]:
    """A row per benchmark, for a table."""
    columns = ("name", "size", "kind", "source", "rule")
    return [{c: getattr(benchmark, c) for c in columns} for benchmark in BENCHMARKS.values()]


def _problems(one: Benchmark | str, seed: int, limit: int | None) -> list[Problem]:
    if isinstance(one, str):
        return list(read_problems(one))[:limit]
    if one.side:
        return world.problems(one.name, limit or one.size, seed)
    return _from_hub(one, limit)


def _from_hub(b: Benchmark, limit: int | None) -> list[Problem]:
    columns = list(dict.fromkeys(filter(None, (b.id, b.question, *b.answers, *b.needs))))
    rows = hub.rows(b.repo, b.files, b.revision, columns)
    if len(rows) != b.rows:
        raise ValueError(
            f"{b.source} has {len(rows)} rows, not {b.rows}: {b.name} cannot be taken from it by its rule."
        )
    taken = b.take(rows)
    if len(taken) != b.size:
        raise ValueError(f"{b.source} gives {len(taken)} problems of {b.name}, not {b.size}.")
    numbers = list(taken[:limit])
    found: dict[str, Problem] = {}
    for number, row in zip(numbers, rows.select(numbers), strict=True):
        place = f"{b.source}, row {number}"
        try:
            problem = Problem(
                id=str(number) if b.id is None else row[b.id],
                question=row[b.question],
                answers=_gold(b, row),
                benchmark=b.name,
                kind=b.kind,
            )
        except ValidationError as error:
            raise ValueError(f"{place}: {explain(error)}") from None
        except ValueError as error:
            raise ValueError(f"{place}: {error}.") from None
        if problem.id in found:
            raise ValueError(f"{place}: the id {problem.id!r} stands twice.")
        found[problem.id] = problem
    return list(found.values())


def _gold(b: Benchmark, row: dict) -> tuple[str, ...]:
    """The answer first, then what else counts, each once. An alias may be missing, the answer may not."""
    first, *others = b.answers
    aliases = [text for column in others for text in b.read(row[column] or []) if text.strip()]
    return tuple(dict.fromkeys((*b.read(row[first]), *aliases)))
