"""Whether two mathematical answers are the same: structure by rule, numbers exactly, formulas by `math-verify`.

What an answer is made of is told apart here (the statement in prose, lists, sets, intervals, matrices,
units, percent, bases); what is left is a number, which is compared as a fraction, or a formula, which
`latex2sympy` reads and `math-verify` compares. Any of it may take forever on a hostile text, so nothing
but `distill/referee.py`, in a process of its own, calls this module.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction

from agents.answers import as_number

EXACT_DIGITS = 10
"""A gold decimal with so many significant digits is a float, not an exact decimal."""
TOLERANCE, TENTHS_OF_A_CENT, ROUNDING = Fraction(1, 10**5), Fraction(5, 1000), Fraction(5, 10**11)
"""Of a float: relative; at most half a hundredth; at least what rounding to ten decimals (GSM-Hard) loses."""
NOISE = Fraction(1, 10**12)
"""Relative error of a few float operations: 0.30000000000000004 is 0.3."""
PRECISION = 50
"""Decimal digits at which irrational numbers are compared."""

SPELLINGS = {
    "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{HYPHEN}": "-", "\N{NON-BREAKING HYPHEN}": "-",
    "\N{FULLWIDTH HYPHEN-MINUS}": "-", "\N{MULTIPLICATION SIGN}": r"\times ", "\N{DIVISION SIGN}": "/",
    "\N{MIDDLE DOT}": r"\cdot ", "\N{DOT OPERATOR}": r"\cdot ", "\N{FRACTION SLASH}": "/",
    "\N{INFINITY}": r"\infty ", "\N{GREEK SMALL LETTER PI}": r"\pi ", "\N{LESS-THAN OR EQUAL TO}": r"\le ",
    "\N{GREATER-THAN OR EQUAL TO}": r"\ge ", "\N{NOT EQUAL TO}": r"\ne ", "\N{UNION}": r"\cup ",
    "\N{INTERSECTION}": r"\cap ", "\N{PLUS-MINUS SIGN}": r"\pm ", "\N{DEGREE SIGN}": r"^\circ ",
    "\N{ELEMENT OF}": r"\in ", "\N{SQUARE ROOT}": r"\sqrt ", "\N{GREEK SMALL LETTER THETA}": r"\theta ",
    "\N{VULGAR FRACTION ONE HALF}": r"\frac{1}{2}", "\N{VULGAR FRACTION ONE QUARTER}": r"\frac{1}{4}",
    "\N{VULGAR FRACTION THREE QUARTERS}": r"\frac{3}{4}", "\N{VULGAR FRACTION ONE THIRD}": r"\frac{1}{3}",
    "\N{VULGAR FRACTION TWO THIRDS}": r"\frac{2}{3}", "\N{SUPERSCRIPT TWO}": "^2", "\N{SUPERSCRIPT THREE}": "^3",
    "\N{EURO SIGN}": r"\text{ euro }", "\N{POUND SIGN}": r"\text{ pound }",
    "\N{LEFT ANGLE BRACKET}": "(", "\N{RIGHT ANGLE BRACKET}": ")",
    "\N{MATHEMATICAL LEFT ANGLE BRACKET}": "(", "\N{MATHEMATICAL RIGHT ANGLE BRACKET}": ")",
    "\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "\N{THIN SPACE}": " ",
}  # fmt: skip
"""What stands for LaTeX in plain text."""
SYNONYMS = [
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\(?:left|right|bigl?|bigr|Bigl?|Bigr|displaystyle|textstyle|limits)(?![A-Za-z])\.?", ""),
    (r"\\(?:textnormal|textrm|textbf|textit|mbox|mathrm|mathbf|mathit|hbox|operatorname)\s*(?=\{)", r"\\text"),
    (r"\\bm\s*(?=\{)", ""),
    (r"\\(?:leq|leqslant|lt)(?![A-Za-z])", r"\\le "),
    (r"\\(?:geq|geqslant|gt)(?![A-Za-z])", r"\\ge "),
    (r"\\neq(?![A-Za-z])", r"\\ne "),
    (r"<=", r"\\le "),
    (r">=", r"\\ge "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\(?:langle|lparen)(?![A-Za-z])", "("),
    (r"\\(?:rangle|rparen)(?![A-Za-z])", ")"),
    (r"\\(?:lbrack)(?![A-Za-z])", "["),
    (r"\\(?:rbrack)(?![A-Za-z])", "]"),
    (r"\\(?:lbrace)(?![A-Za-z])", r"\\{"),
    (r"\\(?:rbrace)(?![A-Za-z])", r"\\}"),
    (r"\\(?:varnothing)(?![A-Za-z])", r"\\emptyset "),
    (r"\\(?:degree|textdegree)(?![A-Za-z])", r"^\\circ "),
    (r"\^\s*\{\s*\\circ\s*\}", r"^\\circ "),
    (r"\\(?:pm|mp)(?![A-Za-z])", r"\\pm "),
    (r"\\mid(?![A-Za-z])", "|"),
    (r"\\(?:qquad|quad|enspace|thinspace|hspace\{[^{}]*\})(?![A-Za-z])", " "),
    (r"(?<=\d)\s*\{\s*,\s*\}\s*(?=\d{3})", ","),
    (r"(?<=\d),(?:\\[!,;: ]|\s)*\\[!,;: ](?=\s*\d{3})\s*", ","),
    (r"(?<=\d)(?:\\[,;:]|~)\s*(?=\d{3}(?!\d))", ","),
    (r"(?<!\\)\\[!,;: ]|~", " "),
    (r"\\mathbb\s*\{?\s*R\s*\}?|^(?:all )?real(?:s| numbers)$", r"(-\\infty,\\infty)"),
    (r"\*\*(?=\S)(.*?\S)\*\*$", r"\1"),
]  # fmt: skip
"""Spellings of one thing, in this order."""

FUNCTIONS = (
    "sqrt cbrt sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh log ln exp abs max min "
    "gcd lcm det"
)
INTRODUCTION = re.compile(r"\banswer\s*(?:\([^()]*\)\s*)?(?:is|was|:|=)\s*:?\s*", re.IGNORECASE)
TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
DIMENSIONS = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre", "km": "kilometer kilometre",
    "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile", "g": "gram", "kg": "kilogram", "mg": "milligram",
    "lb": "pound lbs", "oz": "ounce", "s": "second sec", "min": "minute", "h": "hour hr", "day": "d", "week": "wk",
    "month": "mo", "year": "yr", "dollar": "usd buck", "cent": "", "euro": "eur", "degree": "deg", "radian": "rad",
    "l": "liter litre", "ml": "milliliter millilitre", "mph": "", "unit": "", "point": "pt",
}  # fmt: skip
UNITS = {alias: unit for unit, names in DIMENSIONS.items() for alias in (unit, *names.split())}
"""Names of one unit; of the rest, the word itself is the unit."""
STOP_WORDS = set(
    [
        "and",
        "or",
        "is",
        "to",
        "the",
        "not",
        "no",
        "of",
        "either",
        "between",
        "maybe",
        "about",
        "approximately",
        "roughly",
    ]
)

ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS = {word: i for i, word in enumerate(ONES)} | {word: 10 * i for i, word in enumerate(TENS, 2)}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
PARTS = {"half": Fraction(1, 2), "quarter": Fraction(1, 4), "third": Fraction(1, 3)}


def same(gold: str, prediction: str, by_value: bool = False) -> bool:
    """Whether the prediction says what the gold answer says. May hang or crash on a hostile text.

    by_value: do not be content with the same letters; for proving that golds can be read.
    """
    token = LETTERS.set(not by_value)
    try:
        return equal(tidy(statement(gold)), tidy(statement(prediction)))
    finally:
        LETTERS.reset(token)


def statement(text: str) -> str:
    """The answer in what may be prose: the last box's content, or what an "answer is" introduces."""
    text = unwrapped(text)
    if (box := boxed(text)) is not None:
        return statement(box)
    if "\\boxed" in text or "\\fbox" in text:
        return ""  # never closed: cut off
    introduced = [found.end() for found in INTRODUCTION.finditer(text)]
    if introduced:
        return unwrapped(text[introduced[-1] :])
    plain = re.match(r"(?:\w+[ ,']+){1,12}?(?:is|are|equals)\s*:?\s+(?=[-$\d\\(+.])", text)
    if plain and not re.search(r"\bn[o']t\b|\beither\b|\bif\b", text[: plain.end()]):
        return unwrapped(text[plain.end() :])
    return text


def boxed(text: str) -> str | None:
    """What the last `\\boxed{…}` holds; None where there is none, or it is not closed."""
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return None
    brace = text.find("{", start)
    if brace < 0:
        rest = text[start:].removeprefix("\\boxed").removeprefix("\\fbox").strip(" $.")
        return rest.split()[0] if rest else None
    end = closing(text, brace)
    if end is None:
        return None
    # \boxed{\boxed{5}}: the inner is the last, and all there is.
    return text[brace + 1 : end]


def closing(text: str, start: int) -> int | None:
    depth = 0
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i
    return None


def trimmed(text: str) -> str:
    """Without spaces around and full stops or commas behind."""
    return text.strip().rstrip(" \t\r\n.,")


def unwrapped(text: str) -> str:
    text = trimmed(text)
    while True:
        before = text
        for left, right in (
            ("$$", "$$"),
            ("$", "$"),
            ("\\(", "\\)"),
            ("\\[", "\\]"),
            ("**", "**"),
            ("`", "`"),
        ):
            inner = text[len(left) : len(text) - len(right)]
            if (
                text.startswith(left)
                and text.endswith(right)
                and len(text) > len(left) + len(right)
            ):
                if left not in inner.replace("\\$", ""):
                    text = trimmed(inner)
        if text == before:
            return text


def tidy(text: str) -> str:
    """One spelling of LaTeX, plain text and Python."""
    for character, latex in SPELLINGS.items():
        text = text.replace(character, latex)
    for pattern, replacement in SYNONYMS:
        text = re.sub(pattern, replacement, text)
    text = re.sub(r"\\sqrt\s*(\w)", r"\\sqrt{\1}", text)
    text = re.sub(r"\\frac\s*(\\[A-Za-z]+)\s+(\w)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}", text)
    text = python(text)
    if text.replace("\\$", "").count("$") % 2 == 0:
        text = re.sub(r"(?<!\\)\$", "", text)  # around formulas; one alone is money
    return trimmed(re.sub(r"\s+", " ", text))


def python(text: str) -> str:
    """`sqrt(2)*x**2` and the like, as Python and sympy print them, in LaTeX."""
    text = re.sub(
        r"^(?:sympy\.|sp\.|np\.|math\.)?(?:Rational|Fraction)\((-?\d+),\s*(\d+)\)$",
        r"\\frac{\1}{\2}",
        text,
    )
    text = re.sub(
        r"^(?:sympy\.)?(?:Immutable|Mutable)?(?:Dense)?(?:Matrix|array)\((\[.*\])\)$",
        r"\1",
        text,
        flags=re.DOTALL,
    )
    if rows := re.fullmatch(r"\[\s*(\[[^\[\]]*\](?:\s*,\s*\[[^\[\]]*\])*)\s*\]", text):
        cells = (row.replace(",", " & ") for row in re.findall(r"\[([^\[\]]*)\]", rows[1]))
        return r"\begin{matrix}" + r" \\ ".join(cells) + r"\end{matrix}"
    text = re.sub(r"(?<![\\A-Za-z])(?:oo|inf|infinity|Infinity)(?![A-Za-z])", r"\\infty ", text)
    text = re.sub(r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi ", text)
    text = text.replace("**", "^")
    for name in ("sqrt", "cbrt"):
        index = "" if name == "sqrt" else "[3]"
        while match := re.search(rf"(?<![\\A-Za-z]){name}\s*\(", text):
            end = parenthesis(text, match.end() - 1)
            if end is None:
                break
            text = f"{text[: match.start()]}\\sqrt{index}{{{text[match.end() : end]}}}{text[end + 1 :]}"
    text = re.sub(r"\^\s*\(([^()]*)\)", r"^{\1}", text)
    text = re.sub(r"\^\s*(-?\d+)", r"^{\1}", text)
    text = re.sub(rf"(?<![\\A-Za-z])({FUNCTIONS.replace(' ', '|')})(?=\s*\()", r"\\\1", text)
    return re.sub(r"\s*(?<!\\)\*\s*", r" \\cdot ", text)


def parenthesis(text: str, start: int) -> int | None:
    depth = 0
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    return None


def equal(gold: str, other: str) -> bool:
    """Of two tidied texts."""
    if not trimmed(gold) or not trimmed(other):
        return False
    if LETTERS.get() and squeezed(gold) == squeezed(other) and balanced(gold):
        return True
    if words(gold) and words(other):
        return words(gold) == words(other)
    left, right = matrix(gold), matrix(other)
    if (left is None and right is None) or "matrix}" not in gold + other:
        pass
    elif left is None or right is None:
        return "matrix}" in gold and "matrix}" in other and same_formula(gold, other)
    else:
        return [len(row) for row in left] == [len(row) for row in right] and all(
            equal(a, b) for one, two in zip(left, right, strict=True) for a, b in zip(one, two, strict=True)
        )  # fmt: skip
    gold, other = member(gold), member(other)
    left, right = several(gold), several(other)
    if len(left) > 1 and (pair := enclosed(other)) and all("=" in part for part in left):
        left, right = [assigned(part)[1] for part in left], pair[1]  # x = 1, y = 2 for (1, 2)
        return len(left) == len(right) and all(map(equal, left, right))
    if len(right) > 1 and (pair := enclosed(gold)) and all("=" in part for part in right):
        right, left = [assigned(part)[1] for part in right], pair[1]
        return len(left) == len(right) and all(map(equal, left, right))
    if len(left) > 1 and all(map(relation, left)) and len(parts := union(other)) > 1:
        return matched([as_interval(part) for part in left], parts)  # x < 1 or x > 2
    if len(right) > 1 and all(map(relation, right)) and len(parts := union(gold)) > 1:
        return matched(parts, [as_interval(part) for part in right])
    if len(left) != len(right):
        return False
    if len(left) > 1:
        return matched(left, right)
    gold, other = left[0], right[0]
    left, right = union(gold), union(other)
    if len(left) > 1 or len(right) > 1:
        return len(left) == len(right) and matched(left, right)
    if bool(relation(gold)) != bool(relation(other)):
        gold, other = as_interval(gold), as_interval(other)
    gold, other = unassigned(gold, other)
    left, right = enclosed(gold), enclosed(other)
    if left and right:
        return (
            left[0] == right[0]
            and len(left[1]) == len(right[1])
            and all(map(equal, left[1], right[1]))
        )
    if left or right:
        return False
    return same_quantity(gold, other)


LETTERS: ContextVar[bool] = ContextVar("letters", default=True)
"""Whether the same letters are enough."""


def squeezed(text: str) -> str:
    """For comparing letter by letter: spaces count nowhere."""
    return re.sub(r"\s+", "", TEXT.sub(r"\1", text))


def balanced(text: str) -> bool:
    bare = text.replace("\\{", "").replace("\\}", "")
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


def words(text: str) -> str | None:
    """The letters of an answer in words ("\\text{(C)}", "east", "8:34 p.m."); None for a formula."""
    bare = TEXT.sub(r"\1", text).strip()
    if "\\" in bare or not re.search(r"[A-Za-z]{2}|^\(?[A-Z]\)?$|[ap]\.\s?m\b", bare):
        return None
    if not re.fullmatch(r"[A-Za-z0-9 .,'():;&/-]+", bare) or spelled(bare) is not None:
        return None
    letters = re.sub(r"[^a-z0-9:]", "", bare.lower())
    if re.fullmatch(r"\d{1,2}:\d{2}([ap]m)?|\d{1,2}[ap]m", letters):
        return letters  # a time of day
    return (
        letters
        if not re.search(r"\d", bare)
        and not re.search(rf"\b({FUNCTIONS.replace(' ', '|')})\b", bare)
        else None
    )


def matrix(text: str) -> list[list[str]] | None:
    found = re.fullmatch(
        r"\\begin\{([pbB]?matrix|array|smallmatrix)\}(?:\{[^{}]*\})?(.*)\\end\{\1\}",
        text.strip(),
        re.DOTALL,
    )
    if not found:
        return None
    rows = [row for row in re.split(r"\\\\|\\cr(?![A-Za-z])", found[2]) if row.strip()]
    return [[cell.strip() for cell in row.split("&")] for row in rows]


def member(text: str) -> str:
    """Without the `x \\in` that may stand before a set."""
    return re.sub(r"^\\?[A-Za-z](?:_\{?\w\}?)?\s*\\in(?![A-Za-z])\s*", "", text)


def split(text: str, separators: str) -> list[str]:
    """At separators (a pattern) that stand in no bracket."""
    parts, depth, last, i = [], 0, 0, 0
    pattern = re.compile(separators)
    while i < len(text):
        if depth == 0 and (found := pattern.match(text, i)) and found.end() > i:
            parts.append(text[last:i])
            i = last = found.end()
            continue
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text[i], 0)
        i += 1
    return [part.strip() for part in (*parts, text[last:])]


def several(text: str) -> list[str]:
    """The members of a set or of a list without an order; a text alone where it is one answer."""
    inside = re.fullmatch(r"\\\{(.*)\\\}|\{(.*,.*)\}", text.strip())
    if inside:
        text = inside[1] if inside[1] is not None else inside[2]
    listed = re.fullmatch(r"\[(.*)\]", text.strip())
    if listed and around(text.strip()) and len(split(listed[1], ",")) > 2:
        text = listed[1]  # as Python prints a list; of two it would be an interval
    text = TEXT.sub(
        lambda word: f" {word[1].strip()} " if word[1].strip() in ("and", "or") else word[0], text
    )
    if as_number(quantity(text).value) is not None:
        return [text]  # whose commas are between thousands
    parts = [
        part
        for part in split(text, r",\s*(?:and\b|or\b)?|;|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])")
        if part
    ]
    found = []
    for part in parts or [text]:
        if "\\pm" in part:
            found += [
                part.replace("\\pm", "+", 1).strip().removeprefix("+"),
                part.replace("\\pm", "-", 1),
            ]
        else:
            found.append(part)
    return found


def matched(left: list[str], right: list[str]) -> bool:
    """Whether each has its own equal on the other side, in any order."""
    rest = list(right)
    for one in left:
        for i, other in enumerate(rest):
            if equal(one, other):
                del rest[i]
                break
        else:
            return False
    return not rest


def union(text: str) -> list[str]:
    return split(text, r"\\cup(?![A-Za-z])|(?<=[\])])\s*U\s*(?=[\[(])")


def enclosed(text: str) -> tuple[str, list[str]] | None:
    """The brackets and members of a tuple, a point or an interval."""
    text = text.strip()
    if len(text) < 3 or text[0] not in "([" or text[-1] not in ")]":
        return None
    parts = split(text[1:-1], ",") if around(text) else []
    return (text[0] + text[-1], parts) if len(parts) > 1 and all(parts) else None


def around(text: str) -> bool:
    """Whether the first bracket and the last are one pair, unlike in (a)(b)."""
    depth = 0
    for character in text[1:-1]:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


OPERATORS = re.compile(r"\\le(?![A-Za-z])|\\ge(?![A-Za-z])|<|>")


def relation(text: str) -> list[str] | None:
    """Sides and signs of an inequality."""
    signs = OPERATORS.findall(text)
    if not signs:
        return None
    sides = [side.strip() for side in OPERATORS.split(text)]
    return [sides[0], *(part for pair in zip(signs, sides[1:], strict=True) for part in pair)]


def as_interval(text: str) -> str:
    """An inequality that bounds one letter as the interval it describes; anything else as it is."""
    parts = relation(text)
    if not parts:
        return text
    letter = re.compile(r"\\?[A-Za-z]+(_\{?\w\}?)?")
    if len(parts) == 3:
        a, sign, b = parts
        if not letter.fullmatch(a):
            a, sign, b = b, {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}[sign], a
        if not letter.fullmatch(a):
            return text
        if sign in ("<", "\\le"):
            return f"(-\\infty,{b}" + ("]" if sign == "\\le" else ")")
        return ("[" if sign == "\\ge" else "(") + f"{b},\\infty)"
    if len(parts) == 5 and letter.fullmatch(parts[2]):
        a, first, _, second, b = parts
        if {first, second} <= {">", "\\ge"}:
            a, b, first, second = b, a, second, first
        elif not {first, second} <= {"<", "\\le"}:
            return text
        return ("[" if "e" in first else "(") + f"{a},{b}" + ("]" if "e" in second else ")")
    return text


def assigned(text: str) -> tuple[str | None, str]:
    """The name and the value of `x = 5`, `f(x) = 5`, `(x, y) = (1, 2)`."""
    found = re.match(
        r"(\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\([A-Za-z, ]+\))?|\([A-Za-z](?:\s*,\s*[A-Za-z])+\))\s*=\s*(?!=)",
        text,
    )
    return (found[1], text[found.end() :]) if found else (None, text)


def unassigned(gold: str, other: str) -> tuple[str, str]:
    """Without the name that one side alone gives, or that both give."""
    (one, left), (two, right) = assigned(gold), assigned(other)
    if one and two and squeezed(one) == squeezed(two) and "=" not in left + right:
        return left, right
    if one and "=" not in other and "=" not in left:
        return left, other
    if two is None and not re.search(
        r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", other.partition("=")[0])
    ):
        two, right = "", other  # 2 + 3 = 5: a calculation, of which the last part is the answer
    if two is not None and "=" not in gold:
        return gold, right.split("=")[-1]  # x = 2 + 3 = 5
    return gold, other


@dataclass(frozen=True)
class Quantity:
    value: str
    unit: str = ""
    percent: bool = False
    base: str | None = None


def quantity(text: str) -> Quantity:
    """A value and what it is a value of."""
    text = text.strip()
    percent = unit = ""
    if found := re.search(
        r"\s*(\\?%|\bper\s?cent\b|\\text\s*\{\s*per\s?cent\s*\})$", text, re.IGNORECASE
    ):
        text, percent = text[: found.start()], "%"
    if text.startswith(("\\$", "$")):
        text, unit = text.removeprefix("\\").removeprefix("$").strip(), "dollar"
    elif text.startswith(("-\\$", "-$")):
        text, unit = "-" + text[1:].removeprefix("\\").removeprefix("$").strip(), "dollar"
    if found := re.search(r"\s*\^\s*\\circ\s*(?:[CF]\b)?$", text):
        text, unit = text[: found.start()], "degree"
    elif found := re.search(
        r"(?<=[\d})\]!])\s*\\text\s*\{([^{}]*)\}\s*(\^\s*\{?\d\}?)?(?:\s*\\text\s*\{([^{}]*)\})?$",
        text,
    ):
        text, unit = text[: found.start()], unit_of(f"{found[1]} {found[3] or ''}", found[2])
    elif found := re.search(
        r"(?<=[\d})\]!])(?:\s+|(?=[a-z]{2,}))([A-Za-z]{2,}(?:[ .][A-Za-z]+){0,3}\.?|[A-Za-z](?=\s*\^|$))\s*(\^\s*\{?\d\}?)?$",
        text,
    ):
        name = unit_of(found[1], found[2])
        if name.split("^")[0] in DIMENSIONS or (
            len(found[1]) > 3 and rational(text[: found.start()]) is not None
        ):
            if not STOP_WORDS & set(found[1].lower().split()) and (
                len(found[1]) > 1 or text[found.start()] == " "
            ):
                text, unit = text[: found.start()], name
    elif found := re.fullmatch(
        r"([A-Za-z-]+(?: [A-Za-z-]+)*?) ([A-Za-z]+)", TEXT.sub(r"\1", text).strip()
    ):
        if spelled(found[1]) is not None and spelled(found[0]) is None:
            text, unit = found[1], unit_of(found[2], None)
    base = re.fullmatch(
        r"(-?\(?(?:[0-9A-F]+|\\text\s*\{[0-9A-F]+\})\)?)\s*_\s*(?:\{\s*(?:\\text\s*\{)?\s*(\d+|[a-z]+)\s*\}?\s*\}|(\d+))",
        text.strip(),
    )
    if base:
        return Quantity(
            TEXT.sub(r"\1", base[1]).replace("(", "").replace(")", ""),
            unit,
            bool(percent),
            base[2] or base[3],
        )
    return Quantity(text.strip(), unit, bool(percent))


def unit_of(name: str, power: str | None) -> str:
    """A unit by its one name, with its power: "cm^2" for \\text{ square centimeters}."""
    name = re.sub(r"[^a-z/ ]", "", name.lower()).strip()
    power = re.sub(r"\D", "", power or "")
    for prefix, exponent in (("square ", "2"), ("sq ", "2"), ("cubic ", "3"), ("cu ", "3")):
        if name.startswith(prefix):
            name, power = name.removeprefix(prefix), exponent
    name = (
        UNITS.get(name)
        or UNITS.get(name.rstrip("s"))
        or (name.removesuffix("s") if len(name) > 3 else name)
    )
    return f"{name}^{power}" if power and power != "1" else name


def same_unit(a: str, b: str) -> bool:
    """Also where one side names none, and where a noun has an adjective on one side alone."""
    if not a or not b or a == b:
        return True
    if a.split("^")[0] in DIMENSIONS or b.split("^")[0] in DIMENSIONS:
        return False
    return set(a.split()) <= set(b.split()) or set(b.split()) <= set(a.split())


def same_quantity(gold: str, other: str) -> bool:
    a, b = quantity(gold), quantity(other)
    if not same_unit(a.unit, b.unit) or not a.value or not b.value:
        return False
    if a.base or b.base:
        if a.base and b.base and a.base != b.base:
            return False
        return a.percent == b.percent and a.value.lstrip("0") == b.value.lstrip("0")
    left, right = rational(a.value), rational(b.value)
    if left is not None and right is not None:
        shift = Fraction(1, 100)
        return same_number(left * shift if a.percent and not b.percent else left,
                           right * shift if b.percent and not a.percent else right, a.value)  # fmt: skip
    return a.percent == b.percent and same_formula(a.value, b.value)


def same_number(gold: Fraction, other: Fraction, written: str) -> bool:
    """Exactly; of a gold decimal that is a float, as its digits allow. written: the gold as it stands."""
    if gold == other:
        return True
    if (
        not re.fullmatch(
            r"[-+]?[\d,]*\.\d+(?:[eE][-+]?\d+)?|[-+]?\d+(?:\.\d+)?[eE]-\d+", written.strip()
        )
        or gold.denominator == 1
    ):
        return False
    apart = abs(gold - other)
    if apart <= NOISE * abs(gold):
        return True
    if other.denominator == 1:
        return False
    if apart <= ROUNDING and len(written.strip().lstrip("-+0.")) >= 4 and abs(gold) < 1:
        return True
    digits = re.sub(r"[eE].*|\D", "", written).lstrip("0")
    return len(digits) >= EXACT_DIGITS and apart <= min(TOLERANCE * abs(gold), TENTHS_OF_A_CENT)


def rational(text: str) -> Fraction | None:
    """The value of a decimal, a fraction, a mixed or a spelled number; None for anything else."""
    text = TEXT.sub(r"\1", text).strip().strip("{}" if balanced(text.strip("{}")) else "")
    if (number := as_number(text)) is not None:
        return number
    if (number := spelled(text)) is not None:
        return number
    whole = r"\s*(\d+(?:,\d{3})*)\s*"
    if found := re.fullmatch(rf"([-+]?){whole}/\s*([-+]?){whole}", text):
        sign, a, b = found[1] + found[3], found[2], found[4]
    elif found := re.fullmatch(
        r"([-+]?)\s*\\frac\s*\{\s*([-+]?\d+)\s*\}\s*\{\s*([-+]?\d+)\s*\}", text
    ):
        sign, a, b = found[1], found[2], found[3]
    elif found := re.fullmatch(
        r"([-+]?)\s*\\frac\s*(\d)\s*(\d)|([-+]?)\s*\\frac\s*(\d)\s*\{(\d+)\}|([-+]?)\s*\\frac\s*\{(\d+)\}\s*(\d)",
        text,
    ):
        sign, a, b = (group or "" for group in [g for g in found.groups() if g is not None])
    elif found := re.fullmatch(
        r"([-+]?)\s*(\d+)\s*\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|([-+]?)\s*(\d+)\s+(\d+)\s*/\s*(\d+)|([-+]?)\s*(\d+)\s*\\frac\s*(\d)\s*(\d)",
        text,
    ):
        sign, n, a, b = [g for g in found.groups() if g is not None]
        if int(b) == 0:
            return None
        value = int(n) + Fraction(int(a), int(b))
        return -value if sign == "-" else value
    elif found := re.fullmatch(
        r"([-+]?\d+(?:\.\d*)?|[-+]?\.\d+)\s*\\(?:times|cdot)\s*10\s*\^\s*\{?\s*([-+]?\d{1,3})\s*\}?",
        text,
    ):
        return Fraction(found[1]) * Fraction(10) ** int(found[2])
    elif found := re.fullmatch(r"([-+]?)(\d*)\.(\d*)\\overline\s*\{(\d+)\}", text):
        scale = 10 ** len(found[3])
        value = Fraction(int(found[2] or 0) * scale + int(found[3] or 0), scale)
        value += Fraction(int(found[4]), scale * (10 ** len(found[4]) - 1))
        return -value if found[1] == "-" else value
    else:
        return None
    a, b = int(a.replace(",", "")), int(b.replace(",", ""))
    if b == 0:
        return None
    return Fraction(a, b) * (-1 if sign.count("-") % 2 else 1)


def spelled(text: str) -> Fraction | None:
    """The value of an English number up to billions, "twenty-one", "one half"; None for anything else."""
    parts = [part for part in re.split(r"[\s-]+", text.lower().strip()) if part]
    sign = -1 if parts[:1] in (["minus"], ["negative"]) else 1
    parts = parts[1:] if sign < 0 else parts
    if (
        len(parts) == 2
        and parts[0] in WORDS
        and parts[1].removesuffix("s").replace("halve", "half") in PARTS
    ):
        return sign * WORDS[parts[0]] * PARTS[parts[1].removesuffix("s").replace("halve", "half")]
    total = group = 0
    for i, part in enumerate(parts):
        if part in WORDS:
            group += WORDS[part]
        elif part == "hundred" and group:
            group *= 100
        elif part in SCALES and group:
            total, group = total + group * SCALES[part], 0
        elif part != "and" or not 0 < i < len(parts) - 1:
            return None
    return Fraction(sign * (total + group)) if parts else None


def same_formula(gold: str, other: str) -> bool:
    left, right = formula(gold), formula(other)
    if left is None or right is None:
        return False
    from sympy import Expr, I, Symbol
    from sympy.core.relational import Relational

    left, right = (x.xreplace({Symbol("i"): I, Symbol("j"): Symbol("j")}) for x in (left, right))
    if isinstance(left, Relational) and isinstance(right, Relational):
        return same_relation(left, right)
    if (
        isinstance(left, Expr)
        and isinstance(right, Expr)
        and not (left.free_symbols | right.free_symbols)
    ):
        return same_constant(left, right)
    from math_verify import verify

    left, right = left.doit(), right.doit()
    return bool(verify([left], [right], float_rounding=15, timeout_seconds=None))


def formula(text: str):
    """What `latex2sympy` makes of it, with exact decimals; None for what is no formula."""
    if not text or not balanced(text) or re.search(r"(?<![_\d])\d+\s+\d|[?!]{2}|\.\.", text):
        return None
    bare = re.sub(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+", " ", TEXT.sub("", text))
    if any(len(word) > 3 or word.lower() in STOP_WORDS for word in re.findall(r"[A-Za-z]+", bare)):
        return None  # prose, which would be read as a product of letters
    from latex2sympy2_extended import NormalizationConfig, latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig
    from sympy import Basic, Float, MatrixBase, Rational, nan, zoo

    spelling = NormalizationConfig(
        basic_latex=True, malformed_operators=True, nits=True, boxed="none"
    )
    try:
        found = latex2sympy(
            text,
            normalization_config=spelling,
            conversion_config=ConversionConfig(lowercase_symbols=False),
        )
        if not isinstance(found, Basic | MatrixBase) or found.has(nan, zoo):
            return None
        return found.xreplace({number: Rational(str(number)) for number in found.atoms(Float)})
    except Exception:
        return None  # it is not LaTeX; the parser raises plain Exception, and others for odd input


def same_constant(left, right) -> bool:
    """Two numbers without variables: exactly where they are rational, else to `PRECISION` digits."""
    left, right = left.doit(), right.doit()
    if left == right:
        return True
    if (left.is_Rational and right.is_Rational) or left.is_infinite or right.is_infinite:
        return False
    apart, size = abs((left - right).evalf(PRECISION)), abs(left.evalf(PRECISION))
    return bool(apart < 10 ** -(PRECISION - 15) * max(size, 10**-PRECISION))


def same_relation(left, right) -> bool:
    """Equations up to a factor that is not zero, inequalities up to a positive one."""
    from sympy import Eq, GreaterThan, Ne, StrictGreaterThan, simplify

    def difference(relation):
        turned = isinstance(relation, GreaterThan | StrictGreaterThan)
        return (relation.rhs - relation.lhs) if turned else (relation.lhs - relation.rhs)

    if (left.rel_op in ("<=", ">=")) != (right.rel_op in ("<=", ">=")) or (
        left.rel_op in ("<", ">")
    ) != (right.rel_op in ("<", ">")):
        return False
    if isinstance(left, Eq) != isinstance(right, Eq) or isinstance(left, Ne) != isinstance(
        right, Ne
    ):
        return False
    one, other = simplify(difference(left)), simplify(difference(right))
    if one == 0 or other == 0:
        return one == other
    factor = simplify(one / other)
    return bool(
        factor.is_number
        and factor.is_finite
        and not factor.is_zero
        and (isinstance(left, Eq | Ne) or factor.is_positive)
    )
