"""What carries a student to others: a folder that runs by itself, or repositories on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import (
    Config,
    Imports,
    Index,
    Json,
    Limits,
    MaxSteps,
    Prompt,
    Samples,
    Tags,
    Temperature,
    ToolsDir,
)
from . import last, verb


@verb("publish", "publish runs/demo/student-agent --report runs/demo --to-folder runs/page")
def publish(
    student: Annotated[
        str,
        typer.Argument(help="pocket, a folder or Hub id, or http://host:port/v1#name: the model."),
    ],
    to_folder: Annotated[
        Path | None, typer.Option(help="A new folder to keep it in; nothing is uploaded.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="OWNER/NAME of a Space, for the chat page.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="OWNER/NAME of a model repository, for the weights.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="OWNER/NAME of a dataset, for the trajectories.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be published, and publish nothing.")
    ] = False,
    weights: Annotated[
        str,
        typer.Option(
            help="copy: beside the page; hub: the page loads them from --model; or OWNER/NAME."
        ),
    ] = "copy",
    report: Annotated[
        Path | None, typer.Option(help="A report's folder: numbers for the cards and the page.")
    ] = None,
    rollouts: Annotated[
        Path | None, typer.Option(help="A run's folder: its kept trajectories, for --dataset.")
    ] = None,
    static: Annotated[
        bool,
        typer.Option("--static", help="A page of the report, on which nothing runs; free of cost."),
    ] = False,
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    examples: Annotated[
        Path | None, typer.Option(help="A file with a question a line, offered on the page.")
    ] = None,
    compare: Annotated[
        str, typer.Option(help="Models to put beside it, with commas between.")
    ] = "",
    license: Annotated[
        str | None, typer.Option(help="As the Hub calls it, such as apache-2.0.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Repositories that only you can see.")
    ] = False,
    sign_in: Annotated[
        bool, typer.Option("--sign-in", help="Visitors of the Space sign in at the Hub first.")
    ] = False,
    hardware: Annotated[
        str | None, typer.Option(help="Of the Space, such as t4-small; it may cost money.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of the Hub; HF_ENDPOINT, or huggingface.co.")
    ] = None,
    tools: Annotated[
        str | None,
        typer.Option(help="As for collect; what the student was trained with, or wiki_search."),
    ] = None,
    tools_dir: ToolsDir = None,
    index: Index = None,
    samples: Samples = 1,
    temperature: Temperature = None,
    max_steps: MaxSteps = 5,
    prompt: Prompt = None,
    tags: Tags = None,
    imports: Imports = "numpy.*,sympy.*",
    limits: Limits = "",
    json: Json = False,
    config: Config = None,
) -> None:
    """Make a page that runs by itself, and cards; keep it in a folder, or upload it to the Hub."""
    from ..publish import Wanted, publish
    from ..publish.plan import print_plan

    lines = examples.read_text(encoding="utf-8").splitlines() if examples else []
    wanted = Wanted(
        student, tools=tools, tools_dir=tools_dir, index=index, samples=samples, temperature=temperature,
        max_steps=max_steps, prompt=prompt, tags=tags, imports=imports, limits=limits, weights=weights,
        report=report, rollouts=rollouts, title=title,
        examples=tuple(line.strip() for line in lines if line.strip()),
        compare=tuple(name.strip() for name in compare.split(",") if name.strip()),
        license=license, space=space, model_repository=model, dataset=dataset, static=static,
        sign_in=sign_in, hardware=hardware,
    )  # fmt: skip
    plan, where = publish(
        wanted, to_folder=to_folder, private=private, endpoint=endpoint, dry_run=dry_run, shown=print_plan
    )  # fmt: skip
    for name, place in where.items():
        print(f"{name}: {place}")
    last(json, {**plan.as_dict(), "published": where})
