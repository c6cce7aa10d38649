"""From kept rollouts to what a student is trained on: its own prompt, its tokens, each sample checked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smolagents import Model

from agents import Message, Trajectory, make_agent
from agents.agent import read_prompt
from agents.dialect import dialect

from .benchmarks import at_hand, load
from .contamination import clean, overlaps, rows, table
from .encode import Sample, check, encode, shorten, turn_weights
from .filter import KEPT
from .progress import progress
from .rollout import Rollout, read_lines
from .settings import Settings
from .solvers import load_tools


@dataclass
class TrainingData:
    train: list[Sample] = field(default_factory=list)
    validation: list[Sample] = field(default_factory=list)
    recorded: list[tuple[str, Sequence[Message], list[Sample]]] = field(default_factory=list)
    """Rollouts that are trained on: their name, messages and samples."""
    too_long: int = 0
    """Rollouts left out for their length."""
    shortened: int = 0
    without_loss: int = 0
    """Rollouts left out because no turn of theirs is trained on."""

    @property
    def tokens(self) -> int:
        return sum(len(sample.input_ids) for sample in self.train)

    @property
    def trained_tokens(self) -> int:
        return sum(end - start for sample in self.train for start, end in sample.spans())

    @property
    def longest_reply(self) -> int:
        """Tokens of the longest turn that is trained on."""
        return max(end - start for sample in self.train for start, end in sample.spans())

    @property
    def longest(self) -> int:
        return max(len(sample.input_ids) for sample in (*self.train, *self.validation))


def read_kept(folders: Sequence[Path], method: str | None = None) -> list[Rollout]:
    """The kept rollouts of the folders; ValueError where there are none, or of several methods or tags."""
    kept: list[Rollout] = []
    for folder in folders:
        if not (folder / KEPT).is_file():
            raise ValueError(
                f"No {KEPT} in {folder}; run `python -m distill filter {folder}` first."
            )
        kept += read_lines(folder / KEPT).values()
    if method:
        kept = [r for r in kept if r.trajectory.method == method]
    if not kept:
        where = ", ".join(map(str, folders))
        raise ValueError(
            f"Nothing to train on: {where} kept no rollout{f' of method {method}' if method else ''}."
        )
    methods = {r.trajectory.method for r in kept}
    if len(methods) > 1:
        raise ValueError(
            f"The rollouts are of several methods ({', '.join(sorted(methods))}); choose one with --method."
        )
    tags = {r.trajectory.tags for r in kept}
    if len(tags) > 1:
        raise ValueError(
            f"The rollouts write code between several kinds of tags ({', '.join(sorted(tags))}); a student "
            "learns one. Train on the folders of one kind."
        )
    return kept


def decontaminated(
    rollouts: list[Rollout], against: str | None, drop: bool, seed: int
) -> tuple[list[Rollout], tuple | None]:
    """The rollouts to train on, and what was found of the benchmarks among their problems; it is printed.

    Raises ValueError where nothing is left.
    """
    names = at_hand({r.problem.benchmark for r in rollouts}) if against is None else against
    if not names:
        if drop:
            raise ValueError("No benchmark is at hand to look for; name them with --against.")
        return rollouts, None
    test = [p for name in names.split(",") for p in load(name, seed=seed).problems]
    found = overlaps(rollouts, test)
    counted = rows(rollouts, test, found)
    there = [row for row in counted if row.exact or row.near]
    print(f"Contamination, {len({r.problem for r in rollouts})} training problems against {names}:")
    print(
        table(there) if there else "none of them stands there, to the word or nearly.", flush=True
    )
    flagged = len({overlap.training for overlap in found if overlap.kind == "exact"})
    if flagged and not drop:
        print(
            f"{flagged} training problems stand in a benchmark and are kept; --drop-contaminated leaves them out."
        )
    if drop and found:
        clean_ones = clean(rollouts, found)
        print(
            f"Left out {len(rollouts) - len(clean_ones)} of {len(rollouts)} rollouts.", flush=True
        )
        if not clean_ones:
            raise ValueError(
                f"Every training problem stands in {names}; nothing is left to train on."
            )
        rollouts = clean_ones
    return rollouts, (found, counted)


def student_messages(
    rollouts: Sequence[Rollout], prompt: str | None = None, tools: str = ""
) -> list[tuple[Message, ...]]:
    """The rollouts' conversations under the student's system prompt, the one that inference will send.

    prompt: of the agent; that of the rollouts' tags, if None. tools: files of tools that are not found by
    their names.
    """
    given = {tool.name: tool for tool in load_tools(tools)}
    prompts: dict[tuple[str, ...], str] = {}
    conversations = []
    for rollout in rollouts:
        trajectory = rollout.trajectory
        if (names := trajectory.tools) not in prompts:
            if trajectory.method == "agent":
                loaded = [given.get(name) or load_tools(name)[0] for name in names]
                prompts[names] = make_agent(
                    Model(), loaded, prompt=prompt or prompt_of(trajectory), tags=trajectory.tags
                ).system_prompt
            else:
                prompts[names] = read_prompt(prompt or "cot")
        system = Message(role="system", content=prompts[names])
        conversations.append((system, *_as_asked(trajectory)))
    return conversations


def prompt_of(trajectory: Trajectory) -> str:
    """The name of the system prompt that students of such rollouts are trained with."""
    return dialect(trajectory.tags).prompt if trajectory.method == "agent" else "cot"


def _as_asked(trajectory: Trajectory) -> list[Message]:
    """The conversation from the question on: without the first thought that was put beside it."""
    said = [m for m in trajectory.messages if m.role != "system"]
    if trajectory.first_thought == "prompt":
        head, question, _ = said[0].content.partition(trajectory.question)
        said[0] = Message(role="user", content=head + question)
    return said


def encode_rollouts(
    tokenizer, rollouts: Sequence[Rollout], settings: Settings, context: int | None = None
) -> TrainingData:
    """Every rollout's samples, checked against inference; a share of the problems is held out.

    context: tokens that the model can read, where that is known; a longer sample is too long. Raises
    ValueError where nothing is left to train on.
    """
    data = TrainingData()
    limit = min(settings.max_length, context or settings.max_length)
    held_out = _held_out(rollouts, settings)
    conversations = student_messages(rollouts, settings.prompt, settings.tools)
    weights = settings.weights()
    with progress("encode", len(rollouts)) as advance:
        for rollout, messages in zip(rollouts, conversations, strict=True):
            advance()
            turns = turn_weights(rollout.trajectory, settings.mask_errors, weights)
            samples = encode(tokenizer, messages, turns)
            if max(len(s.input_ids) for s in samples) > limit:
                shorter = None
                if settings.too_long == "shorten":
                    shorter = shorten(tokenizer, messages, limit)
                if shorter is None:
                    data.too_long += 1
                    continue
                messages, data.shortened = shorter, data.shortened + 1
                samples = encode(tokenizer, messages, turns)
            check(tokenizer, messages, samples, turns)
            samples = [sample for sample in samples if sample.spans()]
            if not samples:
                data.without_loss += 1
            elif rollout.problem.key in held_out:
                data.validation += samples
            else:
                data.train += samples
                data.recorded.append(("/".join(map(str, rollout.key)), messages, samples))
    if not data.train:
        raise ValueError(_nothing_left(data, len(rollouts), limit))
    return data


def _held_out(rollouts: Sequence[Rollout], settings: Settings) -> set:
    """Keys of the problems that are not trained on, drawn by the seed."""
    keys = sorted({rollout.problem.key for rollout in rollouts})
    n = round(settings.validation * len(keys))
    if settings.validation and not 0 < n < len(keys):
        raise ValueError(
            f"A validation share of {settings.validation} of {len(keys)} problems leaves "
            f"{'none to train on' if n else 'none to validate on'}."
        )
    return set(random.Random(settings.seed).sample(keys, n))


def _nothing_left(data: TrainingData, rollouts: int, limit: int) -> str:
    if data.too_long == rollouts:
        return (
            f"Every sample is longer than {limit} tokens, what --max-length and the model's context leave; "
            "nothing is cut off to fit."
        )
    if data.without_loss:
        return f"Nothing to train on: all turns of {data.without_loss} rollouts have no weight in the loss."
    return "Nothing to train on: every rollout is held out, too long or without loss."
