"""Say what would break with a tool's file: read first, then imported in a child process; never called.

One whose import itself changes files or starts processes, as far as reading shows, is not imported.
"""

from __future__ import annotations

import ast
from pathlib import Path

from .behaviour import behaviour, harms_at_import
from .elsewhere import elsewhere
from .findings import Finding
from .shape import shape
from .trial import SECONDS, trial

ECHOES = (
    "ParsingException",
    "Invalid Tool",
    "cannot be made",
    "defines ",
    "attribute",
    "Input '",
    "save it",
)
"""In what smolagents says of faults that reading finds too, and tells by line."""
LARGEST = 1 << 20
"""Bytes of a file."""


def check(path: str | Path, *, seconds: float = SECONDS) -> list[Finding]:
    """All that was found, by line. Raises ValueError where there is no such Python file.

    seconds: that its import may take.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        raise ValueError(f"{path} is no Python file; `tool new` writes one.")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes; a tool is one small file.")
    found, tree = read(path)
    if tree is None:
        return found
    if harms_at_import(found):
        return sorted(found)
    tried = list(trial(path, seconds))
    if any(one.breaks for one in found):
        tried = [one for one in tried if not any(echo in one.what for echo in ECHOES)]
    return sorted({*found, *tried})


def read(path: Path) -> tuple[list[Finding], ast.Module | None]:
    """What reading finds; no tree where the file is no Python."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        return [Finding(1, True, "the file is not UTF-8", "save it as UTF-8")], None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        said = getattr(error, "msg", None) or str(error) or type(error).__name__
        return [Finding(line, True, f"this is no Python: {said}", "correct it")], None
    return sorted({*shape(tree, path), *behaviour(tree), *elsewhere(tree, path)}), tree
