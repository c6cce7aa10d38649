"""The checks of a served student: what its server made of the prompt, wrote, and stopped on.

vLLM reports token ids when asked (`return_token_ids`). Other servers count the prompt's tokens, which a
template that differs seldom leaves the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.endpoint import EndpointModel
from agents.models import load_model
from agents.template import holds_control, plain, reply_ids, served_ids

from .outputs import Reference, answer_place, apart
from .records import Check
from .samples import Turn
from .tokens import chat, difference
from .writing import Answer

ROUNDING = 2e-2
"""Of the largest logit: how near two tokens lie that a server in half precision may take for each other."""
NAMES = ("served: prompt tokens", "served: greedy", "served: stops")


@dataclass(frozen=True)
class Reply:
    text: str
    reason: str | None
    prompt_ids: list[int] | None
    """None where the server does not report them."""
    token_ids: list[int] | None
    prompt_tokens: int
    """0 where the server does not count."""


def check_served(
    served: str, ours: Reference, tokens: int, long: tuple[Turn, Answer] | None
) -> list[Check]:
    """Ask the endpoint what our engine was asked.

    long: a turn, and our engine's answer to it that ended by itself. Raises ValueError for a name that is no endpoint's.
    """
    from openai import OpenAIError

    try:
        replies = asked(served, ours.turns, tokens)
        last = asked(served, [long[0]], len(long[1].written) + 8) if long else []
    except OpenAIError as error:
        why = f"the server did not answer: {(str(error).splitlines() or [type(error).__name__])[0][:200]}"
        return [Check(name=name, passed=False, detail=why) for name in NAMES]
    return [check_prompt(ours, replies), check_text(ours, replies), check_ended(long, last)]


def asked(served: str, turns: Sequence[Turn], tokens: int) -> list[Reply]:
    """The server's greedy reply to every turn's messages."""
    model = load_model(served, max_tokens=tokens)
    if not isinstance(model, EndpointModel):
        raise ValueError(f"{served!r} is no endpoint; name it http://host:port/v1#model.")
    extra = {"return_token_ids": True}
    replies = []
    for turn in turns:
        reply, extra = _ask(model, chat(turn), tokens, extra)
        replies.append(reply)
    return replies


def _ask(model: EndpointModel, messages, tokens: int, extra: dict) -> tuple[Reply, dict]:
    """One reply, and what may be asked for beside it: servers that refuse what they do not know get nothing."""
    from openai import APIStatusError

    settings = {"temperature": 0.0, "max_tokens": tokens}
    try:
        response = model._send(
            messages, None, **settings, **({"extra_body": extra} if extra else {})
        )
    except APIStatusError as error:
        if not extra or error.status_code not in (400, 422):
            raise
        extra = {}
        response = model._send(messages, None, **settings)
    choice, usage = response.choices[0], response.usage
    return Reply(
        choice.message.content or "",
        choice.finish_reason,
        getattr(response, "prompt_token_ids", None),
        getattr(choice, "token_ids", None),
        usage.prompt_tokens if usage else 0,
    ), extra


def check_prompt(ours: Reference, replies: Sequence[Reply]) -> Check:
    """The server made of the messages the tokens that our engine sends; or at least as many."""
    name, n, counted = NAMES[0], len(replies), 0
    for turn, answer, reply in zip(ours.turns, ours.answers, replies, strict=True):
        if reply.prompt_ids is None and not reply.prompt_tokens:
            why = "the server neither reports the prompt's tokens nor counts them"
            return Check(name=name, passed=None, detail=why)
        counted += reply.prompt_ids is None
        if reads_as(reply, answer.prompt):
            continue
        why, place = _otherwise(ours, turn, reply), None
        if reply.prompt_ids is not None:
            place = difference(turn, answer.prompt, list(reply.prompt_ids), ours.tokenizer)
        else:
            why += (
                f": it counts {reply.prompt_tokens} tokens in the prompt of {turn.rollout}, message "
                f"{turn.turn}; our engine sends {len(answer.prompt)}"
            )
        return Check(name=name, passed=False, detail=why, compared=n, place=place)
    how = "counted by the server, not reported" if counted else "as the server reports them"
    return Check(name=name, passed=True, detail=how, compared=n)


def reads_as(reply: Reply, ids: list[int]) -> bool:
    """Whether the server read these tokens; as far as it tells, as many."""
    if reply.prompt_ids is not None:
        return list(reply.prompt_ids) == ids
    return reply.prompt_tokens in (0, len(ids))


def _otherwise(ours: Reference, turn: Turn, reply: Reply) -> str:
    """What a server does that reads other tokens."""
    messages = plain(chat(turn))
    if holds_control(ours.tokenizer, messages) and reads_as(
        reply, served_ids(ours.tokenizer, messages)
    ):
        return "the server takes a control token that a message speaks of for one: a page could end a turn"
    return "the server reads other tokens"


def check_text(ours: Reference, replies: Sequence[Reply]) -> Check:
    """The server writes what our engine writes after the same prompt, near-ties of half precision apart."""
    name, ties, same = NAMES[1], 0, 0
    for number, reply in enumerate(replies):
        if not reads_as(reply, ours.answers[number].prompt):
            continue
        same += 1
        other = _answer(ours, number, reply)
        parted = apart(ours, number, other) if other else None
        if parted is None:
            continue
        at, margin = parted
        if margin > ROUNDING * ours.scale:
            why = f"the server writes another token, {margin:.2g} apart in our logits"
            place = answer_place(ours, number, other, at)
            return Check(name=name, passed=False, detail=why, compared=same, place=place)
        ties += 1
    if not same:
        return Check(name=name, passed=None, detail="the server read no prompt as our engine does")
    told = f"{same - ties} texts equal" + (f", {ties} parted at a near-tie" if ties else "")
    return Check(name=name, passed=True, detail=told, compared=same)


def _answer(ours: Reference, number: int, reply: Reply) -> Answer | None:
    """The reply in tokens: as reported; else ours as far as the text goes with it. None if the texts are equal."""
    mine, decode = ours.answers[number], ours.tokenizer.decode
    ended = reply.reason != "length"
    if reply.token_ids is not None:
        ids = list(reply.token_ids)
        return Answer(mine.prompt, ids[:-1] if ids and ids[-1] in ours.ends else ids, ended)
    if reply.text.strip() == decode(mine.written, skip_special_tokens=True).strip():
        return None
    same = 0
    while same < len(mine.written) and reply.text.startswith(
        decode(mine.written[: same + 1], skip_special_tokens=True)
    ):
        same += 1
    begun = decode(mine.written[:same], skip_special_tokens=True)
    rest = reply_ids(ours.tokenizer, reply.text[len(begun) :])
    return Answer(mine.prompt, mine.written[:same] + rest, ended)


def check_ended(long: tuple[Turn, Answer] | None, replies: Sequence[Reply]) -> Check:
    """Where our engine's reply ends with the turn, the server says it stopped."""
    if long is None:
        why = "no reply of our engine ended by itself, so there was no stop to look for"
        return Check(name=NAMES[2], passed=None, detail=why)
    turn, reason = long[0], replies[0].reason
    told = "ends where our engine ends"
    if reason != "stop":
        told = (
            f"finish_reason is {reason!r} where our engine ends the turn "
            f"({turn.rollout}, message {turn.turn})"
        )
    return Check(name=NAMES[2], passed=reason == "stop", detail=told, compared=1)
