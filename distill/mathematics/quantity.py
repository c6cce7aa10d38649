"""A value and what it is a value of: units, percent, number bases; and when two of them are the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from .formula import same_formula
from .numbers import PARTS, SCALES, TIMES, WORDS, rational, spelled

EXACT_DIGITS = 10
"""A gold decimal with so many significant digits is a float, not an exact decimal."""
TOLERANCE, CENT = Fraction(1, 10**5), Fraction(5, 1000)
"""Of a float: relative; and at most half a hundredth."""
PLACES = 10**10
"""GSM-Hard rounds its floats to ten decimals, which a tiny one feels."""
NOISE = Fraction(1, 10**12)
"""Relative error of a few float operations: 0.30000000000000004 is 0.3."""

DIMENSIONS = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre", "km": "kilometer kilometre",
    "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile", "g": "gram", "kg": "kilogram", "mg": "milligram",
    "lb": "pound lbs", "oz": "ounce", "s": "second sec", "min": "minute", "h": "hour hr", "day": "", "week": "wk",
    "month": "mo", "year": "yr", "dollar": "usd buck", "cent": "", "euro": "eur", "gbp": "", "degree": "deg",
    "radian": "rad", "l": "liter litre", "ml": "milliliter millilitre", "mi/h": "mph", "km/h": "kph kmph", "unit": "",
    "point": "pt", "newton": "", "joule": "", "watt": "", "mol": "mole", "hz": "hertz", "pascal": "",
    "person": "people", "child": "children", "man": "men", "woman": "women", "sheep": "", "fish": "",
}  # fmt: skip
UNITS = {alias: unit for unit, names in DIMENSIONS.items() for alias in (unit, *names.split())}
"""Names of one unit; of all other nouns, the word itself is the unit."""
MONEY = {"\\$": "dollar", "$": "dollar", "US$": "dollar", "USD": "dollar", "\\euro": "euro", "EUR": "euro",
         "\\pounds": "gbp", "GBP": "gbp", "\u00a5": "yen", "\u20b9": "rupee"}  # fmt: skip
NO_UNIT = {
    *WORDS, *TIMES, *(f"{word}s" for word in (*TIMES, *PARTS)), *PARTS, "halves", "tens", "ones", "tenths", "hundredths",
    "thousandths", "tenth", "basis", "squared", "cubed", "factorial", "plus", "minus", "times", "less", "mod",
    "or", "and", "to", "not", "no", "if", "but", "than", "over", "under", "versus", "vs", "is", "as", "radicals", "roots",
    "was", "equals", "choose", "perhaps", "possibilities or", "maybe", "guess", "about", "between", "unless",
    "remainders", "modulus", "zeros",
}  # fmt: skip
"""Words behind a number that change it, or take it back."""


@dataclass(frozen=True)
class Quantity:
    value: str
    unit: str = ""
    percent: bool = False
    base: str | None = None


TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
POWER = r"(?:\s*\^\s*\{?\s*(-?\d)\s*\}?)?"
IN_TEXT = re.compile(rf"\s*\\text\s*\{{([^{{}}]*)\}}{POWER}(?:\s*\\text\s*\{{([^{{}}]*)\}})?$")
IN_WORDS = re.compile(
    rf"(?<=[\d}})\]!])(?:\s+|(?=[A-Za-z]{{2}}))([A-Za-z]+(?:[ .][A-Za-z]+){{0,3}}\.?(?:\s*/\s*[A-Za-z]+|)){POWER}$"
)
AFTER_LETTER = re.compile(rf"(?<=[a-z}}])\s+([A-Za-z]{{2,}}(?: [A-Za-z]+){{0,2}}){POWER}$")
PERCENT = re.compile(
    r"\s*(\\?%|\b(?:per\s?cent|pct)\b|\\text\s*\{\s*(?:per\s?cent|\\?%)\s*\})$", re.IGNORECASE
)
BASE = re.compile(
    r"(-?\(?(?:[0-9A-Z]+|\\text\s*\{[0-9A-Z]+\})\)?)"
    r"(?:\s*_\s*(?:\{\s*(?:\\text\s*\{)?\s*(\w+)\s*\}?\s*\}|(\d+))|\s+(?:in )?base\s+(\w+))"
)


def quantity(text: str) -> Quantity:
    text = text.strip()
    percent, unit = False, ""
    if found := PERCENT.search(text):
        text, percent = text[: found.start()], True
    sign = "-" if re.match(r"-\s*(?:\\?\$|US\$)", text) else ""
    bare = text[1:].strip() if sign else text
    for symbol in sorted(MONEY, key=len, reverse=True):
        if bare.startswith(symbol):
            text, unit = sign + bare.removeprefix(symbol).strip(), MONEY[symbol]
            break
    if (found := re.search(r"\s*\^\s*\\circ\s*(?:[CF]\b)?$", text)) and not TRIGONOMETRIC.search(
        text
    ):
        text, unit = text[: found.start()], "degree"
    elif found := re.search(r"\s*\\(euro|pounds)$", text):
        text, unit = text[: found.start()], MONEY[f"\\{found[1]}"]
    elif found := IN_TEXT.search(text):
        value, name = text[: found.start()], f"{found[1]} {found[3] or ''}"
        if value.strip() and is_unit(name, value):
            text, unit = value, unit_of(name, found[2])
    elif found := IN_WORDS.search(text) or AFTER_LETTER.search(text):
        value, name = text[: found.start()], found[1]
        known = all(part in DIMENSIONS for part in unit_of(name, None).split("^")[0].split("/"))
        if is_unit(name, value) and (
            known if len(name) < 4 else known or rational(value) is not None
        ):
            text, unit = value, unit_of(name, found[2])
    elif (
        (
            found := re.fullmatch(
                r"([A-Za-z-]+(?: [A-Za-z-]+)*?) ([A-Za-z]+)", TEXT.sub(r"\1", text).strip()
            )
        )
        and spelled(found[1]) is not None
        and spelled(found[0]) is None
        and is_unit(found[2], "2")
    ):
        text, unit = found[1], unit_of(found[2], None)
    text = text.strip()
    if (found := re.fullmatch(r"(.*[\d}])\s*\\text\s*\{\s*(\w+)\s*\}", text)) and found[
        2
    ] in SCALES:
        text = f"{found[1]} {found[2]}"
    base = BASE.fullmatch(text)
    if base and (digits := _in_base(base)):
        return Quantity(digits, unit, percent, spelled_base(base[2] or base[3] or base[4]))
    return Quantity(text, unit, percent)


def is_unit(name: str, value: str) -> bool:
    """Whether these words name what is counted or measured, and do not change the number."""
    if not re.fullmatch(r"(?:[A-Za-z ./\u00b0-]|\^\s*\{?-?\d\}?)*", name):
        return False
    words = re.findall(r"[A-Za-z]+", name)
    if not words or NO_UNIT & {word.lower() for word in words}:
        return False
    last = words[-1]
    one = last.lower()
    if len(last) == 1 and last not in "mgshlL":
        return False
    if one in UNITS or one.rstrip("s") in UNITS or "per" in words or "/" in name:
        return True
    if any(word.lower().rstrip("s") in UNITS for word in words):
        return True
    plural = (
        last.lower().endswith("s")
        and len(last) > 3
        and not last.lower().endswith(("ss", "us", "less"))
    )
    return plural or (rational(value) in (0, 1, -1) and len(last) > 2)


def unit_of(name: str, power: str | None) -> str:
    """A unit by its one name, with its power: "cm^2" for "square centimeters"."""
    name = re.sub(r"[^a-z/ ]", "", name.lower().replace(" per ", "/")).strip()
    name = re.sub(r"\s*/\s*", "/", name)
    power = power or ""
    for prefix, exponent in (("square ", "2"), ("sq ", "2"), ("cubic ", "3"), ("cu ", "3")):
        if name.startswith(prefix):
            name, power = name.removeprefix(prefix), exponent
    name = "/".join(_one(part) for part in name.split("/"))
    name = UNITS.get(name, name)
    return f"{name}^{power}" if power and power != "1" else name


def _one(name: str) -> str:
    return (
        UNITS.get(name)
        or UNITS.get(name.rstrip("s"))
        or (name.removesuffix("s") if len(name) > 3 else name)
    )


def same_unit(a: str, b: str) -> bool:
    """Also where one side names none, and where a noun has an adjective on one side alone."""
    if not a or not b or a == b:
        return True
    if (a.split("^")[0] in DIMENSIONS and b.split("^")[0] in DIMENSIONS) or "/" in a + b:
        return False
    return set(a.split()) <= set(b.split()) or set(b.split()) <= set(a.split())


def same_quantity(gold: str, other: str) -> bool:
    a, b = quantity(gold), quantity(other)
    if not same_unit(a.unit, b.unit) or not a.value or not b.value:
        return False
    if a.base or b.base:
        if a.base and b.base and a.base != b.base:
            return False
        one, two = (q.value.lstrip("0").upper() for q in (a, b))
        return (
            a.percent == b.percent
            and one == two
            and (bool(a.base) or rational(a.value) is not None)
        )
    if re.fullmatch(r"\d+(?:\.\d+)?\s*-\s*\d+(?:\.\d+)?", b.value):
        return False  # a range, not a difference
    left, right = rational(a.value), rational(b.value)
    if left is not None and right is not None:
        shift = Fraction(1, 100)
        return same_number(left * shift if a.percent and not b.percent else left,
                           right * shift if b.percent and not a.percent else right, a.value)  # fmt: skip
    if a.percent != b.percent:
        return False
    # A number is handed on by its value: 1e-11 would be read as 1 times e minus 11.
    return same_formula(
        a.value if left is None else latex(left), b.value if right is None else latex(right)
    )


def latex(value: Fraction) -> str:
    sign, value = ("-" if value < 0 else ""), abs(value)
    if value.denominator == 1:
        return f"{sign}{value.numerator}"
    return rf"{sign}\frac{{{value.numerator}}}{{{value.denominator}}}"


def same_number(gold: Fraction, other: Fraction, written: str) -> bool:
    """Exactly; of a gold decimal that is a float, as its digits allow. written: the gold as it stands."""
    if gold == other:
        return True
    decimal = re.fullmatch(
        r"[-+]?[\d,]*\.\d+(?:[eE][-+]?\d+)?|[-+]?\d+(?:\.\d*)?[eE]-\d+", written.strip()
    )
    if not decimal or gold.denominator == 1:
        return False
    apart = abs(gold - other)
    if apart <= NOISE * abs(gold):
        return True
    if other.denominator == 1:
        return False
    rounded = gold * PLACES
    if (
        rounded.denominator == 1
        and rounded % 10
        and abs(rounded) >= 100
        and 2 * apart * PLACES <= 1
    ):
        return True
    digits = re.sub(r"[eE].*|\D", "", written).lstrip("0")
    return len(digits) >= EXACT_DIGITS and apart <= min(TOLERANCE * abs(gold), CENT)


def spelled_base(name: str) -> str:
    value = spelled(name)
    return str(value) if value is not None else name


def _in_base(found: re.Match) -> str | None:
    """The digits, if they are digits of that base."""
    digits = TEXT.sub(r"\1", found[1]).replace("(", "").replace(")", "").strip()
    base = spelled_base(found[2] or found[3] or found[4])
    if not base.isdigit():
        return digits if len(base) == 1 and digits.isdigit() else None
    if not 2 <= int(base) <= 36:
        return None
    try:
        int(digits, int(base))
    except ValueError:
        return None
    return digits
