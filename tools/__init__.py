"""Tools by name: one file is one tool, and the file's name is the tool's name."""

from __future__ import annotations

from pathlib import Path

from .compose import compose

__all__ = ["available", "compose", "load"]
FOLDER = Path(__file__).parent
NOT_TOOLS = {"__init__", "compose", "encoder", "files", "retrieval"}


def available() -> list[str]:
    """The names of the tools in this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_TOOLS)


def load(name: str, **settings):
    """A smolagents tool: by its name, or from any Python file that defines one.

    Raises ValueError for a name that is not there or a file without a tool.
    """
    from .files import read_tool

    foreign = name.endswith(".py")
    path = Path(name) if foreign else FOLDER / f"{name}.py"
    if not path.is_file() or (path.parent == FOLDER and path.stem in NOT_TOOLS):
        raise ValueError(
            f"No tool named {name!r}; there are: {', '.join(available())}, or give a .py file."
        )
    return read_tool(path, trusted=not foreign, **settings)
