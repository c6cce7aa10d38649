"""What is to be published: asked for, looked up, and found in order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from agents.agent import IMPORTS, LIMITS, read_prompt
from agents.dialect import dialect
from agents.sandbox import Limits
from tools.retrieval import HUB, open_index

from . import cards, toolset, weights
from .facts import Facts, gather, short
from .sources import ROOT, Sources, sources
from .toolset import SEARCH, Chosen
from .weights import Weights

LONGEST_TITLE = 100
"""Characters."""
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True)
class Wanted:
    """What is to be published, and how its page begins."""

    model: str
    tools: str | None = None
    """With commas between; what the student was trained with, or wiki_search, if None."""
    tools_dir: Path | None = None
    """A folder whose files are tools too."""
    index: str | None = None
    samples: int = 1
    temperature: float | None = None
    max_steps: int = 5
    prompt: str | None = None
    tags: str | None = None
    imports: str = ",".join(IMPORTS)
    limits: str = ""
    weights: str | None = None
    """A Hub id that the page loads the weights from, in place of a copy beside it."""
    report: Path | None = None
    rollouts: Path | None = None
    title: str | None = None
    examples: tuple[str, ...] = ()
    compare: tuple[str, ...] = ()
    license: str | None = None
    space: str | None = None
    model_repository: str | None = None
    dataset: str | None = None
    static: bool = False
    sign_in: bool = False
    """Visitors of the Space have an account of the Hub."""
    hardware: str | None = None

    @property
    def page(self) -> bool:
        """Whether a page is among what is made."""
        return self.space is not None or not (self.model_repository or self.dataset)


@dataclass(frozen=True)
class Material:
    """What was wanted, looked up and found in order."""

    wanted: Wanted
    weights: Weights
    tools: tuple[Chosen, ...]
    index: Path | str | None
    """A folder, or its place on the Hub; None for tools that look in none."""
    dense: bool
    facts: Facts
    prompt: str
    """The system prompt's template."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What is not published, with why."""
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return " ".join((self.wanted.title or "").split()) or f"Agent {short(self.weights.name)}"

    @property
    def license(self) -> str:
        ours = self.weights.name.startswith("pocket")
        return self.wanted.license or (cards.LICENSE if ours else cards.UNKNOWN)

    @cached_property
    def sources(self) -> Sources:
        """Our files that the page needs."""
        starts = ["app.py", "agents/chat/__init__.py", "agents/chat/published.py"]
        starts += [f"tools/{tool.name}.py" for tool in self.tools if tool.ours]
        without = set()
        if not any(is_local(name) for name in models(self)):
            without.add("agents/local.py")
        if not self.dense:
            without.add("tools/encoder.py")
        return sources(starts, without)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Environment variables that the page must be given."""
        if self.wanted.static or not self.wanted.page:
            return ()
        found = [key for name in models(self) if (key := _key(name))]
        return tuple(dict.fromkeys([*found, *(s for tool in self.tools for s in tool.secrets)]))


def _key(model: str) -> str | None:
    """The environment variable that a model's server takes its key from; None for weights."""
    if model.startswith("litellm:"):
        return f"{model.removeprefix('litellm:').partition('/')[0].upper()}_API_KEY"
    return None if is_local(model) else "OPENAI_API_KEY"


def look_up(wanted: Wanted) -> Material:
    """Raises ValueError, in one sentence, for whatever cannot be published as it is wanted."""
    found = weights.find(wanted.model)
    method = found.student.get("method") or "agent"
    if method != "agent" and wanted.page and not wanted.static:
        raise ValueError(
            f"{wanted.model} was trained to answer by {method}, and the page runs agents; publish its weights with "
            "--model, or a report with --static."
        )
    spec = wanted.tools
    if spec is None:
        spec = ",".join(found.student.get("tools", ("wiki_search",)))
    chosen = toolset.choose(spec, [wanted.tools_dir] if wanted.tools_dir else ())
    searches = any(tool.name in SEARCH for tool in chosen)
    index, dense = _index(wanted.index) if searches else (None, False)
    if wanted.index and not searches:
        raise ValueError(f"An index goes with {' or '.join(SEARCH)}; name one with --tools.")
    spoken = dialect(wanted.tags or found.student.get("tags") or "code")
    prompt = read_prompt(wanted.prompt or found.student.get("prompt") or spoken.prompt)
    Limits.read(wanted.limits, output_chars=LIMITS.output_chars)
    if wanted.samples < 1 or wanted.max_steps < 1:
        raise ValueError("samples and max_steps start at 1.")
    if len(wanted.title or "") > LONGEST_TITLE:
        raise ValueError(f"The title is longer than {LONGEST_TITLE} characters.")
    if wanted.license and not LICENSE.fullmatch(wanted.license):
        raise ValueError(f"{wanted.license!r} is no licence; write it as the Hub does: apache-2.0.")
    if wanted.static and wanted.report is None:
        raise ValueError("A static page shows a report: name its folder with --report.")
    facts = gather(found, wanted.report, wanted.rollouts)
    if wanted.dataset and not facts.rollouts:
        raise ValueError("A dataset is made of trajectories: name a run's folder with --rollouts.")
    if wanted.model_repository and found.folder is None:
        raise ValueError(
            f"{wanted.model} has no weights on this machine; a model repository is made of a student's folder."
        )
    if wanted.weights and found.kind == "endpoint":
        raise ValueError(f"{wanted.model} is served by somebody: there are no weights to name.")
    compared(wanted, found)
    notes = _notes(wanted, found, chosen)
    return Material(
        wanted, found, chosen, index, dense, facts, prompt, _left_out(found), tuple(notes)
    )


def models(m: Material) -> tuple[str, ...]:
    """All that the page may load, the one to compare with and those behind tools among them."""
    agents = (tool.place for tool in m.tools if tool.kind == "agent")
    return (m.weights.name, *m.wanted.compare, *agents)


def compared(wanted: Wanted, found: Weights) -> list[str]:
    """How the page names the models to compare with: those that it can reach, and the base beside the student."""
    names = []
    for name in wanted.compare:
        place = weights.find(name)
        if place.kind != "folder":
            names.append(name)
        elif found.base_folder and place.folder.resolve() == found.base_folder.resolve():
            names.append(f"./{weights.BASE}")
        else:
            raise ValueError(
                f"{name} cannot be compared with where the page is published: name a Hub id, a server, or the base "
                "that is copied with the student."
            )
    if wanted.weights and f"./{weights.BASE}" in names:
        raise ValueError(
            "The base is copied with the student's weights alone; leave out --weights."
        )
    return names


def is_local(model: str) -> bool:
    """Whether the page runs its weights itself."""
    return not model.startswith(("http://", "https://", "litellm:"))


def _index(named: str | None) -> tuple[Path | str, bool]:
    """The folder of an index or its place on the Hub, and whether it is one by meaning."""
    if named and named.startswith(HUB):
        return named, False
    folder = Path(named) if named else ROOT / "distill/pocket/encyclopedia"
    if not (folder / "passages.jsonl").is_file():
        open_index(folder)  # says how to make one
    manifest = folder / "manifest.json"
    encoder = (
        json.loads(manifest.read_text(encoding="utf-8")).get("encoder")
        if manifest.is_file()
        else None
    )
    if encoder and Path(encoder).exists():
        raise ValueError(
            f"The index {folder} was made with the encoder in {encoder}, a folder of this machine: make it with one "
            "that has a Hub id."
        )
    return folder, bool(encoder)


def _notes(wanted: Wanted, found: Weights, chosen: tuple[Chosen, ...]) -> Iterator[str]:
    for name in (found.name, *wanted.compare):
        if not name.startswith("http") or not weights.is_local_address(name):
            continue
        said = f"{name.partition('#')[0]} can be reached from this machine or its network alone"
        if wanted.space and not wanted.static:
            raise ValueError(f"{said}; a Space needs a server that it can reach.")
        yield f"{said}: the folder answers only there."
    for tool in chosen:
        if tool.why_not:
            yield f"CodeAgent.from_folder cannot load {tool.name} ({tool.why_not}); app.py does."
    if found.kind == "folder" and not (found.base is None or Path(found.base).is_dir()):
        yield f"The base {found.base} is not copied: it is fetched from the Hub when the page starts."


def _left_out(found: Weights) -> dict[str, str]:
    """Names in the student's folder, with why they stay."""
    if found.folder is None:
        return {}
    why = {
        "run.json": "settings, with places of this machine",
        "parity_samples.jsonl": "what it was trained on; --dataset publishes trajectories",
        "parity.json": "belongs to the files here; --model publishes it",
        "checkpoints": "optimizer states",
        "metrics.jsonl": "the course of the training",
    }
    return {name: why.get(name, "not needed to run it") for name in weights.left_out(found.folder)}
