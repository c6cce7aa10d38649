"""Keep keys out of what is written down: a server's complaint may repeat the key that it was sent."""

from __future__ import annotations

import os

NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
SHORTEST = 8
"""Characters of a value that is looked for; shorter ones stand in ordinary text."""


def without_secrets() -> dict[str, str]:
    """This process's environment without them, for a child that has no use for them."""
    return {k: v for k, v in os.environ.items() if not k.upper().endswith(NAMES)}


def without_keys(text: str) -> str:
    """The text with the values of this process's secret-looking environment variables as ***."""
    for name, value in os.environ.items():
        if name.upper().endswith(NAMES) and len(value) >= SHORTEST:
            text = text.replace(value, "***")
    return text
