"""What a model is, as far as it can be told without asking anyone: its base, its size, whether it was distilled."""

from __future__ import annotations

import json
import re
from pathlib import Path

from agents.models import POCKET

SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([bBmM])(?![a-zA-Z])")


def identity(model: str, loaded=None, name: str | None = None) -> dict:
    """`name` (if given), `base`, `parameters` (None if unknown) and `distilled` (None if unknown) of a model.

    loaded: the model itself, of which local weights are counted; else the name may tell ("…-1.5B-Instruct").
    """
    base, distilled = model, None
    folder = POCKET.get(model, Path(model))
    if model == "pocket":
        base, distilled = "pocket-base", True
    elif (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        base, distilled = _trained_from(folder)
        base = base or model
    elif (
        not model.startswith(("http://", "https://", "litellm:", "pocket-")) and loaded is not None
    ):
        base, distilled = _hub(model)
    weights = getattr(loaded, "model", None)
    count = getattr(weights, "num_parameters", None)
    found = {"base": base, "parameters": count() if count else size(base), "distilled": distilled}
    return {"name": name, **found} if name else found


def size(name: str) -> int | None:
    """Parameters, as a model's name tells them."""
    found = SIZE.findall(name.replace("_", "-").replace("-", " ").replace("/", " "))
    return (
        round(float(found[-1][0]) * {"b": 1e9, "m": 1e6}[found[-1][1].lower()]) if found else None
    )


def _trained_from(folder: Path) -> tuple[str | None, bool]:
    """What `train` started from; else what an adapter names. False: plain weights.

    A merged or an early student has no run of its own, and brings what it was trained from along.
    """
    try:
        settings = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]
        if settings.get("verb") == "train":
            return settings["student"], True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    try:
        student = json.loads((folder / "student.json").read_text(encoding="utf-8"))
        return student["base"], True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        named = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return (named.get("base_model_name_or_path") or "").strip("./") or None, True
    except (OSError, ValueError, AttributeError):
        return None, False


def _hub(model: str) -> tuple[str, bool]:
    from agents.weights import adapter_base

    base = adapter_base(model)
    return base or model, base is not None
