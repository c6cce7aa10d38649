"""Write what is published into folders: the app with all that it runs on, the model, the trajectories.

Files are copied, so that what ran is what is published; written anew are only `agent.json`, `prompts.yaml`,
`requirements.txt` and the cards.
"""

from __future__ import annotations

import base64
import gzip
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from agents.agent import IMPORTS, LIMITS
from agents.chat.export import as_trace
from agents.sandbox import Limits
from tools.retrieval import HUB

from ..results import Study
from ..rollout import Rollout, write_rollouts
from ..run import write_json, write_text
from . import cards, toolset, weights
from .configuration import INDEX, PROMPT, REPORT, configure, own_prompt, required
from .facts import short
from .material import Material
from .requirements import pin
from .scan import unpacked, without_places
from .sources import ROOT

PYTHON = "3.11"
"""Of a Space; what the project is tried with."""
INDEXED = ("passages.jsonl", "manifest.json", "index.faiss", "bm25")
PICTURES = ("report.png", "loss.png", "tokens.png")
PACKED = re.compile(r"(?<=>)H4sI[A-Za-z0-9+/]+={0,2}(?=<)")
"""A compressed piece of a report's page."""
TRACES = 200
"""Rollouts that are also written for the Hub's viewer, a file each."""


def render_app(m: Material, out: Path, *, link: bool = False) -> None:
    """The folder that runs by itself with `python app.py`, and is a Gradio Space. link: as in weights.copy."""
    for name in m.sources.files:
        _copy(ROOT / name, out / name)
    _copy(ROOT / "LICENSE", out / "LICENSE")
    toolset.write(m.tools, out)
    named = m.wanted.weights or weights.copy(m.weights, out, link=link)
    if isinstance(m.index, Path):
        for name in INDEXED:
            if (m.index / name).exists():
                _copy(m.index / name, out / INDEX / name)
    custom = own_prompt(m)
    if custom:
        write = out / PROMPT
        write.parent.mkdir(parents=True, exist_ok=True)
        write_text(write, m.prompt + "\n")
    if m.facts.study:
        _report(m.facts.study, m.wanted.report, out / REPORT)
    configure(m, named, custom, out)
    write_text(out / "requirements.txt", required(m))
    write_text(out / "README.md", _readme(m))


def render_static(m: Material, out: Path, *, link: bool = False) -> None:
    """The report's page as a static Space: nothing runs."""
    page = m.wanted.report / "report.html"
    if not page.is_file():
        raise ValueError(
            f"{m.wanted.report} holds no report.html; `python -m distill report` makes one."
        )
    text = page.read_text(encoding="utf-8")
    write_text(out / "index.html", PACKED.sub(_repacked, without_places(text)))
    write_text(
        out / "README.md",
        cards.space_card(
            m.facts, title=m.title, sdk="static", sdk_version=None, python=None, hardware=None,
            license=m.license, models=[m.wanted.model_repository], datasets=[m.wanted.dataset],
            secrets=(), tools=(), notes=(), about="",
        ),
    )  # fmt: skip


def _repacked(run: re.Match) -> str:
    """A page's compressed rollouts, without the places of this machine."""
    text = without_places(unpacked(run[0].encode()).decode("utf-8"))
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode("ascii")


def render_model(m: Material, out: Path, *, link: bool = False) -> None:
    """The student's files, its certificate and card, and the report's pictures."""
    weights.copy_student(m.weights, out, m.wanted.model_repository, link=link)
    if m.facts.certificate:
        _copy(m.weights.folder / "parity.json", out / "parity.json")
    if m.facts.study:
        told = _placeless(m.facts.study)
        write_json(out / "results.json", [r.model_dump(mode="json") for r in told.results])
        for name in PICTURES:
            if (m.wanted.report / name).is_file():
                _copy(m.wanted.report / name, out / name)
    write_text(
        out / "README.md",
        cards.model_card(
            m.facts, m.wanted.model_repository, license=m.license, dataset=m.wanted.dataset, about=confined(m)
        ),
    )  # fmt: skip


def render_dataset(m: Material, out: Path, *, link: bool = False) -> None:
    """The trajectories in our own record, and some of them for the Hub's viewer."""
    rollouts = [_without_places(rollout) for rollout in m.facts.rollouts]
    write_rollouts(rollouts, out)
    several = rollouts[:TRACES]
    (out / "traces").mkdir()
    for number, rollout in enumerate(several, 1):
        file = as_trace([_Turn(rollout)])
        (out / "traces" / f"{number:04}.jsonl").write_bytes(file.content)
    write_text(
        out / "README.md",
        cards.dataset_card(
            m.facts, m.wanted.dataset, license=m.wanted.license or cards.UNKNOWN,
            model=m.wanted.model_repository, traces=len(several),
        ),
    )  # fmt: skip


def confined(m: Material) -> str:
    """How code is confined where it runs, and what it may use."""
    limits = Limits.read(m.wanted.limits, output_chars=LIMITS.output_chars)
    told = ", ".join(f"{name} {value:g}" for name, value in asdict(limits).items() if value)
    return (
        "Code that the model writes runs in processes of its own: an empty environment, no network, Landlock and "
        "seccomp on Linux. Where a machine cannot confine it, the page says so and does not start. Measured on the "
        f"machine that published this: {_tier()}. Limits: {told}. It is no protection from a flaw in the kernel."
    )


def _without_places(rollout: Rollout) -> Rollout:
    """Its model by name: a folder of this machine is nobody else's."""
    trajectory = rollout.trajectory
    named = trajectory.model_copy(update={"model": short(trajectory.model)})
    return rollout.model_copy(update={"trajectory": named})


@dataclass(frozen=True)
class _Turn:
    """A rollout as a turn of a chat."""

    rollout: Rollout

    @property
    def id(self) -> str:
        return "/".join(map(str, self.rollout.key))

    @property
    def question(self) -> str:
        return self.rollout.problem.question

    @property
    def trajectory(self):
        return self.rollout.trajectory


def _readme(m: Material) -> str:
    w = m.wanted
    models = [w.model_repository or w.weights, m.weights.name if m.weights.kind == "hub" else None]
    if m.weights.base and m.weights.base.count("/") == 1 and not Path(m.weights.base).exists():
        models.append(m.weights.base)
    index = m.index.removeprefix(HUB).partition("@")[0] if isinstance(m.index, str) else None
    return cards.space_card(
        m.facts,
        title=m.title,
        sdk="gradio",
        sdk_version=pin("gradio").partition("==")[2],
        python=PYTHON,
        hardware=_hardware(m),
        sign_in=w.sign_in,
        license=m.license,
        models=dict.fromkeys(models),
        datasets=dict.fromkeys([w.dataset, index]),
        secrets=m.secrets,
        tools=[tool.name or tool.spec for tool in m.tools],
        notes=m.notes,
        about=confined(m),
    )


def _hardware(m: Material) -> str | None:
    """The least that is likely to be enough: weights are held in four bytes a parameter where there is no GPU."""
    if m.weights.folder is None:
        return "cpu-basic" if m.weights.kind == "endpoint" else None
    size = weights.size(m.weights)
    return "cpu-basic" if size < 4e9 else "t4-small" if size < 8e9 else "a10g-small"


def _report(study: Study, folder: Path, out: Path) -> None:
    """The numbers and pictures."""
    out.mkdir(parents=True)
    write_json(out / "report.json", _placeless(study).model_dump(mode="json"))
    for name in PICTURES:
        if (folder / name).is_file():
            _copy(folder / name, out / name)


def _placeless(study: Study) -> Study:
    """Without the places that it was made from."""
    rows = [row.model_copy(update={"runs": (), "model": short(row.model)}) for row in study.rows]
    results = [result.model_copy(update={"model": short(result.model)}) for result in study.results]
    return study.model_copy(update={"command": "", "rows": tuple(rows), "results": tuple(results)})


def _tier() -> str:
    from agents.sandbox import SandboxError, forkserver, tier

    try:
        sealed = tier.require(IMPORTS, None)
        return tier.describe(forkserver.server_for(IMPORTS), sealed)
    except SandboxError as error:
        return f"none ({error})"


def _copy(source: Path, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(
            source, out, ignore=shutil.ignore_patterns("*.pkl", "*.pickle", "__pycache__")
        )
    else:
        shutil.copyfile(source, out)
