"""The exact value of a number as it may be written: digits, fractions, mixed, scientific, in words."""

from __future__ import annotations

import re
from fractions import Fraction

from agents.answers import as_number

ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
WORDS = ONES | TENS
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
TIMES = SCALES | {"hundred": 100, "dozen": 12}
PARTS = {"half": Fraction(1, 2), "quarter": Fraction(1, 4), "third": Fraction(1, 3)}

SIGN = r"([-+]?)\s*"
WHOLE = r"(\d+(?:,\d{3})*)"
BRACED = r"\{\s*(-?\d+(?:,\d{3})*)\s*\}"


def rational(text: str) -> Fraction | None:
    """The value of a number; None for anything else, a formula among them."""
    text = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", text).strip()
    while inner := re.fullmatch(r"\{([^{}]*)\}|\(([^()]*)\)", text):
        text = (inner[1] or inner[2] or "").strip()
        if "," in text and as_number(text) is None:
            return None
    text = re.sub(r"(?<=\d)_(?=\d{3})", "", text)
    if re.fullmatch(r"[-+]?\d{1,3}(?: \d{3})+(?:\.\d+)?", text):
        text = text.replace(" ", "")
    for value in (as_number(text), spelled(text)):
        if value is not None:
            return value
    if found := re.fullmatch(SIGN + WHOLE + r"\s*/\s*([-+]?)\s*" + WHOLE, text):
        return _ratio(found[2], found[4], found[1] + found[3])
    if found := re.fullmatch(SIGN + r"\\frac\s*" + BRACED + r"\s*" + BRACED, text):
        return _ratio(found[2], found[3], found[1])
    if found := re.fullmatch(SIGN + WHOLE + r"\s*\\frac\s*" + BRACED + r"\s*" + BRACED, text):
        return _mixed(found[2], found[3], found[4], found[1])
    if found := re.fullmatch(SIGN + WHOLE + r"\s+(\d+)\s*/\s*(\d+)", text):
        return _mixed(found[2], found[3], found[4], found[1])
    if found := re.fullmatch(
        r"([-+]?\d+(?:\.\d*)?|[-+]?\.\d+)\s*(?:\\times|\\cdot|x)\s*10\s*\^\s*\{?\s*([-+]?\d{1,3})\s*\}?", text
    ):  # fmt: skip
        return Fraction(found[1]) * Fraction(10) ** int(found[2])
    if found := re.fullmatch(SIGN + r"10\s*\^\s*\{\s*([-+]?\d{1,3})\s*\}", text):
        return Fraction(10) ** int(found[2]) * (-1 if found[1] == "-" else 1)
    if found := re.fullmatch(SIGN + r"(\d*)\.(\d*)\\(?:overline|bar)\s*\{(\d+)\}", text):
        scale = 10 ** len(found[3])
        value = Fraction(int(found[2] or 0) * scale + int(found[3] or 0), scale)
        value += Fraction(int(found[4]), scale * (10 ** len(found[4]) - 1))
        return -value if found[1] == "-" else value
    return None


def spelled(text: str) -> Fraction | None:
    """The value of an English number, "twenty-one", "minus 5", "12 thousand", "one half"; None for anything else."""
    parts = [part for part in re.split(r"\s+|(?<=[a-z])-(?=[a-z])", text.lower().strip()) if part]
    sign = 1
    if len(parts) > 1 and parts[0] in ("minus", "negative"):
        sign, parts = -1, parts[1:]
    if not parts or (not re.search(r"[a-z]", " ".join(parts)) and sign > 0):
        return None
    if len(parts) == 2 and parts[0] in WORDS:
        part = PARTS.get(parts[1].removesuffix("s").replace("halve", "half"))
        if part is not None:
            return sign * WORDS[parts[0]] * part
    number = as_number(parts[0])
    if number is not None:
        for scale in parts[1:]:
            if scale not in TIMES:
                return None
            number *= TIMES[scale]
        return sign * number
    if parts[0] == "a" and len(parts) > 1 and parts[1] in TIMES:
        parts[0] = "one"
    total = group = 0
    for i, part in enumerate(parts):
        if part in WORDS and (group % 10 == 0 and (WORDS[part] < 10 or group % 100 == 0)):
            group += WORDS[part]
        elif part in ("hundred", "dozen") and group:
            group *= TIMES[part]
        elif part in SCALES and group:
            total, group = total + group * SCALES[part], 0
        elif part != "and" or not 0 < i < len(parts) - 1:
            return None
    return Fraction(sign * (total + group))


def _ratio(a: str, b: str, signs: str) -> Fraction | None:
    a, b = int(a.replace(",", "")), int(b.replace(",", ""))
    return Fraction(a, b) * (-1 if signs.count("-") % 2 else 1) if b else None


def _mixed(whole: str, a: str, b: str, sign: str) -> Fraction | None:
    part = _ratio(a, b, "")
    if part is None:
        return None
    return (int(whole.replace(",", "")) + part) * (-1 if sign == "-" else 1)
