"""Find a model by its name: the pocket models, a folder or Hub id, or an OpenAI-compatible server.

Every model here takes, beside smolagents' arguments of `generate`: `temperature` (0 is greedy),
`max_tokens`, and `prefix`, an argument by that name: the unfinished start of the reply, which the returned
text includes. It may have `sample(messages, n, stop_sequences, **settings)`, which draws n replies (ask with
`sampling.draw`), and `why_no_prefix()`, what its server says against a prefix.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from smolagents import Model
from smolagents.models import ChatMessage

from .sampling import draw
from .template import plain

ROOT = Path(__file__).parent.parent
POCKET = {
    "pocket": ROOT / "distill/pocket/student",
    "pocket-base": ROOT / "distill/pocket/base",
}
# A program, not weights. It stands with the world it knows, and is found by name: nothing else in this
# package knows of `distill`.
TEACHER = ("distill.pocket.teacher", "PocketTeacher")
Way = Literal["prefix", "prompt"]
"""How a model is given its first thought."""
BEGIN_WITH = "Begin with this thought: "
STUDENT = "student.json"
PUBLISHED = "agent-distillation/agent_distilled_"
"""How the Hub names of the paper's students begin; nothing beside their weights says how they were trained."""


def load_model(name: str, **settings) -> Model:
    """The model of that name; `settings` are defaults of its requests (`temperature`, `max_tokens`, …).

    name: `pocket`, `pocket-base`, `pocket-teacher`; a folder or Hub id (weights, or a LoRA adapter);
        `http(s)://host:port/v1#model`, with the key in OPENAI_API_KEY where the server wants one;
        `litellm:provider/model`, where the package litellm is installed.
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

    path = resolve(name)
    model = LocalModel(path, name=name, **settings)
    model.student = read_student(path)
    return model


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


def read_student(path: str) -> dict:
    """What a student's folder or Hub repository says it was trained on: method, prompt, tags, tools.

    That is its `student.json`; empty where there is none. Raises ValueError for one that is none of ours.
    """
    if PUBLISHED in path.replace("--", "/"):  # as a folder of the Hub's cache is named
        return {"method": "agent", "prompt": "paper", "tags": "paper", "tools": ["web_search"]}
    from transformers.utils import cached_file

    file = cached_file(
        path,
        STUDENT,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if file is None:
        return {}
    try:
        student = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        student = None
    if not isinstance(student, dict):
        raise ValueError(f"{STUDENT} of {path} is no JSON object; `train` writes one.")
    return student


def student_of(model: Model) -> dict:
    """What is known of the student behind a model, whatever it has been wrapped in since."""
    return getattr(unwrapped(model), "student", None) or {}


class WithSettings(Model):
    """The same model with other defaults for its requests; shares its weights or connection."""

    def __init__(self, inner: Model, **settings):
        super().__init__(model_id=inner.model_id)
        self.inner, self.settings = inner, settings

    def generate(self, messages, stop_sequences=None, **kwargs) -> ChatMessage:
        return self.inner.generate(
            messages, stop_sequences=stop_sequences, **{**self.settings, **kwargs}
        )

    def sample(self, messages, n, stop_sequences=None, **kwargs) -> list[ChatMessage]:
        return draw(self.inner, messages, n, stop_sequences, **{**self.settings, **kwargs})


class FirstThought(Model):
    """The same model, its first turn begun for it, or asked for with the question; for one run.

    thought: as the model would write it, "Thought: …"; empty for a question that has none, which fails.
    way: "prefix" gives the thought as the unfinished start of the first reply; "prompt" puts it beside
        the question, for models that nothing can be put into the mouth of.
    Raises ValueError for a model that takes no prefix.
    """

    def __init__(self, inner: Model, thought: str, way: Way = "prefix"):
        super().__init__(model_id=inner.model_id)
        if way == "prefix" and not _takes_prefix(inner):
            raise ValueError(_refusal(inner))
        self.inner, self.thought, self.way = inner, thought, way

    def generate(self, messages, stop_sequences=None, **kwargs) -> ChatMessage:
        return self.inner.generate(
            messages, stop_sequences=stop_sequences, **self._begun(messages), **kwargs
        )

    def sample(self, messages, n, stop_sequences=None, **kwargs) -> list[ChatMessage]:
        return draw(self.inner, messages, n, stop_sequences, **self._begun(messages), **kwargs)

    def ask(self, question: str) -> str:
        """The question as it is put to the model; the agent's task, so that it is in the record."""
        if self.way == "prefix" or not self.thought:
            return question
        return f"{question}\n\n{BEGIN_WITH}{self.thought.removeprefix('Thought:').strip()}"

    def _begun(self, messages) -> dict[str, str]:
        if not self.thought:
            raise RuntimeError("there is no first thought for this question to begin with.")
        # However often it is asked for its first turn: samples may be drawn in several requests.
        first = all(message["role"] != "assistant" for message in plain(messages))
        return {"prefix": self.thought} if first and self.way == "prefix" else {}


def first_thought_of(model: Model | None) -> FirstThought | None:
    """The first thought that a model was given, whatever it has been wrapped in since."""
    while model is not None and not isinstance(model, FirstThought):
        model = getattr(model, "inner", None)
    return model


def why_no_prefix(model: Model) -> str | None:
    """One sentence on why the model's reply cannot be begun for it; None if it can, as far as can be told.

    Asks a server, once.
    """
    inner = unwrapped(model)
    if not _takes_prefix(inner):
        return _refusal(inner)
    reason = inner.why_no_prefix() if hasattr(inner, "why_no_prefix") else None
    return f"{inner.model_id} cannot take a first thought: {reason}." if reason else None


def _takes_prefix(model: Model) -> bool:
    return "prefix" in inspect.signature(unwrapped(model).generate).parameters or hasattr(
        unwrapped(model), "why_no_prefix"
    )


def _refusal(model: Model) -> str:
    inner = unwrapped(model)
    return (
        f"{type(inner).__name__} ({inner.model_id}) cannot take a first thought: it has no way to be given "
        "the start of its reply."
    )


def unwrapped(model: Model) -> Model:
    """The model itself, whatever it has been wrapped in."""
    while isinstance(inner := getattr(model, "inner", None), Model):
        model = inner
    return model


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
    secret = re.search(
        r"(?:^|&)[^=&]*(?:key|token|secret|password|sig)[^=&]*=", parts.query, re.IGNORECASE
    )
    if parts.username or parts.password or secret:
        raise ValueError(
            "Put the key in OPENAI_API_KEY, not in the address: addresses are written into run.json."
        )
    return EndpointModel(model, api_base=url, **settings)


def _litellm(name: str, settings: dict) -> Model:
    if not importlib.util.find_spec("litellm"):
        raise ValueError(
            "litellm is not installed: `pip install litellm`, or name an OpenAI-compatible server."
        )
    from .hosted import HostedModel

    return HostedModel(name, **settings)
