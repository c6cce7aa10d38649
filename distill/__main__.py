"""`python -m distill VERB`: the pipeline's command line. Options only; each verb calls one function."""

from __future__ import annotations

import errno
import functools
import json as json_
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

# What libraries say to their developers is nothing that a user can act on.
warnings.filterwarnings("ignore", category=FutureWarning)
warnings.filterwarnings("ignore", category=DeprecationWarning)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Distil a tool-using agent into a small one. Begin with `python -m distill demo`.",
    rich_markup_mode=None,
)


def verb(name: str, example: str):
    """A command whose mistakes end in one sentence and its exit code: 2 the caller's, 130 Ctrl-C."""

    def decorate(function):
        @functools.wraps(function)
        def guarded(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except ValueError as error:
                print(f"Error: {error}", file=sys.stderr)
                raise typer.Exit(2) from None
            except RuntimeError as error:
                from agents.sandbox import SandboxError

                if not isinstance(error, SandboxError):
                    raise
                print(f"Error: {error}", file=sys.stderr)
                raise typer.Exit(1) from None
            except OSError as error:
                # A path that cannot be is the caller's mistake; a full or broken disk is not.
                where = f" {error.filename}" if error.filename else ""
                print(f"Error: {error.strerror or error}{where}", file=sys.stderr)
                broken = error.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG)
                raise typer.Exit(1 if broken else 2) from None
            except KeyboardInterrupt:
                print(
                    "Interrupted. What is finished is kept; call it again to go on.",
                    file=sys.stderr,
                )
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(
                    130
                )  # runs in flight hang on their model; the interpreter would wait for them

        return app.command(name, epilog=f"Example: python -m distill {example}")(guarded)

    return decorate


# Options that several verbs have.
Out = Annotated[Path, typer.Option("--out", help="Folder of this run; calling again resumes it.")]
Problems = Annotated[
    str, typer.Option("--problems", help="A problems file, or benchmark names with commas between.")
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
Tools = Annotated[str, typer.Option(help="Names of tools, or .py files, with commas between.")]
Index = Annotated[str | None, typer.Option(help="Index folder for wiki_search.")]
Prompt = Annotated[str | None, typer.Option(help="student, teacher, or a file.")]
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
    from .demo import demo

    results = demo(out, seed=seed, limit=limit, force=force)
    _last(json, {"results": [r.model_dump() for r in results], "out": str(out)})


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
    index: Index = None,
    prompt: Prompt = None,
    imports: Imports = "numpy.*,sympy.*",
    limits: Limits = "",
    unsafe_local: UnsafeLocal = False,
    seed: Seed = 0,
    limit: Limit = None,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Collect trajectories of a model (the teacher) over problems."""
    from .collect import collect

    counts = collect(
        problems, model, out, method=method, attempts=attempts,
        first_thought="prompt" if first_thought_in_prompt else first_thought,
        samples=samples, sequential=sequential, temperature=temperature, max_tokens=max_tokens, max_steps=max_steps,
        workers=workers, tools=tools, index=index, prompt=prompt, imports=imports, limits=limits,
        unsafe_local=unsafe_local, seed=seed, limit=limit, force=force,
    )  # fmt: skip
    print(f"{out}: {_counts(counts) or 'nothing left to do'}")
    _last(json, {"out": str(out), "new": dict(counts)})
    _all_failed(counts, out)


@verb("filter", "filter runs/hops")
def filter_(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    policy: Annotated[str, typer.Option(help="correct, or answered (right or wrong).")] = "correct",
    json: Json = False,
    config: Config = None,
) -> None:
    """Keep the rollouts worth learning from; count why the others went."""
    from .filter import filter_rollouts

    counts = filter_rollouts(folder, policy=policy)
    print(f"{folder}: {_counts(counts)}")
    _last(json, {"out": str(folder), "counts": dict(counts)})


@verb("train", "train runs/hops --student pocket-base --out runs/student --rate 2e-3")
def train(
    folders: Annotated[list[Path], typer.Argument(help="Folders with a kept.jsonl.")],
    student: Annotated[
        str, typer.Option(help="pocket-base, a folder or a Hub id: what to start from.")
    ],
    out: Out,
    method: Annotated[
        str | None, typer.Option(help="Train on rollouts of this method alone.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Train all weights, not a LoRA adapter.")
    ] = False,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 2e-4,
    epochs: Annotated[float, typer.Option(help="Times over the data.")] = 2,
    batch_size: Annotated[int, typer.Option(help="Samples a step.")] = 8,
    rank: Annotated[int, typer.Option(help="LoRA's r.")] = 64,
    alpha: Annotated[int, typer.Option(help="LoRA's alpha.")] = 128,
    dropout: Annotated[float, typer.Option(help="LoRA's dropout.")] = 0.05,
    max_length: Annotated[
        int, typer.Option(help="Tokens; longer samples are left out and counted.")
    ] = 10240,
    warmup: Annotated[float, typer.Option(help="Steps, or below 1 the share of all.")] = 0.0,
    stop_at: Annotated[
        float, typer.Option(help="Share of the steps after which to stop, for an early checkpoint.")
    ] = 1.0,
    prompt: Annotated[str, typer.Option(help="The student's system prompt.")] = "student",
    tools: Annotated[
        str, typer.Option(help="Your .py files of tools, as the rollouts were collected with.")
    ] = "",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Fine-tune a student on kept rollouts (TRL, PEFT)."""
    from .train import train

    summary = train(
        folders, student, out, method=method, full=full, rate=rate, epochs=epochs, batch_size=batch_size,
        rank=rank, alpha=alpha, dropout=dropout, max_length=max_length, warmup=warmup, stop_at=stop_at,
        prompt=prompt, tools=tools, seed=seed, force=force,
    )  # fmt: skip
    print(
        f"{out}: {summary['steps']} steps, loss {summary['first_loss']} to {summary['last_loss']}, {summary['seconds']} s"
    )
    _last(json, {"out": str(out), **summary})


@verb("evaluate", "evaluate --benchmark sums,hops --model pocket --out runs/pocket")
def evaluate(
    model: Model,
    out: Out,
    benchmark: Annotated[
        str | None, typer.Option(help="Benchmark names with commas between.")
    ] = None,
    problems: Annotated[str | None, typer.Option(help="Or a problems file.")] = None,
    method: Method = "agent",
    attempts: Attempts = 1,
    samples: Samples = 1,
    sequential: Sequential = False,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    max_steps: MaxSteps = 5,
    workers: Workers = 32,
    tools: Tools = "wiki_search",
    index: Index = None,
    prompt: Prompt = None,
    imports: Imports = "numpy.*,sympy.*",
    limits: Limits = "",
    unsafe_local: UnsafeLocal = False,
    seed: Seed = 0,
    limit: Limit = None,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Run a model over benchmarks and count what is right."""
    from .evaluate import evaluate
    from .report import print_table

    if (benchmark is None) == (problems is None):
        raise ValueError("Name benchmarks with --benchmark, or a file with --problems.")
    results = evaluate(
        benchmark if problems is None else problems, model, out, method=method, attempts=attempts, samples=samples,
        sequential=sequential, temperature=temperature, max_tokens=max_tokens, max_steps=max_steps, workers=workers,
        tools=tools, index=index, prompt=prompt, imports=imports, limits=limits, unsafe_local=unsafe_local,
        seed=seed, limit=limit, force=force,
    )  # fmt: skip
    print_table(results)
    _last(json, {"out": str(out), "results": [r.model_dump() for r in results]})
    if results and all(r.failed == r.n for r in results):
        _fail(f"Every rollout failed; the reasons are in {out / 'rollouts.jsonl'}.")


@verb("report", "report runs/pocket runs/base --out runs/report")
def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders of evaluations.")],
    out: Annotated[Path, typer.Option(help="Where table and figure go.")],
    json: Json = False,
    config: Config = None,
) -> None:
    """Print the table of several runs; write results.json, report.png and report.svg."""
    from .paired import print_paired, read_paired
    from .report import print_table, report

    results = report(folders, out)
    print_table(results)
    print_paired(read_paired(out))
    _last(json, {"out": str(out), "results": [r.model_dump() for r in results]})


@verb("index", "index passages.jsonl --out runs/index")
def index(
    corpus: Annotated[Path, typer.Argument(help="Passages as JSON lines: id, title, text.")],
    out: Out,
    encoder: Annotated[
        str | None, typer.Option(help="Folder or Hub id of an encoder; by words without one.")
    ] = None,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Build a retrieval index."""
    from .index import index

    n = index(corpus, out, encoder=encoder, force=force)
    print(f"{out}: {n} passages")
    _last(json, {"out": str(out), "passages": n})


@verb("search", 'search runs/index "the silver lantern"')
def search(
    folder: Annotated[Path, typer.Argument(help="An index.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", help="How many passages.")] = 3,
    json: Json = False,
    config: Config = None,
) -> None:
    """Ask an index."""
    from .index import search

    passages = search(folder, query, k=k)
    for i, passage in enumerate(passages, 1):
        print(f"[{i}] {passage.title}: {passage.text}")
    if not passages:
        print("No passage found.")
    _last(json, {"passages": [p.model_dump() for p in passages]})


@verb("doctor", "doctor")
def doctor(json: Json = False, config: Config = None) -> None:
    """Say what this machine can do."""
    from .doctor import doctor

    found = doctor()
    for name, value in found.items():
        print(f"{name:24} {value}")
    _last(json, found)


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
        values = {str(name).replace("-", "_"): _joined(value) for name, value in values.items()}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"no option {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise typer.BadParameter(f"{file}: {error}.") from None
    context.default_map = {**(context.default_map or {}), **values}
    return file


def _joined(value):
    """A list as the command line writes it, with commas; a mapping, as limits are, with = too."""
    if isinstance(value, dict):
        value = [f"{name}={one}" for name, one in value.items()]
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _counts(counts) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda item: -item[1]))


def _last(json: bool, value: dict) -> None:
    if json:
        print(json_.dumps(value, ensure_ascii=False))


def _all_failed(counts, out: Path) -> None:
    if counts["failed"] and counts["failed"] == sum(
        counts[stop] for stop in ("answered", "max_steps", "failed")
    ):
        _fail(f"Every rollout failed; the reasons are in {out / 'rollouts.jsonl'}.")


def _fail(message: str) -> None:
    print(message, file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    ours = logging.getLogger("agents")  # says how code is confined; other libraries say too much
    ours.addHandler(logging.StreamHandler())
    ours.setLevel(logging.INFO)
    app(prog_name="python -m distill")
