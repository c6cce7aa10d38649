"""What the parity certificate is made of, as it lies in files."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from agents import Message
from agents.trajectory import Record


class Tokens(Record):
    """A training sample, as it was trained on."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    """As long as `input_ids`: the token itself where it was trained on, else -100."""


class Recorded(Record):
    """One line of `parity_samples.jsonl`: a rollout, and what training made of it."""

    problem: str
    """benchmark/id/attempt"""
    messages: tuple[Message, ...]
    """Under the student's system prompt, as they were encoded."""
    samples: tuple[Tokens, ...]
    loss: float | None = None
    """Mean negative log-likelihood of their trained tokens, each counted once, by the model as it stood in
    training's memory; None where that was not kept."""


class Student(Record):
    """`student.json`: what a student was trained for, and what it was trained with."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # others may keep more in this file

    method: str
    prompt: str
    """A name of `agents/prompts`, or a file."""
    tags: str | None = None
    """How a turn marks its code, as agents/dialect.py names it; None for a method without code."""
    tools: tuple[str, ...] = ()
    template: str
    """sha256 of the chat template."""
    stops: tuple[int, ...]
    """Tokens that end a turn; the first is the one that was trained."""
    files: dict[str, str] = Field(default_factory=dict)
    """sha256 of weights, tokenizer and chat template as training left them, by name; of an adapter's settings
    without the place of its base."""


class Place(Record):
    """Where two rows of tokens part, with a few tokens around it."""

    rollout: str
    turn: int
    """Index in the rollout's messages of the assistant's turn."""
    token: int
    """Index of the first token that differs, from the start of the sample."""
    recorded: str
    found: str


class Check(Record):
    name: str
    passed: bool | None
    """None: not tried, and `detail` says why."""
    detail: str
    compared: int = 0
    """How many turns, prompts or files."""
    place: Place | None = None
    """Of the first difference."""


class Certificate(Record):
    """`parity.json`. It belongs to the files whose digests it holds (`still_holds`)."""

    student: str
    """The folder's name."""
    passed: bool
    date: str
    source: str
    """"training": the samples were kept by the training; "rollouts": they were encoded for this."""
    rollouts: int
    turns: int
    k: int
    """Prompts answered by every form of the student."""
    tokens: int
    """Of each answer, at most."""
    seed: int
    checks: tuple[Check, ...]
    template: str
    """sha256 of the chat template."""
    base: str | None
    """Of an adapter: its base, as a Hub id or a folder's name."""
    base_commit: str | None = None
    """Of a base on the Hub."""
    digests: dict[str, dict[str, str]]
    """sha256 per file, of "student", and where they were there "base", "merged" and "exported"."""
    versions: dict[str, str]
    seconds: float
