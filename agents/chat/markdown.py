"""Text as it stands, in a place that renders Markdown: what a model, a tool or a visitor wrote is no markup."""

from __future__ import annotations

import re

# Only what would be read as markup, so that a copied answer is nearly always what the model wrote.
MARKUP = re.compile(
    r"[\\`*\[\]<>~|]"
    r"|&(?=#?\w+;)"  # an entity
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; not the one in snake_case
    r"|:(?=//)|(?<=www)\.|(?<=\w)@(?=\w)",  # an address becomes a link without further marks
    re.IGNORECASE,
)
BEGINNING = re.compile(r"^([ \t]*)([#=+-]|:(?=-)|\d{1,9}(?=[.)](?:\s|$)))", re.MULTILINE)
"""Of a line: a heading, a rule, a list."""
ENTITIES = {"<": "&lt;", ">": "&gt;", "[": "&#91;", "]": "&#93;", "\\": "&#92;"}
"""No backslash before these: Gradio looks for tags, and for formulas in \\[ and \\(, before Markdown is read."""
GAP = "\u00a0"
TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the order of those around them, and so can make a text read as another."""


def escaped(text: str) -> str:
    """Markdown that shows the text, line by line, and nothing else."""
    text = BEGINNING.sub(_begun, MARKUP.sub(_mark, seen(text)))
    return re.sub(r"^[ \t]+", lambda margin: GAP * _width(margin[0]), text, flags=re.MULTILINE)


def sendable(text: str) -> str:
    """The text as a browser can be sent it: a model may write half a surrogate pair, which UTF-8 has none of.

    The halves of one that came in two pieces are one character again; a lone half is shown as U+FFFD.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def seen(text: str) -> str:
    """The text, sendable, in the order in which it was written: what would turn it is shown by its number."""
    return TURNS.sub(lambda turn: f"⟦U+{ord(turn[0]):04X}⟧", sendable(text))


def fenced(text: str, language: str = "") -> str:
    """A code block whose fence no line of the text can close."""
    text = seen(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _mark(found: re.Match) -> str:
    return ENTITIES.get(found[0]) or f"\\{found[0]}"


def _begun(found: re.Match) -> str:
    """A number is no list if its point is marked; the rest is marked itself."""
    margin, first = found[1], found[2]
    return f"{margin}{first}\\" if first.isdigit() else f"{margin}\\{first}"


def _width(margin: str) -> int:
    return len(margin.expandtabs(4))
