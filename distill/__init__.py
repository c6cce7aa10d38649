"""The pipeline: problems -> rollouts -> kept rollouts -> student -> scores -> report."""

from importlib.util import find_spec
from pathlib import Path

# These are generic names. Another package so called, found first, would break everything oddly.
for _name in ("agents", "tools"):
    _found = find_spec(_name)
    _origin = _found.origin if _found and _found.origin else "not found"
    if Path(_origin).resolve().parent.parent != Path(__file__).resolve().parent.parent:
        raise ImportError(
            f"`{_name}` is {_origin}, not smoldistill's: "
            "run from the repository's root, or put the root first in PYTHONPATH."
        )
