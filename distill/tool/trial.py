"""Import a tool's file and make its tool, in a child process with a deadline and no secrets to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tools.files import ImportFault, try_import

from .findings import Finding

ROOT = Path(__file__).parent.parent.parent
SECONDS = 20.0
PASSED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
MAKE = """
import types
from pathlib import Path
from tools.files import read_tool
try:
    tool = read_tool(Path(path), trusted=True)
    tool.to_code_prompt()
    # Where smolagents looks for a class's source.
    sys.modules.setdefault(type(tool).__module__, types.ModuleType("")).__file__ = path
    try:
        tool.to_dict()
    except Exception as fault:
        found["alone"] = str(fault)
except BaseException as fault:
    found["fault"] = str(fault)
"""
"""Run in the child, which has `path`, and gives `found` back."""


def trial(path: Path, seconds: float = SECONDS) -> Iterator[Finding]:
    """What goes wrong at import and in the making; smolagents' own rules among it."""
    environment = {name: os.environ[name] for name in PASSED if name in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    try:
        found = try_import(path, seconds, environment, MAKE)
    except ImportFault as fault:
        yield Finding(
            fault.line or 1, True, str(fault).removeprefix(f"{path} ").rstrip("."),
            "keep work, and secrets of the environment, for the call or setup()",
        )  # fmt: skip
        return
    if "fault" in found:
        text = found["fault"].removeprefix(f"{path} ").rstrip(".")
        yield Finding(1, True, " ".join(text.split())[:400], "see smolagents' rules for tools")
    if "alone" in found:
        text = " ".join(found["alone"].split())[:300].rstrip(".")
        yield Finding(
            1, False, f"smolagents cannot save it: {text}",
            "import within the function, if its push_to_hub is to work; `publish` copies the file",
        )  # fmt: skip
