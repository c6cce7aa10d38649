"""Which of our files an app needs, and which libraries those import: read from the imports, nothing is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("agents", "tools")
WHOLE = ("agents/sandbox", "agents/prompts")
"""Folders that are read or started by path, where no import tells."""


@dataclass(frozen=True)
class Sources:
    files: tuple[str, ...]
    """Relative to the repository, sorted."""
    libraries: frozenset[str]
    """Top-level names of what they import that is neither Python's nor ours."""


def sources(starts: Iterable[str], without: Collection[str] = ()) -> Sources:
    """What these files import, and so on; with them the other files that lie in the folders reached.

    starts: relative to the repository. without: files that are not needed, and nothing behind them.
    """
    reached: set[str] = set()
    libraries: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name in reached or name in without:
            continue
        reached.add(name)
        ours, others = imports(ROOT / name, ROOT)
        libraries |= others
        waiting += ours
        waiting += [
            f"{folder}/{file.name}"
            for folder in WHOLE
            if folder == Path(name).parent.as_posix()
            for file in (ROOT / folder).glob("*.py")
        ]
    folders = {Path(name).parent for name in reached} | {Path(name) for name in WHOLE}
    data = {
        (folder / file.name).as_posix()
        for folder in folders
        if folder != Path(".") and (ROOT / folder).is_dir()
        for file in (ROOT / folder).iterdir()
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    return Sources(tuple(sorted(reached | data)), frozenset(libraries))


def imports(file: Path, root: Path) -> tuple[set[str], set[str]]:
    """Our files that a file imports, as paths under `root`, and the libraries, by their top-level names."""
    package = file.relative_to(root).parent.parts if file.is_relative_to(root) else ()
    modules = _imported(file, package, file.stat().st_mtime_ns)
    ours = {module for module in modules if module[0] in PACKAGES}
    libraries = {module[0] for module in modules - ours} - sys.stdlib_module_names
    return {
        name for module in ours for name in _files(module)
    } if root == ROOT else set(), libraries


@cache
def _imported(file: Path, package: tuple[str, ...], written: int) -> frozenset[tuple[str, ...]]:
    """All that the statements of a file may import; written: when the file was."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(module for node in ast.walk(tree) for module in _modules(node, package))


def _modules(node: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The modules that a statement may import: of `from a import b`, a and a.b."""
    if isinstance(node, ast.Import):
        yield from (tuple(alias.name.split(".")) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package[: len(package) - node.level + 1] if node.level else ()
        module = (*above, *(node.module or "").split(".")) if node.module else above
        if module:
            yield module
            if module[0] in PACKAGES:
                yield from ((*module, alias.name) for alias in node.names)


def _files(module: tuple[str, ...]) -> Iterator[str]:
    """The files of a module of ours: itself, and the packages that it stands in."""
    for depth in range(1, len(module) + 1):
        path = Path(*module[:depth])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if (ROOT / file).is_file():
                yield file.as_posix()
