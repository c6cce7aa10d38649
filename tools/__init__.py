"""Tools by name: one file is one tool, and the file's name is the tool's name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

FOLDER = Path(__file__).parent
NOT_TOOLS = {"__init__", "retrieval", "encoder"}


def available() -> list[str]:
    """The names of the tools in this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_TOOLS)


def load(name: str, **settings):
    """A smolagents tool: by its name, or from any Python file that defines one.

    Raises ValueError for a name that is not there or a file without a tool.
    """
    from smolagents import Tool

    path = Path(name) if name.endswith(".py") else FOLDER / f"{name}.py"
    if not path.is_file() or path.stem in NOT_TOOLS:
        raise ValueError(
            f"No tool named {name!r}; there are: {', '.join(available())}, or give a .py file."
        )
    spec = importlib.util.spec_from_file_location(f"tools.{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (
        Exception,
        SystemExit,
    ) as error:  # whatever a user's file does wrong, it is told with its name
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    for value in vars(module).values():
        if isinstance(value, Tool):  # a function with @tool
            return value
        if (
            isinstance(value, type)
            and issubclass(value, Tool)
            and value.__module__ == module.__name__
        ):
            try:
                return value(**settings)
            except Exception as error:
                raise ValueError(
                    f"The tool {name} cannot be made with {settings or 'no settings'}: {error}."
                ) from error
    raise ValueError(
        f"{path} defines no tool: neither a class derived from smolagents' Tool nor a @tool function."
    )
