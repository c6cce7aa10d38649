"""The record of one run: what the model was sent, what it wrote, and how it ended."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from .sandbox.limits import Limit

Stop = Literal["answered", "max_steps", "failed"]
ErrorKind = Literal["parsing", "execution", "other"]
Tags = Literal["code", "markdown", "paper"]


def _storable(text):
    """Half a surrogate pair, which a model may well write, has no place in a UTF-8 file."""
    return text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(_storable)]


class Record(BaseModel):
    """Frozen, and strict about names: a misspelt field is an error, not a silent loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    role: Literal["system", "user", "assistant"]
    content: Text
    """An assistant message holds the model's own words and nothing else."""


class Usage(Record):
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0


class Votes(Record):
    """How a self-consistent step was decided."""

    sampled: int
    parsed: int
    executed: int
    """Ran without an error."""
    votes: int
    """For the winner; 0 if none ran."""
    distinct: int
    """Different outcomes of those that ran."""
    agreement: float = 0.0
    """The winner's share of all sampled, 0 to 1: how sure the model is of this step."""


class Step(Record):
    """One turn of the model; its words are `trajectory.messages[step.message]`."""

    message: int
    """Index of the assistant message in `messages`."""
    finish_reason: str | None = None
    """Why the model stopped writing: "stop", "length" (cut off), or None where the backend does not say."""
    error: ErrorKind | None = None
    """The model's fault: its code did not parse, or raised."""
    seconds: float = 0.0
    limit: Limit | None = None
    """The limit that the step reached, of its action or of the run."""
    votes: Votes | None = None


class Trajectory(Record):
    question: Text
    messages: tuple[Message, ...]
    """Exactly what the model was sent and what it wrote, in order."""
    answer: Text | None
    """The final answer; None unless `stop` is "answered", and where it was answered with nothing."""
    stop: Stop
    """"max_steps" also for a chain of thought that ended without an answer."""
    error: Text | None = None
    """The system's fault, with its reason; set exactly when `stop` is "failed"."""
    model: str
    method: str
    samples: int = 1
    """Candidates per step, at most."""
    temperature: float | None = None
    """As asked for; None means the model's own, greedy if nothing else was said."""
    tools: tuple[str, ...] = ()
    tags: Tags = "code"
    """How the model marks its code (agents/dialect.py)."""
    first_thought: Literal["prefix", "prompt"] | None = None
    """How its first thought was given: as the start of the first reply, or with the question."""
    usage: Usage = Usage()
    seconds: float = 0.0
    steps: tuple[Step, ...] = ()
