"""Find a model by its name: the pocket models, a folder or Hub id, or an OpenAI-compatible server.

Every model here takes, beside smolagents' arguments of `generate`: `temperature` (0 is greedy),
`max_tokens`, and `prefix`, the unfinished start of the reply, which the returned text includes.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from urllib.parse import urlsplit

from smolagents import Model
from smolagents.models import ChatMessage

ROOT = Path(__file__).parent.parent
POCKET = {
    "pocket": ROOT / "distill/pocket/student",
    "pocket-base": ROOT / "distill/pocket/base",
}
# A program, not weights. It stands with the world it knows, and is found by name: nothing else in this
# package knows of `distill`.
TEACHER = ("distill.pocket.teacher", "PocketTeacher")


def load_model(name: str, **settings) -> Model:
    """The model of that name; `settings` are defaults of its requests (`temperature`, `max_tokens`, …).

    name: `pocket`, `pocket-base`, `pocket-teacher`; a folder or Hub id (weights, or a LoRA adapter);
        `http(s)://host:port/v1#model`, with the key in OPENAI_API_KEY where the server wants one.
    Raises ValueError, saying what there is, for a name that is none of these.
    """
    if name == "pocket-teacher":
        module, attribute = TEACHER
        try:
            return getattr(importlib.import_module(module), attribute)(**settings)
        except ModuleNotFoundError as error:
            raise ValueError(
                "The simulated teacher comes with the whole repository only."
            ) from error
    if name.startswith(("http://", "https://")):
        return _endpoint(name, settings)
    if name.startswith("litellm:"):
        return _litellm(name.removeprefix("litellm:"), settings)
    from .local import LocalModel

    return LocalModel(resolve(name), name=name, **settings)


def resolve(name: str) -> str:
    """The folder or Hub id behind a name of local weights."""
    if name in POCKET:
        if not POCKET[name].is_dir():
            raise ValueError(
                f"The {name} model is not in {POCKET[name].parent}; `make demo` makes a student."
            )
        return str(POCKET[name])
    path = Path(name)
    if path.is_dir():
        if not any((path / file).is_file() for file in ("config.json", "adapter_config.json")):
            raise ValueError(
                f"{name} holds no model: neither config.json nor adapter_config.json is in it."
            )
        return str(path)
    if path.exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ValueError(
            f"No model {name!r}: give {', '.join(POCKET)}, pocket-teacher, a folder with weights or an adapter, "
            "a Hub id (owner/name), or http://host:port/v1#name."
        )
    return name


class WithSettings(Model):
    """The same model with other defaults for its requests; shares its weights or connection."""

    def __init__(self, inner: Model, **settings):
        super().__init__(model_id=inner.model_id)
        self.inner, self.settings = inner, settings

    def generate(self, messages, stop_sequences=None, **kwargs) -> ChatMessage:
        return self.inner.generate(
            messages, stop_sequences=stop_sequences, **{**self.settings, **kwargs}
        )


class FirstThought(Model):
    """The same model, with the start of its first reply given; for one run."""

    def __init__(self, inner: Model, prefix: str):
        super().__init__(model_id=inner.model_id)
        self.inner, self.prefix = inner, prefix

    def generate(self, messages, stop_sequences=None, **kwargs) -> ChatMessage:
        prefix, self.prefix = self.prefix, ""
        if prefix:
            kwargs["prefix"] = prefix
        return self.inner.generate(messages, stop_sequences=stop_sequences, **kwargs)


def _endpoint(name: str, settings: dict) -> Model:
    from .endpoint import EndpointModel

    url, _, model = name.partition("#")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - asking for it is what checks it
    except ValueError as error:
        raise ValueError(f"{name} is no address: {error}.") from None
    if not parts.hostname or not model:
        raise ValueError(
            f"Name the server's model after a #, as in {url or 'http://127.0.0.1:8000/v1'}#my-model."
        )
    if parts.username or parts.password:
        raise ValueError(
            "Put the key in OPENAI_API_KEY, not in the address: addresses are written into run.json."
        )
    return EndpointModel(model, api_base=url, **settings)


def _litellm(name: str, settings: dict) -> Model:
    if not importlib.util.find_spec("litellm"):
        raise ValueError(
            "litellm is not installed: `pip install litellm`, or name an OpenAI-compatible server."
        )
    from smolagents import LiteLLMModel

    return LiteLLMModel(name, flatten_messages_as_text=True, **{"temperature": 0.0, **settings})
