"""A model of any provider that litellm speaks to. The package litellm is not required; install it to use this.

How the start of a reply is given differs. Providers that continue an unfinished turn themselves
(Anthropic's older models, Mistral, DeepSeek: litellm's table says which) take it as a last message with
`prefix`; OpenAI-compatible servers take the flags that agents/endpoint.py sends; others refuse it.
"""

from __future__ import annotations

from smolagents import LiteLLMModel

from .replies import TIMEOUT, Replies, said

COMPATIBLE = ("openai", "custom_openai", "hosted_vllm", "litellm_proxy", "lm_studio", "llamafile")
"""litellm's names for servers that are sent the request as it is."""


class HostedModel(Replies, LiteLLMModel):
    """smolagents' `LiteLLMModel` with greedy defaults, a deadline, several replies and a reply's start."""

    def __init__(
        self, model_id: str, *, temperature: float = 0.0, max_tokens: int = 1024, **kwargs
    ):
        super().__init__(
            model_id=model_id,
            flatten_messages_as_text=True,
            **{"timeout": TIMEOUT, "temperature": temperature, "max_tokens": max_tokens, **kwargs},
        )
        self.client.suppress_debug_info = True  # it prints advice at every error

    def _send(self, messages, stop_sequences, *, begun: bool = False, **settings):
        request = self._prepare_completion_kwargs(
            messages,
            stop_sequences,
            model=self.model_id,
            api_base=self.api_base,
            api_key=self.api_key,
            custom_role_conversions=self.custom_role_conversions,
            convert_images_to_image_urls=True,
            **settings,
        )
        if begun:  # smolagents' messages have no place for it
            request["messages"][-1]["prefix"] = True
        self._apply_rate_limit()
        return self.retryer(self.client.completion, **request)

    def _begun(self, messages, prefix: str, settings: dict) -> tuple[list, str, dict]:
        if not self._continues_itself:
            return super()._begun(messages, prefix, settings)
        prefix = prefix.rstrip()  # Anthropic refuses a turn that ends in white space
        return [*messages, said(prefix)], prefix, {**settings, "begun": True}

    def _checked(self, text: str, prefix: str) -> str:
        # Mistral repeats the start in its reply, and litellm puts it before Anthropic's.
        return super()._checked(
            text.removeprefix(prefix) if self._continues_itself else text, prefix
        )

    def _probe(self) -> tuple[str | None, bool]:
        if self._continues_itself:
            return None, False
        if self._continues_itself is False:
            return "litellm lists it as one that takes no start of a reply", False
        if self._provider not in COMPATIBLE:
            return f"litellm knows of no way to give {self._provider} the start of a reply", False
        return super()._probe()

    @property
    def _provider(self) -> str:
        return self.client.get_llm_provider(self.model_id, api_base=self.api_base)[1]

    @property
    def _continues_itself(self) -> bool | None:
        """Whether the provider continues a last turn of the assistant; None where litellm does not say."""
        try:
            return self.client.get_model_info(self.model_id).get("supports_assistant_prefill")
        except Exception:  # it raises a bare one for a model that is not in its table
            return None
