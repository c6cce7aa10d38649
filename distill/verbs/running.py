"""What runs agents: the demo, collecting from a teacher, evaluating a student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import (
    Attempts,
    Config,
    Force,
    Imports,
    Index,
    Json,
    Limit,
    Limits,
    MaxSteps,
    MaxTokens,
    Method,
    Model,
    Name,
    Out,
    Problems,
    Prompt,
    Samples,
    Seed,
    Sequential,
    Tags,
    Temperature,
    Tools,
    ToolsDir,
    UnsafeLocal,
    Workers,
)
from . import all_failed, fail, last, listed, reason, verb


@verb("demo", "demo --out runs/demo")
def demo(
    out: Out = Path("runs/demo"),
    seed: Seed = 0,
    limit: Limit = None,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """The whole loop on the pocket world: collect, filter, train the students, evaluate, print the table."""
    from ..demo import demo

    made = demo(out, seed=seed, limit=limit, force=force)
    last(json, {"results": [r.model_dump() for r in made.results], "out": str(out)})


@verb("collect", "collect --problems hops_train --model pocket-teacher --out runs/hops --limit 50")
def collect(
    problems: Problems,
    model: Model,
    out: Out,
    method: Method = "agent",
    first_thought: Annotated[
        bool,
        typer.Option(
            "--first-thought", help="Begin each run with the model's own chain of thought."
        ),
    ] = False,
    first_thought_in_prompt: Annotated[
        bool,
        typer.Option(
            "--first-thought-in-prompt",
            help="Give it with the question, to a model whose reply cannot be begun for it.",
        ),
    ] = False,
    attempts: Attempts = 1,
    samples: Samples = 1,
    sequential: Sequential = False,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    max_steps: MaxSteps = 5,
    workers: Workers = 32,
    tools: Tools = "wiki_search",
    tools_dir: ToolsDir = None,
    index: Index = None,
    prompt: Prompt = None,
    tags: Tags = None,
    imports: Imports = "numpy.*,sympy.*",
    limits: Limits = "",
    unsafe_local: UnsafeLocal = False,
    name: Name = None,
    seed: Seed = 0,
    limit: Limit = None,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Collect trajectories of a model (the teacher) over problems."""
    from ..collect import collect
    from ..solvers import with_folder

    tools = with_folder(tools, tools_dir)
    counts = collect(
        problems, model, out, method=method, attempts=attempts,
        first_thought="prompt" if first_thought_in_prompt else first_thought,
        samples=samples, sequential=sequential, temperature=temperature, max_tokens=max_tokens, max_steps=max_steps,
        workers=workers, tools=tools, index=index, prompt=prompt, tags=tags, imports=imports, limits=limits,
        unsafe_local=unsafe_local, name=name, seed=seed, limit=limit, force=force,
    )  # fmt: skip
    print(f"{out}: {listed(counts) or 'nothing left to do'}")
    last(json, {"out": str(out), "new": dict(counts)})
    all_failed(counts, out)


@verb("evaluate", "evaluate --benchmark sums,hops --model pocket --out runs/pocket")
def evaluate(
    model: Model,
    out: Out,
    benchmark: Annotated[
        str | None,
        typer.Option(help="Benchmark names with commas between; `benchmarks` lists them."),
    ] = None,
    problems: Annotated[
        str | None,
        typer.Option(
            help="A problems file; with one --benchmark, its problems instead of the Hub's."
        ),
    ] = None,
    method: Method = "agent",
    attempts: Attempts = 1,
    samples: Samples = 1,
    sequential: Sequential = False,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    max_steps: MaxSteps = 5,
    workers: Workers = 32,
    tools: Tools = "wiki_search",
    tools_dir: ToolsDir = None,
    index: Index = None,
    prompt: Prompt = None,
    tags: Tags = None,
    imports: Imports = "numpy.*,sympy.*",
    limits: Limits = "",
    unsafe_local: UnsafeLocal = False,
    name: Name = None,
    seed: Seed = 0,
    limit: Limit = None,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Run a model over benchmarks and count what is right."""
    from ..evaluate import evaluate
    from ..report import print_table
    from ..solvers import with_folder

    if benchmark is None and problems is None:
        raise ValueError("Name benchmarks with --benchmark, or a file with --problems.")
    tools = with_folder(tools, tools_dir)
    made = evaluate(
        problems if benchmark is None else benchmark, model, out,
        file=None if benchmark is None else problems, method=method,
        attempts=attempts, samples=samples, sequential=sequential, temperature=temperature,
        max_tokens=max_tokens, max_steps=max_steps, workers=workers, tools=tools, index=index, prompt=prompt, tags=tags,
        imports=imports, limits=limits, unsafe_local=unsafe_local, name=name, seed=seed, limit=limit, force=force,
    )  # fmt: skip
    print_table(made)
    last(json, {"out": str(out), "results": [r.model_dump() for r in made.results]})
    if made.results and all(r.answered + r.max_steps == 0 for r in made.results):
        fail(f"Every rollout failed{reason(out)}; the reasons are in {out / 'rollouts.jsonl'}.")
