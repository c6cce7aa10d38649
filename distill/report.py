"""Say how good each way of answering is: a page, a table, figures, Markdown and JSON, made from runs' folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .progress import progress
from .results import Comparison, Study
from .run import write_json
from .study import read_run, study

LISTED = 15
"""Comparisons that the terminal shows at most; the page has all."""


def report(
    folders: Sequence[Path],
    out: Path,
    *,
    teachers: Sequence[Path] = (),
    title: str | None = None,
    base: tuple[str, ...] = ("pocket-base",),
) -> Study:
    """Write the report of several runs' folders into `out`, and return what it shows.

    `report.html` opens anywhere without a network; `report.md` with `report.png` (or .svg) and `tokens.png`
    is for a README or a model card; `report.json` holds the study, `results.json` its results alone.
    teachers: folders of the teacher's runs, drawn as the line to reach. Raises ValueError for folders that hold
    no rollouts, and for an `out` that is a run's folder.
    """
    from .figures import draw
    from .markdown import markdown
    from .page import write_page

    if (out / "run.json").is_file():
        raise ValueError(f"{out} is the folder of a run; name another one for the report.")
    folders = list(dict.fromkeys(Path(folder) for folder in (*folders, *teachers)))
    with progress("read", len(folders)) as advance:
        runs = []
        for folder in folders:
            runs.append(read_run(folder))
            advance()
    made, rollouts = study(
        runs, title=title or "How good each way of answering is", teachers=teachers, base=base
    )
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "results.json", [result.model_dump() for result in made.results])
    write_json(out / "report.json", made.model_dump())
    draw(made, out)
    (out / "report.md").write_text(markdown(made), encoding="utf-8")
    write_page(made, rollouts, out)
    return made


def print_table(made: Study) -> None:
    """The table on the terminal; plain where it is no terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in (
        "benchmark",
        "method",
        "right",
        "95% interval",
        "n",
        "answered",
        "ran out",
        "failed",
        "missing",
        "limits",
        "agree",
        "sampled",
        "model",
    ):
        table.add_column(
            column,
            justify="left" if column in ("benchmark", "method", "model") else "right",
            no_wrap=True,
        )
    rows = {row.id: row for row in made.rows}
    last = None
    for r in made.results:
        table.add_row(
            escape(r.benchmark) if r.benchmark != last else "",
            escape(rows[r.row].label),
            f"{r.accuracy:.1%}",
            f"{r.low:.1%} - {r.high:.1%}",
            *map(str, (r.n, r.answered, r.max_steps, r.failed, r.missing)),
            " ".join(f"{name}:{n}" for name, n in r.limits.items()) or "-",
            "-" if r.agreement is None else f"{r.agreement:.0%}",
            "-" if r.sampled is None else f"{r.sampled:.1f}",
            escape(rows[r.row].name),
        )
        last = r.benchmark
    console = Console()
    if not console.is_terminal:
        console.width = 170  # a file or a pipe has no edge to wrap at
    console.print(table)
    for r in made.results:
        if len(r.pass_at) > 1:
            passed = ", ".join(f"pass@{k} {share:.1%}" for k, share in r.pass_at.items())
            voted = ", ".join(f"majority@{k} {share:.1%}" for k, share in r.majority_at.items())
            print(f"{r.benchmark}, {rows[r.row].label}: {passed}; {voted}")
        if r.spread is not None:
            print(
                f"{r.benchmark}, {rows[r.row].label}: {len(r.accuracies)} runs, "
                f"{', '.join(f'{a:.1%}' for a in r.accuracies)}, standard deviation {r.spread:.1%}"
            )
    for note in made.notes:
        print(note)


def print_comparisons(made: Study) -> None:
    """Which row is better than which, over all their benchmarks; the clearest first."""
    rows = {row.id: row for row in made.rows}
    together = [c for c in made.comparisons if c.benchmark is None or _only(c, made.comparisons)]
    # A student has no rival in its base, nor in its teacher.
    students = [
        c
        for c in together
        if not any(
            rows[i].teacher or rows[i].method.endswith("_prompted") for i in (c.first, c.second)
        )
    ]
    for c in sorted(students, key=lambda c: c.p)[:LISTED]:
        print(sentence(c, rows))
    if len(together) > len(students[:LISTED]):
        print(
            f"All {len(together)} comparisons, and by benchmark, are in report.html and report.md."
        )


def sentence(c: Comparison, rows) -> str:
    """A comparison in words."""
    one, other = rows[c.first], rows[c.second]
    what = {"better": "is better than", "worse": "is worse than", "tie": "ties with"}[c.verdict]
    told = (
        "" if one.name == other.name else f" of {other.name}",
        "" if one.name == other.name else f" of {one.name}",
    )
    where = "" if c.benchmark is None else f" on {c.benchmark}"
    least = (
        ""
        if c.detectable is None
        else f"; {100 * c.detectable:.1f} would show four times out of five"
    )
    return (
        f"{other.label}{told[0]} {what} {one.label}{told[1]}{where}: {100 * c.difference:+.1f} points "
        f"({100 * c.low:+.1f} to {100 * c.high:+.1f}) on {c.n} problems, {c.second_only:g} right by it alone, "
        f"{c.first_only:g} by the other; p = {c.p_holm:.2g}{least}"
    )


def _only(c: Comparison, comparisons) -> bool:
    """Whether its pair has one benchmark, and so nothing "together"."""
    return sum((one.first, one.second) == (c.first, c.second) for one in comparisons) == 1
