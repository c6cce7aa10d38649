"""The page's command line: what `python app.py` takes, and what it then offers to visitors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from smolagents import Model, Tool

from ..agent import LIMITS, make_agent
from ..models import load_model, resolve
from ..sandbox import Limits
from .access import is_loopback
from .offer import FEEDBACK, Offer
from .published import Published

RUNS = Path("runs")
REPORTS = (RUNS / "report", RUNS / "demo")
"""Where a report lies that was made as the README says."""
EXAMPLES = (
    "Nancy packs 318 boxes with 45127 pens each. Then 2204 are lost. How many pens are there now?",
    "In which town was the author of The Crooked Letter born?",
)
COMPARE = ("pocket-base", "pocket", "pocket-teacher")
"""What the page of the shipped student begins with."""


def read_options(
    parser: argparse.ArgumentParser, told: Published, given: Sequence[str] | None = None
) -> argparse.Namespace:
    """The options; what is not given is as `agent.json` tells, or as usual. given: the command line's if None."""
    settings, add = told.settings, parser.add_argument
    add(
        "--model",
        default=told.model or "pocket",
        help="as in `evaluate --model`; several with commas",
    )
    add(
        "--tools",
        default=",".join(told.tools) if told.tools is not None else "wiki_search",
        help="names, .py files, mcp:, space:, langchain: or agent: tools, with commas between",
    )
    add("--tools-dir", help="a folder of tool files")
    add(
        "--index",
        default=told.index,
        help="index folder for the search tools; the pocket encyclopedia if not given",
    )
    add(
        "--samples",
        type=between(int, 1, 64),
        default=settings.get("samples", 1),
        help="candidates per step; the one that most agree with is kept",
    )
    add("--temperature", type=between(float, 0, 2), default=settings.get("temperature"))
    add("--max-steps", type=between(int, 1, 100), default=settings.get("max_steps", 5))
    add("--prompt", default=settings.get("prompt"), help="a file of agents/prompts, or a path")
    add("--tags", default=settings.get("tags"), help="how the model marks its code")
    add("--imports", default=settings.get("imports"), help="modules that code may import")
    add("--limits", default=told.limits or "", help="as seconds=10,run_tokens=20000")
    add("--rules", default="", help="for visitors, as runs=4,per_minute=10,idle_seconds=3600")
    add("--title", default=told.title or "smoldistill")
    add("--compare", default=",".join(told.compare), help="models to put side by side")
    add("--runs", type=folder, help=f"folder of past runs to show; {RUNS} on this machine alone")
    add(
        "--report",
        type=folder,
        default=told.report,
        help=f"folder with a report to show; {' or '.join(map(str, REPORTS))} on this machine alone",
    )
    add("--feedback", type=Path, default=FEEDBACK, help="folder that takes the thumbs")
    add(
        "--unsafe-local",
        action="store_true",
        help="run model-written code unconfined, where there is no sandbox",
    )
    add("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    add(
        "--port",
        type=between(int, 1, 65535),
        default=os.environ.get("GRADIO_SERVER_PORT", "7860"),
    )
    add("--open-to-all", action="store_true", help="serve other machines without a password")
    options = parser.parse_args(given)
    options.examples = told.examples
    if options.model == "pocket" and told.model is None:
        options.examples = EXAMPLES
        options.compare = options.compare or ",".join(COMPARE)
    if is_loopback(options.host) and told.model is None:  # what lies here is its owner's to see
        options.runs = options.runs or (RUNS if RUNS.is_dir() else None)
        made = (place for place in REPORTS if (place / "report.json").is_file())
        options.report = options.report or next(made, None)
    return options


def between(kind: type, least: float, most: float) -> Callable[[str], float]:
    """Reads a number of an option within these, or says which they are."""

    def read(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:  # not a number is never within
            raise argparse.ArgumentTypeError(f"it is from {least} to {most}, not {text}")
        return value

    return read


def folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return Path(text)


def check_feedback(place: Path) -> None:
    """Tell now that thumbs could not be written; the usual place is left to the moment when there is one."""
    there = next(path for path in (place, *place.absolute().parents) if path.exists())
    if place != FEEDBACK and not (there.is_dir() and os.access(there, os.W_OK)):
        raise ValueError(
            f"Thumbs cannot be written to {place}; name another folder with --feedback."
        )


def offered(options: argparse.Namespace, toolbox: Sequence[Tool]) -> Offer:
    """What the options offer to visitors. Raises ValueError for what is not there."""
    check_feedback(options.feedback)
    limits = Limits.read(options.limits, output_chars=LIMITS.output_chars)
    settings = {
        name: value
        for name in ("samples", "temperature", "max_steps", "prompt", "tags", "unsafe_local")
        if (value := getattr(options, name)) is not None
    }
    if options.imports is not None:
        imports = options.imports
        settings["imports"] = names(imports) if isinstance(imports, str) else tuple(imports)
    offer = Offer(
        models=names(options.model),
        toolbox=tuple(toolbox),
        settings={**settings, "limits": limits},
        examples=options.examples,
        title=options.title,
        runs=options.runs,
        report=options.report,
        feedback=options.feedback,
        compare=names(options.compare),
    )
    check(offer)
    return offer


def check(offer: Offer) -> None:
    """Tell now what is wrong, but for what only the weights can tell: they are loaded behind the page."""
    if not offer.models:
        raise ValueError("Give at least one --model.")
    for name in (*offer.models, *offer.compare):
        if name.startswith(("http://", "https://", "litellm:")) or name == "pocket-teacher":
            offer.loaded[name] = load_model(name)
        else:
            resolve(name)
    nobody = Model(model_id="nobody")  # never asked: settings, prompt and sandbox are what is tried
    make_agent(nobody, list(offer.toolbox), **offer.settings).cleanup()


def names(listed: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (name.strip() for name in listed.split(",")))))
