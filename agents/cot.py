"""Answer by thinking alone (chain of thought), with or without passages fetched for the question.

One request, no code, no steps. It shares the record, and with `solve` the way in, so that a comparison
with the agent differs in nothing but the method.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from smolagents import Model
from smolagents.models import ChatMessage, MessageRole

from .agent import read_prompt
from .models import WithSettings
from .solve import finish_reason
from .trajectory import Message, Step, Trajectory, Usage

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
BOXED = "\\boxed{"


@dataclass(frozen=True)
class Thinker:
    """Give it to `solve` in the place of an agent."""

    model: Model
    fetch: Callable[[str], str] | None = None
    """The passages for a question, as text; None for plain chain of thought."""
    prompt: str = "cot"

    @property
    def method(self) -> str:
        return "cot_rag" if self.fetch else "cot"

    def solve(self, question: str) -> Trajectory:
        start, reply, error = time.monotonic(), None, None
        messages = (
            Message(role="system", content=read_prompt(self.prompt)),
            Message(role="user", content=question),
        )
        try:
            if self.fetch:
                text = f"{question}\nPassages that may help:\n{self.fetch(question).strip()}"
                messages = (messages[0], Message(role="user", content=text))
            reply = self.model.generate([_chat_message(message) for message in messages])
        except Exception as exception:  # as in `stream`: whatever broke here is the system's fault
            error = f"{type(exception).__name__}: {exception}"
        return self._record(question, messages, reply, error, time.monotonic() - start)

    def _record(
        self, question, messages, reply: ChatMessage | None, error: str | None, seconds: float
    ) -> Trajectory:
        steps, answer, usage = (), None, Usage()
        if reply is not None:
            text = (reply.content or "").strip()
            answer = find_answer(text)
            messages = (*messages, Message(role="assistant", content=text))
            steps = (
                Step(message=2, finish_reason=finish_reason(reply.raw), seconds=round(seconds, 3)),
            )
            tokens = reply.token_usage
            usage = Usage(
                input_tokens=tokens.input_tokens if tokens else 0,
                output_tokens=tokens.output_tokens if tokens else 0,
                requests=1,
            )
        return Trajectory(
            question=question,
            messages=messages,
            steps=steps,
            answer=answer,
            stop="failed" if error else "max_steps" if answer is None else "answered",
            error=error,
            model=str(self.model.model_id),
            method=self.method,
            usage=usage,
            seconds=round(seconds, 3),
        )


def make_thinker(
    model: Model,
    tool: Callable[[str], str] | None = None,
    *,
    temperature: float | None = None,
    prompt: str = "cot",
) -> Thinker:
    """A chain-of-thought solver; with `tool` (a retrieval tool), passages stand beside the question."""
    if temperature is not None:
        model = WithSettings(model, temperature=temperature)
    return Thinker(model, tool, prompt)


def find_answer(text: str) -> str | None:
    """The last tagged answer, else what the last `\\boxed{…}` holds; None where neither is there."""
    if tagged := ANSWER.findall(text):
        text = tagged[-1].strip()
        return _boxed(text) or text or None
    return _boxed(text)


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
