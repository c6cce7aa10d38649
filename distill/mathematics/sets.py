"""Sets of real numbers: intervals, unions, what is left out, and the conditions that describe them."""

from __future__ import annotations

import re

from .brackets import around, enclosed, split
from .formula import formula
from .numbers import rational

OPERATORS = re.compile(r"\\le(?![A-Za-z])|\\ge(?![A-Za-z])|\\ne(?![A-Za-z])|<|>")
LETTER = re.compile(r"\\?[A-Za-z]+(?:_\{?\w\}?)?")
TURNED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}


def relation(text: str) -> list[str] | None:
    """Sides and signs of an inequality."""
    signs = OPERATORS.findall(text)
    if not signs:
        return None
    sides = [side.strip() for side in OPERATORS.split(text)]
    return [sides[0], *(part for pair in zip(signs, sides[1:], strict=True) for part in pair)]


def looks_like_a_set(text: str) -> bool:
    """Worth reading as one: not a point, a list or a number."""
    return bool(
        OPERATORS.search(text)
        or re.search(r"\\(?:cup|cap|setminus|emptyset|infty)(?![A-Za-z])|\\mid|\|", text)
    )


def real_set(text: str):
    """A sympy Set; None for what describes none, or more than one letter."""
    text = text.strip()
    if builder := re.fullmatch(r"\\\{\s*(\\?[A-Za-z]+)\s*(?:\\in[^|:]*)?(?:\||:)(.*)\\\}", text):
        return real_set(builder[2])
    if text == "\\emptyset":
        from sympy import S

        return S.EmptySet
    for pattern, operate in (
        (
            r"\\text\s*\{\s*or\s*\}|(?<![A-Za-z])or(?![A-Za-z])|\\cup(?![A-Za-z])|(?<=[\])])\s*U\s*(?=[\[(])",
            "union",
        ),
        (r"\\text\s*\{\s*and\s*\}|(?<![A-Za-z])and(?![A-Za-z])|\\cap(?![A-Za-z])", "intersect"),
        (r"\\setminus(?![A-Za-z])", "complement"),
    ):
        parts = split(text, pattern)
        if len(parts) > 1:
            sets = [real_set(part) for part in parts]
            if any(one is None for one in sets):
                return None
            return _joined(sets, operate)
    if listed := re.fullmatch(r"\\\{(.*)\\\}", text):
        values = [number(part) for part in split(listed[1], ",")]
        from sympy import FiniteSet

        return None if any(value is None for value in values) else FiniteSet(*values)
    conditions = split(text, ",")
    if len(conditions) > 1 and all(map(relation, conditions)):
        sets = [real_set(one) for one in conditions]  # x > 1, x < 2; x \ne 1, x \ne 2
        return None if any(one is None for one in sets) else _joined(sets, "intersect")
    pair = enclosed(text) if around(text) else None
    if pair and len(pair[1]) == 2:
        return _interval(*map(number, pair[1]), pair[0][0] == "(", pair[0][1] == ")")
    return _described(relation(text))


def letter_of(text: str) -> str | None:
    """The letter that an inequality bounds."""
    parts = relation(text)
    for side in (parts or [])[::2]:
        if LETTER.fullmatch(side):
            return side
    return None


def number(text: str):
    """A real number as sympy has it, infinite ones too."""
    from sympy import Rational

    value = rational(text)
    if value is not None:
        return Rational(value.numerator, value.denominator)
    found = formula(text)
    try:
        found = found.doit() if found is not None else None
    except Exception:
        return None  # as in `same_formula`
    good = found is not None and not found.free_symbols and found.is_extended_real
    return found if good else None


def _described(parts: list[str] | None):
    if not parts:
        return None
    from sympy import FiniteSet, S, oo

    if len(parts) == 3:
        a, sign, b = parts
        if not LETTER.fullmatch(a):
            a, sign, b = b, TURNED[sign], a
        value = number(b)
        if not LETTER.fullmatch(a) or value is None:
            return None
        if sign == "\\ne":
            return S.Reals - FiniteSet(value)
        low, high = (-oo, value) if sign in ("<", "\\le") else (value, oo)
        return _interval(low, high, sign != "\\ge", sign != "\\le")
    if len(parts) == 5 and LETTER.fullmatch(parts[2]):
        a, first, _, second, b = parts
        if {first, second} <= {">", "\\ge"}:
            a, b, first, second = b, a, TURNED[second], TURNED[first]
        if {first, second} <= {"<", "\\le"}:
            return _interval(number(a), number(b), first == "<", second == "<")
    return None


def _interval(low, high, left_open: bool, right_open: bool):
    from sympy import Interval

    if low is None or high is None or (low <= high) != True:  # noqa: E712  sympy's own truth
        return None
    return Interval(low, high, left_open, right_open)


def _joined(sets: list, how: str):
    found = sets[0]
    for one in sets[1:]:
        found = found - one if how == "complement" else getattr(found, how)(one)
    return found
