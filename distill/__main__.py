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

from .options import (
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
    Temperature,
    Tools,
    UnsafeLocal,
    Workers,
)

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
            except BrokenPipeError:
                os._exit(141)  # whoever read the output has gone, as `head` does
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

    made = demo(out, seed=seed, limit=limit, force=force)
    _last(json, {"results": [r.model_dump() for r in made.results], "out": str(out)})


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
    name: Name = None,
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
        unsafe_local=unsafe_local, name=name, seed=seed, limit=limit, force=force,
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
    against: Annotated[
        str | None,
        typer.Option(
            help="Benchmarks (names or files) to look for among the training problems; those at hand if not given."
        ),
    ] = None,
    drop_contaminated: Annotated[
        bool,
        typer.Option(
            "--drop-contaminated", help="Leave out training problems that are in one of them."
        ),
    ] = False,
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
        prompt=prompt, tools=tools, against=against, drop_contaminated=drop_contaminated, seed=seed, force=force,
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
    index: Index = None,
    prompt: Prompt = None,
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
    from .evaluate import evaluate
    from .report import print_table

    if benchmark is None and problems is None:
        raise ValueError("Name benchmarks with --benchmark, or a file with --problems.")
    made = evaluate(
        problems if benchmark is None else benchmark, model, out,
        file=None if benchmark is None else problems, method=method,
        attempts=attempts, samples=samples, sequential=sequential, temperature=temperature,
        max_tokens=max_tokens, max_steps=max_steps, workers=workers, tools=tools, index=index, prompt=prompt,
        imports=imports, limits=limits, unsafe_local=unsafe_local, name=name, seed=seed, limit=limit, force=force,
    )  # fmt: skip
    print_table(made)
    _last(json, {"out": str(out), "results": [r.model_dump() for r in made.results]})
    if made.results and all(r.answered + r.max_steps == 0 for r in made.results):
        _fail(f"Every rollout failed{_reason(out)}; the reasons are in {out / 'rollouts.jsonl'}.")


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
    from .report import print_table
    from .score import rescore

    made, changes = rescore(folder, judge=judge, prompt=prompt, workers=workers)
    print(f"{folder}: {_counts(+changes)}")
    print_table(made)
    _last(
        json,
        {
            "out": str(folder),
            "changes": dict(changes),
            "results": [r.model_dump() for r in made.results],
        },
    )
    if changes["undecided"]:
        _fail(
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
    from .report import print_comparisons, print_table, report

    made = report(folders, out, teachers=teacher or [], title=title)
    print_table(made)
    print_comparisons(made)
    print(f"Open {out / 'report.html'}.")
    _last(json, {"out": str(out), "results": [r.model_dump() for r in made.results]})


@verb("benchmarks", "benchmarks")
def benchmarks(json: Json = False, config: Config = None) -> None:
    """List the benchmarks: where each comes from, and by which rule."""
    from .benchmarks import describe

    found = describe()
    for one in found:
        print(
            f"{one['name']}: {one['size']} problems, {one['kind']}; {one['source']}\n    {one['rule']}"
        )
    _last(json, {"benchmarks": found})


@verb("gold", "gold sums hops my_problems.jsonl")
def gold(
    sources: Annotated[list[str], typer.Argument(help="Problems files, or benchmark names.")],
    seed: Seed = 0,
    json: Json = False,
    config: Config = None,
) -> None:
    """Prove the scorer: a benchmark's own answers are right, and another problem's are not."""
    from . import benchmarks
    from .gold import print_proofs, prove

    proofs = [p for source in sources for p in prove(benchmarks.load(source).problems, seed=seed)]
    print_proofs(proofs)
    _last(json, {"sets": [proof.model_dump() for proof in proofs]})
    if any(proof.right < proof.n for proof in proofs):
        _fail("Some answers do not score 1.0 against themselves.")


@verb("contamination", "contamination hops_train --against hops,hops_ood")
def contamination(
    training: Annotated[
        str, typer.Argument(help="A problems file or benchmark names: to train on.")
    ],
    against: Annotated[str, typer.Option(help="Files or benchmark names: to test on.")],
    n: Annotated[int, typer.Option(help="Words in a run.")] = 5,
    threshold: Annotated[
        float, typer.Option(help="Share of runs in common from which two are near.")
    ] = 0.5,
    out: Annotated[Path | None, typer.Option(help="Folder for contamination.json.")] = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Find training problems that stand in a benchmark, to the word or nearly."""
    from .benchmarks import load
    from .contamination import overlaps, rows, table, write

    train, test = (
        [p for name in names.split(",") for p in load(name).problems]
        for names in (training, against)
    )
    found = overlaps(train, test, n=n, threshold=threshold)
    counted = rows(train, test, found)
    print(table(counted))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write(out, found, counted, n=n, threshold=threshold)
    _last(json, {"rows": [row.model_dump() for row in counted]})


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


def _counts(counts) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda item: -item[1]))


def _last(json: bool, value: dict) -> None:
    if json:
        print(json_.dumps(value, ensure_ascii=False))


def _all_failed(counts, out: Path) -> None:
    if counts["failed"] and counts["failed"] == sum(
        counts[stop] for stop in ("answered", "max_steps", "failed")
    ):
        _fail(f"Every rollout failed{_reason(out)}; the reasons are in {out / 'rollouts.jsonl'}.")


def _reason(out: Path) -> str:
    """The commonest error of a run."""
    from collections import Counter

    from .rollout import read_rollouts

    errors = Counter((r.trajectory.error or "").split("\n")[0][:200] for r in read_rollouts(out))
    return f", most often with {errors.most_common(1)[0][0]!r}" if errors else ""


def _fail(message: str) -> None:
    print(message, file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    ours = logging.getLogger("agents")  # says how code is confined; other libraries say too much
    ours.addHandler(logging.StreamHandler())
    ours.setLevel(logging.INFO)
    app(prog_name="python -m distill")
