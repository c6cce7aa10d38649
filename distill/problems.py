"""Problems: a question, and the answers that count. Read from JSON lines or from the published files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

MATHEMATICS = {"math", "aime", "olymmath", "gsm-hard", "gsm_hard", "math-500", "math_500"}
"""`dataset_name` of the published files whose answers are mathematics."""


class Problem(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answers: tuple[str, ...] = Field(min_length=1)
    """Every answer that counts as right."""
    benchmark: str | None = None
    kind: Literal["math", "factual"] = "factual"

    @field_validator("id", mode="before")
    @classmethod
    def _numbered(cls, value):
        return str(value) if type(value) is int else value

    @field_validator("id", "question", "answers")
    @classmethod
    def _text(cls, value):
        for text in [value] if isinstance(value, str) else value:
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise ValueError("it holds half a surrogate pair, which is no text")
        return value

    @field_validator("answers")
    @classmethod
    def _not_blank(cls, answers: tuple[str, ...]) -> tuple[str, ...]:
        if any(not answer.strip() for answer in answers):
            raise ValueError("an answer is empty")
        return answers


def read_problems(path: str | Path) -> Iterator[Problem]:
    """Problems of a file: one JSON object a line, or a published file with `examples`.

    Raises ValueError, with the place, for a file that is missing, empty, not JSON, lacks a field or
    repeats an id.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"No problems file {path}.")
    seen: set[str] = set()
    for place, row in _rows(path):
        if place.startswith("example") and not str(row.get("answer", "-") or "").strip():
            # The paper's own MATH files have some: nothing could be scored against it.
            print(f"{path}, {place} has an empty answer and is left out.", file=sys.stderr)
            continue
        try:
            problem = Problem.model_validate(_published(row) if "answer" in row else row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "problem"
            raise ValueError(f"{path}, {place}: {field}: {first['msg']}.") from None
        if problem.id in seen:
            raise ValueError(f"{path}, {place}: the id {problem.id!r} stands twice.")
        seen.add(problem.id)
        yield problem
    if not seen:
        raise ValueError(f"{path} holds no problem.")


def write_problems(problems: Iterable[Problem], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(problem.model_dump_json() + "\n" for problem in problems)


def _rows(path: Path) -> Iterator[tuple[str, dict]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file in UTF-8.") from None
    try:
        whole = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        whole = None
    if isinstance(whole, dict) and isinstance(whole.get("examples"), list):
        name = path.stem
        for i, row in enumerate(whole["examples"]):
            yield f"example {i}", _object(row, path, f"example {i}") | {"benchmark": name}
        return
    for number, line in enumerate(
        text.split("\n"), 1
    ):  # not splitlines: U+2028 may stand in a text
        if line.strip():
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"{path}, line {number} is not JSON: {error}.") from None
            yield f"line {number}", _object(row, path, f"line {number}")


def _object(row, path: Path, place: str) -> dict:
    if not isinstance(row, dict):
        raise ValueError(
            f"{path}, {place} is {type(row).__name__}, not an object with id, question and answers."
        )
    return row


def _published(row: dict) -> dict:
    """The paper's files hold one `answer`, and more fields than count here."""
    source = str(row.get("dataset_name", "")).lower()
    answer = row["answer"]
    answers = answer if isinstance(answer, list) else [answer]
    if any(isinstance(a, list | dict | bool) or a != a for a in answers):
        answers = []  # told as a missing answer
    problem = {
        "question": row.get("question"),
        "answers": tuple(str(a) for a in answers if a is not None),
        "benchmark": row.get("benchmark"),
        "kind": row.get("kind") or ("math" if source in MATHEMATICS else "factual"),
    }
    return problem | ({"id": str(row["id"])} if row.get("id") is not None else {})
