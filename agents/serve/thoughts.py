"""What an agent does, told as the `reasoning_content` of a chat model: thought, code, observation, as Markdown."""

from __future__ import annotations

import re

from smolagents import ActionStep

from ..solve import Piece

OPENS, CLOSES = "<code>", "</code>"
TAGS = (OPENS, CLOSES, OPENS + "\n")


class Thoughts:
    """Of one run: events in, text to add out. `text` is all of it."""

    def __init__(self):
        self.text = ""
        self._held = ""
        """The end of what was written, where it may be the beginning of a tag."""
        self._step = ""
        """Of the step that is being written, as it was told."""
        self._pieces = ""
        """The same, as it was written."""

    def of(self, event: Piece | ActionStep) -> str:
        if isinstance(event, Piece):
            told = self._fenced(event.text)
            self._step += told
            self._pieces += event.text
        else:
            told = self._ended(event)
            self._step = self._held = self._pieces = ""
        self.text += told
        return told

    def _fenced(self, text: str) -> str:
        """With smolagents' tags, which a page would take for HTML, as a fenced block."""
        text = self._held + text
        at = text.rfind("<")
        tail = text[at:] if at >= 0 else ""
        self._held = tail if tail and any(t.startswith(tail) and t != tail for t in TAGS) else ""
        return self._with_fences(text.removesuffix(self._held))

    def _with_fences(self, text: str) -> str:
        text = text.replace(OPENS + "\n", OPENS).replace(OPENS, "\n```python\n")
        text = text.replace("\n" + CLOSES, CLOSES).replace(CLOSES, "\n```\n")
        # The line break before a tag may have been told with an earlier piece.
        return text[1:] if text.startswith("\n```") and self._step.endswith("\n") else text

    def _ended(self, step: ActionStep) -> str:
        """What its pieces have not told, and what came of it."""
        words = (step.model_output or "").strip()
        told = self._with_fences(self._held) + self._closed(self._with_fences(self._held))
        if words and not words.startswith(self._pieces.strip()):
            # Of several candidates the first one was told, and another has won the vote.
            told += "\n\nMost candidates agree on another:\n\n"
            self._step, self._pieces = "", ""
        if not self._pieces:
            words = self._with_fences(words)
            told += words + self._closed(words)
        parts = [told]
        if step.observations:
            parts.append("\n\nObservation:\n" + fenced(step.observations.strip()))
        if step.error:
            parts.append("\n\nError:\n" + fenced(step.error.message.strip()))
        told = "".join(parts)
        return f"{told}\n\n" if told else ""

    def _closed(self, rest: str) -> str:
        """What closes a block that is open at the end of the step: a reply ends before its closing tag."""
        written = self._step + rest
        if len(re.findall(r"^```", written, re.MULTILINE)) % 2 == 0:
            return ""
        return "```" if written.endswith("\n") else "\n```"


def fenced(text: str) -> str:
    """A block whose fence no line of the text can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
