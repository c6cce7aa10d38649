"""The tab of past runs: rollouts that are stored, filtered, in pages, and any one of them step by step."""

# No `from __future__ import annotations`: Gradio reads the events' types from the signatures.

import math
import tempfile
from html import escape
from pathlib import Path

from . import export
from .feedback import as_line, known
from .markdown import escaped, fenced
from .offer import Offer
from .steps import messages, replayed
from .stored_runs import OUTCOMES, TROUBLES, Entry, Stored, StoredRuns, Wanted
from .tables import CSS, JS, Cell, Opens, table

NONE_YET = (
    "There are no past runs in this folder yet. This makes some: "
    "python -m distill evaluate --benchmark hops --model pocket --out runs/pocket"
)
ALL = "all"
"""Of a filter's values, the one that lets all pass."""
MOST_STEPS = 5
PER_PAGE = 20
ORDERS = {
    "as recorded": None,
    "most steps": lambda entry: -entry.steps,
    "most tokens": lambda entry: -entry.tokens,
    "slowest": lambda entry: -entry.seconds,
}
HEADINGS = (
    "Question", "Outcome", "Answer", "Right answer", "Benchmark", "Run", "Steps", "Tokens", "Seconds",
)  # fmt: skip
KINDS = {"right": "good", "wrong": "bad", "failed": "bad"}
LONGEST_SEARCH = 200
TO_RUN = """() => {
  const run = document.querySelector('#traces-about');
  if (!run) return;
  run.tabIndex = -1;
  run.focus({preventScroll: true});
  (document.querySelector('.traces-back') ?? run).scrollIntoView();
}"""
TO_LIST = """() => {
  const list = document.querySelector('#traces-table');
  const to = list?.querySelector('button[aria-pressed=true]') ?? list?.querySelector('[tabindex]');
  to?.focus({preventScroll: true});
  (to ?? list)?.scrollIntoView({block: 'center'});
}"""
"""To the run that is open there, if it still is."""
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}


def tab(offer: Offer) -> None:
    """Fill the Gradio tab that it is called in; `offer.runs` is read whenever the tab is opened."""
    import gradio as gr

    if offer.runs is None:
        gr.Markdown("There are no past runs to show: name their folder with `--runs`.")
        return
    # What visitors said of their chats is nothing for other visitors to read.
    runs = StoredRuns(offer.runs, without=offer.feedback)
    here = gr.context.Context.block
    page, opened = gr.State(0), gr.State(None)
    with gr.Row(elem_classes="filters"):
        run = gr.Dropdown([(ALL, ALL)], value=ALL, label="Run", min_width=130)
        benchmark = gr.Dropdown([ALL], value=ALL, label="Benchmark", min_width=95)
        outcome = gr.Dropdown([ALL, *OUTCOMES], value=ALL, label="Outcome", min_width=95)
        trouble = gr.Dropdown([ALL, *TROUBLES], value=ALL, label="Trouble", min_width=95)
        tool = gr.Dropdown([ALL], value=ALL, label="Tool used", min_width=95)
        steps = gr.Dropdown([ALL, *step_counts()], value=ALL, label="Steps", min_width=95)
        order = gr.Dropdown(list(ORDERS), value=next(iter(ORDERS)), label="Order", min_width=175)
    text = gr.Textbox(
        label="Words in it", placeholder="in the question, the answer, code or observations",
        submit_btn="Search", max_length=LONGEST_SEARCH, elem_id="traces-search",
    )  # fmt: skip
    listed = gr.HTML(
        css_template=CSS, js_on_load=JS, apply_default_css=False, elem_id="traces-table"
    )
    with gr.Row(elem_id="traces-pages", visible=False) as pages:
        back = gr.Button("Previous page", size="sm")
        forth = gr.Button("Next page", size="sm")
    with gr.Row(elem_classes="traces-back", visible=False) as above:
        back_above = gr.Button("Back to the list", size="sm")
    about = gr.Markdown(elem_id="traces-about", sanitize_html=True)
    chat = gr.Chatbot(
        label="The run, step by step",
        elem_id="traces-chat",
        elem_classes="cards",
        layout="bubble",
        height=None,
        buttons=["copy"],
        allow_tags=False,
        latex_delimiters=[],
        visible=False,
    )
    said = gr.HTML(elem_id="traces-said")
    with gr.Row(visible=False) as saving:
        back_below = gr.Button("Back to the list", size="sm")
        as_page = gr.Button("Save as a page (HTML)", size="sm")
        as_data = gr.Button("Save as data (JSONL)", size="sm")
        as_trace = gr.Button("Save as a trace (JSONL)", size="sm")
    file = gr.DownloadButton("File", visible="hidden", elem_id="traces-file")
    filters = [run, benchmark, outcome, trouble, tool, steps, text]
    shown = [listed, pages, page]

    def show(at, key, order, *values):
        html, several, at = a_page(runs, at, key, order, wanted(*values))
        return html, gr.Row(visible=several), at

    def first(key, order, *values):
        return show(0, key, order, *values)

    def turned(by):
        return lambda at, key, order, *values: show(at + by, key, order, *values)

    def ready(run, benchmark, tool):
        """The choices that the stored runs offer; what was chosen stays if it is still there."""
        names = runs.names()
        run = run if run in names else ALL
        found = runs.entries(None if run == ALL else run)
        benchmarks = sorted({entry.benchmark for entry in found})
        tools = sorted({name for entry in found for name in entry.tools})
        return (
            gr.Dropdown([ALL, *names], value=run),
            gr.Dropdown([ALL, *benchmarks], value=benchmark if benchmark in benchmarks else ALL),
            gr.Dropdown([ALL, *tools], value=tool if tool in tools else ALL),
        )

    def open_(event: gr.EventData, at, order, *values):
        try:
            key = event.key if isinstance(event.key, str) else ""
            stored = runs.open(key)
        except (AttributeError, ValueError) as error:
            shut = gr.Chatbot([], visible=False), gr.Row(visible=False)
            gone = escaped(str(error))
            return *show(at, None, order, *values), gr.Row(visible=True), gone, *shut, None, ""
        cards = messages(replayed(stored.trajectory, "stored"))
        return (
            *show(at, key, order, *values),
            gr.Row(visible=True),
            about_it(stored),
            gr.Chatbot(cards, visible=True),
            gr.Row(visible=True),
            key,
            "",
        )

    def saved(write):
        def save(key):
            try:
                made = write(runs.open(key or ""))
            except ValueError as error:
                return gr.skip(), told(str(error))
            folder = Path(tempfile.mkdtemp(prefix="trace-"))
            (folder / made.name).write_bytes(made.content)
            return str(folder / made.name), ""

        return save

    here.select(ready, [run, benchmark, tool], [run, benchmark, tool], **PRIVATE).then(
        show, [page, opened, order, *filters], shown, **PRIVATE
    )
    run.input(ready, [run, benchmark, tool], [run, benchmark, tool], **PRIVATE).then(
        first, [opened, order, *filters], shown, **PRIVATE
    )
    for listener in (*(f.input for f in (*filters[1:-1], order)), text.submit):
        listener(first, [opened, order, *filters], shown, **PRIVATE)
    back.click(turned(-1), [page, opened, order, *filters], shown, **PRIVATE)
    forth.click(turned(1), [page, opened, order, *filters], shown, **PRIVATE)
    listed.click(
        open_,
        [page, order, *filters],
        [*shown, above, about, chat, saving, opened, said],
        **PRIVATE,
    ).then(None, None, None, js=TO_RUN, **PRIVATE)
    for button in (back_above, back_below):
        button.click(None, None, None, js=TO_LIST, **PRIVATE)
    download = "() => document.querySelector('#traces-file')?.click()"
    for button, write in (
        (as_page, lambda stored: export.as_page([stored])),
        (as_data, as_data_of),
        (as_trace, lambda stored: export.as_trace([stored])),
    ):
        made = button.click(saved(write), opened, [file, said], **PRIVATE)
        made.success(None, None, None, js=download, **PRIVATE)


def a_page(
    runs: StoredRuns, at: int, key: str | None, order: str, wanted: Wanted
) -> tuple[str, bool, int]:
    """A page of the table as HTML, whether there are several, and its number from 0, or that of the last.

    key: of the rollout that is open.
    """
    try:
        found = runs.find(wanted)
    except (ValueError, OSError) as error:
        return told(str(error)), False, 0
    if not found and not runs.names():
        return told(NONE_YET), False, 0
    if by := ORDERS.get(order):
        found = sorted(found, key=by)
    last = max(0, math.ceil(len(found) / PER_PAGE) - 1)
    at = min(max(at, 0), last)
    return listing(found, at, key), last > 0, at


def wanted(run, benchmark, outcome, trouble, tool, steps, text) -> Wanted:
    """The filter of the values that a browser sends."""
    one, two, three, four, five = (
        None if value == ALL or not isinstance(value, str) else value
        for value in (run, benchmark, outcome, trouble, tool)
    )
    number = next((n for n, name in enumerate(step_counts(), 1) if name == steps), None)
    text = text[:LONGEST_SEARCH] if isinstance(text, str) else ""
    return Wanted(one, two, three, four, five, number, number == MOST_STEPS, text)


def step_counts() -> list[str]:
    return [*map(str, range(1, MOST_STEPS)), f"{MOST_STEPS} or more"]


def listing(found: list[Entry], page: int, key: str | None) -> str:
    """A page of entries as a table; key: of the one that is open."""
    if not found:
        return told("No rollout passes these filters.")
    start = page * PER_PAGE
    part = found[start : start + PER_PAGE]
    rows = [
        [
            Opens(entry.question or "(empty)", entry.key, entry.key == key),
            Cell(entry.outcome, kind=KINDS.get(entry.outcome, "soft")),
            Cell("" if entry.answer is None else entry.answer),
            Cell(entry.gold),
            Cell(entry.benchmark),
            Cell(entry.run),
            Cell(str(entry.steps)),
            Cell(f"{entry.tokens:,}"),
            Cell(f"{entry.seconds:,.1f}"),
        ]
        for entry in part
    ]
    counted = f"Rollouts {start + 1:,} to {start + len(part):,} of {len(found):,}; open one by its question"
    return table(HEADINGS, rows, caption=counted, numbers=HEADINGS[-3:], sortable=False)


def told(sentence: str) -> str:
    return f'<p role="status">{escape(sentence)}</p>'


def about_it(stored: Stored) -> str:
    """What is known of a rollout beside its steps, as Markdown."""
    problem, score = stored.record["problem"], stored.record.get("score")
    trajectory = stored.trajectory
    scored = (
        "not scored" if score is None else f"{score:g} ({stored.record.get('scorer', 'exact')})"
    )
    lines = {
        "Right answer": " / ".join(known(problem["answers"])) or "not known",
        "Score": scored,
        "Model": f"{trajectory.model}, {trajectory.method}",
        "Problem": f"{problem.get('benchmark') or 'problems'} {stored.id}, attempt {stored.record['attempt']}",
    }
    parts = [f"- **{name}**: {escaped(text)}" for name, text in lines.items()]
    if trajectory.error:
        parts.append(f"\n{fenced(trajectory.error, 'text')}")
    return "\n".join(parts)


def as_data_of(stored: Stored) -> export.File:
    """The line as it is stored, its score with it."""
    return export.File(export.as_rollouts([stored]).name, as_line(stored.record).encode())
