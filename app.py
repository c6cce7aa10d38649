"""The chat page: ask the agent, and see each step as it happens.

    python app.py --model pocket

What a published folder's `agent.json` says is the default of every option. Each visitor has an agent, a sandbox
and a memory of their own; shared are the model's weights and the index. The page is served to this machine
alone, unless --host or GRADIO_SERVER_NAME (a Space sets it) says otherwise; it makes no public link.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from smolagents import Model

import tools
from agents import Limits, SandboxError, load_model, make_agent
from agents.agent import LIMITS
from agents.chat import access, page, published
from agents.chat.conversation import Conversation
from agents.chat.offer import FEEDBACK, Offer
from agents.chat.rules import Rules
from agents.chat.visitors import Visitors
from agents.models import resolve

HERE = Path(__file__).parent
RUNS = Path("runs")
POCKET = {
    "examples": (
        "Nancy packs 318 boxes with 45127 pens each. Then 2204 are lost. How many pens are there now?",
        "In which town was the author of The Crooked Letter born?",
    ),
    "compare": ("pocket-base", "pocket", "pocket-teacher"),
}
"""What the page of the shipped student begins with."""


def main() -> None:
    ours = logging.getLogger("agents")  # says how code is confined; other libraries say too much
    ours.addHandler(logging.StreamHandler())
    ours.setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description="Chat with a student, step by step.")
    try:
        options = parsed(parser, published.read(HERE))
        access.check_host(options.host, open_to_all=options.open_to_all)
        offer, rules = offered(options), Rules.read(options.rules)
        check(offer)
        visitors = Visitors(lambda: Conversation(offer.agent), rules)
        app = page.build(offer, visitors)
        app.launch(
            **page.launching(rules, options.host),
            server_port=options.port,
            prevent_thread_lock=True,
        )
        print(f"{offer.models[0]} answers on {app.local_url}; Ctrl-C ends it.", flush=True)
        offer.agent().cleanup()  # the weights, while the first visitor reads
    except (ValueError, SandboxError, OSError) as error:
        parser.exit(2, f"Error: {error}\n")
    try:
        app.block_thread()
    finally:
        visitors.close()


def parsed(parser: argparse.ArgumentParser, told: published.Published) -> argparse.Namespace:
    """The options; what is not given is as `agent.json` tells, or as usual."""
    settings = told.settings
    add = parser.add_argument
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
    add("--samples", type=int, default=settings.get("samples", 1), help="candidates per step")
    add("--temperature", type=float, default=settings.get("temperature"))
    add("--max-steps", type=int, default=settings.get("max_steps", 5))
    add("--prompt", default=settings.get("prompt"), help="a file of agents/prompts, or a path")
    add("--tags", default=settings.get("tags"), help="how the model marks its code")
    add("--imports", default=settings.get("imports"), help="modules that code may import")
    add("--limits", default=told.limits or "", help="as seconds=10,run_tokens=20000")
    add("--rules", default="", help="for visitors, as runs=4,per_minute=10,idle_seconds=3600")
    add("--title", default=told.title or "smoldistill")
    add("--compare", default=",".join(told.compare), help="models to put side by side")
    add("--runs", type=Path, help=f"folder of past runs to show; {RUNS} on this machine alone")
    add("--report", type=Path, default=told.report, help="folder with a report to show")
    add("--feedback", type=Path, default=FEEDBACK, help="folder that takes the thumbs")
    add(
        "--unsafe-local",
        action="store_true",
        help="run model-written code unconfined, where there is no sandbox",
    )
    add("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    add("--port", type=int, default=int(os.environ.get("GRADIO_SERVER_PORT", 7860)))
    add("--open-to-all", action="store_true", help="serve other machines without a password")
    options = parser.parse_args()
    options.examples = told.examples
    if options.model == "pocket" and told.model is None:
        options.examples = POCKET["examples"]
        options.compare = options.compare or ",".join(POCKET["compare"])
    if options.runs is None and RUNS.is_dir() and access.is_loopback(options.host):
        options.runs = RUNS
    return options


def offered(options: argparse.Namespace) -> Offer:
    """What the options offer to visitors. Raises ValueError for what is not there."""
    limits = Limits.read(options.limits, output_chars=LIMITS.output_chars)
    settings = {
        name: value
        for name in ("samples", "temperature", "max_steps", "prompt", "tags", "unsafe_local")
        if (value := getattr(options, name)) is not None
    }
    if options.imports is not None:
        imports = options.imports
        settings["imports"] = imports.split(",") if isinstance(imports, str) else list(imports)
    return Offer(
        models=names(options.model),
        toolbox=toolbox(options),
        settings={**settings, "limits": limits},
        examples=options.examples,
        title=options.title,
        runs=options.runs,
        report=Path(options.report) if options.report else None,
        feedback=options.feedback,
        compare=names(options.compare),
    )


def toolbox(options: argparse.Namespace) -> tuple:
    """The tools; a student among them has those that it was trained with, over the same index."""

    def student(model: str):
        from agents.as_tool import student_tool, trained_with

        own = tools.compose(trained_with(model), index=options.index)
        return student_tool(model, own, unsafe_local=options.unsafe_local)

    folders = [options.tools_dir] if options.tools_dir else []
    return tuple(tools.compose(options.tools, index=options.index, folders=folders, agent=student))


def names(listed: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (name.strip() for name in listed.split(",")))))


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


if __name__ == "__main__":
    main()
