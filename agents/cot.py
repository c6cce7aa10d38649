"""Answer by thinking alone (chain of thought), with or without passages fetched for the question.

No code, no steps; one reply, or the majority of several (self-consistency, arXiv 2203.11171). It shares
the record, and with `solve` the way in, so that a comparison with the agent differs in nothing but the
method.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from smolagents import Model
from smolagents.models import ChatMessage, MessageRole

from .agent import SAMPLING_TEMPERATURE, read_prompt
from .answers import same_answer as same_words_or_number
from .models import WithSettings
from .sampling import draw
from .secrets import without_keys
from .solve import finish_reason
from .trajectory import Message, Step, Trajectory, Usage, Votes
from .vote import fewest_to_decide, grouped, largest

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
BOXED = "\\boxed{"


@dataclass(frozen=True)
class Thinker:
    """Give it to `solve` in the place of an agent."""

    model: Model
    fetch: Callable[[str], str] | None = None
    """The passages for a question, as text; None for plain chain of thought."""
    prompt: str = "cot"
    samples: int = 1
    sequential: bool = False
    """Sample no more replies once the vote is decided."""
    temperature: float | None = None
    same_answer: Callable[[str, str], bool] = same_words_or_number

    @property
    def method(self) -> str:
        return "cot_rag" if self.fetch else "cot"

    def solve(self, question: str) -> Trajectory:
        start, replies, error = time.monotonic(), [], None
        messages = (
            Message(role="system", content=read_prompt(self.prompt)),
            Message(role="user", content=question),
        )
        try:
            if self.fetch:
                text = f"{question}\nPassages that may help:\n{self.fetch(question).strip()}"
                messages = (messages[0], Message(role="user", content=text))
            replies = self._ask([_chat_message(message) for message in messages])
        except Exception as exception:  # as in `stream`: whatever broke here is the system's fault
            error = without_keys(f"{type(exception).__name__}: {exception}")
        return self._record(question, messages, replies, error, time.monotonic() - start)

    def _ask(self, messages: list[ChatMessage]) -> list[ChatMessage]:
        if self.samples == 1:
            return [self.model.generate(messages)]
        replies: list[ChatMessage] = []
        while n := self.samples - len(replies):
            if self.sequential:
                votes = [len(group) for group in self._vote([_answer(reply) for reply in replies])]
                if not (n := fewest_to_decide(votes, n)):
                    break
            replies += draw(self.model, messages, n)
        return replies

    def _vote(self, answers: list[str | None]) -> list[list[str]]:
        return grouped([answer for answer in answers if answer is not None], self.same_answer)

    def _record(
        self, question, messages, replies: list[ChatMessage], error: str | None, seconds: float
    ) -> Trajectory:
        steps, answer, votes = (), None, None
        if replies:
            answers = [_answer(reply) for reply in replies]
            groups = self._vote(answers)
            if groups:
                answer = largest(groups)[0]
            reply = replies[answers.index(answer)]  # without any answer, the first
            if self.samples > 1:
                n = len(largest(groups))
                votes = Votes(
                    sampled=len(replies),
                    parsed=sum(map(len, groups)),
                    executed=0,  # there is no code
                    votes=n,
                    distinct=len(groups),
                    agreement=round(n / len(replies), 4),
                )
            messages = (
                *messages,
                Message(role="assistant", content=(reply.content or "").strip()),
            )
            steps = (
                Step(
                    message=2,
                    finish_reason=finish_reason(reply.raw),
                    seconds=round(seconds, 3),
                    votes=votes,
                ),
            )
        usages = [reply.token_usage for reply in replies if reply.token_usage]
        return Trajectory(
            question=question,
            messages=messages,
            steps=steps,
            answer=answer,
            stop="failed" if error else "max_steps" if answer is None else "answered",
            error=error,
            model=str(self.model.model_id),
            method=self.method,
            samples=self.samples,
            temperature=self.temperature,
            usage=Usage(
                input_tokens=sum(usage.input_tokens for usage in usages),
                output_tokens=sum(usage.output_tokens for usage in usages),
                # Of several replies to one request, the first alone counts what was read.
                requests=max(1, sum(u.input_tokens > 0 for u in usages)) if replies else 0,
            ),
            seconds=round(seconds, 3),
        )


def make_thinker(
    model: Model,
    tool: Callable[[str], str] | None = None,
    *,
    samples: int = 1,
    temperature: float | None = None,
    prompt: str = "cot",
    sequential: bool = False,
    same_answer: Callable[[str, str], bool] | None = None,
) -> Thinker:
    """A chain-of-thought solver; with `tool` (a retrieval tool), passages stand beside the question.

    samples: replies, whose answers vote; the other settings are as `make_agent`'s.
    """
    if temperature is None and samples > 1:
        temperature = SAMPLING_TEMPERATURE
    if temperature is not None:
        model = WithSettings(model, temperature=temperature)
    return Thinker(
        model,
        tool,
        prompt,
        samples,
        sequential,
        temperature,
        same_answer or same_words_or_number,
    )


def find_answer(text: str) -> str | None:
    """The last tagged answer, else what the last `\\boxed{…}` holds; None where neither is there."""
    if tagged := ANSWER.findall(text):
        text = tagged[-1].strip()
        return _boxed(text) or text or None
    return _boxed(text)


def _answer(reply: ChatMessage) -> str | None:
    return find_answer((reply.content or "").strip())


def _boxed(text: str) -> str | None:
    start = text.rfind(BOXED)
    if start < 0:
        return None
    depth = 0
    for end in range(start + len(BOXED) - 1, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start + len(BOXED) : end].strip() or None
    return None  # never closed: the reply was cut off


def _chat_message(message: Message) -> ChatMessage:
    return ChatMessage(MessageRole(message.role), [{"type": "text", "text": message.content}])
