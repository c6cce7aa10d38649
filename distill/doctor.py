"""Say what this machine can do for a distillation."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from agents.models import POCKET

from .run import versions


def doctor() -> dict[str, str]:
    """What was looked at, and what was found."""
    import torch

    from .train import fast_bf16

    found = {name: f"{value}" for name, value in versions().items()}
    found["cores"] = str(os.cpu_count())
    found["GPU"] = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else "none; small models run on the CPU"
    )
    found["bfloat16 on the CPU"] = "yes" if fast_bf16() else "no; training uses float32"
    found["free disk"] = f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB"
    found["sandbox"] = _sandbox()
    found["scorer"] = _scorer()
    for name, folder in POCKET.items():
        found[name] = (
            "here" if folder.is_dir() else f"missing: {folder.name} is not in distill/pocket"
        )
    found["OPENAI_API_KEY"] = (
        "set" if os.environ.get("OPENAI_API_KEY") else "not set; servers on this machine need none"
    )
    found["Hub"] = (
        "offline by HF_HUB_OFFLINE"
        if os.environ.get("HF_HUB_OFFLINE")
        else "used when a Hub id is named"
    )
    return found


def _sandbox() -> str:
    """Its tier, after trying to break out of it; or why there is none."""
    from agents.agent import IMPORTS
    from agents.sandbox import SandboxError, forkserver, tier

    try:
        sealed = tier.require(IMPORTS, None)
        return tier.describe(forkserver.server_for(IMPORTS), sealed)
    except SandboxError as error:
        return f"none: {error}"


def _scorer() -> str:
    """Whether a formula can be compared, and an endless one is given up."""
    from .referee import same_mathematics

    try:
        good = same_mathematics(r"\sqrt{8}", r"2\sqrt{2}") and not same_mathematics(
            "5", "9**9**9**9"
        )
    except RuntimeError as error:
        return str(error)
    return "compares formulas, and gives up endless ones" if good else "does not compare formulas"
