"""The tab that shows how good each way of answering is: a report's table and figures, as they stand in its files."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .markdown import escaped
from .offer import Offer
from .tables import CSS, JS, Cell, table

COMMAND = "python -m distill report RUN… --out runs/report"
FIGURES = {
    "report.png": "Accuracy, with 95% intervals",
    "tokens.png": "Accuracy against tokens written",
    "loss.png": "Loss while the students were trained",
}
DOWNLOADS = ("report.html", "results.json", "report.md")
HEADINGS = (
    "Method",
    "Model",
    "Benchmark",
    "Right, %",
    "n",
    "Answered",
    "No answer",
    "Failed",
    "Missing",
    "Tokens written",
    "Seconds",
)
NUMBERS = HEADINGS[3:]
LARGEST = 50_000_000
"""Bytes of a report's JSON."""
LARGEST_FIGURE = 3_000_000  # bytes
FIGURE_CSS = """
figure { margin: 1rem 0; }
img { max-width: min(100%, 1000px); height: auto; background: white; border-radius: var(--radius-md); padding: .5rem; }
figcaption { opacity: .85; font-size: var(--text-sm); margin-top: .25rem; }
"""


class Read(BaseModel):
    """What is read of a file that others wrote: these fields, of these types."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Row(Read):
    id: str
    label: str
    name: str


class Result(Read):
    row: str = ""
    benchmark: str
    method: str = ""
    model: str = ""
    scorer: str = "exact"
    n: int
    attempts: int = 1
    accuracy: float = Field(ge=0, le=1)
    low: float
    high: float
    answered: int
    max_steps: int
    failed: int
    missing: int = 0
    output_tokens: int
    seconds: float


class Study(Read):
    title: str = "Results"
    made: str = ""
    command: str = ""
    rows: tuple[Row, ...] = ()
    results: tuple[Result, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    study: Study
    figures: tuple[Path, ...]
    downloads: tuple[Path, ...]


def read_report(folder: Path) -> Report:
    """What `distill report` wrote into a folder. Raises ValueError, in one sentence, where it is none."""
    file = next(
        (folder / name for name in ("report.json", "results.json") if _there(folder, name)), None
    )
    if file is None:
        raise ValueError(f"There is no report yet. This makes one: {COMMAND}")
    if file.stat().st_size > LARGEST:
        raise ValueError(
            f"{file.name} is larger than {LARGEST:,} bytes; that is no report of ours."
        )
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        study = Study.model_validate(found if isinstance(found, dict) else {"results": found})
    except (ValidationError, ValueError, RecursionError):
        raise ValueError(
            f"{file.name} was not written by smoldistill. This writes it: {COMMAND}"
        ) from None
    figures = tuple(folder / name for name in FIGURES if _there(folder, name))
    downloads = tuple(folder / name for name in DOWNLOADS if _there(folder, name))
    return Report(study, figures, downloads)


def overview(study: Study) -> str:
    """Ways of answering as rows, benchmarks as columns, as HTML; in the order of the file."""
    rows = {row.id: row for row in study.rows}
    most: dict[str, int] = {}
    lines: dict[tuple, dict[str, Result]] = {}
    for result in study.results:
        name = result.benchmark
        most[name] = max(result.n, most.get(name, 0))
        way, nth = (result.row, result.method, result.model), 0
        while name in lines.setdefault((*way, nth), {}):  # as by another scorer
            nth += 1
        lines[*way, nth][name] = result
    body = []
    for found in lines.values():
        some = next(iter(found.values()))
        body.append([*_way(some, rows), *(_share(found.get(name), n) for name, n in most.items())])
    return table(
        ("Method", "Model", *(f"{name}, n\u00a0=\u00a0{n:,}" for name, n in most.items())),
        body,
        caption="Percent of problems answered rightly, with 95% intervals",
    )


def _way(result: Result, rows: dict[str, Row]) -> list[Cell]:
    """The method and the model."""
    row = rows.get(result.row)
    return [Cell(row.label if row else result.method), Cell(row.name if row else result.model)]


def _share(result: Result | None, most: int) -> Cell:
    """most: the problems of the row that has most of them."""
    if result is None:
        return Cell("")
    low, high = 100 * result.low, 100 * result.high
    fewer = f", n = {result.n:,}" if result.n < most else ""
    return Cell(
        f"{100 * result.accuracy:.1f}", result.accuracy, note=f"{low:.0f} to {high:.0f}{fewer}"
    )


def results_table(study: Study) -> str:
    """Every number as HTML, in the order of the file; folded, since few need them all."""
    rows = {row.id: row for row in study.rows}
    every = table(
        HEADINGS,
        [_cells(result, rows) for result in study.results],
        caption="Share of problems answered rightly, with 95% intervals; everything else counts as wrong",
        numbers=NUMBERS,
    )
    return f"<details><summary>Every number</summary>{every}</details>"


def _cells(result: Result, rows: dict[str, Row]) -> list[Cell]:
    low, high = 100 * result.low, 100 * result.high
    counts = (result.answered, result.max_steps, result.failed, result.missing)
    return [
        *_way(result, rows),
        Cell(result.benchmark),
        Cell(f"{100 * result.accuracy:.1f}", result.accuracy, note=f"{low:.1f} to {high:.1f}"),
        Cell(f"{result.n:,}", result.n),
        *(Cell(f"{count:,}", count) for count in counts),
        Cell(f"{result.output_tokens:,}", result.output_tokens),
        Cell(f"{result.seconds:,.1f}", result.seconds),
    ]


def told(study: Study) -> str:
    """Over the table, as Markdown: its title, when and how it was made, what a reader must know."""
    made = " · ".join(filter(None, (study.made, study.command)))
    lines = [f"### {escaped(study.title)}", *([escaped(made)] if made else [])]
    scorers = sorted({result.scorer for result in study.results})
    if scorers != ["exact"]:
        lines.append(f"Scored by: {escaped(', '.join(scorers))}.")
    return "\n\n".join([*lines, *(f"- {escaped(note)}" for note in study.notes)])


def tab(offer: Offer) -> None:
    """Fill the Gradio tab that it is called in. The files are read whenever the tab is opened."""
    import gradio as gr

    here = gr.context.Context.block
    words = gr.Markdown(elem_id="results-told")
    results = gr.HTML(
        css_template=CSS, js_on_load=JS, apply_default_css=False, elem_id="results-table"
    )
    with gr.Row():
        downloads = [
            gr.DownloadButton(f"Download {name}", visible=False, size="sm") for name in DOWNLOADS
        ]
    figures = gr.HTML(css_template=FIGURE_CSS, apply_default_css=False, elem_id="results-figures")

    def show():
        if offer.report is None:
            return [f"There is no report to show. This makes one: `{COMMAND}`", "", "", *hidden]
        try:
            report = read_report(offer.report)
        except (ValueError, OSError) as error:
            return [escaped(str(error)), "", "", *hidden]
        there = {path.name: str(path) for path in report.downloads}
        return [
            told(report.study),
            overview(report.study) + results_table(report.study),
            "".join(map(_figure, report.figures)),
            *(gr.DownloadButton(value=there.get(n), visible=n in there) for n in DOWNLOADS),
        ]

    hidden = [gr.DownloadButton(visible=False)] * len(downloads)
    here.select(
        show, None, [words, results, figures, *downloads], api_visibility="private", queue=False
    )


def _figure(file: Path) -> str:
    """In the page itself, drawn for white paper: so it is shown on white in the dark too."""
    caption = FIGURES[file.name]
    if file.stat().st_size > LARGEST_FIGURE:
        return ""
    content = base64.b64encode(file.read_bytes()).decode()
    return (
        f'<figure><img alt="{caption}; the table above holds the numbers" '
        f'src="data:image/png;base64,{content}"><figcaption>{caption}</figcaption></figure>'
    )


def _there(folder: Path, name: str) -> bool:
    """Whether it is a file of the folder itself; a link may lead anywhere."""
    file = folder / name
    return file.is_file() and file.resolve().is_relative_to(folder.resolve())
