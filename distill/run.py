"""A run's folder: who works in it, with which settings, and whether that may go on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "smolagents", "transformers", "peft", "trl", "torch", "bm25s", "faiss-cpu", "math-verify", "scipy",
    "statsmodels", "gradio",
)  # fmt: skip


class RunError(RuntimeError):
    """The run cannot go on, by no mistake of the caller's; the message says why and what to do."""


def first_process() -> bool:
    """Of those that a launcher (accelerate, torchrun) started; it alone writes and prints."""
    return processes() == 1 or os.environ.get("RANK", "0") == "0"


def processes() -> int:
    """How many a launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def run_folder(
    out: Path, verb: str, settings: dict, *, force: bool = False, notes: dict | None = None
) -> Iterator[Path]:
    """Hold the folder while working in it, and write `run.json`: settings, versions, start and end.

    notes: what is worth keeping beside the settings and may differ when a run goes on.

    Raises ValueError where another process works in the folder, or where it was made with other settings
    (unless `force`).
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; --out names a folder.")
    file = out / "run.json"
    if (
        out.is_dir()
        and not file.is_file()
        and any(p for p in out.iterdir() if p.name != ".lock" and p.suffix != ".new")
    ):
        raise ValueError(f"{out} holds other things and no run.json; name a new or empty folder.")
    fresh = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    lock = held(out)
    try:
        settings = json.loads(json.dumps({"verb": verb, **settings}, default=str))
        started = _now()
        if file.is_file():
            try:
                before = json.loads(file.read_text(encoding="utf-8"))
            except (ValueError, RecursionError):
                before = None
            if not isinstance(before, dict) or not isinstance(before.get("settings"), dict):
                raise ValueError(f"{file} was not written by smoldistill; name another folder.")
            if not force:
                _same(out, before["settings"], settings)
            elif before["settings"] != settings:
                # What was made before stays, and a report must be able to say so.
                notes = {**(notes or {}), "before": [*before.get("before", []), before["settings"]]}
            started = before.get("started", started)
            if "before" in before:
                notes = {"before": before["before"], **(notes or {})}
        run = {
            "settings": settings,
            **(notes or {}),
            "command": sys.argv,
            "versions": versions(),
            "commit": commit(),
            "started": started,
            "ended": None,
        }
        write_json(file, run)
        yield out
        write_json(file, {**run, "ended": _now()})
    except ValueError:
        # The caller's mistake, noticed late: a folder made for it, in which nothing was done, goes again.
        if fresh and not any(p.stat().st_size for p in out.rglob("*.jsonl") if p.parent == out):
            shutil.rmtree(out)
        raise
    finally:
        lock.release()


def held(out: Path):
    """The folder's lock, to be released. Raises ValueError where another process works in it."""
    from filelock import FileLock, Timeout

    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"Another process is at work in {out}; wait for it or name another folder."
        ) from None
    return lock


def write_json(path: Path, value) -> None:
    """Whole or not at all: a kill in mid-write leaves the file that was there."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Whole or not at all, and in UTF-8 whatever it holds."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(text.encode("utf-8", "replace"))
    new.replace(path)


def digest(source: str) -> str:
    """What a run is about, for comparing runs: files' names and contents, and the benchmarks' names."""
    names = [source] if Path(source).is_file() else [name.strip() for name in source.split(",")]
    return ",".join(_digest(Path(name)) if Path(name).is_file() else name for name in names)


def _digest(file: Path) -> str:
    return f"{file.name} sha256:{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"


def versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The repository's commit, with a + where files differ from it; None outside a repository."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _same(out: Path, before: dict, now: dict) -> None:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            raise ValueError(
                f"{out} was made with {name} = {before.get(name)!r}, now it is {now.get(name)!r}: "
                "name another folder, or --force to go on in this one."
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
