"""Read somebody else's conversation as a run of ours: who said what, with which tags, and what it answered.

messages: {"messages": [{"role", "content"}]}. sharegpt: {"conversations": [{"from", "value"}]}. paper: a row of the
published trajectories of arXiv 2505.17612, {"question", "generated_answer", "true_answer", "score", "log_data":
{"messages"}}, in which a row may have been written as text throughout ("MessageRole.USER", "0.5", "None").
"""

from __future__ import annotations

import ast
import builtins
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from smolagents.utils import parse_code_blobs

from agents import Message, Step
from agents.cot import find_answer
from agents.dialect import dialect, dialects_of

FORMATS = {"paper": "log_data", "sharegpt": "conversations", "messages": "messages"}
"""Each with the key that holds what was said."""
ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt"), "assistant"),
    # What came of an action is shown to the model as the user's words.
    **dict.fromkeys(("tool", "tool-response", "observation", "function", "ipython"), "user"),
    "tool-call": None,  # smolagents' repetition of the code that the assistant wrote
}
GOLD = ("answers", "answer", "true_answer", "gold_answer", "ground_truth", "answer_gold")
STATED = ("generated_answer", "prediction", "final_answer")
NOTHING = (None, "", "None", "null", "nan", "NaN")
ECHO = re.compile(r"\n?Calling tools:\n\[\{.*", re.DOTALL)
FAILED = re.compile(r"^Error:\n", re.MULTILINE)
LAST_OUTPUT = "Last output from code snippet:\n"
LISTED = re.compile(
    r"^- (\w+): (?:(?!\n- )[\s\S])*?\n\s*Takes inputs:|^def (\w+)\(|^(\w+)\([^()\n]*\): ",
    re.MULTILINE,
)
"""Tools in a system prompt: as smolagents listed them, as it does now, as our student's prompt does."""


class UnusableError(ValueError):
    """Why a row is no conversation to learn from, in a few words."""


@dataclass(frozen=True)
class Conversation:
    messages: tuple[Message, ...]
    """Roles alternate after the system prompt; the last one is the assistant's."""
    steps: tuple[Step, ...]
    method: str
    """"agent", or "cot" where there is no code."""
    tags: str
    tools: tuple[str, ...]
    question: str
    answered: bool
    answer: str | None
    """What it answered; None where the row does not tell."""
    gold: tuple[str, ...] = ()
    score: float | None = None
    id: str | None = None
    benchmark: str | None = None
    kind: str | None = None
    model: str | None = None
    first_thought: str | None = None


def read_conversation(row: Any, form: str = "auto") -> Conversation:
    """The conversation of a row, in a format or in the one whose key it has; UnusableError where it holds none."""
    if not isinstance(row, dict):
        raise UnusableError(f"it is {type(row).__name__}, not an object")
    form = _form(row, form)
    said, system = _said(row, form)
    turns = [_turn(message) for message in said]
    turns = [turn for turn in turns if turn[0]]
    if form == "paper":
        turns = [(role, _without_reference(text, role)) for role, text in turns]
    if system and not any(role == "system" for role, _ in turns):
        turns = [("system", system), *turns]
    found = dialects_of(text for role, text in turns if role == "assistant")
    if len(found) > 1:
        raise UnusableError(f"its replies mix tags: {', '.join(sorted(found))}")
    tags = next(iter(found), None)
    turns, after = _alternating(turns, dialect(tags or "code"))
    replies = [text for role, text in turns if role == "assistant"]
    if not tags and len(replies) > 1:
        raise UnusableError("it has several replies and no code")
    speech = dialect(tags or "code")
    messages = tuple(
        Message(role=r, content=speech.ended(text).strip() if tags and r == "assistant" else text)
        for r, text in turns
    )
    asked = next(text for role, text in turns if role == "user")
    answered, answer = _answer(row, messages[-1].content, after, tags)
    return Conversation(
        messages=messages,
        steps=_steps(messages),
        method="agent" if tags else "cot",
        tags=tags or "code",
        tools=_tools(row, messages, tags) if tags else (),
        question=_text_of(row, "question", "problem", "task") or speech.asked(asked),
        answered=answered,
        answer=answer,
        gold=_gold(row, form),
        score=_score(row.get("score")),
        id=_text_of(row, "id", "task_id", "question_id"),
        benchmark=_text_of(row, "benchmark", "dataset_name"),
        kind=row.get("kind") if row.get("kind") in ("math", "factual") else None,
        model=_text_of(row, "model_id", "model"),
        first_thought=row["first_thought"]
        if row.get("first_thought") in ("prefix", "prompt")
        else None,
    )


def _form(row: dict, form: str) -> str:
    if form == "auto":
        for name, key in FORMATS.items():
            if key in row:
                return name
        raise UnusableError(f"it has none of {', '.join(FORMATS.values())}")
    if FORMATS[form] not in row and not (form == "paper" and "messages" in row):
        raise UnusableError(f"it has no {FORMATS[form]}")
    return form


def _said(row: dict, form: str) -> tuple[list, str | None]:
    """What was said, as it stands in the row, and the system prompt that stands beside it."""
    said = row.get(FORMATS[form])
    if form == "paper" and "log_data" in row:
        log = _decoded(said)
        if not isinstance(log, dict):
            raise UnusableError("its log_data is empty: the run failed")
        said = log.get("messages")
    said = _decoded(said if said is not None else row.get("messages"))
    if not isinstance(said, list) or not said:
        raise UnusableError("what was said is no list of messages")
    reply = row.get("response")
    if isinstance(reply, str) and not any(_turn(message)[0] == "assistant" for message in said):
        said = [
            *said,
            {"role": "assistant", "content": reply},
        ]  # as the paper's chains of thought are kept
    system = row.get("system")
    return said, system if isinstance(system, str) and system.strip() else None


def _turn(message: Any) -> tuple[str | None, str]:
    """Role and text of a message; no role for one that the model neither wrote nor was to read."""
    if not isinstance(message, dict):
        raise UnusableError("a message is no object")
    if message.get("tool_calls") or message.get("function_call"):
        raise UnusableError("it calls tools by JSON, not by code")
    named = str(message.get("role", message.get("from")))
    role = named.strip().casefold().removeprefix("messagerole.").replace("_", "-")
    if role == "function-call":
        raise UnusableError("it calls tools by JSON, not by code")
    if role not in ROLES:
        raise UnusableError(f"the role {named[:20]!r} is unknown")
    text = _text(message.get("content", message.get("value")))
    return ROLES[role], ECHO.sub("", text).strip() if ROLES[role] == "assistant" else text


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise UnusableError("a message holds something that is no text")
    return "\n".join(texts)


def _alternating(turns: list[tuple[str, str]], speech) -> tuple[list[tuple[str, str]], str]:
    """One turn after the other, those of one role merged as they are sent; and what came after the last reply."""
    merged: list[tuple[str, str]] = []
    for role, text in turns:
        if merged and merged[-1][0] == role:
            text = merged.pop()[1] + (speech.between if role == "user" else "\n") + text
        merged.append((role, text))
    after = merged.pop()[1] if merged and merged[-1][0] != "assistant" else ""
    spoken = [role for role, _ in merged if role != "system"]
    if not spoken:
        raise UnusableError("nobody replies")
    if spoken[0] != "user":
        raise UnusableError("it begins with a reply")
    if any(role == "system" for role, _ in merged[1:]):
        raise UnusableError("a system message stands in its middle")
    if not all(text.strip() for role, text in merged if role != "system"):
        raise UnusableError("a message is empty")
    return merged, after


def _steps(messages: Sequence[Message]) -> tuple[Step, ...]:
    told = [*(message.content for message in messages[1:]), ""]  # by what follows each
    return tuple(
        Step(message=i, error=_error(told[i]))
        for i, message in enumerate(messages)
        if message.role == "assistant"
    )


def _error(observation: str) -> str | None:
    if not FAILED.search(observation):
        return None
    return "parsing" if "Error:\nError in code parsing" in observation else "execution"


def _answer(row: dict, reply: str, after: str, tags: str | None) -> tuple[bool, str | None]:
    """Whether the last reply answers, and what, as far as the row tells."""
    if tags is None:
        answer = find_answer(reply)
        return answer is not None, answer
    code = _code(reply, tags)
    if code is None or not re.search(r"\bfinal_answer\(", code):
        return (
            False,
            None,
        )  # out of steps; what the row says of an answer was asked for in another way
    stated = next((row[key] for key in STATED if row.get(key) not in NOTHING), None)
    if stated is not None and not isinstance(stated, dict | list):
        return True, str(stated)
    if (literal := _literal(code)) is not None:
        return True, literal
    return True, after.rpartition(LAST_OUTPUT)[2].strip() or None if LAST_OUTPUT in after else None


def _code(reply: str, tags: str) -> str | None:
    speech = dialect(tags)
    try:
        return parse_code_blobs(reply, speech.tags or speech.pair)
    except (ValueError, MemoryError):
        return None


def _literal(code: str) -> str | None:
    """What the last `final_answer(...)` gives, if it is written out there."""
    for call in reversed([node for node in _nodes(code) if _called(node) == "final_answer"]):
        given = [*call.args, *(k.value for k in call.keywords if k.arg == "answer")]
        try:
            return str(ast.literal_eval(given[0])) if given else None
        except (ValueError, TypeError, MemoryError, RecursionError):
            return None
    return None


def _tools(row: dict, messages: Sequence[Message], tags: str) -> tuple[str, ...]:
    """The tools it had: as the row or the system prompt lists them, else those that its code called."""
    named = row.get("tools")
    if isinstance(named, list) and named and all(isinstance(name, str) for name in named):
        return _own(named)
    if messages[0].role == "system":
        listed = ["".join(names) for names in LISTED.findall(messages[0].content)]
        if "final_answer" in listed:
            return _own(listed)
    called, made = [], {*dir(builtins)}
    for step in _steps(messages):
        nodes = _nodes(_code(messages[step.message].content, tags) or "")
        made |= _made(nodes)
        if step.error is None:
            called += [name for node in nodes if (name := _called(node))]
    return _own(name for name in called if name not in made)


def _own(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name != "final_answer"))


def _nodes(code: str) -> list[ast.AST]:
    """The parts of the code in their order; none of code that does not parse."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    return sorted(
        nodes, key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
    )


def _called(node: ast.AST) -> str | None:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def _made(nodes: list[ast.AST]) -> set[str]:
    """The names that code defines, imports or assigns."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _gold(row: dict, form: str) -> tuple[str, ...]:
    for key in GOLD:
        value = _decoded(row.get(key)) if key == "answers" else row.get(key)
        values = value if isinstance(value, list) else [value]
        texts = [str(v).strip() for v in values if _is_plain(v) and v not in NOTHING]
        if texts := [text for text in texts if text]:
            return tuple(texts)
    return ()


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _score(value: Any) -> float | None:
    """1, True, "0.5", "True", blank: what is between 0 and 1 is a score."""
    if isinstance(value, str):
        value = {"true": 1, "false": 0}.get(value.strip().casefold(), value)
    try:
        score = float(value)
    except (TypeError, ValueError):
        return None
    return score if 0 <= score <= 1 else None


def _text_of(row: dict, *keys: str) -> str | None:
    for key in keys:
        if _is_plain(row.get(key)) and row[key] not in NOTHING and str(row[key]).strip():
            return str(row[key])
    return None


def _decoded(value: Any) -> Any:
    """A list or object that stands in the row as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _without_reference(text: str, role: str) -> str:
    """Without the solution that the paper's code can put beside a question; a student is never shown it."""
    return (
        re.sub(r"<reference>.*?</reference>", "", text, flags=re.DOTALL) if role == "user" else text
    )
