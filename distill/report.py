"""Say how good each way of answering is: a page, a table, figures, Markdown and JSON, made from runs' folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .progress import progress
from .results import Comparison, Result, Row, Study
from .rows import PROMPTED
from .run import write_json, write_text
from .runs import read_run
from .study import study

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
    is for a README or a model card, with `loss.png` where the students' folders say how they were trained;
    `report.json` holds the study, `results.json` its results alone.
    teachers: folders of the teacher's runs, drawn as the line to reach. Raises ValueError for folders that hold
    no rollouts, and for an `out` that is a run's folder.
    """
    from .figures import draw
    from .loss_figure import draw_losses
    from .markdown import markdown
    from .page import write_page

    if (out / "run.json").is_file():
        raise ValueError(f"{out} is the folder of a run; name another one for the report.")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; --out names a folder.")
    # One folder by two paths would count as two runs.
    folders = list({Path(f).resolve(): Path(f) for f in reversed((*folders, *teachers))}.values())[
        ::-1
    ]
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
    draw_losses(made, out)
    write_text(out / "report.md", markdown(made))
    write_page(made, rollouts, out)
    return made


def print_table(made: Study) -> None:
    """The table on the terminal; plain where it is no terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    limited, voted = any(r.limits for r in made.results), any(r.sampled for r in made.results)
    for column in (
        "benchmark",
        "method",
        "right",
        "95% interval",
        "n",
        "answered",
        "no answer",
        "failed",
        "missing",
        *(["limits"] if limited else []),
        *(["agree", "sampled"] if voted else []),
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
            *([" ".join(f"{name}:{n}" for name, n in r.limits.items()) or "-"] if limited else []),
            *(_votes(r) if voted else []),
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


def _votes(r: Result) -> tuple[str, str]:
    if r.agreement is None or r.sampled is None:
        return "-", "-"
    return f"{r.agreement:.0%}", f"{r.sampled:.1f}"


def print_comparisons(made: Study) -> None:
    """Which row is better than which, over all their benchmarks: first those of one model, then the clearest."""
    rows = {row.id: row for row in made.rows}
    together = [c for c in made.comparisons if c.benchmark is None or _only(c, made.comparisons)]
    # That a student beats its base, and a teacher its student, is no news.
    students = [
        c
        for c in together
        if not any(rows[i].teacher or rows[i].method.endswith(PROMPTED) for i in (c.first, c.second))
    ]  # fmt: skip
    ordered = sorted(students, key=lambda c: (rows[c.first].name != rows[c.second].name, c.p))
    for c in ordered[:LISTED]:
        print(sentence(c, rows))
    if ordered:
        print(
            "(Each p is of one test; Holm's correction is over a pair's benchmarks, not over the pairs.)"
        )
    if len(together) > len(ordered[:LISTED]):
        print(
            f"All comparisons ({len(together)}), and by benchmark, are in report.html and report.md."
        )


def sentence(c: Comparison, rows: Mapping[str, Row]) -> str:
    """A comparison in words, the better row first."""
    one, other = rows[c.first], rows[c.second]
    better, worse = c.second_only, c.first_only
    sign = 1
    if c.difference < 0:
        one, other, better, worse, sign = other, one, worse, better, -1
    low, high = sorted((sign * c.low, sign * c.high))
    what = "ties with" if c.verdict == "tie" else "is better than"
    of_other, of_one = f" of {other.name}", f" of {one.name}"
    if one.name == other.name:
        several = len({row.name for row in rows.values()}) > 1
        of_other, of_one = "", f", both of {one.name}" if several else ""
    where = "" if c.benchmark is None else f" on {c.benchmark}"
    told = (
        f"{other.label}{of_other} {what} {one.label}{of_one}{where}: {100 * sign * c.difference:+.1f} points "
        f"({100 * low:+.1f} to {100 * high:+.1f}) on {c.n} problems, of which it alone has {better:.4g} right and "
        f"the other alone {worse:.4g}; p {'= ' + format(c.p_holm, '.2g') if c.p_holm > 1e-300 else '< 1e-300'}"
    )
    if c.verdict == "tie" and c.detectable is not None:
        told += (
            f"; so few show a difference of {100 * c.detectable:.1f} points four times out of five"
        )
    return told


def _only(c: Comparison, comparisons) -> bool:
    """Whether its pair has one benchmark, and so nothing "together"."""
    return sum((one.first, one.second) == (c.first, c.second) for one in comparisons) == 1
