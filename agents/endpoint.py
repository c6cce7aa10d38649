"""A model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, `transformers serve`, a hosted API."""

from __future__ import annotations

import os
from typing import Any

from smolagents import OpenAIModel
from smolagents.models import ChatMessage, MessageRole

TIMEOUT = 300.0
"""Seconds a request may take before it counts as the server's failure."""


class EndpointModel(OpenAIModel):
    """smolagents' `OpenAIModel` with greedy defaults, a deadline, and the start of a reply given."""

    def __init__(
        self,
        model_id: str,
        api_base: str,
        *,
        temperature: float = 0.0,
        max_tokens: int = 1024,
        **kwargs,
    ):
        super().__init__(
            model_id=model_id,
            api_base=api_base,
            api_key=os.environ.get("OPENAI_API_KEY") or "none",  # servers on this machine take any
            client_kwargs={"timeout": TIMEOUT, "max_retries": 2},
            flatten_messages_as_text=True,
            **kwargs,
        )
        # Not handed to the parent: there, settings of the constructor silently beat those of a call.
        self.defaults = {"temperature": temperature, "max_tokens": max_tokens}

    def generate(
        self, messages, stop_sequences=None, *, prefix: str = "", **kwargs: Any
    ) -> ChatMessage:
        settings = {**self.defaults, **kwargs}
        if prefix:
            # How vLLM, SGLang and transformers' chat templates continue an unfinished turn.
            settings["extra_body"] = {
                "add_generation_prompt": False,
                "continue_final_message": True,
            }
            messages = [
                *messages,
                ChatMessage(MessageRole.ASSISTANT, [{"type": "text", "text": prefix}]),
            ]
        reply = super().generate(messages, stop_sequences=stop_sequences, **settings)
        if prefix:
            text = reply.content or ""
            if text.lstrip().startswith(prefix.split()[0]):
                raise RuntimeError(
                    f"{self.model_id} began its turn anew instead of continuing the given start; "
                    "this server cannot take a first thought."
                )
            reply.content = prefix + text
        return reply
