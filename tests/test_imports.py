"""Who may import whom, and that importing costs little and does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"agents", "tools", "distill", "app", "tests", "bench"}
MAY_IMPORT = {
    "tools": {"tools"},
    "agents": {"agents"},
    "app": {"agents", "tools"},
    "distill": {"agents", "tools"},
}
HEAVY = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "gradio",
    "datasets",
    "faiss",
    "sentence_transformers",
    "matplotlib",
    "scipy",
)
LAZY = {
    *("encoder.py", "decode.py", "attention.py"),
    *("callbacks.py", "memory.py", "once.py", "trainer.py"),
}
"""Files that are themselves imported only when there are weights to run or to train."""


def files(package: str) -> list[Path]:
    return [ROOT / "app.py"] if package == "app" else sorted((ROOT / package).rglob("*.py"))


def imported(node: ast.AST) -> set[str]:
    """Top-level names of an import statement; none for a relative one."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return {node.module.partition(".")[0]}
    return set()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    for file in files(package):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            wrong = imported(node) & OURS - MAY_IMPORT[package]
            assert not wrong, (
                f"{file.relative_to(ROOT)}, line {node.lineno} imports {', '.join(wrong)}"
            )


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_heavy_libraries_are_imported_where_they_are_used(package):
    for file in files(package):
        if file.name in LAZY:
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            assert not imported(node) & set(HEAVY), f"{file.relative_to(ROOT)}, line {node.lineno}"


def test_help_needs_none_of_them():
    code = f"import sys, distill.__main__; print([m for m in {(*HEAVY, 'smolagents', 'agents')} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_the_packages_are_ours():
    import agents
    import distill
    import tools

    for package in (agents, distill, tools):
        assert Path(package.__file__).is_relative_to(ROOT)


def test_another_package_called_agents_is_refused_by_name(tmp_path):
    other = tmp_path / "agents"
    other.mkdir()
    (other / "__init__.py").write_text("")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import distill"
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode != 0
    assert str(other) in run.stderr and "repository's root" in run.stderr
