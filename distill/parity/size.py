"""Whether this machine can hold a student's weights in float32, told before they are loaded."""

from __future__ import annotations

from pathlib import Path

ITEM = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1}
"""Bytes of a weight, as it is kept."""
SPARE = 2.5
"""Measured: what loading and merging take beside the weights."""


def too_large(folder: Path, base: str | None) -> str | None:
    """Why the weights cannot be compared here; None if they can, or if their size is not known beforehand."""
    import psutil

    place = Path(base) if base else folder
    needed = float32_size(place) * SPARE
    free = psutil.virtual_memory().available
    if needed <= free:
        return None
    return f"about {needed / 1e9:.1f} GB of memory are needed, {free / 1e9:.1f} GB are free"


def float32_size(place: Path) -> int:
    """Bytes of a folder's weights once they are in float32; 0 where they lie elsewhere."""
    from .outputs import kept_type

    files = [f for f in place.glob("*.safetensors") if not f.name.startswith("adapter_")]
    if not files:
        return 0
    return sum(f.stat().st_size for f in files) * 4 // ITEM.get(kept_type(files[0]), 4)
