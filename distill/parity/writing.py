"""What a student writes: by our engine, and by plain transformers; and how plain transformers reads it."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from agents.local import LocalModel, end_ids

from .samples import Turn
from .tokens import chat, ids_of

LONG, LONG_TRIES = 256, 4
"""Tokens within which a reply may end by itself, and prompts of which that is tried."""
DRAWN, OF_EACH = 2, 4
"""Prompts of which samples are drawn, and samples of each."""


@dataclass(frozen=True)
class Answer:
    prompt: list[int]
    """As it was sent."""
    written: list[int]
    """Without the token that ended it."""
    ended: bool
    """By such a token, and not by the limit."""


def chosen(turns: Sequence[Turn], k: int, seed: int) -> list[Turn]:
    """k of the turns, of as many rollouts as there are; or all."""
    by_rollout: dict[str, list[Turn]] = {}
    for turn in Random(seed).sample(turns, len(turns)):
        by_rollout.setdefault(turn.rollout, []).append(turn)
    rounds = max(map(len, by_rollout.values()), default=0)
    each = [own[i] for i in range(rounds) for own in by_rollout.values() if i < len(own)]
    return each[:k]


class LoadError(ValueError):
    """The student itself cannot be loaded, so that there is nothing to compare."""


@contextmanager
def our_engine(folder: str, seed: int):
    """The engine that answers in an agent; at the end it lets go of its weights."""
    _let_go()
    try:
        engine = LocalModel(folder, seed=seed)
    except ValueError as error:
        raise LoadError(str(error)) from error
    try:
        yield engine
    finally:
        engine.engine.between(engine.engine.recall.clear)
        engine.model = engine.engine.decoder = None  # its thread holds on to the rest for a while


def ends_of(engine: LocalModel) -> set[int]:
    """The tokens at which our engine ends a reply."""
    return set(end_ids(engine.model, engine.tokenizer))


def answer(engine: LocalModel, turn: Turn, tokens: int) -> Answer:
    """Our engine's greedy reply to a turn's messages."""
    reply = engine.generate(chat(turn), temperature=0.0, max_tokens=tokens)
    told = reply.raw
    return Answer(
        list(told["prompt_ids"]), list(told["token_ids"]), told["finish_reason"] == "stop"
    )


def long_answer(
    engine: LocalModel, turns: Sequence[Turn], answers: Sequence[Answer]
) -> tuple[Turn, Answer] | None:
    """A reply that ended by itself: of the answers, or a longer one to the first turns; None if none does."""
    for turn, known in zip(turns, answers, strict=True):
        if known.ended:
            return turn, known
    for turn in turns[:LONG_TRIES]:
        found = answer(engine, turn, LONG)
        if found.ended:
            return turn, found
    return None


def draw(engine: LocalModel, turns: Sequence[Turn], tokens: int) -> list[list[int]]:
    """Samples at temperature 1 for the first turns, OF_EACH of each."""
    return [
        list(reply.raw["token_ids"])
        for turn in turns[:DRAWN]
        for reply in engine.sample(chat(turn), OF_EACH, temperature=1.0, max_tokens=tokens)
    ]


@contextmanager
def loaded(load: Callable):
    """A model and its tokenizer, on the GPU where there is one."""
    import torch

    _let_go()
    model, tokenizer = load()
    if torch.cuda.is_available():
        model = model.to("cuda")
    yield model.eval(), tokenizer


@contextmanager
def one_at_a_time():
    """Models are collected before the next is loaded; what was there before is passed over, which is quick."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _let_go() -> None:
    """Give back the memory of the model before: glibc alone would keep most of it, in pieces."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def plain_answers(model, answers: Sequence[Answer], tokens: int) -> list[Answer]:
    """What transformers' own `generate` writes after the same prompts, until the model's own settings end it."""
    import torch
    from transformers import GenerationConfig

    own = model.generation_config
    ends = ids_of(own.eos_token_id)
    # Penalties and the like are told of by `check_settings`; here weights are compared.
    model.generation_config = GenerationConfig(
        eos_token_id=sorted(ends) or None, pad_token_id=min(ends, default=0), do_sample=False
    )
    found = []
    try:
        for prompt in (a.prompt for a in answers):
            ids = torch.tensor([prompt], device=model.device)
            limit, written = min(tokens, room(model, prompt)), []
            if limit:
                with torch.inference_mode():
                    out = model.generate(
                        ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit
                    )
                written = out[0, len(prompt) :].tolist()
            ended = bool(written) and written[-1] in ends
            found.append(Answer(prompt, written[:-1] if ended else written, ended))
    finally:
        model.generation_config = own
    return found


def room(model, prompt: list[int]) -> int:
    """Tokens that fit the model's context after a prompt; 0 where that is longer itself."""
    config = model.config.get_text_config()
    return max(0, (getattr(config, "max_position_embeddings", None) or 10**9) - len(prompt))


def read(model, answer: Answer):
    """Logits (written + 1, vocabulary) of reading prompt and answer at once: before each token, and after all."""
    import torch

    written = answer.written[: room(model, answer.prompt)]
    ids = torch.tensor([answer.prompt + written], device=model.device)
    with torch.inference_mode():
        out = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            use_cache=False,
            logits_to_keep=len(written) + 1,
        )
    return out.logits[0].float().cpu()
