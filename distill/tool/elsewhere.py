"""Whether a tool's file works where it is copied to: imports, paths, secrets. Nothing of it is run."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from .findings import Finding

ROOT = Path(__file__).parent.parent.parent
ABSOLUTE = re.compile(r"(?:/[\w.~-]+){2,}/?|[A-Za-z]:\\.+")
SECRET = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
SHORTEST = 8
"""Characters of a value that may be a secret."""


def elsewhere(tree: ast.Module, path: Path) -> Iterator[Finding]:
    """What would break in a published folder, or on another machine."""
    yield from _imports(tree, path)
    yield from _secrets(tree, path)
    words = _docstrings(tree)
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in words else None
        if not isinstance(text, str) or not ABSOLUTE.fullmatch(text):
            continue
        if text[0] != "/" or Path(text).exists():
            yield Finding(
                node.lineno, False, "this path may be on no other machine",
                "build it from Path(__file__).parent, or take it as an argument",
            )  # fmt: skip


def _imports(tree: ast.Module, path: Path) -> Iterator[Finding]:
    stated = _stated()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield Finding(
                node.lineno, True, "a relative import finds nothing, as the file is loaded alone",
                "put what is needed into the file",
            )  # fmt: skip
            continue
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in ("smolagents", "tools"):
                continue
            if (path.parent / f"{top}.py").is_file() or (
                path.parent / top / "__init__.py"
            ).is_file():
                yield Finding(
                    node.lineno, True, f"{top} lies beside this file and is not copied with it",
                    "put what is needed into the file",
                )  # fmt: skip
            elif top in ("agents", "distill", "app", "tests", "bench"):
                yield Finding(
                    node.lineno, True, f"{top} is not there in a published folder", "do without it"
                )
            elif importlib.util.find_spec(top) is None:
                yield Finding(
                    node.lineno, True, f"no package {top} is installed", f"pip install {top}"
                )
            elif not {_normal(one) for one in packages_distributions().get(top, [])} & stated:
                yield Finding(
                    node.lineno,
                    False,
                    f"{top} is not in requirements.txt",
                    "add it there, with its version",
                )


def _stated() -> set[str]:
    """The packages that requirements.txt names."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = {
        _normal(re.split(r"[\s=<>!~\[#]", line, maxsplit=1)[0]) for line in lines if line.strip()
    }
    return found - {""}


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _secrets(tree: ast.Module, path: Path) -> Iterator[Finding]:
    from ..publish.scan import HOME, Known, look

    told = set()
    for line, kind in look(path, Known.here()):
        if kind.startswith(HOME):
            yield Finding(
                line, True, "a home folder's path stands here, which a published folder may not hold",
                "build it from Path(__file__).parent or Path.home()",
            )  # fmt: skip
        else:
            told.add(line)
            yield Finding(
                line, True, f"a secret stands here ({kind})", "read it from os.environ in the call"
            )
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or node.lineno in told:
            continue
        names = {t.id if isinstance(t, ast.Name) else getattr(t, "attr", "") for t in node.targets}
        value = node.value.value if isinstance(node.value, ast.Constant) else None
        if any(map(SECRET.search, names)) and isinstance(value, str) and len(value) >= SHORTEST:
            yield Finding(
                node.lineno, True, f"what {min(names)} is stands written out",
                "read it from os.environ in the call",
            )  # fmt: skip


def _docstrings(tree: ast.Module) -> set[int]:
    """By identity: text that stands for itself."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
