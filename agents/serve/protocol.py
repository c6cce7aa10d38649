"""OpenAI's `/v1/chat/completions` as messages: what is asked, what is answered, and errors in its shape.

What the agent takes of a request: `model`, `messages` (text), `stream`, `stream_options.include_usage`. Earlier
turns and system messages are put before the question, as text: what a client sends back of an earlier turn
is its answer, not the steps that the model wrote, and steps made up for it would be words put into its
mouth. Sampling settings, `max_tokens` and `stop` are the server's own business and are ignored; what would
change the shape of the answer (`n`, `tools`, `response_format`, `logprobs`) is refused.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from ..chat.message import clean, visible
from ..chat.rules import RefusedError, Rules
from ..trajectory import Trajectory

MOST_MESSAGES = 200
EARLIER = 4
"""Earlier turns are given as many characters as so many messages may have; of more, the newest."""
ROLES = {"system": "Instructions", "developer": "Instructions", "user": "User", "assistant": "You"}
REFUSED = {
    "tools": "The agent has tools of its own; give it none with a request.",
    "functions": "The agent has tools of its own; give it none with a request.",
    "logprobs": "There are no log probabilities of an agent's answer.",
    "audio": "The agent answers in text.",
}


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after = status, code, param, retry_after

    def body(self) -> dict:
        """As OpenAI's clients read it."""
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = kinds.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")
        return {
            "error": {
                "message": str(self),
                "type": kind,
                "param": self.param,
                "code": self.code,
            }
        }


def bad(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


@dataclass(frozen=True)
class Asked:
    """A request, read."""

    model: str
    task: str
    """The question, with what was said before it."""
    stream: bool = False
    usage: bool = False
    """A stream ends with its usage."""


def read(raw: bytes, rules: Rules) -> Asked:
    """The request of that body. Raises ApiError for one that cannot be answered."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise bad(f"The body is no JSON: {str(error)[:200]}.") from None
    if not isinstance(body, dict):
        raise bad("The body is a JSON object with `model` and `messages`.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise bad("`model` is missing.", "model")
    if body.get("n") not in (None, 1):
        raise bad("One answer a request: `n` is 1.", "n")
    for name, sentence in REFUSED.items():
        if body.get(name):
            raise bad(sentence, name)
    shape = body.get("response_format")
    if shape is not None and not (isinstance(shape, dict) and shape.get("type") == "text"):
        raise bad("The agent answers in text.", "response_format")
    options = body.get("stream_options")
    return Asked(
        model=model,
        task=task_of(body.get("messages"), rules),
        stream=body.get("stream") is True,
        usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def task_of(messages: Any, rules: Rules) -> str:
    """The agent's task: the last message, after what was said before it."""
    if not isinstance(messages, list) or not messages:
        raise bad("`messages` is a list of at least one message.", "messages")
    if len(messages) > MOST_MESSAGES:
        raise bad(f"At most {MOST_MESSAGES} messages are taken.", "messages")
    said = [_said(message, at) for at, message in enumerate(messages)]
    if messages[-1]["role"] != "user":
        raise bad("The last message is the user's.", "messages")
    try:
        question = clean(said[-1], rules).text
    except RefusedError as error:
        long = len(said[-1]) > rules.message_chars
        code = "context_length_exceeded" if long else None
        raise bad(str(error), "messages", code) from None
    told = [
        f"{ROLES[message['role']]}: {text}"
        for message, text in zip(messages[:-1], map(visible, said[:-1]), strict=True)
        if text
    ]
    earlier = _newest(told, EARLIER * rules.message_chars)
    if not earlier:
        return question
    return "\n".join(["Said before in this conversation:", *earlier, "", f"Now: {question}"])


def _newest(told: list[str], most: int) -> list[str]:
    """As many of the newest as fit into so many characters; a line says that others were left out."""
    kept: list[str] = []
    for text in reversed(told):
        if (most := most - len(text)) < 0:
            return ["(What was said before this is left out.)", *reversed(kept)]
        kept.append(text)
    return kept[::-1]


def _said(message: Any, at: int) -> str:
    """A message's text."""
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(role, str) or role not in ROLES:
        raise bad(
            f"Message {at} has no role of {', '.join(ROLES)}; the agent calls its tools itself.",
            f"messages.{at}.role",
        )
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            raise bad(f"Message {at} is not text; the agent reads text.", f"messages.{at}.content")
        texts.append(text.encode("utf-8", "replace").decode())
    return "\n".join(texts)


class Reply:
    """The answer to one request, whole or in pieces."""

    def __init__(self, model: str):
        self.about = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, trajectory: Trajectory, thoughts: str) -> dict:
        content, reason = answer_of(trajectory)
        message = {"role": "assistant", "content": content, "reasoning_content": thoughts}
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        return {
            **self.about,
            "object": "chat.completion",
            "choices": [choice],
            "usage": usage_of(trajectory),
        }

    def piece(self, reason: str | None = None, **delta: str) -> dict:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**self.about, "object": "chat.completion.chunk", "choices": [choice]}

    def usage(self, trajectory: Trajectory) -> dict:
        """The last piece of a stream whose client wants to know."""
        about = {**self.about, "object": "chat.completion.chunk"}
        return {**about, "choices": [], "usage": usage_of(trajectory)}


def answer_of(trajectory: Trajectory) -> tuple[str, str]:
    """What is said in the end, and OpenAI's reason for it. Raises ApiError for a run that failed."""
    if trajectory.stop == "failed":
        told = (trajectory.error or "").strip().splitlines() or ["no reason given"]
        raise ApiError(502, f"The run failed: {told[-1][:300]}", code="run_failed")
    if trajectory.stop == "max_steps":
        return f"No answer within {len(trajectory.steps)} steps.", "length"
    return trajectory.answer or "", "stop"


def usage_of(trajectory: Trajectory) -> dict[str, int]:
    """Tokens of all requests to the model; each reads again what was written before."""
    usage = trajectory.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
