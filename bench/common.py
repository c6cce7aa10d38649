"""What the benches share: timing in turn, a table of ratios, JSON beside it."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

OUT = Path("runs/bench")


def milliseconds(work: Callable[[], object], times: int) -> list[float]:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - start))
    return found


def in_turn(works: dict[str, Callable[[], object]], times: int) -> dict[str, float]:
    """Median milliseconds of each, measured in turn, so that what else the machine does falls on all alike."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()  # warm
    for _ in range(times):
        for name, work in works.items():
            found[name] += milliseconds(work, 1)
    return {name: statistics.median(values) for name, values in found.items()}


def write(name: str, measured: dict) -> Path:
    """Into `runs/bench/NAME.json`, with the machine named."""
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / f"{name}.json"
    machine = {"machine": cpu(), "system": platform.platform(), "python": platform.python_version()}
    file.write_text(json.dumps({**machine, **measured}, indent=1) + "\n", encoding="utf-8")
    return file


def cpu() -> str:
    import os

    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores"
