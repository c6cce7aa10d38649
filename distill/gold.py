"""Prove the scorer with the benchmarks: their own answers are right, and each other's are wrong."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from agents.trajectory import Record

from . import referee
from .problems import Problem
from .scoring import score


class Proof(Record):
    """A set of problems scored against its own answers. `right` and the like are counts of problems."""

    name: str
    kind: str
    n: int
    right: int
    """Whose every gold answer scores 1.0."""
    read: int
    """… also in a sentence with a box, and by value, not letter by letter; of words, in lower case with an article."""
    shuffled: int
    """That score 1.0 with the answer of another problem, drawn at random."""
    alike: int
    """Of those, where the two gold answers are written the same."""
    wrong: tuple[str, ...] = ()
    """Problems whose own answer is not right: id and answer."""
    coincidences: tuple[str, ...] = ()
    """Pairs that score 1.0 without being written the same: id, gold, the other's gold."""


def prove(problems: Sequence[Problem], *, seed: int = 0) -> list[Proof]:
    """One proof per benchmark among the problems."""
    names = dict.fromkeys(problem.benchmark or "problems" for problem in problems)
    return [
        _prove(name, [p for p in problems if (p.benchmark or "problems") == name], seed)
        for name in names
    ]


def _prove(name: str, problems: list[Problem], seed: int) -> Proof:
    wrong = [p for p in problems if any(score(p, answer) != 1.0 for answer in p.answers)]
    others = list(problems)
    random.Random(seed).shuffle(others)
    pairs = [(p, o) for p, o in zip(problems, others, strict=True) if p.id != o.id]
    same = [(p, o) for p, o in pairs if score(p, o.answers[0])]
    odd = [(p, o) for p, o in same if not set(map(_plain, p.answers)) & set(map(_plain, o.answers))]
    return Proof(
        name=name,
        kind=problems[0].kind,
        n=len(problems),
        right=len(problems) - len(wrong),
        read=sum(_read(p) for p in problems),
        shuffled=len(same),
        alike=len(same) - len(odd),
        wrong=tuple(f"{p.id}: {p.answers}" for p in wrong),
        coincidences=tuple(f"{p.id}: {p.answers[0]} and {o.answers[0]}" for p, o in odd),
    )


def _read(problem: Problem) -> bool:
    if problem.kind == "factual":
        return score(problem, f"The {problem.answers[0].lower()}.") == 1.0
    gold = problem.answers[0]
    return referee.same_mathematics(gold, rf"So the answer is \boxed{{{gold}}}.", by_value=True)


def _plain(text: str) -> str:
    return "".join(text.lower().split())


def print_proofs(proofs: Iterable[Proof]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in (
        "set",
        "kind",
        "problems",
        "own answer right",
        "read",
        "another's right",
        "the same text",
    ):
        table.add_column(
            column, justify="left" if column in ("set", "kind") else "right", no_wrap=True
        )
    proofs = list(proofs)
    for proof in proofs:
        table.add_row(escape(proof.name), proof.kind, *map(str, (
            proof.n, proof.right, proof.read, proof.shuffled, proof.alike)))  # fmt: skip
    total = [
        sum(getattr(proof, field) for proof in proofs)
        for field in ("n", "right", "read", "shuffled", "alike")
    ]
    table.add_row("all", "", *map(str, total))
    console = Console()
    if not console.is_terminal:
        console.width = 120
    console.print(table)
    for proof in proofs:
        for line in proof.wrong:
            print(f"{proof.name}: its own answer is not right: {line}")
        for line in proof.coincidences:
            print(f"{proof.name}: another problem's answer is right, being the same: {line}")
