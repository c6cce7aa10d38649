"""Replies of a chat API, as smolagents takes them: several from one request, with their start given.

What the API is spoken to with is its subclass's: openai's client (agents/endpoint.py) or litellm
(agents/hosted.py). Backends differ in what they do with `n`, with `stop` and with an unfinished last turn,
and often do it silently; what one is found to do is remembered for the rest of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import openai
from smolagents.models import REMOVE_PARAMETER, ApiModel, ChatMessage, MessageRole
from smolagents.monitoring import TokenUsage

from .sampling import at_once
from .stops import cut, safe

TIMEOUT = 300.0
"""Seconds a request may take before it counts as the server's failure."""
CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}
"""How vLLM, SGLang and llama.cpp are told to go on with an unfinished last turn."""
REFUSED = (400, 422, 501)
"""What a server answers to a setting that it does not take."""
MARKERS = (
    *("<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|eot_id|>", "<start_of_turn>"),
    *("<end_of_turn>", "<|assistant|>", "</s>", "assistant\n"),
)
"""What begins a reply in which a turn was closed and opened; the last is a marker's name, itself skipped."""


class Replies(ApiModel):
    """`sample` and `prefix` for a smolagents model of an API that answers as OpenAI's does."""

    tells = True
    """It takes `told` and `cancelled`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Not left to smolagents: there, settings of the constructor silently beat those of a call.
        self.defaults = {k: v for k, v in self.kwargs.items() if v is not REMOVE_PARAMETER}
        self.kwargs = {k: v for k, v in self.kwargs.items() if v is REMOVE_PARAMETER}
        self.most: int | None = None
        """Choices that a request is known to bring; None: all that it asks for."""
        self._lock = threading.Lock()
        self._asked = False
        self._refusal: str | None = None
        self._proven = False
        """The server has been seen to continue a turn."""

    def generate(self, messages, stop_sequences=None, **settings) -> ChatMessage:
        """One reply; `settings` as in `sample`."""
        return self.sample(messages, 1, stop_sequences, **settings)[0]

    def sample(
        self,
        messages,
        n: int,
        stop_sequences: list[str] | None = None,
        *,
        prefix: str = "",
        told: Callable[[str], None] | None = None,
        cancelled: threading.Event | None = None,
        **settings: Any,
    ) -> list[ChatMessage]:
        """n replies to the same messages, in as few requests as the server allows.

        prefix: the unfinished start of the reply; the returned text begins with it. Of the replies to one
        request, the first alone has its token usage.
        told: called with the text of a single reply in pieces, as the server streams it. cancelled: once it
        is set, the stream is closed, at which servers stop writing; the reply ends as it is.
        Raises RuntimeError where the server does not continue the start that it was given.
        """
        settings = {**self.defaults, **settings}
        if prefix:
            if reason := self._cannot_begin():
                raise RuntimeError(f"{self.model_id} cannot take a first thought: {reason}.")
            messages, prefix, settings = self._begun(messages, prefix, settings)

        # Whether a reply goes on from its start is seen only when it is whole.
        if n == 1 and told and not prefix:
            return [self._streamed(messages, stop_sequences, told, cancelled, settings)]
        # Servers refuse several greedy replies in one request: they would be the same.
        greedy = settings.get("temperature") == 0
        replies: list[ChatMessage] = []
        while (left := n - len(replies)) > 0:
            size = min(left, 1 if greedy else self.most or left)
            requests = [
                partial(
                    self._ask, messages, min(size, n - at), at, stop_sequences, prefix, settings
                )
                for at in range(len(replies), n, size)
            ]
            for found in at_once(requests):
                replies += found
        return replies

    def why_no_prefix(self) -> str | None:
        """Why its replies cannot be begun; None if they can, or if the server cannot be asked now."""
        try:
            return self._cannot_begin()
        except openai.OpenAIError:
            return None  # the runs will tell

    def _send(self, messages, stop_sequences, **settings):
        """One request; the API's response."""
        raise NotImplementedError

    def _begun(self, messages, prefix: str, settings: dict) -> tuple[list, str, dict]:
        """Messages that end with the start of a reply, that start, and the settings to send with them."""
        extra = {**(settings.get("extra_body") or {}), **CONTINUE}
        return [*messages, said(prefix)], prefix, {**settings, "extra_body": extra}

    def _streamed(self, messages, stop_sequences, told, cancelled, settings: dict) -> ChatMessage:
        """One reply, told in pieces; of what may be a stop string, nothing before it is known not to be."""
        chunks = self._chunks(messages, stop_sequences, settings)
        stops = tuple(stop_sequences or ())
        text, shown, reason, usage = "", 0, None, None
        try:
            for chunk in chunks:
                usage = getattr(chunk, "usage", None) or usage
                for choice in chunk.choices[:1]:
                    text += _whole(getattr(choice.delta, "content", None) or "")
                    reason = choice.finish_reason or reason
                known = safe(text, stops)
                if len(known) > shown:
                    told(known[shown:])
                    shown = len(known)
                if cancelled is not None and cancelled.is_set():
                    reason = "cancelled"
                    break
        finally:
            with suppress(Exception):
                chunks.close()
        if reason is None:
            raise RuntimeError(f"The answer of {self.model_id} broke off: its server has gone.")
        whole = cut(text, stops)
        told(whole[shown:])
        return ChatMessage(
            MessageRole.ASSISTANT,
            whole,
            raw={"finish_reason": reason if whole == text else "stop"},
            token_usage=TokenUsage(usage.prompt_tokens, usage.completion_tokens)
            if usage
            else TokenUsage(0, 0),
        )

    def _chunks(self, messages, stop_sequences, settings: dict):
        """The open stream of a reply."""
        try:
            counted = {"stream_options": {"include_usage": True}}
            return self._send(messages, stop_sequences, stream=True, **counted, **settings)
        except openai.APIStatusError as error:
            if error.status_code not in REFUSED:
                raise
            # Not every server counts tokens of a stream; what else it refuses, it refuses again.
            return self._send(messages, stop_sequences, stream=True, **settings)

    def _ask(
        self, messages, n: int, before: int, stop_sequences, prefix: str, settings: dict
    ) -> list[ChatMessage]:
        """Up to n replies by one request, the first of them the `before`-th of the call."""
        more = {"n": n} if n > 1 else {}
        if isinstance(settings.get("seed"), int):
            more["seed"] = settings["seed"] + before  # else separate requests would draw the same
        try:
            response = self._send(messages, stop_sequences, **{**settings, **more})
        except openai.APIStatusError as error:
            if n == 1 or error.status_code not in REFUSED:
                raise
            # Was it for the number? Servers word that in many ways; one reply alone tells.
            replies = self._ask(messages, 1, before, stop_sequences, prefix, settings)
            self.most = 1
            return replies
        if not response.choices:
            raise RuntimeError(f"{self.model_id} answered without a choice.")
        if len(response.choices) < n:
            self.most = len(response.choices)
        usage = getattr(response, "usage", None)
        return [
            ChatMessage(
                choice.message.role or MessageRole.ASSISTANT,
                prefix + self._checked(text or "", prefix) if prefix else text,
                tool_calls=choice.message.tool_calls,
                raw={"finish_reason": reason},
                token_usage=TokenUsage(usage.prompt_tokens, usage.completion_tokens)
                if usage and i == 0
                else TokenUsage(0, 0),
            )
            for i, choice in enumerate(response.choices[:n])
            for text, reason in [_read(choice, stop_sequences)]
        ]

    def _checked(self, text: str, prefix: str) -> str:
        """The text, if it can be the rest of a reply that begins with the prefix."""
        if begun_anew(text, prefix, proven=self._proven):
            raise RuntimeError(
                f"{self.model_id} began its turn anew instead of continuing the given start; "
                "this server cannot take a first thought."
            )
        return text

    def _cannot_begin(self) -> str | None:
        """Asks the server, once."""
        with self._lock:
            if not self._asked:
                self._refusal, self._proven = self._probe()
                self._asked = True
        return self._refusal

    def _probe(self) -> tuple[str | None, bool]:
        """Why the server cannot continue a turn, if it cannot; and whether it has been seen to.

        A server may take the flags and ignore them, and what it then writes can look like a continuation.
        Its count of the prompt's tokens tells, whatever the model: the same two messages are shorter with
        the last turn left open than with it closed and another one opened.
        """
        chat = [_text(MessageRole.USER, "Name a letter."), said("A")]
        begun, _, settings = self._begun(chat[:1], "A", dict(self.defaults))
        try:
            left_open = self._prompt_tokens(begun, settings)
        except openai.APIStatusError as error:
            if error.status_code not in REFUSED:
                raise
            return f"its server refuses to continue a turn ({_first_line(error)})", False
        try:
            closed = self._prompt_tokens(chat, self.defaults)
        except openai.APIStatusError as error:
            if error.status_code not in REFUSED:
                raise
            return None, True  # a last turn of the assistant is taken with the flags alone
        if left_open != closed or not closed:
            return None, 0 < left_open < closed
        # The flags make no difference: it continues any last turn of the assistant, or none.
        longer = closed - self._prompt_tokens(chat[:1], self.defaults)
        if longer > 2:  # tokens; the letter itself is one, the end of a turn another
            return "its server begins a new turn instead of continuing the last", False
        return None, longer == 1

    def _prompt_tokens(self, messages, settings: dict) -> int:
        response = self._send(messages, None, **{**settings, "max_tokens": 1})
        return response.usage.prompt_tokens if getattr(response, "usage", None) else 0


def begun_anew(text: str, prefix: str, *, proven: bool = False) -> bool:
    """Whether a reply is a new turn, and not the rest of one that begins with the prefix.

    proven: the server is known to continue. Then a second "Thought:" is the model's own.
    """
    words, given = " ".join(text.split()), " ".join(prefix.split())
    label, _, thought = given.partition(": ")
    echo = words.startswith((given, thought)) if thought else words.startswith(given)
    if echo or text.lstrip().startswith(MARKERS):
        return True
    return not proven and words.startswith((f"{label}:", "<think>"))


def _read(choice, stop_sequences: list[str] | None) -> tuple[str | None, str | None]:
    """A choice's text, cut where the server ignored a stop string, and why it ends."""
    text = choice.message.content
    text = text and _whole(text)
    if text is None and not choice.message.tool_calls:
        text = ""  # nothing said, as where a model's thinking took all its tokens
    stopped = cut(text, tuple(stop_sequences or ())) if text else text
    return stopped, choice.finish_reason if stopped == text else "stop"


def _whole(text: str) -> str:
    """Without lone surrogates, which JSON can bring and no request could send back."""
    return text.encode("utf-8", "replace").decode()


def _text(role: MessageRole, text: str) -> ChatMessage:
    return ChatMessage(role, [{"type": "text", "text": text}])


def said(text: str) -> ChatMessage:
    return _text(MessageRole.ASSISTANT, text)


def _first_line(error: openai.APIStatusError) -> str:
    # Servers built on FastAPI give their reason as `detail`, which openai leaves out of its message.
    body = getattr(error, "body", None)
    detail = body.get("detail") if isinstance(body, dict) else None
    return (f"{error}: {detail}" if detail else str(error)).strip().splitlines()[0][:200]
