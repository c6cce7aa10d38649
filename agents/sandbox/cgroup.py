"""A control group around all sandboxed processes, where this process may make one: a cap on all their memory.

An extra. Each process has its own limit anyway; this one holds should many of them reach it at once. In
containers the folder is read-only, and there is none.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PREFIX = "smoldistill-"


def around(pid: int, megabytes: int) -> Path | None:
    """Put the process, and all it will fork, in a new group of so much memory; None where that cannot be."""
    for parent, limit in _parents():
        _sweep(parent)
        group = parent / f"{PREFIX}{os.getpid()}-{pid}"
        try:
            group.mkdir()
            # Neither is made here: where they are not, this is no folder of control groups.
            for file, value in ((limit, megabytes * 2**20), ("cgroup.procs", pid)):
                with (group / file).open("r+") as setting:
                    setting.write(str(value))
            return group
        except OSError:
            remove(group)
    return None


def remove(group: Path) -> None:
    with contextlib.suppress(OSError):
        group.rmdir()


def _parents() -> list[tuple[Path, str]]:
    """Where this process's own group is, with the name of the file that limits memory: version 2, then 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.insert(0, (ROOT / path.lstrip("/"), "memory.max"))
        elif "memory" in controllers.split(","):
            found.append((ROOT / "memory" / path.lstrip("/"), "memory.limit_in_bytes"))
    return found


def _sweep(parent: Path) -> None:
    """Remove the empty groups of processes that were killed before they could."""
    with contextlib.suppress(OSError):
        for group in parent.glob(PREFIX + "*-*"):
            owner = group.name.removeprefix(PREFIX).partition("-")[0]
            if not Path(f"/proc/{owner}").exists():
                remove(group)
