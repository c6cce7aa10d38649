"""Read a stored trajectory back as the steps that were seen when it ran: thought, code, what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..dialect import dialect
from ..trajectory import Step, Trajectory

THOUGHT = re.compile(r"^\s*Thought:\s*")
BEFORE_CODE = re.compile(r"\s*\bCode:\s*$")
"""What the paper's students write before a block, which opens there only by its fence."""


@dataclass(frozen=True)
class StoredStep:
    """A step of a run that is over, as far as its record tells."""

    number: int
    """From 1."""
    thought: str
    code: str | None
    """None where the model wrote none, or its tags did not close."""
    observation: str | None
    """What the model was shown next; None after the last step, of which the record holds no observation."""
    step: Step
    """Error, limit, seconds, votes."""


def stored_steps(trajectory: Trajectory) -> list[StoredStep]:
    """The steps of a trajectory, in order; of a later turn of a conversation, its own alone."""
    messages = trajectory.messages
    found = []
    for number, step in enumerate(trajectory.steps, 1):
        thought, code = split(messages[step.message].content, trajectory.tags)
        after = messages[step.message + 1 : step.message + 2]
        observation = after[0].content if after and after[0].role == "user" else None
        found.append(StoredStep(number, thought, code, observation, step))
    return found


def split(words: str, tags: str = "code") -> tuple[str, str | None]:
    """Thought and code of what a model wrote in a step; the code of several blocks is joined."""
    speech = dialect(tags)
    opening, closing = speech.tags or speech.pair
    # Formatted, a tag is the pattern that smolagents looks for.
    block = re.compile(f"{opening}(.*?){closing}", re.DOTALL)
    code = [found.strip() for found in block.findall(words)]
    thought = block.sub("", words).rstrip().removesuffix("<end_code>")
    if not code:
        # Added to a reply that was cut at it, or seemed so.
        thought = thought.removesuffix(speech.pair[1])
    return THOUGHT.sub("", BEFORE_CODE.sub("", thought)).strip(), "\n\n".join(code) or None


def system_prompt(trajectory: Trajectory) -> str | None:
    """What the model was told before the question; None where it was told nothing."""
    first = trajectory.messages[:1]
    return first[0].content if first and first[0].role == "system" else None
