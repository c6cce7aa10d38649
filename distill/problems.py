"""Problems: a question, and the answers that count. Read from JSON lines or from the published files."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Kind = Literal["math", "factual"]

PUBLISHED: dict[str, tuple[str, Kind]] = {
    "hotpotqa/hotpot_qa": ("hotpotqa", "factual"),
    "chiayewken/bamboogle": ("bamboogle", "factual"),
    "dgslibisey/musique": ("musique", "factual"),
    "2wikimultihopqa": ("2wiki", "factual"),
    "math": ("math_500", "math"),
    "math-500": ("math_500", "math"),
    "math_500": ("math_500", "math"),
    "gsm-hard": ("gsm_hard", "math"),
    "gsm_hard": ("gsm_hard", "math"),
    "aime": ("aime", "math"),
    "olymmath": ("olymmath", "math"),
}
"""By `dataset_name` in the published files: the benchmark, as it is named here, and its kind."""


NO_BENCHMARK = "problems"
"""What problems without a benchmark are reported as."""


class Problem(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answers: tuple[str, ...] = Field(min_length=1)
    """Every answer that counts as right."""
    benchmark: str | None = Field(default=None, min_length=1)
    kind: Kind = "factual"

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the other problems of a run; those of no benchmark are one."""
        return self.benchmark or NO_BENCHMARK, self.id

    @field_validator("id", mode="before")
    @classmethod
    def _numbered(cls, value):
        return str(value) if type(value) is int else value

    @field_validator("answers", mode="before")
    @classmethod
    def _listed(cls, value):
        if not isinstance(value, list | tuple):
            raise ValueError('they are a list of texts, as ["42"]')
        return [
            str(one) if type(one) is int or (type(one) is float and isfinite(one)) else one
            for one in value
        ]

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


def read_problems(path: str | os.PathLike) -> Iterator[Problem]:
    """Problems of a file: one JSON object a line, or a published file with `examples`.

    Raises ValueError, with the place, for a file that is missing, empty, not JSON, lacks a field or
    repeats an id.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"No problems file {path}.")
    seen: set[tuple[str | None, str]] = set()
    for place, row in _rows(path):
        if place.startswith("example") and "answer" in row and _is_empty(row["answer"]):
            # The paper's own MATH files have some: nothing could be scored against it.
            print(f"{path}, {place} has an empty answer and is left out.", file=sys.stderr)
            continue
        try:
            problem = Problem.model_validate(_published(row, path) if "answer" in row else row)
        except ValidationError as error:
            raise ValueError(f"{path}, {place}: {explain(error)}") from None
        except ValueError as error:
            raise ValueError(f"{path}, {place}: answers: {error}.") from None
        if problem.key in seen:
            raise ValueError(f"{path}, {place}: the id {problem.id!r} stands twice.")
        seen.add(problem.key)
        yield problem
    if not seen:
        raise ValueError(f"{path} holds no problem.")


def texts(answer: Any) -> tuple[str, ...]:
    """An answer, or a list of alternatives, as texts; a number as Python writes it."""
    alternatives = answer if isinstance(answer, list | tuple) else [answer]
    for one in alternatives:
        if isinstance(one, str) or (type(one) in (int, float) and math.isfinite(one)):
            continue
        raise ValueError(f"{str(one)[:40]!r} ({type(one).__name__}) is neither text nor a number")
    return tuple(map(str, alternatives))


def explain(error: ValidationError) -> str:
    """The first thing wrong with a problem, in a sentence."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'problem'}: {first['msg']}."


def write_problems(problems: Iterable[Problem], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as lines:
        lines.writelines(problem.model_dump_json() + "\n" for problem in problems)
    new.replace(path)


def _rows(path: Path) -> Iterator[tuple[str, dict]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file in UTF-8.") from None
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
        whole = None
    if isinstance(whole, dict) and isinstance(whole.get("examples"), list):
        for i, row in enumerate(whole["examples"]):
            yield f"example {i}", _object(row, path, f"example {i}")
        return
    for number, line in enumerate(
        text.split("\n"), 1
    ):  # not splitlines: U+2028 may stand in a text
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}, line {number} is not JSON: {error}.") from None
            yield f"line {number}", _object(row, path, f"line {number}")


def _object(row, path: Path, place: str) -> dict:
    if not isinstance(row, dict):
        raise ValueError(
            f"{path}, {place} is {type(row).__name__}, not an object with id, question and answers."
        )
    return row


def _is_empty(answer: Any) -> bool:
    return answer is None or answer == [] or (isinstance(answer, str) and not answer.strip())


def _published(row: dict, path: Path) -> dict:
    """The paper's files hold one `answer`, and more fields than count here."""
    benchmark, kind = PUBLISHED.get(
        str(row.get("dataset_name", "")).lower(), (row.get("benchmark") or path.stem, "factual")
    )
    if row.get("split") == "train" and benchmark in ("hotpotqa", "math_500"):
        medium = row.get("level") in ("Level 2", "Level 3")
        trained = "math_medium_train" if medium else "math_train"
        benchmark = "hotpotqa_train" if benchmark == "hotpotqa" else trained
    problem = {
        "question": row.get("question"),
        "answers": texts(row["answer"]),
        "benchmark": benchmark,
        "kind": row.get("kind") or kind,
    }
    return problem | ({"id": row["id"]} if row.get("id") is not None else {})
