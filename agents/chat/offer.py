"""What a page offers to its visitors: models, tools, settings, and where their thumbs are written."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from smolagents import CodeAgent, Model, Tool

from ..agent import make_agent
from ..models import load_model

FEEDBACK = Path("runs/chat")


def by_label(names: Iterable[str]) -> dict[str, str]:
    """Models by what a visitor is shown of their names, where that tells them apart."""
    labels: dict[str, str] = {}
    for name in names:
        labels[name if label(name) in labels else label(name)] = name
    return labels


def label(name: str) -> str:
    """Of a server, the model there; of a folder, its own name: where they are is no visitor's business."""
    if name.startswith(("http://", "https://")):
        return urlsplit(name).fragment or urlsplit(name).hostname or name
    return Path(name).name if name.startswith(("/", ".")) else name


@dataclass(frozen=True)
class Offer:
    """Shared by all visitors: the models' weights and the tools; every agent is a visitor's own."""

    models: tuple[str, ...]
    """Names, as `load_model` takes them; the first is what a visitor begins with."""
    toolbox: tuple[Tool, ...] = ()
    settings: dict = field(default_factory=dict)
    """Of `make_agent`."""
    examples: tuple[str, ...] = ()
    title: str = "smoldistill"
    runs: Path | None = None
    """The folder whose runs can be looked at; None: none."""
    report: Path | None = None
    """A folder that `distill report` made."""
    feedback: Path = FEEDBACK
    """The run's folder that takes what visitors say of answers."""
    compare: tuple[str, ...] = ()
    """Models to put side by side."""
    loaded: dict[str, Model] = field(default_factory=dict)
    """Models that are there already, by name."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def model(self, name: str | None = None) -> Model:
        """The model of that name, loaded once. Raises ValueError for one that is not offered."""
        name = name or self.models[0]
        if name not in (*self.models, *self.compare):
            raise ValueError(f"No model {name!r} is offered; there are: {', '.join(self.models)}.")
        with self._lock:
            if name not in self.loaded:
                self.loaded[name] = load_model(name)
            return self.loaded[name]

    def agent(
        self, model: str | None = None, tools: Iterable[str] | None = None, **changed
    ) -> CodeAgent:
        """A fresh agent. tools: names of the offered ones, all if None; changed: other settings than usual.

        Raises ValueError for a model or tool that is not offered, SandboxError where code cannot be confined.
        """
        chosen = self.toolbox
        if tools is not None:
            known = {tool.name: tool for tool in self.toolbox}
            if unknown := [name for name in tools if name not in known]:
                raise ValueError(
                    f"No tool {unknown[0]!r} is offered; there are: {', '.join(known)}."
                )
            chosen = [known[name] for name in tools]
        return make_agent(self.model(model), list(chosen), **{**self.settings, **changed})
