"""A model that replays replies and keeps what it was sent: the one fake in these tests."""

from __future__ import annotations

import threading

from smolagents import Model
from smolagents.models import ChatMessage, MessageRole
from smolagents.monitoring import TokenUsage

from agents.template import plain


class ScriptedModel(Model):
    """Each reply is a text, a (text, finish reason), or an exception to raise. The last repeats."""

    def __init__(self, *replies):
        super().__init__(model_id="scripted", flatten_messages_as_text=True)
        self.replies, self.requests, self.settings = list(replies), [], []
        self._lock = threading.Lock()

    def generate(self, messages, stop_sequences=None, **settings) -> ChatMessage:
        with self._lock:
            reply = self.replies[min(len(self.requests), len(self.replies) - 1)]
            self.requests.append(plain(messages))
            self.settings.append({"stop_sequences": stop_sequences, **settings})
        if isinstance(reply, Exception):
            raise reply
        text, reason = reply if isinstance(reply, tuple) else (reply, "stop")
        return ChatMessage(
            MessageRole.ASSISTANT,
            settings.get("prefix", "") + text,
            raw={"finish_reason": reason},
            token_usage=TokenUsage(10, 5),
        )


def step(thought: str, code: str) -> str:
    """A reply as a server returns it: cut before the closing tag, which is a stop string."""
    return f"Thought: {thought}\n<code>\n{code}\n"
