"""What is done with rollouts: kept, scored, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Config, Force, Json, Out
from . import fail, last, listed, verb


@verb(
    "import",
    "import agent-distillation/Qwen2.5-32B-Instruct_agent_trajectories_2k --out runs/published",
)
def import_(
    source: Annotated[
        str, typer.Argument(help="A file, a folder or a Hub dataset (owner/name[@revision]).")
    ],
    out: Out,
    format: Annotated[
        str, typer.Option(help="auto, messages, sharegpt or paper (the published trajectories).")
    ] = "auto",
    problems: Annotated[
        str | None, typer.Option(help="A problems file with the answers, found by the question.")
    ] = None,
    tags: Annotated[
        str | None, typer.Option(help="Only rows written with these tags: code, markdown or paper.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Take only the first so many rows.")] = None,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Make a run's folder of conversations from elsewhere: published trajectories, messages, ShareGPT."""
    from ..adopt import adopt

    adopted = adopt(
        source, out, format=format, problems=problems, tags=tags, limit=limit, force=force
    )
    for sentence in adopted.sentences():
        print(sentence)
    last(json, {"out": str(out), **vars(adopted)})


@verb("filter", "filter runs/hops")
def filter_(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    policy: Annotated[str, typer.Option(help="correct, or answered (right or wrong).")] = "correct",
    json: Json = False,
    config: Config = None,
) -> None:
    """Keep the rollouts worth learning from; count why the others went."""
    from ..filter import filter_rollouts

    counts = filter_rollouts(folder, policy=policy)
    print(f"{folder}: {listed(counts)}")
    last(json, {"out": str(folder), "counts": dict(counts)})


@verb("score", "score runs/pocket --judge http://127.0.0.1:8000/v1#Qwen/Qwen2.5-32B-Instruct")
def score(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    judge: Annotated[
        str | None,
        typer.Option(
            help="A model that says of factual answers whether they are right, named as for --model; by exact "
            "match without one."
        ),
    ] = None,
    prompt: Annotated[str, typer.Option(help="The judge's: judge, or a file.")] = "judge",
    workers: Annotated[int, typer.Option(help="Questions to the judge at a time.")] = 8,
    json: Json = False,
    config: Config = None,
) -> None:
    """Score the rollouts of a folder again, without running anything."""
    from ..report import print_table
    from ..score import rescore

    made, changes = rescore(folder, judge=judge, prompt=prompt, workers=workers)
    print(f"{folder}: {listed(+changes)}")
    print_table(made)
    last(
        json,
        {
            "out": str(folder),
            "changes": dict(changes),
            "results": [r.model_dump() for r in made.results],
        },
    )
    if changes["undecided"]:
        fail(
            f"The judge could not decide {changes['undecided']}, which count as wrong; call it again to ask again."
        )


@verb("report", "report runs/pocket runs/base --teacher runs/teacher --out runs/report")
def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders of evaluations.")],
    out: Annotated[Path, typer.Option(help="Where the page, the table and the figures go.")],
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of the teacher's evaluation; may be given again."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Over the page.")] = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Compare several runs: report.html (with every rollout), report.md, .png, .svg and .json."""
    from ..report import print_comparisons, print_table, report

    made = report(folders, out, teachers=teacher or [], title=title)
    print_table(made)
    print_comparisons(made)
    print(f"Open {out / 'report.html'}.")
    last(json, {"out": str(out), "results": [r.model_dump() for r in made.results]})
