"""What a run may use. A limit that is reached is told to the model as an observation, and counted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, Self

Limit = Literal["seconds", "memory", "output", "calls", "process", "run_seconds", "run_tokens"]
"""Which limit was reached; "process": the code ended or broke the process it ran in."""


MOST = {"seconds": 86_400, "memory_mb": 2**20}


@dataclass(frozen=True)
class Limits:
    """Per action: an action is the code of one step, or one of its candidates."""

    seconds: float = 30.0
    """Wall clock of an action, the tools it calls included."""
    memory_mb: int = 512
    """Memory that an action may take beyond what the interpreter itself needs."""
    output_chars: int = 50_000
    """Characters of printed output kept; as many as smolagents keeps."""
    calls: int = 50
    """Tool calls of an action."""
    run_calls: int = 500
    """Tool calls of a whole run."""
    run_seconds: float | None = None
    """Wall clock of a whole run; then the model is asked for its answer, and the run ends."""
    run_tokens: int | None = None
    """Tokens read and written in a whole run; then as with `run_seconds`."""

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            most = MOST.get(field.name, 10**9)
            if value is not None and not 0 < value <= most:
                raise ValueError(
                    f"The limit {field.name} is above 0 and at most {most:,}, not {value}."
                )

    @classmethod
    def read(cls, text: str, **defaults) -> Self:
        """From "seconds=5,run_tokens=20000". Raises ValueError, naming what there is, for any other text."""
        kinds = {field.name: float if "float" in field.type else int for field in fields(cls)}
        values = dict(defaults)
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            if name not in kinds:
                raise ValueError(f"No limit {name!r}; there are: {', '.join(kinds)}.")
            try:
                values[name] = kinds[name](value)
            except ValueError:
                raise ValueError(f"The limit {name} is a number, not {value!r}.") from None
        return cls(**values)
