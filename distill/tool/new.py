"""Write a start of a tool and its test."""

from __future__ import annotations

import builtins
import importlib.util
import keyword
from pathlib import Path

STARTS = Path(__file__).parent / "starts"


def new_tool(name: str, folder: Path, *, of_class: bool = False) -> tuple[Path, Path]:
    """The tool's file and its test's, written into the folder, and nothing else.

    of_class: a class, for a tool that opens something once; else a function. Raises ValueError for a name
    that no tool can have, and where a file is there already.
    """
    import tools

    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise ValueError(f"{name!r} is no name that code can call; use letters, digits and _.")
    if name == "final_answer" or hasattr(builtins, name):
        raise ValueError(f"{name} is Python's own, or every agent's; name the tool otherwise.")
    if name.startswith(("_", "test_")) or name == "conftest":
        raise ValueError(
            f"A tool file called {name}.py would be taken for something else; name it otherwise."
        )
    if (package := importlib.util.find_spec(name)) and package.origin:
        raise ValueError(f"A Python package is called {name}, and the file would hide it.")
    if name in tools.available():
        raise ValueError(f"There is a tool {name} already; name yours otherwise.")
    files = folder / f"{name}.py", folder / f"test_{name}.py"
    if there := next((file for file in files if file.exists()), None):
        raise ValueError(f"{there} is there already; nothing was written.")
    kind = "class" if of_class else "function"
    words = {"NAME": name, "CLASS": "".join(part.capitalize() for part in name.split("_"))}
    folder.mkdir(parents=True, exist_ok=True)
    for file, start in zip(files, (f"{kind}.py.txt", "test.py.txt"), strict=True):
        text = (STARTS / start).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"<{word}>", value)
        file.write_text(text, encoding="utf-8")
    return files
