"""Whether two formulas are the same: read by `latex2sympy`, compared by sympy and `math-verify`."""

from __future__ import annotations

import re

PRECISION = 50
"""Decimal digits at which irrational numbers are compared."""
AGREE = 35
"""Of which so many must agree."""
STOP_WORDS = {"and", "or", "is", "to", "the", "not", "no", "of", "by", "if", "in"}
DEGREES = re.compile(r"\\(sin|cos|tan|cot|sec|csc)\s*[({]?\s*(\d+(?:\.\d+)?)\s*\^\s*\\circ\s*[)}]?")
TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")


def same_formula(gold: str, other: str) -> bool:
    if gold.count("'") != other.count("'"):
        return False  # which the parser does not read
    left, right = formula(gold), formula(other)
    if left is None or right is None:
        return False
    try:
        return _same(left, right)
    except Exception:
        return False  # sympy gives up on odd formulas with errors of all kinds


def _same(left, right) -> bool:
    from math_verify import verify
    from sympy import Eq, Expr
    from sympy.core.relational import Relational

    if isinstance(left, Relational) and isinstance(right, Relational):
        return same_relation(left, right)
    if isinstance(left, Relational) or isinstance(right, Relational):
        return False  # 2x = 5 is not 5
    left, right = left.doit(), right.doit()
    if any(part.has(Eq) for part in (left, right) if hasattr(part, "has")):
        return False
    if (
        isinstance(left, Expr)
        and isinstance(right, Expr)
        and not (left.free_symbols | right.free_symbols)
    ):
        return same_constant(left, right)
    return bool(verify([left], [right], float_rounding=15, timeout_seconds=None))


def formula(text: str):
    """What `latex2sympy` makes of it, with exact decimals; None for what is no formula."""
    if not text or not balanced(text):
        return None
    if re.search(
        r"(?<![_\d])\d+\s+\d|[?!]{2}|\.\.|=\s*=|[\"#@;:]|\d\s*'|\\phantom|~|\\[lc]?dots|(?<!\\)\$",
        text,
    ):
        return None
    bare = re.sub(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+", " ", TEXT.sub(" ", text))
    if any(len(w) > 3 or w.lower() in STOP_WORDS for w in re.findall(r"[A-Za-z]+", bare)):
        return None  # prose, which would be read as a product of letters
    text = DEGREES.sub(r"\\\1(\\frac{\2 \\pi}{180})", text)
    # What it would read as a mixed number: 5(6), and 2\frac{1}{2}\pi.
    text = re.sub(
        r"(?<![_\d])(\d+)\s*(?=\()|(?<=\))\s*(?=[\d(])", lambda m: (m[1] or "") + r" \cdot ", text
    )
    text = re.sub(
        r"(\d+)\s*(\\frac\s*\{\d+\}\s*\{\d+\})\s*(?=[A-Za-z\\(])(?!\\text)", r"\1 \\cdot \2 ", text
    )
    from latex2sympy2_extended import NormalizationConfig, latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig
    from sympy import Basic, Float, I, MatrixBase, Rational, Symbol, nan, zoo

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
        exact = {number: Rational(str(number)) for number in found.atoms(Float)}
        return found.xreplace(exact | {Symbol("i"): I})
    except Exception:
        return None  # it is not LaTeX; the parser raises plain Exception, and others for odd input


def balanced(text: str) -> bool:
    """Whether each brace, and each bracket that is no interval's, has its partner."""
    braces = brackets = 0
    for character in text.replace("\\{", "").replace("\\}", ""):
        braces += {"{": 1, "}": -1}.get(character, 0)
        brackets += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if braces < 0 or brackets < 0:
            return False
    return braces == brackets == 0


def same_constant(left, right) -> bool:
    """Two numbers without variables: exactly where they are rational, else to `PRECISION` digits."""
    if left == right:
        return True
    if (left.is_Rational and right.is_Rational) or left.is_infinite or right.is_infinite:
        return False
    apart, size = abs((left - right).evalf(PRECISION)), abs(left.evalf(PRECISION))
    if size > 1:
        size = 1  # of a huge number all digits count, and the difference was taken exactly
    return bool(apart < 10**-AGREE * max(size, 10**-PRECISION))


def same_relation(left, right) -> bool:
    """Equations up to a factor that is not zero, inequalities up to a positive one."""
    from sympy import Eq, GreaterThan, Ne, StrictGreaterThan, simplify

    def difference(relation):
        turned = isinstance(relation, GreaterThan | StrictGreaterThan)
        return (relation.rhs - relation.lhs) if turned else (relation.lhs - relation.rhs)

    kinds = ({"=="}, {"!="}, {"<", ">"}, {"<=", ">="})
    if not any(left.rel_op in kind and right.rel_op in kind for kind in kinds):
        return False
    one, other = simplify(difference(left)), simplify(difference(right))
    if one == 0 or other == 0:
        return one == other
    factor = simplify(one / other)
    if not (factor.is_number and factor.is_finite and not factor.is_zero):
        return False
    return isinstance(left, Eq | Ne) or bool(factor.is_positive)
