"""The tools of an agent from one line: names, files, folders, and what others serve."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smolagents import Tool

SEARCHES = ("wiki_search", "web_search")
"""The tools that an index is given to."""
OUTSIDE = re.compile(r"(?:([A-Za-z_]\w*)=)?(mcp|space|langchain|agent):(.*)", re.DOTALL | re.ASCII)


def compose(
    spec: str | Iterable[str],
    *,
    index=None,
    folders: Sequence[str | Path] = (),
    agent: Callable[[str], Tool] | None = None,
) -> list[Tool]:
    """The tools that `spec` names, in its order, and then those of the folders.

    spec: with commas between, or a list where a part has commas of its own. A part is a tool's name,
        `path/to/my_tool.py`, `mcp:http://host/mcp`, `mcp:command arguments` (tools/outside/mcp.py),
        `space:owner/name` (space.py), `langchain:module:attribute` or `agent:MODEL`. `NAME=` before
        one of the latter names its tool; where it has several, `NAME_` stands before each.
    index: a folder or a Retriever for the search tools, opened now.
    folders: of tool files; names that begin with `_` or `test_`, and conftest.py, are left out.
    agent: makes a tool of the model that `agent:` names.
    Raises ValueError for what is not there, and for two tools of one name.
    """
    from . import files, load

    if isinstance(index, str | Path):
        from .retrieval import open_index

        index = open_index(index)
    parts = spec.split(",") if isinstance(spec, str) else list(spec)
    found: list[tuple[str, Tool]] = []  # with where it comes from
    for part in filter(None, (part.strip() for part in parts)):
        if match := OUTSIDE.fullmatch(part):
            found += [(part, tool) for tool in _outside(*match.groups(), agent)]
        else:
            settings = {"index": index} if part in SEARCHES and index is not None else {}
            found.append((part, load(part, **settings)))
    for folder in folders:
        for path in tool_files(folder):
            found.append((str(path), files.read_tool(path)))
    origins: dict[str, str] = {}
    for origin, tool in found:
        if tool.name == "final_answer":
            raise ValueError(
                f"{origin}: no tool can be called 'final_answer'; every agent has one."
            )
        if hasattr(builtins, tool.name):
            raise ValueError(
                f"{origin}: no tool can be called {tool.name!r}; code needs Python's own."
            )
        if tool.name in origins:
            twice = f"{origins[tool.name]} and {origin}" if origin != origins[tool.name] else origin
            raise ValueError(f"Two tools cannot both be called {tool.name!r}: {twice}.")
        origins[tool.name] = origin
    return [tool for _, tool in found]


def tool_files(folder: str | Path) -> list[Path]:
    """The files of a folder that are tools. Raises ValueError where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"No folder {folder} with tools.")
    found = [
        path
        for path in sorted(folder.glob("*.py"))
        if not path.name.startswith(("_", "test_")) and path.name != "conftest.py"
    ]
    if not found:
        raise ValueError(f"{folder} has no tool: no .py file is in it.")
    return found


def _outside(name: str | None, kind: str, text: str, agent) -> list[Tool]:
    from .outside.borrowed import identifier

    if not text.strip():
        raise ValueError(f"{kind}: names nothing; write what to use behind it.")
    if kind == "mcp":
        from .outside.mcp import mcp_tools

        tools = mcp_tools(text)
    elif kind == "space":
        from .outside.space import space_tool

        tools = [space_tool(text)]
    elif kind == "langchain":
        from .outside.langchain import langchain_tools

        tools = langchain_tools(text)
    elif agent is None:
        raise ValueError("agent: is not available here; nothing was given to make agents with.")
    else:
        tools = [agent(text.strip())]
    if name is None:
        return tools
    if name != identifier(name):
        raise ValueError(f"No tool can be called {name!r}; Python has that name, or every agent.")
    for tool in tools:
        tool.name = name if len(tools) == 1 else f"{name}_{tool.name}"
    return tools
