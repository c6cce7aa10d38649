"""A tool that is elsewhere, under a name and with arguments that Python code can use.

What a server says of its tools is text from a stranger: names become identifiers, descriptions are cut,
and what cannot be understood is refused with a sentence.
"""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections.abc import Callable, Iterable

from smolagents import Tool

TYPES = ("string", "boolean", "integer", "number", "array", "object", "null")
LONGEST_DESCRIPTION = 2000
"""Characters; it stands in the prompt of every request."""
LONGEST_NAME = 64
"""Characters, of a tool or an argument."""
MOST_ARGUMENTS = 50
LONGEST_RESULT = 20_000
"""Characters; more would be a context's end."""


class BorrowedTool(Tool):
    """Calls `call` with the arguments by the names that they have elsewhere.

    schema: a JSON Schema of an object, the arguments. side_effects: whether a call may change the world.
    Raises ValueError for a schema that is none.
    """

    skip_forward_signature_validation = True
    output_type = "any"

    def __init__(
        self,
        name: str,
        description: str,
        schema: dict,
        call: Callable[[dict], object],
        *,
        side_effects: bool = False,
    ):
        super().__init__()
        self.name = identifier(name)
        self.description = plain(description) or f"{name} (it comes without a description)"
        self.inputs, self.elsewhere, self.required = read_schema(schema, name)
        self.call, self.side_effects = call, side_effects

    def forward(self, *args, **kwargs):
        return shown(self.call(self.bound(args, kwargs)))

    def bound(self, args: tuple, kwargs: dict) -> dict:
        """The arguments by their names elsewhere; TypeError, as Python says it, where they do not fit."""
        names, takes = list(self.inputs), f"it takes: {', '.join(self.inputs) or 'none'}"
        if len(args) > len(names):
            raise TypeError(f"{self.name}() got {len(args)} arguments; {takes}.")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.inputs:
                raise TypeError(f"{self.name}() has no argument {name!r}; {takes}.")
            if name in given:
                raise TypeError(f"{self.name}() got two values for {name!r}.")
            given[name] = value
        if missing := [name for name in names if name in self.required and name not in given]:
            raise TypeError(f"{self.name}() misses {', '.join(missing)}; {takes}.")
        # None stands for an optional argument that is left out: few servers take null.
        return {
            self.elsewhere[name]: value
            for name, value in given.items()
            if value is not None or name in self.required
        }


def identifier(name: str) -> str:
    """A name that Python code can call, and that hides nothing: get-weather is get_weather, print print_tool."""
    made = re.sub(r"\W+", "_", str(name)[:LONGEST_NAME], flags=re.ASCII).strip("_") or "tool"
    if made[0].isdigit():
        made = f"tool_{made}"
    taken = keyword.iskeyword(made) or hasattr(builtins, made) or made == "final_answer"
    return f"{made}_tool" if taken else made


def distinct(names: Iterable[str]) -> list[str]:
    """The same names, with a number behind those that came before."""
    made: list[str] = []
    for name in names:
        number, new = 1, name
        while new in made:
            number += 1
            new = f"{name[: LONGEST_NAME - 4]}_{number}"
        made.append(new)
    return made


def read_schema(schema: dict, tool: str) -> tuple[dict[str, dict], dict[str, str], set[str]]:
    """smolagents' `inputs`, each one's name elsewhere, and which are required; these come first."""
    properties = (schema or {}).get("properties") or {}
    kind = (schema or {}).get("type", "object")
    if kind != "object" or not isinstance(properties, dict):
        raise ValueError(f"The tool {tool!r} does not say its arguments as an object's properties.")
    if len(properties) > MOST_ARGUMENTS:
        raise ValueError(
            f"The tool {tool!r} has {len(properties)} arguments, more than {MOST_ARGUMENTS}."
        )
    stated = schema.get("required") if isinstance(schema, dict) else None
    required = (
        {name for name in properties if name in stated} if isinstance(stated, list) else set()
    )
    order = sorted(properties, key=lambda name: name not in required)
    names = distinct(_argument(name) for name in order)
    definitions = schema.get("$defs") or schema.get("definitions") if schema else None
    definitions = definitions if isinstance(definitions, dict) else {}
    inputs = {}
    for name, original in zip(names, order, strict=True):
        inputs[name] = _input(properties[original], definitions, original in required)
    elsewhere = dict(zip(names, order, strict=True))
    return inputs, elsewhere, {name for name in names if elsewhere[name] in required}


def _argument(name: str) -> str:
    made = re.sub(r"\W+", "_", str(name)[:LONGEST_NAME], flags=re.ASCII) or "argument"
    if made[0].isdigit():
        made = f"_{made}"
    return f"{made}_" if keyword.iskeyword(made) or made == "self" else made


def _input(schema, definitions: dict, required: bool) -> dict:
    """One argument as smolagents describes it."""
    schema = _resolved(schema, definitions)
    kinds = _kinds(schema, definitions)
    words = [plain(schema.get("description") or schema.get("title") or "")]
    if isinstance(choices := schema.get("enum"), list):
        words.append(f"One of {plain(json.dumps(choices, ensure_ascii=False, default=str))[:300]}.")
    if not required:
        default = schema.get("default")
        words.append(
            "Optional." if default is None else f"Optional; {str(default)[:80]} if not given."
        )
    one = kinds[0] if len(kinds) == 1 else kinds
    made = {"type": one or "any", "description": sentences(words) or "no description"}
    return made if required and "null" not in kinds else {**made, "nullable": True}


def sentences(words: Iterable[str]) -> str:
    return " ".join(word if word[-1] in ".!?" else f"{word}." for word in words if word)


def _resolved(schema, definitions: dict) -> dict:
    """Itself, or what its reference names; one that leads nowhere, or round in a circle, may be anything."""
    for _ in range(10):
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        schema = definitions.get(reference.rpartition("/")[2]) if reference[0:2] == "#/" else None
    return {}


def _kinds(schema: dict, definitions: dict) -> list[str]:
    stated = schema.get("type")
    kinds = list(stated) if isinstance(stated, list) else [stated]
    choices = schema.get("anyOf") or schema.get("oneOf")
    for choice in choices[:20] if isinstance(choices, list) else ():
        stated = _resolved(choice, definitions).get("type")
        kinds += stated if isinstance(stated, list) else [stated]
    return list(dict.fromkeys(kind for kind in kinds if kind in TYPES))


def plain(text: str) -> str:
    """A stranger's words for a prompt: without characters that cannot be seen, and not too many."""
    text = "".join(c for c in str(text) if c.isprintable() or c in "\n\t").strip()
    if len(text) > LONGEST_DESCRIPTION:
        return text[:LONGEST_DESCRIPTION] + " [cut]"
    return text


def shown(value):
    """A result as the model gets it: itself, or its first part as text where it is too long."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = str(value)  # an object; the sandbox says what becomes of it
    if len(text) <= LONGEST_RESULT:
        return value
    return (
        f"{text[:LONGEST_RESULT]}\n[cut: the first {LONGEST_RESULT:,} of {len(text):,} characters]"
    )
