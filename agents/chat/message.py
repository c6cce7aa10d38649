"""What a visitor writes, cleaned at the door: what cannot be seen is left out, what is no text is refused."""

from __future__ import annotations

import re
from typing import NamedTuple

from .rules import RefusedError, Rules

# Written as numbers: the characters themselves cannot be told apart in an editor.
CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""They change the order in which neighbours are shown; right-to-left text does not need them."""
UNSEEN = re.compile(
    "[\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Zero width, and the tag characters in which whole hidden messages are written."""
JOINERS = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])")
"""Between letters of Persian or Hindi, or parts of an emoji, they are spelling; elsewhere they hide."""
SURROGATES = re.compile("[\ud800-\udfff]")


class Cleaned(NamedTuple):
    text: str
    note: str | None
    """One sentence on what was left out; None if nothing was."""


def clean(text: str, rules: Rules = Rules()) -> Cleaned:  # noqa: B008 - frozen
    """The message as the agent is given it. Right-to-left text and chat tokens stay: they are text.

    Raises RefusedError for one that is empty, too long, or no text.
    """
    if not isinstance(text, str):
        raise RefusedError("A message is text.")
    if len(text) > rules.message_chars:
        raise RefusedError(
            f"Your message has {len(text):,} characters; at most {rules.message_chars:,} are taken."
        )
    if "\0" in text:
        raise RefusedError("This is no text: it holds zero bytes, as a binary file does.")
    cleaned, gone = _without_unseen(text)
    if not cleaned:
        raise RefusedError("Please ask something.")
    if gone > len(cleaned):
        raise RefusedError("This is no text: most of it cannot be shown.")
    told = f"{gone} invisible or control character{'s' * (gone > 1)} of your message were left out."
    return Cleaned(cleaned, told if gone else None)


def visible(text: str) -> str:
    """What was said earlier, of any length, without what cannot be seen."""
    return _without_unseen(text.replace("\0", ""))[0]


def _without_unseen(text: str) -> tuple[str, int]:
    """The text, and how many characters of it were left out."""
    cleaned, gone = text.replace("\r\n", "\n").replace("\r", "\n"), 0
    for pattern in (SURROGATES, CONTROL, OVERRIDES, UNSEEN, JOINERS):
        cleaned, count = pattern.subn("", cleaned)
        gone += count
    return cleaned.strip(), gone
