"""What is asked and what can be looked up: benchmarks, their scorer, an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Config, Force, Json, Out, Seed
from . import fail, last, verb


@verb("benchmarks", "benchmarks")
def benchmarks(json: Json = False, config: Config = None) -> None:
    """List the benchmarks: where each comes from, and by which rule."""
    from ..benchmarks import describe

    found = describe()
    for one in found:
        print(
            f"{one['name']}: {one['size']} problems, {one['kind']}; {one['source']}\n    {one['rule']}"
        )
    last(json, {"benchmarks": found})


@verb("gold", "gold sums hops my_problems.jsonl")
def gold(
    sources: Annotated[list[str], typer.Argument(help="Problems files, or benchmark names.")],
    seed: Seed = 0,
    json: Json = False,
    config: Config = None,
) -> None:
    """Prove the scorer: a benchmark's own answers are right, and another problem's are not."""
    from .. import benchmarks
    from ..gold import print_proofs, prove

    proofs = [p for source in sources for p in prove(benchmarks.load(source).problems, seed=seed)]
    print_proofs(proofs)
    last(json, {"sets": [proof.model_dump() for proof in proofs]})
    if any(proof.right < proof.n for proof in proofs):
        fail("Some answers do not score 1.0 against themselves.")


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
    from ..benchmarks import load
    from ..contamination import overlaps, rows, table, write

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
    last(json, {"rows": [row.model_dump() for row in counted]})


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
    from ..index import index

    n = index(corpus, out, encoder=encoder, force=force)
    print(f"{out}: {n} passages")
    last(json, {"out": str(out), "passages": n})


@verb("search", 'search runs/index "the silver lantern"')
def search(
    folder: Annotated[Path, typer.Argument(help="An index.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", help="How many passages.")] = 3,
    json: Json = False,
    config: Config = None,
) -> None:
    """Ask an index."""
    from ..index import search

    passages = search(folder, query, k=k)
    for i, passage in enumerate(passages, 1):
        print(f"[{i}] {passage.title}: {passage.text}")
    if not passages:
        print("No passage found.")
    last(json, {"passages": [p.model_dump() for p in passages]})
