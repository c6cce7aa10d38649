"""What makes a student and carries it elsewhere."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from ..options import Config, Force, Json, Seed
from . import last, verb


@verb("train", "train runs/hops --student pocket-base --out runs/student --rate 2e-3")
def train(
    folders: Annotated[list[Path], typer.Argument(help="Folders with a kept.jsonl.")],
    student: Annotated[
        str, typer.Option(help="pocket-base, a folder or a Hub id: what to start from.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the student; calling again resumes it.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Train on rollouts of this method alone.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Train all weights, not a LoRA adapter.")
    ] = False,
    qlora: Annotated[
        bool, typer.Option("--qlora", help="The adapter on a base in four bits (bitsandbytes).")
    ] = False,
    rank: Annotated[int, typer.Option(help="LoRA's r.")] = 64,
    alpha: Annotated[int, typer.Option(help="LoRA's alpha.")] = 128,
    dropout: Annotated[float, typer.Option(help="LoRA's dropout.")] = 0.05,
    rslora: Annotated[
        bool, typer.Option("--rslora", help="Scale by the square root of the rank.")
    ] = False,
    dora: Annotated[
        bool, typer.Option("--dora", help="DoRA: magnitudes beside LoRA's directions.")
    ] = False,
    rate: Annotated[
        float, typer.Option(help="Learning rate; ten times as much for the pocket base.")
    ] = 2e-4,
    schedule: Annotated[
        str, typer.Option(help="Of the rate: linear, cosine, constant, ...")
    ] = "linear",
    warmup: Annotated[float, typer.Option(help="Steps, or below 1 the share of all.")] = 0.0,
    epochs: Annotated[float, typer.Option(help="Times over the data.")] = 2,
    batch_size: Annotated[int, typer.Option(help="Samples a step.")] = 8,
    max_length: Annotated[int, typer.Option(help="Tokens; no sample is ever cut.")] = 10240,
    too_long: Annotated[
        str,
        typer.Option(help="drop: leave longer ones out; shorten: their middle observations."),
    ] = "drop",
    mask_errors: Annotated[
        bool, typer.Option("--mask-errors", help="No loss on actions that failed.")
    ] = False,
    step_weights: Annotated[
        str, typer.Option(help="Of steps in the loss: first, other, final, error, as final=2.")
    ] = "",
    validation: Annotated[float, typer.Option(help="Share of the problems to hold out.")] = 0.0,
    patience: Annotated[
        int, typer.Option(help="Evaluations without a better loss until it stops; 0: never.")
    ] = 0,
    checkpoint_steps: Annotated[
        int, typer.Option(help="Steps between checkpoints, and evaluations.")
    ] = 50,
    early_at: Annotated[
        float | None,
        typer.Option(help="Share of the steps at which the student is also kept, in OUT/early."),
    ] = None,
    checkpointing: Annotated[
        bool | None,
        typer.Option(
            "--checkpointing/--no-checkpointing",
            help="Compute activations twice, for memory; on a GPU if nothing is said.",
        ),
    ] = None,
    track: Annotated[
        str,
        typer.Option(
            help="Send metrics to trackio, tensorboard or wandb too; wandb stays offline unless WANDB_MODE=online."
        ),
    ] = "",
    prompt: Annotated[
        str | None,
        typer.Option(
            help="The student's system prompt: a name or a file; that of the rollouts' tags."
        ),
    ] = None,
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
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print settings, tokens, steps and memory, and make nothing."
        ),
    ] = False,
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Fine-tune a student on kept rollouts (TRL, PEFT); ends with its parity certificate."""
    from ..train import train

    if out is None and not dry_run:
        raise ValueError("Name the student's folder with --out; --dry-run alone needs none.")
    found = train(
        folders, student, out or Path(), method=method, full=full, qlora=qlora, rank=rank, alpha=alpha, dropout=dropout,
        rslora=rslora, dora=dora, rate=rate, schedule=schedule, warmup=warmup, epochs=epochs,
        batch_size=batch_size, max_length=max_length, too_long=too_long, mask_errors=mask_errors,
        step_weights=step_weights, validation=validation, patience=patience, checkpoint_steps=checkpoint_steps,
        early_at=early_at, checkpointing=checkpointing, track=track, prompt=prompt, tools=tools, against=against,
        drop_contaminated=drop_contaminated, dry_run=dry_run, seed=seed, force=force,
    )  # fmt: skip
    if dry_run:
        from ..plan import print_plan

        print_plan(found)
    elif found:
        print(
            f"{out}: {found['steps']} steps, loss {found['first_loss']} to {found['last_loss']}, {found['seconds']} s"
        )
    if found:
        last(json, {"out": str(out), **found})


New = Annotated[Path, typer.Option("--out", help="A new folder.")]


@verb("merge", "merge runs/demo/student-agent --out runs/merged")
def merge(
    student: Annotated[str, typer.Argument(help="A folder or Hub id of an adapter, or pocket.")],
    out: New,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; the base's own if not given.")
    ] = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Add an adapter to its base: a whole model, for programs that know no adapters."""
    from ..merge import merge

    print(merge(student, out, dtype=dtype))
    last(json, {"out": str(out)})


@verb("export", "export runs/demo/student-agent --out runs/gguf --quantization q8_0")
def export(
    student: Annotated[
        str, typer.Argument(help="A folder or Hub id: weights or an adapter, or pocket.")
    ],
    out: New,
    quantization: Annotated[str, typer.Option(help="f16, q8_0, or f32.")] = "f16",
    json: Json = False,
    config: Config = None,
) -> None:
    """Write a GGUF file for llama.cpp, and a Modelfile for Ollama beside it."""
    from ..export import export

    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", UserWarning)
        file = export(student, out, quantization=quantization)
    for remark in remarks:
        if issubclass(remark.category, UserWarning):
            print(f"Note: {remark.message}", file=sys.stderr)
    print(file)
    last(json, {"out": str(out), "file": file.name})
