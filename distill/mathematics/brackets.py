"""Which brackets belong together, and what stands between them."""

from __future__ import annotations

import re


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
    inside = text.strip().removeprefix("\\").removesuffix("}").removesuffix("\\")
    for character in (inside if text.endswith("}") else text[:-1])[1:]:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0
