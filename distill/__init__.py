"""The pipeline: problems -> rollouts -> kept rollouts -> student -> scores -> report."""

from importlib.util import find_spec
from pathlib import Path

# `agents` is a generic name. Another package of that name, found first, would break everything oddly.
_agents = find_spec("agents")
if (
    _agents is None
    or Path(_agents.origin or "").resolve().parent.parent != Path(__file__).resolve().parent.parent
):
    raise ImportError(
        f"`agents` is {_agents.origin if _agents else 'not found'}, not smoldistill's: "
        "run from the repository's root, or put the root first in PYTHONPATH."
    )
