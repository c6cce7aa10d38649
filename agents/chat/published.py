"""Read the `agent.json` of a published folder: the model, tools and settings that its page begins with.

smolagents reads the same file with `CodeAgent.from_folder`; ours stands in it under one key. Nothing in it is run,
and no path in it leads out of the folder.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from ..agent import LIMITS
from ..sandbox import Limits
from ..trajectory import Record

FILE = "agent.json"
KEY = "smoldistill"
HERE = "./"
"""How a path in the folder begins; all else is a name, a Hub id or an address."""
PATHS = ("model", "index", "prompt", "report")
LISTS = ("tools", "compare")
OUTSIDE = re.compile(r"(?:\w+=)?(mcp|space|langchain|agent|litellm):(.*)", re.DOTALL)
"""What others serve."""


class Published(Record):
    """What `agent.json` says; None or empty where it says nothing. Once it is read, paths lead there from here."""

    model: str | None = None
    """As `load_model` takes it."""
    tools: tuple[str, ...] | None = None
    """As `tools.compose` takes them."""
    index: str | None = None
    """As `open_index` takes it."""
    samples: int | None = Field(default=None, ge=1, le=64)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_steps: int | None = Field(default=None, ge=1, le=100)
    prompt: str | None = None
    tags: str | None = None
    imports: tuple[str, ...] | None = None
    limits: str | None = None
    """As `Limits.read` takes it."""
    title: str | None = None
    examples: tuple[str, ...] = ()
    report: str | None = None
    """A folder that `distill report` made."""
    compare: tuple[str, ...] = ()

    @field_validator("limits")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            Limits.read(text)
        return text

    @property
    def settings(self) -> dict[str, Any]:
        """Of `make_agent`: those that are given."""
        names = ("samples", "temperature", "max_steps", "prompt", "tags", "imports")
        found = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.limits is not None:
            found["limits"] = Limits.read(self.limits, output_chars=LIMITS.output_chars)
        return found


def read(folder: Path) -> Published:
    """What the folder's `agent.json` says; nothing where there is none.

    Raises ValueError, in one sentence, for a file that is not ours or leads out of the folder.
    """
    file = Path(folder) / FILE
    if not file.is_file():
        return Published()
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        ours = values.get(KEY, {})
    except (OSError, ValueError, AttributeError, RecursionError):
        raise ValueError(f"{file} is no JSON object; `publish` writes one.") from None
    if not isinstance(ours, dict):
        raise ValueError(f"{file}: {KEY} is no object of settings; `publish` writes one.")
    try:
        found = Published.model_validate(ours)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(Published.model_fields)
            raise ValueError(f"{file}: no setting {name!r}; there are: {known}.") from None
        said = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise ValueError(f"{file}: {name}: {said}.") from None
    root = Path(folder).resolve()
    placed = {name: _placed(getattr(found, name), name, root) for name in PATHS}
    lists = {
        name: tuple(_placed(value, name, root) for value in values)
        for name in LISTS
        if (values := getattr(found, name)) is not None
    }
    return found.model_copy(update={**placed, **lists})


def _placed(value: str | None, name: str, root: Path) -> str | None:
    """A path of the folder as it is found from here, a name as it is; ValueError for a way out or into nothing."""
    if value is None:
        return None
    value = value.strip() if "\n" not in value else value
    if match := OUTSIDE.fullmatch(value):
        if match[1] == "mcp" and not _is_served(match[2]):
            raise ValueError(
                f"{root / FILE}: {name} is {value!r}, a command; none is run from here."
            )
        return value
    if not _is_path(value, name):
        return value
    try:
        place = (root / value).resolve()
        there = place.exists()
    except (OSError, ValueError):  # too long, or no name at all
        raise ValueError(f"{root / FILE}: {name} is no path: {value[:100]!r}.") from None
    if not value.startswith(HERE) or not place.is_relative_to(root):
        raise ValueError(f"{root / FILE}: {name} is {value!r}, which is not in this folder.")
    if not there:
        raise ValueError(f"{root / FILE}: {name} is {value!r}, and there is no such thing.")
    here = Path.cwd()  # on a page a short name is better than all the way to it
    return str(place.relative_to(here) if place.is_relative_to(here) else place)


def _is_path(value: str, name: str) -> bool:
    """Whether it is looked for among files, and not known by name."""
    if "://" in value or "\n" in value:  # an address, a prompt's text
        return False
    if name == "report" or (name == "tools" and value.endswith(".py")):
        return True
    if name == "prompt" and ("/" in value or "." in value):
        return True
    return value.startswith((".", "/", "~", "\\")) or ".." in value or value[1:2] == ":"


def _is_served(text: str) -> bool:
    """Whether behind `mcp:` there is an address, and before it nothing but headers."""
    try:
        [*given, target] = shlex.split(text)
    except ValueError:
        return False
    return target.startswith(("http://", "https://")) and all(
        re.match(r"[A-Za-z][\w-]*=", word) for word in given
    )
