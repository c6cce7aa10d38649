"""As much of Go's template language as a Modelfile of ours uses; what it does not know, it refuses."""

from __future__ import annotations

import json
import re


def rendered(template: str, messages: list[dict[str, str]]) -> str:
    """What Ollama would send for these messages."""
    nodes = _parsed(_tokens(template))
    return _run(nodes, {"messages": messages})


def _tokens(template: str) -> list[tuple[str, str]]:
    """Text and actions in order; a quoted string may hold anything, brackets too."""
    found, at = [], 0
    action = re.compile(r'\{\{ ((?:"(?:\\.|[^"\\])*"|[^"}])*) \}\}')
    for match in action.finditer(template):
        found += [("text", template[at : match.start()]), ("action", match[1])]
        at = match.end()
    return [token for token in [*found, ("text", template[at:])] if token[1]]


def _parsed(tokens: list[tuple[str, str]]) -> list:
    """A tree: (kind, argument, inner nodes, nodes of else)."""
    root: list = []
    open_: list[list] = [root]
    closing: list[int] = []
    for kind, text in tokens:
        if kind == "action" and text == "end":
            for _ in range(closing.pop()):
                open_.pop()
        elif kind == "action" and text.startswith("else if "):
            open_.pop()
            node = ("if", text.removeprefix("else if "), [], [])
            open_[-1].append(node)  # replaced below: it belongs to the else of the one before
            previous = open_[-1][-2]
            open_[-1].pop()
            while previous[3]:
                previous = previous[3][0]
            previous[3].append(node)
            open_.append(node[2])
        elif kind == "action" and text.split()[0] in ("if", "range"):
            word, _, argument = text.partition(" ")
            node = (word, argument, [], [])
            open_[-1].append(node)
            open_.append(node[2])
            closing.append(1)
        else:
            open_[-1].append((kind, text, [], []))
    assert len(open_) == 1 and not closing
    return root


def _run(nodes: list, scope: dict) -> str:
    out = ""
    for kind, text, inner, other in nodes:
        if kind == "text":
            out += text
        elif kind == "range":
            assert text == ".Messages"
            for message in scope["messages"]:
                scope["message"] = message
                out += _run(inner, scope)
        elif kind == "if":
            word, left, right = text.split(maxsplit=2)
            assert word == "eq"
            out += _run(inner if _value(left, scope) == _value(right, scope) else other, scope)
        elif assigned := re.fullmatch(r"(\$\w+) :?= (.*)", text):
            scope[assigned[1]] = _value(assigned[2], scope)
        else:
            out += _value(text, scope)
    return out


def _value(text: str, scope: dict) -> str:
    if text.startswith('"'):
        return json.loads(re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", text))
    if text.startswith("$"):
        return scope[text]
    return scope["message"][{".Role": "role", ".Content": "content"}[text]]
