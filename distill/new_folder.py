"""A folder that is there whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def vacant(out: Path) -> None:
    """Raise ValueError if something is there already."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; --out names a folder.")
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty; name a new or empty folder.")


def room(out: Path, needed: int) -> None:
    """Raise ValueError if the disk has fewer bytes left than are needed."""
    place = next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise ValueError(
            f"{out} needs {_size(needed)}, the disk has {_size(free)} left; make room or name another disk."
        )


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write in, which becomes `out` once all is written; goes if anything fails."""
    vacant(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".new", dir=out.parent))
    try:
        work.chmod(0o755)  # as any folder; a temporary one is for its owner alone
        yield work
        work.replace(out)  # takes the place of an empty folder, too
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
