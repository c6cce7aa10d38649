"""One spelling for what LaTeX, plain text, Python and sympy write in many."""

from __future__ import annotations

import re
import unicodedata

from .statement import trimmed

SPELLINGS = {
    "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{HYPHEN}": "-", "\N{NON-BREAKING HYPHEN}": "-",
    "\N{MULTIPLICATION SIGN}": r"\times ", "\N{DIVISION SIGN}": "/", "\N{MIDDLE DOT}": r"\cdot ",
    "\N{DOT OPERATOR}": r"\cdot ", "\N{INFINITY}": r"\infty ", "\N{GREEK SMALL LETTER PI}": r"\pi ",
    "\N{LESS-THAN OR EQUAL TO}": r"\le ", "\N{GREATER-THAN OR EQUAL TO}": r"\ge ", "\N{NOT EQUAL TO}": r"\ne ",
    "\N{UNION}": r"\cup ", "\N{INTERSECTION}": r"\cap ", "\N{SET MINUS}": r"\setminus ", "\N{EMPTY SET}": r"\emptyset ",
    "\N{PLUS-MINUS SIGN}": r"\pm ", "\N{DEGREE SIGN}": r"^\circ ", "\N{MASCULINE ORDINAL INDICATOR}": r"^\circ ",
    "\N{ELEMENT OF}": r"\in ", "\N{GREEK SMALL LETTER THETA}": r"\theta ", "\N{GREEK SMALL LETTER ALPHA}": r"\alpha ",
    "\N{GREEK SMALL LETTER BETA}": r"\beta ", "\N{DOUBLE-STRUCK CAPITAL R}": r"\mathbb{R}",
    "\N{EURO SIGN}": r"\euro ", "\N{POUND SIGN}": r"\pounds ", "\N{LEFT ANGLE BRACKET}": "(",
    "\N{RIGHT ANGLE BRACKET}": ")", "\N{MATHEMATICAL LEFT ANGLE BRACKET}": "(",
    "\N{MATHEMATICAL RIGHT ANGLE BRACKET}": ")", "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{THIN SPACE}": " ",
}  # fmt: skip
"""What stands for LaTeX in plain text."""
RAISED = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-"
)
LOWERED = str.maketrans(
    "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089", "0123456789"
)
END = r"(?![A-Za-z])"
SYNONYMS = [
    (r"\\begin\{(?:align|aligned|equation|gather)\*?\}|\\end\{(?:align|aligned|equation|gather)\*?\}|&(?==)", ""),
    (r"\\(?:color|textcolor)\s*\{[^{}]*\}", ""),
    (r"\\[dtc]frac" + END, r"\\frac"),
    (r"\\[dt]binom" + END, r"\\binom"),
    (rf"\\(?:left|right|bigl?|bigr|Bigl?|Bigr|biggl?|biggr){END}(?=[.])\.", ""),
    (rf"\\(?:left|right|bigl?|bigr|Bigl?|Bigr|biggl?|biggr|displaystyle|textstyle|limits){END}", ""),
    (r"\\(?:textnormal|textrm|textbf|textit|mbox|mathrm|mathbf|mathit|hbox|operatorname)\s*(?=\{)", r"\\text"),
    (r"\\(?:bm|boldsymbol|vec|overrightarrow)\s*(?=\{)", ""),
    (rf"\\(?:leq|leqslant){END}|<=", r"\\le "),
    (rf"\\(?:geq|geqslant){END}|>=", r"\\ge "),
    (rf"\\neq{END}|!=", r"\\ne "),
    (rf"\\lt{END}", "<"),
    (rf"\\gt{END}", ">"),
    (rf"\\(?:langle|lparen){END}", "("),
    (rf"\\(?:rangle|rparen){END}", ")"),
    (rf"\\lbrack{END}", "["),
    (rf"\\rbrack{END}", "]"),
    (rf"\\lbrace{END}", r"\\{"),
    (rf"\\rbrace{END}", r"\\}"),
    (rf"\\varnothing{END}|\\\{{\s*\\\}}|^(?:\\text\s*\{{)?\s*no (?:real )?solutions?\s*\}}?$|^EmptySet$", r"\\emptyset "),
    (r"\+/-|\+-", r"\\pm "),
    (r"\\log_\{?e\}?" + END, r"\\ln"),
    (rf"\\(?:backslash|smallsetminus){END}", r"\\setminus "),
    (rf"\\(?:degree|textdegree){END}", r"^\\circ "),
    (r"\^\s*\{\s*\\circ\s*\}", r"^\\circ "),
    (rf"\\mid{END}", "|"),
    (rf"\\(?:qquad|quad|enspace|thinspace){END}|\\hspace\{{[^{{}}]*\}}", " "),
    (r"(?<=\d)\s*\{\s*,\s*\}\s*(?=\d{3})", ","),
    (r"(?<=\d),(?:\\[!,;: ]|\s)*\\[!,;: ](?=\s*\d{3})\s*", ","),
    (r"(?<=\d)(?:\\[,;:]|~)\s*(?=\d{3}(?!\d))", ","),
    (r"(?<!\\)\\[!,;: ]|(?<=\S)(?<!~)~(?=[^\s~])", " "),
    (r"\\mathbb\s*(?:\{\s*R\s*\}|R)|^(?:all )?real(?:s| numbers)$", r"(-\\infty,\\infty)"),
]  # fmt: skip
"""Spellings of one thing, in this order."""
FUNCTIONS = "sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|asin|acos|atan|sinh|cosh|tanh|log|ln|exp|max|min|gcd|lcm|det"


def tidy(text: str) -> str:
    """In LaTeX, without what only lays it out."""
    text = "".join(map(_fraction, text))
    if "\\begin" not in text:
        text = re.sub(r"\s*\n\s*", ", ", text.strip())
    text = re.sub(
        "[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207a\u207b]+",
        lambda m: f"^{{{m[0].translate(RAISED)}}}",
        text,
    )
    text = re.sub("[\u2080-\u2089]+", lambda m: f"_{{{m[0].translate(LOWERED)}}}", text)
    text = re.sub("\N{CUBE ROOT}\\s*(\\d+|[A-Za-z])", r"\\sqrt[3]{\1}", text)
    text = re.sub("\N{SQUARE ROOT}\\s*\\(", "sqrt(", text)
    text = re.sub("\N{SQUARE ROOT}\\s*(\\d+(?:\\.\\d+)?|[A-Za-z])", r"\\sqrt{\1}", text)
    for character, latex in SPELLINGS.items():
        text = text.replace(character, latex)
    for pattern, replacement in SYNONYMS:
        text = re.sub(pattern, replacement, text)
    if "\\pm" not in text:
        text = re.sub(rf"\\mp{END}", r"\\pm", text)  # alone, it says the same
    if text.replace("\\$", "").count("$") % 2 == 0:
        text = re.sub(r"(?<!\\)\$", " ", text)  # around formulas; one alone is money
    text = python(text)
    text = re.sub(r"\\sqrt\s*(\w)", r"\\sqrt{\1}", text)
    text = re.sub(r"\\frac\s*(\\[A-Za-z]+)\s+(\w)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*(\w)\s*(?=\{)", r"\\frac{\1}", text)
    text = re.sub(r"(\\frac\s*\{[^{}]*\})\s*(\w)", r"\1{\2}", text)
    text = re.sub(r"\^\s*(-?\d+)", r"^{\1}", text)
    return trimmed(re.sub(r"\s+", " ", joined(text)))


def joined(text: str) -> str:
    """Without the commas between thousands; in brackets a comma is between members."""
    found, depth, last = [], 0, 0
    for i, character in enumerate(text):
        if character in "([{":
            if depth == 0:
                found.append(THOUSANDS.sub(lambda m: m[0].replace(",", ""), text[last:i]))
                last = i
            depth += 1
        elif character in ")]}":
            depth = max(0, depth - 1)
            if depth == 0:
                found.append(text[last : i + 1])
                last = i + 1
    rest = text[last:]
    return "".join(found) + (
        rest if depth else THOUSANDS.sub(lambda m: m[0].replace(",", ""), rest)
    )


THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d|,\d)")


def python(text: str) -> str:
    """`sqrt(2)*x**2` and the like, as Python and sympy print them, in LaTeX."""
    text = re.sub(r"\b(?:numpy|np|sympy|sp|math)\.(?=[A-Za-z])", "", text)
    text = re.sub(r"^(?:float|int)\d*\((.*)\)$|^(?:Decimal|mpf)\(['\"](.*)['\"]\)$", r"\1\2", text)
    text = re.sub(r"^Eq\(([^,]*),([^,]*)\)$", r"\1 = \2", text)
    text = re.sub(r"^\[?\{\s*(\w+)\s*:\s*([^{},]*)\}\]?$", r"\1 = \2", text)
    text = intervals(text)
    text = re.sub(r"\b(?:Rational|Fraction)\(\s*(-?\d+)\s*,\s*(\d+)\s*\)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\b(?:Rational|Fraction|Integer|Float)\(\s*(-?[\d.]+)\s*\)", r"\1", text)
    text = re.sub(
        r"^(?:Immutable|Mutable)?(?:Dense)?(?:Matrix|array)\((\[.*\])\)$",
        r"\1",
        text,
        flags=re.DOTALL,
    )
    if rows := re.fullmatch(r"\[\s*(\[[^\[\]]*\](?:\s*,\s*\[[^\[\]]*\])*)\s*\]", text):
        cells = (row.replace(",", " & ") for row in re.findall(r"\[([^\[\]]*)\]", rows[1]))
        return r"\begin{matrix}" + r" \\ ".join(cells) + r"\end{matrix}"
    text = re.sub(r"^\(([^,()]*),\)$", r"\1", text)
    text = re.sub(r"(?<=\d)j(?![A-Za-z])", "i", text)
    text = re.sub(r"(?<![\\A-Za-z])(?:oo|inf|infinity|Infinity)(?![A-Za-z])", r"\\infty ", text)
    text = re.sub(r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi ", text)
    for name, start, end in (
        ("sqrt", "\\sqrt{", "}"),
        ("cbrt", "\\sqrt[3]{", "}"),
        ("abs|Abs", "|", "|"),
    ):
        while match := re.search(rf"(?<![\\A-Za-z])(?:{name})\s*\(", text):
            close = parenthesis(text, match.end() - 1)
            if close is None:
                break
            text = (
                f"{text[: match.start()]}{start}{text[match.end() : close]}{end}{text[close + 1 :]}"
            )
    while (at := text.rfind("**")) >= 0:  # from the right, as Python reads them
        power = re.match(r"\s*([-+]?(?:[\w.]+|\([^()]*\))(?:\^\{[^{}]*\})?)", text[at + 2 :])
        if not power:
            break
        inner = re.sub(r"^\(([^()]*)\)$", r"\1", power[1])
        text = f"{text[:at]}^{{{inner}}}{text[at + 2 + power.end() :]}"
    text = re.sub(r"\^\s*\(([^()]*)\)", r"^{\1}", text)
    text = re.sub(rf"(?<![\\A-Za-z])({FUNCTIONS})(?=\s*\()", r"\\\1", text)
    return re.sub(r"\s*(?<![\\*])\*(?!\*)\s*", r" \\cdot ", text)


def intervals(text: str) -> str:
    """`Union(Interval.open(0, 9), Interval(9, oo))` as sympy prints it."""
    ends = {None: "[]", "open": "()", "Lopen": "(]", "Ropen": "[)"}

    def written(m: re.Match) -> str:
        left, right = ends[m[1]]
        left = "(" if m[2].strip() == "-oo" else left
        right = ")" if m[3].strip() == "oo" else right
        return f"{left}{m[2]}, {m[3]}{right}"

    text = re.sub(
        r"\bInterval(?:\.(open|Lopen|Ropen))?\(([^(),]+(?:\([^()]*\))?),\s*([^(),]+(?:\([^()]*\))?)\)",
        written,
        text,
    )
    text = re.sub(r"\bFiniteSet\(([^()]*)\)", r"\\{\1\\}", text)
    if union := re.fullmatch(r"Union\((.*)\)", text):
        text = re.sub(r"([\])}])\s*,\s*(?=[\[(]|\\\{)", r"\1 \\cup ", union[1])
    return text


def parenthesis(text: str, start: int) -> int | None:
    depth = 0
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    return None


def _fraction(character: str) -> str:
    """One half, one third, … as single characters."""
    if unicodedata.decomposition(character).startswith("<fraction>"):
        above, _, below = unicodedata.normalize("NFKC", character).partition("\N{FRACTION SLASH}")
        return rf"\frac{{{above}}}{{{below}}}"
    return "/" if character == "\N{FRACTION SLASH}" else character
