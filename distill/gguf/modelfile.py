"""Ollama's Modelfile: the weights' file, the chat template in Go's template language, where a reply stops.

The template is not translated. Chats of marked messages are rendered with the student's own; what stands between
two messages is read off, for every pair of roles that follow each other; and the result is tried on longer chats.
"""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

from .vocabulary import adds_bos

START, END = "start", "end"
SHAPES = (
    ("user",),
    ("system", "user"),
    ("user", "assistant", "user"),
    ("system", "user", "assistant", "user"),
)
LONGER = (
    ("user", "assistant", "user", "assistant", "user", "assistant", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
)
Pieces = dict[tuple[str, str], str]
"""What stands between a message of one role and the next; START before the first, END after the last."""


def modelfile(tokenizer, weights: Path, *, context: int, stops: list[int], notes: list[str]) -> str:
    """The Modelfile's text.

    context: tokens of a chat. stops: tokens that end a reply. notes: sentences for its reader.
    """
    try:
        template = f'TEMPLATE """{go_template(pieces(tokenizer))}"""'
    except ValueError as problem:
        sentence = f"No TEMPLATE: {problem} What Ollama makes of the file may differ from training."
        warnings.warn(sentence, stacklevel=2)
        template = f"# {sentence}"
    lines = [
        "# ollama create NAME -f Modelfile",
        *(f"# {note}" for note in notes),
        f"FROM ./{weights.name}",
        template,
        *(f"PARAMETER stop {_quoted(tokenizer.convert_ids_to_tokens(stop))}" for stop in stops),
        "PARAMETER temperature 0",
        "# Ollama's own 1.1 makes a greedy student misspell names that it has to repeat.",
        "PARAMETER repeat_penalty 1",
        f"PARAMETER num_ctx {context}",
    ]
    return "\n".join(lines) + "\n"


def pieces(tokenizer) -> Pieces:
    """What the chat template puts around messages, without the start token that Ollama adds itself.

    Raises ValueError for a template that treats a message by more than its role and the one before it.
    """
    found: Pieces = {}
    for roles in SHAPES:
        texts = _between(tokenizer, roles)
        for pair, text in zip(itertools.pairwise((START, *roles, END)), texts or (), strict=False):
            if found.setdefault(pair, text) != text:
                raise ValueError(f"the chat template writes the turn after {pair[0]} in two ways.")
    if (START, "user") not in found or ("user", END) not in found:
        raise ValueError("the chat template does not show a user's message as it is.")
    for roles in LONGER:
        texts = _between(tokenizer, roles)
        pairs = list(itertools.pairwise((START, *roles, END)))
        if texts is not None and texts != [found.get(pair) for pair in pairs]:
            raise ValueError("the chat template treats a long chat otherwise than a short one.")
    return found


def go_template(between: Pieces) -> str:
    """The same chat in Go's template language; every piece of text is quoted, so that none of it is syntax."""
    cases = []
    for role in ("system", "user", "assistant"):
        before = {first: text for (first, second), text in between.items() if second == role}
        if before:
            lead = "if" if not cases else "else if"
            cases.append(f'{lead} eq .Role "{role}" }}}}{_chosen(before)}{{{{ .Content }}}}{{{{ ')
    body = "".join(cases) + "end }}"
    return (
        f'{{{{ $last := "{START}" }}}}{{{{ range .Messages }}}}{{{{ {body}{{{{ $last = .Role }}}}{{{{ end }}}}'
        + _go(between["user", END])
    )


def _chosen(before: dict[str, str]) -> str:
    """Text by the role of the message before."""
    if len(set(before.values())) == 1:
        return _go(next(iter(before.values())))
    branches = [f'if eq $last "{role}" }}}}{_go(text)}{{{{ ' for role, text in before.items()]
    return "{{ " + "else ".join(branches) + "end }}"


def _between(tokenizer, roles: tuple[str, ...]) -> list[str] | None:
    """The texts before, between and after the messages; None if the template takes no such chat."""
    marks = [f"ZQ{i}QZ" for i in range(len(roles))]
    chat = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
    try:
        text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    except (
        Exception
    ):  # whatever a template raises: jinja's own errors, a key it lacks, its own refusal
        return None
    found = []
    for mark in marks:
        before, seen, text = text.partition(mark)
        if not seen or mark in text:
            return None
        found.append(before)
    if adds_bos(tokenizer):
        found[0] = found[0].removeprefix(tokenizer.bos_token)
    return [*found, text]


def _go(text: str) -> str:
    return "{{ " + _quoted(text) + " }}" if text else ""


def _quoted(text: str) -> str:
    """As a string of Go, and of a Modelfile: three quotes in a row never stand in it."""
    escapes = {"\\": r"\\", '"': r"\x22", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'
