"""Say what would be published before anything is: repositories, files with their sizes, secrets, what stays here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .hub import Repository
from .scan import Finding

CODE = ("agents", "tools", "traces")
"""Folders that are counted, and not listed."""
WEIGHTY = 1_000_000_000
"""Bytes of a Space from which it is said that its weights had better be loaded from a model's repository."""


@dataclass(frozen=True)
class Part:
    """A rendered folder."""

    title: str
    """What it is, and for whom."""
    folder: Path
    repository: Repository | None
    files: tuple[tuple[str, int], ...]
    """Names and bytes."""

    @classmethod
    def of(cls, title: str, folder: Path, repository: Repository | None) -> Part:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        sizes = ((file.relative_to(folder).as_posix(), file.stat().st_size) for file in files)
        return cls(title, folder, repository, tuple(sizes))


@dataclass(frozen=True)
class Plan:
    parts: tuple[Part, ...]
    secrets: tuple[str, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    findings: tuple[tuple[str, Finding], ...] = ()
    """With the part they are in."""
    parity: str | None = None
    """Why it may not be uploaded; None where it may."""

    def as_dict(self) -> dict:
        return {
            "parts": [
                {
                    "title": part.title,
                    "repository": str(part.repository) if part.repository else None,
                    "files": dict(part.files),
                }
                for part in self.parts
            ],
            "secrets": list(self.secrets),
            "left_out": self.left_out,
            "notes": list(self.notes),
            "findings": [f"{title}: {finding}" for title, finding in self.findings],
            "parity": self.parity,
        }


def print_plan(plan: Plan) -> None:
    for part in plan.parts:
        total = sum(size for _, size in part.files)
        where = f" -> {part.repository}" if part.repository else ""
        print(f"{part.title}{where}: {len(part.files)} files, {_size(total)}")
        for name, size in _shown(part.files):
            print(f"  {_size(size):>9}  {name}")
        if part.title == "page" and total > WEIGHTY:
            print(
                "  It is large for a Space: publish the model with --model, and name it with --weights."
            )
    print(f"secrets it needs: {', '.join(plan.secrets) or 'none'}")
    if plan.left_out:
        print("left out:")
        for name, why in plan.left_out.items():
            print(f"  {name}: {why}")
    for note in plan.notes:
        print(f"note: {note}")
    if plan.parity:
        print(f"not to be uploaded: {plan.parity}")


def told(findings: Sequence[tuple[str, Finding]]) -> str:
    """What the scan found, a line each; never what a secret says."""
    lines = [f"  {title}/{finding}" for title, finding in findings]
    return "This must not be published, and nothing was:\n" + "\n".join(lines)


def _shown(files: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    listed = [(name, size) for name, size in files if name.partition("/")[0] not in CODE]
    for folder in CODE:
        sizes = [size for name, size in files if name.startswith(f"{folder}/")]
        if sizes:
            listed.append((f"{folder}/ ({len(sizes)} files)", sum(sizes)))
    return sorted(listed)


def _size(count: int) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
