"""What an answer is made of, and whether two are made of the same: lists, sets, points, intervals, matrices.

A set or a list without brackets has no order; a point has one. Names ("x = 5"), where one side alone gives
them, say nothing.
"""

from __future__ import annotations

import re

from .brackets import around, enclosed, split
from .formula import balanced, same_formula
from .numbers import rational, spelled
from .quantity import TEXT, same_quantity
from .sets import letter_of, looks_like_a_set, real_set
from .spelling import FUNCTIONS
from .statement import trimmed

GREEK = "alpha|beta|gamma|delta|epsilon|varepsilon|theta|lambda|mu|nu|rho|sigma|tau|phi|varphi|omega|xi|eta|kappa|psi"
NAME = re.compile(
    rf"(?:(?:\\(?:{GREEK})(?![A-Za-z])|\\text\s*\{{[^{{}}]*\}}|[A-Za-z]{{1,3}}|[A-Za-z]+(?=\s*=))(?:_\{{?\w+\}}?)?'?"
    r"(?:\([^()]*\))?|\\(?:overline|angle)\s*\{?\s*[A-Z]{1,3}\s*\}?|\|?[A-Z]{1,3}\|?|\[[A-Z]{3,4}\]"
    r"|[A-Za-z](?:\s*[-+/]?\s*[A-Za-z]){1,5})"
)
"""What an answer may be the value of: x, f(3), P(X = 2), \\theta, AB, a + b + c."""
SHORT_WORDS = {"yes", "no", "odd", "red", "up", "down", "all", "none", "true"}
RATIO = re.compile(r"[-\d.\s/]+(?::[-\d.\s/]+)+")


def equal(gold: str, other: str, letters: bool = True) -> bool:
    """Of two tidied texts. letters: the same letters are enough."""
    gold, other = trimmed(gold), trimmed(other)
    if not gold or not other:
        return False
    if letters and squeezed(gold) == squeezed(other) and balanced(re.sub(r"[()\[\]]", "", gold)):
        return True
    if words(gold) and words(other):
        if words(gold) == words(other):
            return True
        if "," not in gold or "," not in other:
            return False
    if RATIO.fullmatch(gold) and RATIO.fullmatch(other):
        return same_ratio(gold, other)
    if (RATIO.fullmatch(gold) and "/" in other) or (RATIO.fullmatch(other) and "/" in gold):
        return same_ratio(gold.replace("/", ":"), other.replace("/", ":"))
    left, right = matrix(gold), matrix(other)
    if left and right:
        return [len(row) for row in left] == [len(row) for row in right] and all(
            equal(a, b) for one, two in zip(left, right, strict=True) for a, b in zip(one, two, strict=True)
        )  # fmt: skip
    if left or right:
        return "matrix}" in gold and "matrix}" in other and same_formula(gold, other)
    gold, other = member(gold), member(other)
    if looks_like_a_set(gold) or looks_like_a_set(other):
        same = same_set(gold, other)
        if same is not None:
            return same
    left, right = several(gold), several(other)
    if len(left) > 1 and len(right) == 1 and named_point(left, other) is not None:
        return bool(named_point(left, other))
    if len(right) > 1 and len(left) == 1 and named_point(right, gold) is not None:
        return bool(named_point(right, gold))
    if len(left) > 1 and len(right) == 1 and not gold.startswith("\\{"):
        right = listed(other) or right
    if len(left) != len(right):
        return False
    if len(left) > 1:
        return matched(left, right)
    gold, other = unassigned(left[0], right[0])
    if gold is None or other is None:
        return False
    left, right = enclosed(gold), enclosed(other)
    if left and right:
        return (
            left[0] == right[0]
            and len(left[1]) == len(right[1])
            and all(map(equal, left[1], right[1]))
        )
    if left or right:
        return False
    if several(gold) != [gold] or several(other) != [other]:
        return equal(gold, other)  # x = 1, 2: a list behind a name
    return same_quantity(gold, other)


def squeezed(text: str) -> str:
    """For comparing letter by letter: without the spaces that separate nothing."""
    return re.sub(r"(?<![\w.,])\s+|\s+(?![\w.,])", "", TEXT.sub(r" \1 ", text).strip())


def words(text: str) -> str | None:
    """The letters of an answer in words ("\\text{(C)}", "east", "8:34 p.m."); None for a formula."""
    bare = TEXT.sub(r" \1 ", text).strip()
    compact = re.sub(r"[\s.]", "", bare.lower())
    if re.fullmatch(r"\d{1,2}(:\d{2})?([ap]m)|\d{1,2}:\d{2}", compact) and "/" not in text:
        return compact if "m" in compact or "text" in text else None
    if "\\" in bare or spelled(bare) is not None:
        return None
    if not re.fullmatch(r"[A-Za-z][A-Za-z .,'();&-]*|\(?[A-Z]\)?(?:\s*,\s*\(?[A-Z]\)?)*", bare):
        return None
    if re.search(rf"\b(?:{FUNCTIONS}|sqrt)\b", bare):
        return None
    said = "\\text" in text or re.fullmatch(r"\(?[A-Z]\)?", bare) or bare.lower() in SHORT_WORDS
    if not said and not re.search(r"[A-Za-z]{4}", bare):
        return None  # a product of letters
    bare = re.sub(r"^(?:an?|the)\s+(?=[a-z])", "", bare)
    return re.sub(r"[^a-z,]", "", bare.lower()).strip(",")


def same_ratio(gold: str, other: str) -> bool:
    """3:2 and 6:4; as many parts, in their order, up to one factor."""
    if re.search(r"(?:^|;)[012]?\d:[0-5]\d(?:;|$)", f"{gold};{other}"):
        return gold.replace(" ", "") == other.replace(" ", "")  # times of day
    left, right = ([rational(part) for part in text.split(":")] for text in (gold, other))
    if len(left) != len(right) or None in left or None in right or not left[0] or not right[0]:
        return False
    return all(a * right[0] == b * left[0] for a, b in zip(left, right, strict=True))


def matrix(text: str) -> list[list[str]] | None:
    """Rows of cells, whatever the brackets."""
    text = assigned(text.strip())[1].strip()
    if "\\begin" in text and (
        around_it := re.fullmatch(r"[(\[](\\begin.*\\end\{[a-z]*\})[)\]]", text, re.DOTALL)
    ):
        text = around_it[1]
    found = re.fullmatch(
        r"\\begin\{([pbB]?matrix|array|smallmatrix)\}(?:\{[^{}]*\})?(.*)\\end\{\1\}",
        text,
        re.DOTALL,
    )
    if not found or "\\begin" in found[2]:
        return None
    rows = [
        row
        for row in re.split(r"\\\\(?:\s*\[[^\[\]]*\])?|\\cr(?![A-Za-z])", found[2])
        if row.strip()
    ]
    return [[cell.strip() for cell in row.split("&")] for row in rows]


def member(text: str) -> str:
    """Without the `x \\in` or the name that may stand before a set or a point."""
    text = re.sub(r"^[A-Z](?=\([^()]*,[^()]*\)$)", "", text)  # a point with its name
    return re.sub(r"^\\?[A-Za-z](?:_\{?\w\}?)?\s*\\in(?![A-Za-z])\s*", "", text)


def several(text: str) -> list[str]:
    """The members of a set or of a list without an order; a text alone where it is one answer."""
    text = text.strip()
    inside = re.fullmatch(r"\\\{(.*)\\\}|\{(.*,.*)\}", text)
    if inside and around(text) and "\\emptyset" not in text:
        text = inside[1] if inside[1] is not None else inside[2]
        text = ", ".join(_distinct(split(text, ",")))
    if text.startswith("[") and (items := listed(text)) and (len(items) > 2 or enclosed(items[0])):
        return items  # as Python prints a list; of two numbers it would be an interval
    text = TEXT.sub(lambda w: f" {w[1].strip()} " if w[1].strip() in ("and", "or") else w[0], text)
    if spelled(text) is not None:
        return [text]
    parts = split(text, r",\s*(?:and\b|or\b)?|;|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])")
    if not all(parts):
        return [text]
    found = []
    for part in parts:
        if part.count("\\pm") == 1:
            before, _, after = part.partition("\\pm")
            # Not 1-1, which would be a range.
            found += (
                [f"{before}+{after}", f"{before}+(-1) \\cdot {after}"]
                if before.strip()
                else [after, f"-{after}"]
            )
        else:
            found.append(part)
    return found


def listed(text: str) -> list[str] | None:
    """The members of a list as Python prints it."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]") and around(text)):
        return None
    items = split(text[1:-1], ",")
    return items if all(items) else None


def _distinct(parts: list[str]) -> list[str]:
    return list(dict.fromkeys(parts))


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


def named_point(named: list[str], point: str) -> bool | None:
    """Whether x = 1, y = 2 is the point (1, 2); None where they are not that."""
    pair = enclosed(point)
    values = dict(assigned(part) for part in named)
    if not pair or None in values:
        return None
    if pair[0] != "()" or len(values) != len(named) or len(values) != len(pair[1]):
        return False
    return all(
        equal(values[name], part) for name, part in zip(sorted(values), pair[1], strict=True)
    )


def same_set(gold: str, other: str) -> bool | None:
    """Of two sets of real numbers; None where they are not two of those."""
    one, two = letter_of(gold), letter_of(other)
    if one and two and one != two:
        return None
    left, right = real_set(gold), real_set(other)
    if left is None or right is None:
        return None
    return bool(left == right or left.symmetric_difference(right).is_empty)


def assigned(text: str) -> tuple[str | None, str]:
    """The name and the value of `x = 5`, `f(x) = 5`, `(x, y) = (1, 2)`, `5 = x`."""
    point = r"\([A-Za-z](?:\s*,\s*[A-Za-z])+\)"
    found = re.match(rf"\s*(?:({NAME.pattern})|({point}))\s*=\s*(?!=)", text)
    if found and not re.match(rf"(?:{FUNCTIONS})\b", found[0].strip()):
        return re.sub(r"\s", "", found[1] or found[2]), text[found.end() :].strip()
    behind = re.fullmatch(r"([^=]+?)\s*=\s*([A-Za-z])", text)
    if behind and not re.search(r"[A-Za-z](?![A-Za-z]*\{)", re.sub(r"\\[A-Za-z]+", "", behind[1])):
        return behind[2], behind[1]
    return None, text


def unassigned(gold: str, other: str) -> tuple[str | None, str | None]:
    """Without the name that one side alone gives, or that both give. None: it contradicts itself."""
    (one, left), (two, right) = assigned(gold), assigned(other)
    if one and two and one == two and "=" not in left + right:
        return left, right
    if one and "=" not in other:
        return last_of(left), other
    if "=" not in gold and (two or _calculation(other)):
        return gold, last_of(right)
    return gold, other


def last_of(chain: str) -> str | None:
    """The last part of 2 + 3 = 5; None where the parts are not equal."""
    parts = split(chain, "=")
    good = all(part and same_quantity(parts[-1], part) for part in parts[:-1])
    return parts[-1] if good else None


def _calculation(text: str) -> bool:
    parts = split(text, "=")
    return len(parts) > 1 and not re.search(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", parts[0]))
