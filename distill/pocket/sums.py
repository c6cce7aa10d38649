"""Word problems in which a quantity changes sentence by sentence, with numbers of up to seven digits.

In the manner of GSM-Hard: the reasoning is easy, the arithmetic is not. Every sentence is one line of
Python, so a problem with more sentences than any seen in training asks for more of the same skill.
"""

from __future__ import annotations

import random
import re
import zlib
from dataclasses import dataclass

NAMES = [
    "Marin",
    "Helena",
    "Nancy",
    "Tom",
    "Ava",
    "Liam",
    "Noah",
    "Mia",
    "Zoe",
    "Omar",
    "Ivan",
    "Lena",
    "Raj",
    "Yuki",
    "Sara",
    "Paul",
    "Nina",
    "Hugo",
    "Ella",
    "Finn",
    "Clara",
    "Diego",
    "Emma",
    "Felix",
    "Grace",
    "Henry",
    "Iris",
    "Jonas",
    "Kira",
    "Leo",
    "Maya",
    "Nils",
    "Olga",
    "Petra",
    "Rosa",
    "Sami",
    "Tara",
    "Vera",
]
ITEMS = [
    "apples",
    "books",
    "coins",
    "pens",
    "cards",
    "shells",
    "stones",
    "eggs",
    "nails",
    "cups",
    "seeds",
    "tiles",
    "bolts",
    "plums",
    "stamps",
    "beads",
]

# A sentence, the operation it stands for, and what the plan calls it. `{b}` is always the new number.
STARTS = (
    ("{name} has {a} {items}.", "{a}", "start with the first number"),
    ("{name} packs {b} boxes with {a} {items} each.", "{b} * {a}", "multiply boxes by content"),
    ("A shop sells {a} {items} a day for {b} days.", "{a} * {b}", "multiply by the days"),
)
CHANGES = (
    ("{name} buys {b} more.", "n + {b}", "add"),
    ("{name} finds {b} more.", "n + {b}", "add"),
    ("A friend brings {b} more.", "n + {b}", "add"),
    ("{name} gives away {b}.", "n - {b}", "subtract"),
    ("Then {b} are lost.", "n - {b}", "subtract"),
    ("A year later there are {b} times as many.", "n * {b}", "multiply"),
)
ENDS = (
    ("How many {items} are there now?", None, None),
    ("How many {items} is that in all?", None, None),
    ("They go into bags of {b}. How many bags are full?", "n // {b}", "divide"),
    ("They go into bags of {b}. How many are left over?", "n % {b}", "take the remainder"),
)
LARGEST = 10**12
"""Results stay below this, so that an answer fits the pocket model's short replies."""


@dataclass(frozen=True)
class Sum:
    """A problem with its solution: `steps` holds (expression over n and numbers, what it does)."""

    question: str
    steps: tuple[tuple[str, str], ...]

    @property
    def values(self) -> list[int]:
        """The quantity after each step."""
        values, n = [], 0
        for expression, _ in self.steps:
            n = calculate(expression, n)
            values.append(n)
        return values

    @property
    def answer(self) -> int:
        return self.values[-1]

    @property
    def operations(self) -> int:
        """How many calculations it takes; a plain start is none."""
        return sum(not expression.isdigit() for expression, _ in self.steps)

    @property
    def plan(self) -> str:
        """One sentence without numbers: what the teacher thinks of first."""
        words = [words for _, words in self.steps]
        return f"I {', then '.join(words)}."

    @property
    def code(self) -> str:
        return "\n".join(f"n = {expression}" for expression, _ in self.steps) + "\nprint(n)"


def calculate(expression: str, n: int) -> int:
    """The value of a step: a number, or `left operator right` where left may be n."""
    if expression.isdigit():
        return int(expression)
    left, operator, right = expression.split()
    x, y = n if left == "n" else int(left), int(right)
    return {"+": x + y, "-": x - y, "*": x * y, "//": y and x // y, "%": y and x % y}[operator]


def is_test(question: str) -> bool:
    """Which side of the train/test split a question falls on: a property of its text, whatever the seed."""
    return zlib.crc32(question.encode()) % 4 == 0


def make_sum(rng: random.Random, operations: int, test: bool) -> Sum:
    """A problem of that many operations, on the asked side of the split."""
    while True:
        sum_ = _draw(rng, operations)
        if sum_ and sum_.operations == operations and is_test(sum_.question) == test:
            return sum_


def parse(question: str) -> Sum | None:
    """Read a question back into its steps; None if it is not one of ours."""
    text, steps = question.strip(), []
    for group, many in ((_STARTS, False), (_CHANGES, True), (_ENDS, False)):
        while True:
            for pattern, expression, words in group:
                if match := pattern.match(text):
                    text = text[match.end() :].lstrip()
                    if expression:
                        steps.append((expression.format(**match.groupdict()), words))
                    break
            else:
                if many:
                    break
                return None
            if not many:
                break
    return Sum(question.strip(), tuple(steps)) if not text else None


def number(rng: random.Random, digits: int) -> int:
    """A number of one to `digits` digits, every length as likely."""
    length = rng.randint(1, digits)
    return rng.randint(10 ** (length - 1), 10**length - 1)


def _draw(rng: random.Random, operations: int) -> Sum | None:
    name, items = rng.choice(NAMES), rng.choice(ITEMS)
    start, end = rng.choice(STARTS), rng.choice(ENDS)
    changes = operations - (start is not STARTS[0]) - (end[1] is not None)
    if changes < 0:
        return None
    chosen = [start, *(rng.choice(CHANGES) for _ in range(changes)), end]
    sentences, steps, n = [], [], 0
    for sentence, expression, words in chosen:
        a, b = number(rng, 7), number(rng, 7 if words in ("add", "subtract") else 4)
        if words == "subtract" and b > n:
            b = rng.randint(0, n)
        fields = {"name": name, "items": items, "a": a, "b": b}
        sentences.append(sentence.format(**fields))
        if expression:
            steps.append((expression.format(**fields), words))
            n = calculate(steps[-1][0], n)
    return Sum(" ".join(sentences), tuple(steps)) if n < LARGEST else None


def _patterns(templates: tuple) -> list[tuple[re.Pattern, str | None, str | None]]:
    fields = {
        "name": r"(?P<name>\w+)",
        "items": r"(?P<items>\w+)",
        "a": r"(?P<a>\d+)",
        "b": r"(?P<b>\d+)",
    }
    return [
        (
            re.compile(re.sub(r"\\\{(\w+)\\\}", lambda m: fields[m[1]], re.escape(sentence))),
            expression,
            words,
        )
        for sentence, expression, words in templates
    ]


_STARTS, _CHANGES, _ENDS = map(_patterns, (STARTS, CHANGES, ENDS))
