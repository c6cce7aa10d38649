"""Options that several verbs of the command line have, and the YAML file that may give any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="Folder of this run; calling again resumes it.")]
Problems = Annotated[
    str, typer.Option("--problems", help="A problems file, or benchmark names with commas between.")
]
Name = Annotated[
    str | None,
    typer.Option(
        help="What a report calls the model; runs of one name are repetitions (seeds) of it."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="pocket, pocket-base, pocket-teacher, a folder or Hub id, or http://host:port/v1#name.",
    ),
]
Method = Annotated[
    str, typer.Option(help="agent, cot (chain of thought) or cot_rag (with passages).")
]
Attempts = Annotated[int, typer.Option(help="Rollouts per problem.")]
Samples = Annotated[int, typer.Option(help="Candidates per step; the one most agree with is kept.")]
Sequential = Annotated[
    bool,
    typer.Option("--sequential", help="Sample no more candidates once the vote is decided."),
]
Temperature = Annotated[
    float | None,
    typer.Option(help="Of sampling; greedy if not given, 0.4 with several samples."),
]
MaxTokens = Annotated[int | None, typer.Option(help="Per reply; the model's own limit, or 1024.")]
MaxSteps = Annotated[int, typer.Option(help="Steps an agent may take.")]
Workers = Annotated[int, typer.Option(help="Runs at a time.")]
Tools = Annotated[
    str,
    typer.Option(
        help="With commas between: names of tools, .py files, mcp:COMMAND, mcp:http://..., space:OWNER/NAME, "
        "langchain:MODULE:ATTRIBUTE, agent:MODEL."
    ),
]
ToolsDir = Annotated[
    Path | None,
    typer.Option("--tools-dir", help="Folder whose .py files are tools, beside --tools."),
]
Index = Annotated[str | None, typer.Option(help="Index folder for wiki_search or web_search.")]
Prompt = Annotated[str | None, typer.Option(help="student, teacher, paper, or a file.")]
Tags = Annotated[
    str | None,
    typer.Option(
        help="How the model marks its code: code, markdown (```python) or paper (```py ... <end_code>); "
        "what the student was trained on, if not given."
    ),
]
Imports = Annotated[
    str, typer.Option(help="Modules that code may import beside smolagents' own list.")
]
Limits = Annotated[
    str,
    typer.Option(
        help="Of an action: seconds=30,memory_mb=512,output_chars=4000,calls=50; of a run: run_calls=500, "
        "run_seconds, run_tokens (none)."
    ),
]
UnsafeLocal = Annotated[
    bool,
    typer.Option(
        "--unsafe-local", help="Run model-written code unconfined, where there is no sandbox."
    ),
]
Seed = Annotated[int, typer.Option(help="Of the pocket world and of sampling.")]
Limit = Annotated[int | None, typer.Option(help="Take only the first so many problems.")]
Force = Annotated[bool, typer.Option("--force", help="Go on in a folder made with other settings.")]
Json = Annotated[bool, typer.Option("--json", help="A last line for machines.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        help="YAML with any of these options by name; flags win.",
        is_eager=True,
        callback=lambda context, value: read_config(context, value),
    ),
]


def read_config(context: typer.Context, file: Path | None) -> Path | None:
    """Make a YAML file's values the defaults of the verb's options."""
    if file is None:
        return None
    import yaml

    known = {parameter.name for parameter in context.command.params} - {"config"}
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        if not isinstance(values, dict):
            raise ValueError("it is no list of options with values")
        values = {str(name).replace("-", "_"): value for name, value in values.items()}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"no option {unknown[0]!r}; there are: {', '.join(sorted(known))}")
        values = {name: _joined(name, value) for name, value in values.items()}
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise typer.BadParameter(f"{file}: {str(error)[:500]}.") from None
    context.default_map = {**(context.default_map or {}), **values}
    return file


def _joined(name: str, value):
    """A list as the command line writes it, with commas; a mapping, as limits are, with = too."""
    parts = (
        list(value.values() if isinstance(value, dict) else value)
        if isinstance(value, dict | list)
        else []
    )
    if any(isinstance(part, dict | list) for part in parts):
        raise ValueError(f"{name} is a list within a list; give plain values")
    if isinstance(value, dict):
        return ",".join(f"{key}={one}" for key, one in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else value
