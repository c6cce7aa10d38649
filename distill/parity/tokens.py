"""The checks that need no weights: prompts, trained spans, stop tokens, chat template, code tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from agents.dialect import dialects_of
from agents.template import end_of_turn_id, plain, prompt_ids, reply_ids, whole_ids

from .records import Check, Place, Student
from .samples import Turn, template_digest

SETTINGS = "generation_config.json"
AROUND = 8
"""Tokens shown on each side of a difference."""
OTHER_WORDS = {
    "repetition_penalty": 1.0, "encoder_repetition_penalty": 1.0, "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0, "min_length": 0, "min_new_tokens": 0, "num_beams": 1,
    "bad_words_ids": None, "sequence_bias": None, "suppress_tokens": None,
    "begin_suppress_tokens": None, "forced_bos_token_id": None, "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None, "guidance_scale": 1.0, "stop_strings": None,
    "max_time": None,
}  # fmt: skip
"""Settings of generation that change what is written without sampling, each with the value that does not."""


def sent(tokenizer, turn: Turn) -> list[int]:
    """What our engine sends for the messages before a turn."""
    return prompt_ids(tokenizer, plain(chat(turn)))


def rendered(tokenizer, turn: Turn) -> list[int]:
    """What transformers itself makes of them, without anything that our engine remembers."""
    return whole_ids(tokenizer, plain(chat(turn)))


def chat(turn: Turn) -> list[dict]:
    """The messages before a turn, as smolagents hands them to a model."""
    return [
        {"role": m.role, "content": [{"type": "text", "text": m.content}]} for m in turn.messages
    ]


def check_prompts(
    turns: Sequence[Turn],
    tokenizer,
    name: str = "prompt tokens",
    made: Callable[[object, Turn], list[int]] = sent,
) -> Check:
    """Before every trained turn stand the tokens that the tokenizer, loaded again, makes of its messages."""
    for turn in turns:
        if place := difference(turn, turn.prompt, made(tokenizer, turn), tokenizer):
            return Check(
                name=name,
                passed=False,
                detail="the tokens before a turn are not those it was trained after",
                compared=len(turns),
                place=place,
            )
    total = sum(len(turn.prompt) for turn in turns)
    return Check(
        name=name, passed=True, detail=f"{total:,} tokens before the turns", compared=len(turns)
    )


def check_spans(turns: Sequence[Turn], tokenizer) -> Check:
    """What was trained on is each turn's words and its end, in the tokenizer's tokens."""
    name, end = "trained tokens", end_of_turn_id(tokenizer)
    for turn in turns:
        now = [*reply_ids(tokenizer, turn.content), end]
        place = difference(turn, turn.reply, now, tokenizer, len(turn.prompt))
        labels = difference(turn, turn.reply, turn.labels, tokenizer, len(turn.prompt))
        why = None
        if place:
            why = "what was trained on is not the turn's words and its end"
        elif labels:
            place, why = labels, "the labels are not the tokens"
        elif (words := tokenizer.decode(turn.reply[:-1])) != turn.content:
            why = f"{turn.rollout}, message {turn.turn} was trained as {words[:200]!r}"
        if why:
            return Check(name=name, passed=False, detail=why, compared=len(turns), place=place)
    total = sum(len(turn.reply) for turn in turns)
    return Check(name=name, passed=True, detail=f"{total:,} tokens with loss", compared=len(turns))


def check_stops(
    turns: Sequence[Turn], tokenizer, configured, engine: set[int] | None, student: Student | None
) -> Check:
    """The token that ends a trained turn ends a reply everywhere, and none ends it before.

    configured: the generation settings that servers read; None if they cannot be read. engine: what ours
    stops on, if it was asked.
    """
    trained = {turn.reply[-1] for turn in turns}
    places = {"the template": {end_of_turn_id(tokenizer)}}
    if configured is not None:
        places[SETTINGS] = ids_of(configured.eos_token_id)
    if engine is not None:
        places["our engine"] = engine
    if student:
        places["student.json"] = set(student.stops)
    wrong = [
        f"{where} ends a turn with {_named(tokenizer, stops)}"
        for where, stops in places.items()
        if not trained <= stops
    ]
    place = None
    for where, stops in places.items():
        if early := ends_early(turns, stops, tokenizer):
            why, place = early
            wrong.append(f"{where} {why}")
    detail = f"{_named(tokenizer, trained)} was trained to end a turn"
    return Check(
        name="stop tokens",
        passed=not wrong,
        detail=f"{detail}, but {'; '.join(wrong)}" if wrong else detail,
        compared=len(places),
        place=place,
    )


def ends_early(turns: Sequence[Turn], stops: set[int], tokenizer) -> tuple[str, Place] | None:
    """Which of the stop tokens stands inside a trained reply, and where; None if none does."""
    for turn in turns:
        at = next((at for at, token in enumerate(turn.reply[:-1]) if token in stops), None)
        if at is None:
            continue
        token = turn.reply[at]
        before = tokenizer.decode(turn.reply[max(0, at - AROUND) : at])
        return (
            f"ends it at {decoded(tokenizer, token)} ({token}), which trained replies go on after",
            Place(
                rollout=turn.rollout,
                turn=turn.turn,
                token=len(turn.prompt) + at,
                recorded=around(tokenizer, turn.reply, at),
                found=f"{before!r} [end of the turn]",
            ),
        )
    return None


def check_settings(configured, turns: Sequence[Turn]) -> Check:
    """Nothing in the generation settings changes or cuts a greedy reply: servers read them, training did not."""
    asked = {
        name: value
        for name, harmless in OTHER_WORDS.items()
        if (value := getattr(configured, name, None)) not in (None, harmless)
    }
    told = ", ".join(f"{name} {value}" for name, value in asked.items())
    wrong = [f"asks for {told}: servers obey it, and write other words"] if asked else []
    wrong += too_short(configured, turns)
    return Check(
        name="generation settings",
        passed=not wrong,
        detail=f"{SETTINGS} {'; it '.join(wrong)}; take it out"
        if wrong
        else "nothing that changes a greedy reply",
        compared=1,
    )


def too_short(configured, turns: Sequence[Turn]) -> list[str]:
    """The limits that a trained reply, with its end, does not fit."""
    found = []
    for name, size in {
        "max_new_tokens": lambda turn: len(turn.reply),
        "max_length": lambda turn: len(turn.prompt) + len(turn.reply),
    }.items():
        limit, longest = getattr(configured, name, None), max(turns, key=size)
        if limit is not None and limit < size(longest):
            found.append(
                f"has {name} {limit}, and {longest.rollout}, message {longest.turn} takes {size(longest)} tokens"
            )
    return found


def check_context(turns: Sequence[Turn], context: int) -> Check:
    """The model can be sent what was trained on, and has room for the reply. context: its tokens."""
    longest = max(turns, key=lambda turn: len(turn.prompt) + len(turn.reply))
    size = len(longest.prompt) + len(longest.reply)
    where = "" if size <= context else f" ({longest.rollout}, message {longest.turn})"
    return Check(
        name="context",
        passed=size <= context,
        detail=f"prompt and reply take up to {size:,} tokens{where}"
        + (f"; the model holds {context:,}" if context < 10**9 else ""),
        compared=len(turns),
    )


def check_template(tokenizers: dict[str, object], student: Student | None) -> Check:
    """Every tokenizer of the student has the template that was trained with."""
    name = "chat template"
    if student is None:
        return Check(name=name, passed=None, detail="no student.json tells which was trained with")
    for where, tokenizer in tokenizers.items():
        if (found := template_digest(tokenizer)) != student.template:
            return Check(
                name=name,
                passed=False,
                detail=f"the template of {where} (sha256 {found[:12]}…) is not the one that was trained "
                f"with ({student.template[:12]}…)",
                compared=len(tokenizers),
            )
    return Check(
        name=name, passed=True, detail=f"sha256 {student.template[:12]}…", compared=len(tokenizers)
    )


def check_agent(turns: Sequence[Turn], student: Student | None, folder: Path) -> Check:
    """The solver that will serve the student has the system prompt and the code tags that were trained."""
    name = "prompt and tags"
    if student is None:
        return Check(name=name, passed=None, detail="no student.json tells what was trained with")
    try:
        prompt, tags, left_out = _as_served(student, folder)
    except ValueError as error:
        return Check(name=name, passed=None, detail=f"its agent cannot be made here: {error}")
    n, told = len(turns), tags or student.method
    trained = dialects_of(turn.content for turn in turns)
    if tags and trained and tags not in trained:
        why = f"the agent takes {tags} tags; trained were {', '.join(sorted(trained))}"
        return Check(name=name, passed=False, detail=why, compared=n)
    if left_out:
        told += f"; the system prompt was not compared: {left_out}"
        return Check(name=name, passed=True, detail=told, compared=n)
    under = {turn.messages[0].content: turn for turn in turns}
    if prompt not in under:
        why = f"the system prompt ({student.prompt}) is not one that was trained under"
        before, turn = next(iter(under.items()))
        place = _words_place(turn, before, prompt)
        return Check(name=name, passed=False, detail=why, compared=n, place=place)
    # Rollouts with other tools were trained under other prompts, which are of no student's agent alone.
    of = f", one of the {len(under)} it was trained under" if len(under) > 1 else ""
    return Check(name=name, passed=True, detail=f"{told}, same system prompt{of}", compared=n)


def _as_served(student: Student, folder: Path) -> tuple[str, str | None, str | None]:
    """System prompt and tags of the agent that is made for the student, and why the prompt does not count."""
    from smolagents import Model

    from agents import make_agent
    from agents.agent import read_prompt
    from agents.models import read_student

    from ..solvers import load_tools

    if student.method != "agent":
        return read_prompt("cot"), None, None
    try:
        tools, left_out = load_tools(",".join(student.tools)), None
    except (ValueError, ImportError) as error:
        tools, left_out = [], str(error)
    model = Model()
    model.student = read_student(str(folder))
    agent = make_agent(model, tools)
    return agent.system_prompt, agent.dialect.name, left_out


def _words_place(turn: Turn, before: str, now: str) -> Place:
    """Where two system prompts part, in characters."""
    at = first_difference(before, now)
    start = max(0, at - 40)
    return Place(
        rollout=turn.rollout,
        turn=0,
        token=at,
        recorded=repr(before[start : at + 40]),
        found=repr(now[start : at + 40]),
    )


def difference(
    turn: Turn, recorded: Sequence[int], found: Sequence[int], tokenizer, offset: int = 0
) -> Place | None:
    """Where two rows of tokens part; None if they are equal. offset: tokens of the sample before both."""
    at = first_difference(recorded, found)
    if at is None:
        return None
    return Place(
        rollout=turn.rollout,
        turn=turn.turn,
        token=offset + at,
        recorded=around(tokenizer, recorded, at),
        found=around(tokenizer, found, at),
    )


def first_difference(a: Sequence, b: Sequence) -> int | None:
    """Index of the first element that differs; the shorter's length, where the longer goes on."""
    for at, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return at
    return None if len(a) == len(b) else min(len(a), len(b))


def around(tokenizer, ids: Sequence[int], at: int) -> str:
    """A token in brackets with its number, and its neighbours' text."""
    before = tokenizer.decode(list(ids[max(0, at - AROUND) : at]))
    if at >= len(ids):
        return f"{before!r} [nothing more]"
    after = tokenizer.decode(list(ids[at + 1 : at + 1 + AROUND]))
    return f"{before!r} [{decoded(tokenizer, ids[at])} {ids[at]}] {after!r}"


def decoded(tokenizer, token: int) -> str:
    """A token's text, quoted; a label without loss has none."""
    return repr(tokenizer.decode([token])) if token >= 0 else "no token"


def _named(tokenizer, ids: set[int]) -> str:
    return " ".join(f"{tokenizer.decode([i])} ({i})" for i in sorted(ids)) or "nothing"


def ids_of(value: int | list[int] | None) -> set[int]:
    """The tokens of an `eos_token_id`, which may be one, several or none."""
    return set(value) if isinstance(value, list | tuple) else {value} - {None}


def generation_settings(folder: Path, base: str | None):
    """The student's own `generation_config.json`; else its base's, else what the model's settings tell.

    Raises ValueError for a file that is there and cannot be read.
    """
    from transformers import AutoConfig, GenerationConfig

    for place in filter(None, (str(folder), base)):
        try:
            return settings_in(place)
        except OSError:
            continue
    return GenerationConfig.from_model_config(AutoConfig.from_pretrained(base or str(folder)))


def settings_in(place: str):
    """The generation settings of a folder or Hub id: OSError where there are none, ValueError for broken ones."""
    from transformers import GenerationConfig

    file = Path(place, SETTINGS)
    try:
        if file.exists() and not isinstance(json.loads(file.read_bytes()), dict):
            raise ValueError("it holds no settings")
        found = GenerationConfig.from_pretrained(place)
        for token in ids_of(found.eos_token_id):
            if type(token) is not int or token < 0:
                raise ValueError(f"its eos_token_id has {token!r}, which is no token's number")
    except Exception as error:  # of values that the library takes as they come
        if isinstance(error, OSError) and not file.exists():
            raise
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{SETTINGS} cannot be read: {line}") from error
    return found
