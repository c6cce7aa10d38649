"""A model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, `transformers serve`, a hosted API."""

from __future__ import annotations

import os

from smolagents import OpenAIModel

from .replies import TIMEOUT, Replies


class EndpointModel(Replies, OpenAIModel):
    """smolagents' `OpenAIModel` with greedy defaults, a deadline, several replies and a reply's start."""

    def __init__(
        self,
        model_id: str,
        api_base: str,
        *,
        temperature: float = 0.0,
        max_tokens: int = 1024,
        timeout: float = TIMEOUT,
        retries: int = 2,
        **kwargs,
    ):
        """timeout: seconds for a reply. retries: of a request that did not get one."""
        super().__init__(
            model_id=model_id,
            api_base=api_base,
            api_key=os.environ.get("OPENAI_API_KEY") or "none",  # servers on this machine take any
            client_kwargs={"timeout": timeout, "max_retries": retries},
            flatten_messages_as_text=True,
            temperature=temperature,
            max_tokens=max_tokens,
            **kwargs,
        )

    def _send(self, messages, stop_sequences, **settings):
        request = self._prepare_completion_kwargs(
            messages,
            stop_sequences,
            model=self.model_id,
            custom_role_conversions=self.custom_role_conversions,
            convert_images_to_image_urls=True,
            **settings,
        )
        self._apply_rate_limit()
        return self.retryer(self.client.chat.completions.create, **request)
