"""The tab that puts models side by side: one question, an agent of each, and whether their answers agree."""

# No `from __future__ import annotations`: Gradio reads the events' types from the signatures.

from dataclasses import dataclass, field
from functools import partial
from html import escape

from ..answers import same_answer
from ..vote import grouped, largest
from . import access
from .asking import Choice, Making, ask
from .markdown import sendable
from .message import clean
from .offer import Offer, by_label
from .rules import RefusedError
from .steps import RunView, count, messages, status
from .tables import CSS, Cell, table
from .visitors import Visitor, Visitors

MOST = 3
"""Models side by side."""
BUSY = "The models are still at work; stop them first, or wait."
STOPPED = "Stopped before it began."
HEADINGS = ("Model", "Answer", "Agrees with", "Steps", "Tokens", "Seconds")
SIMULATED = "pocket-teacher"
PRIVATE = {"api_visibility": "private"}


@dataclass
class Round:
    """One question to all. Each model works for a visitor of its own, who takes a place like any other."""

    question: str
    running: list[Visitor] = field(default_factory=list)
    stopped: bool = False

    def stop(self) -> None:
        """Stop those at work; those that wait for their turn do not begin."""
        self.stopped = True
        for visitor in tuple(self.running):
            visitor.stop()


def offered(offer: Offer) -> tuple[str, ...]:
    """What can be compared: first what is meant for it, then what can be chatted with."""
    return tuple(dict.fromkeys((*offer.compare, *offer.models)))


def tab(offer: Offer, visitors: Visitors) -> None:
    """Fill the Gradio tab that it is called in."""
    import gradio as gr

    names, rules = by_label(offered(offer)), visitors.rules
    if len(names) < 2:
        gr.Markdown("There is one model only: name those to put side by side with `--compare`.")
        return
    beside = max(2, min(MOST, len(offer.compare)))
    current = gr.State(
        None, time_to_live=rules.idle_seconds, delete_callback=lambda it: it and it.stop()
    )
    with gr.Row(elem_id="compare-ask"):
        box = gr.Textbox(
            label="Question to all",
            placeholder=offer.examples[0] if offer.examples else "Ask all of them the same",
            max_lines=8,
            scale=5,
            elem_id="compare-box",
        )
        go = gr.Button("Ask all", variant="primary", min_width=100, elem_id="compare-go")
        stop = gr.Button("Stop", variant="stop", min_width=100, elem_id="compare-stop")
    with gr.Row(elem_id="compare-examples", visible=bool(offer.examples)):
        examples = [gr.Button(example, size="sm", min_width=160) for example in offer.examples]
    if SIMULATED in names.values():
        gr.Markdown(f"{SIMULATED} is simulated and makes mistakes on purpose.")
    summary = gr.HTML(
        verdict(""), css_template=CSS, apply_default_css=False, elem_id="compare-summary"
    )
    columns = []
    with gr.Row(elem_id="compare-columns"):
        for at in range(beside):
            with gr.Column(min_width=260):
                model = gr.Dropdown(
                    list(names),
                    value=list(names)[at],
                    label=f"Model {at + 1}",
                    filterable=False,
                )
                line = gr.HTML(line_of("Ready."), elem_classes="compare-line")
                chat = gr.Chatbot(
                    label=f"Steps of model {at + 1}",
                    show_label=False,
                    elem_classes="cards",
                    layout="bubble",
                    height=None,
                    buttons=["copy"],
                    allow_tags=False,
                    latex_delimiters=[],
                    placeholder="Its steps stand here.",
                )
                columns.append((model, line, chat, gr.State(None)))

    def begin(text, before: Round | None):
        """A new round, if the last one is over; nothing is asked of anybody yet."""
        try:
            if before and before.running:
                raise RefusedError(BUSY)
            question = clean(text, rules).text
        except RefusedError as refused:
            raise gr.Error(escape(str(refused)), title="Not asked", print_exception=False) from None
        return (
            Round(question),
            verdict(""),
            *([line_of("Waiting.")] * beside),
            *([[]] * beside),
            *([None] * beside),
        )

    async def work(round: Round, model, request: gr.Request):
        """The states of a column while its model answers."""
        visitor = None
        try:
            if round.stopped:
                raise RefusedError(STOPPED)
            address = access.who(request)
            visitor = visitors.get(None, address)
            round.running.append(visitor)
            making = Making(offer, rules, choice(offer, names.get(model, model)))
            asked = ask(visitors, visitor, making, round.question, who=address)
            async for run, seconds in asked:
                if round.stopped:  # it may have been pressed before there was anything to stop
                    visitor.stop()
                told = status(run, seconds)
                # How much it took stands over its cards then.
                told = told.partition(" · ")[0] if run.over else told
                yield cards(run), line_of(told), run if run.over else gr.skip()
        except RefusedError as refused:
            yield gr.skip(), line_of(str(refused)), gr.skip()
        finally:
            if visitor:
                round.running.remove(visitor)
                visitors.drop(visitor.id)

    models, lines, chats, runs = zip(*columns, strict=True)
    quick = {"queue": False, "show_progress": "hidden", **PRIVATE}
    begun = gr.on(
        [box.submit, go.click],
        begin,
        [box, current],
        [current, summary, *lines, *chats, *runs],
        # In the queue, but waiting for nobody: past it, a refusal would be an "Error" without its sentence.
        concurrency_limit=None,
        show_progress="minimal",
        show_progress_on=[summary],
        **PRIVATE,
    )
    for model, line, chat, run in columns:
        done = begun.success(
            work,
            [current, model],
            [chat, line, run],
            show_progress="minimal",
            show_progress_on=[line],  # the place in the queue
            concurrency_id="agent",
            concurrency_limit=rules.runs,
            **PRIVATE,
        )
        done.then(lambda *values: summed_up(*halves(values)), [*models, *runs], summary, **quick)
    for button, example in zip(examples, offer.examples, strict=True):
        button.click(partial(str, example), None, box, **quick).success(
            None, None, None, js="() => document.querySelector('#compare-go')?.click()", **PRIVATE
        )
    stop.click(lambda round: round and round.stop(), current, None, **quick)


def choice(offer: Offer, model: str) -> Choice:
    """The offer's usual settings, with another model."""
    usual = offer.settings
    return Choice(
        model=model,
        tools=tuple(tool.name for tool in offer.toolbox),
        max_steps=usual.get("max_steps", 5),
        samples=usual.get("samples", 1),
        temperature=usual.get("temperature"),
        remembers=False,
    )


def cards(run: RunView) -> list[dict]:
    """A run without its question, which stands above all columns."""
    return [message for message in messages(run) if message["role"] != "user"]


def summed_up(models: tuple[str, ...], runs: tuple[RunView | None, ...]) -> str:
    """What each has answered, at what cost, and who agrees with whom; as HTML."""
    there = [(model, run) for model, run in zip(models, runs, strict=True) if run]
    if not there:
        return verdict("")
    answered = [(name, run) for name, run in there if run.state == "answered" and run.answer]
    groups = grouped(answered, lambda a, b: same_answer(a[1].answer, b[1].answer))
    rows = [[Cell(name), *_cells(run, groups)] for name, run in there]
    most = len(largest(groups))
    agree = f"{most} of {len(runs)} give the same answer" if most > 1 else "No two answers agree"
    agree = agree if answered else "Nobody has answered"
    told = agree if len(there) == len(runs) else f"{count(len(there), 'model')} of {len(runs)} done"
    return verdict(told) + table(
        HEADINGS,
        rows,
        caption="What each has answered, and its cost",
        numbers=HEADINGS[3:],
        sortable=False,
    )


def verdict(text: str) -> str:
    """What a screen reader says of its own accord; the columns' lines change too often for that."""
    return f'<p role="status">{escape(text)}</p>'


def _cells(run: RunView, groups: list[list[tuple[str, RunView]]]) -> list[Cell]:
    """A run's line, but for its model. groups: of names and runs whose answers are the same."""
    group = next((group for group in groups if any(its is run for _, its in group)), [])
    others = [name for name, its in group if its is not run]
    agrees = Cell(f"✓ {', '.join(others)}", kind="good") if others else Cell("nobody", kind="soft")
    return [
        Cell(run.answer or "" if run.state == "answered" else run.reason),
        agrees if group else Cell(""),
        Cell(str(len(run.steps))),
        Cell(f"{run.input_tokens + run.output_tokens:,}"),
        Cell(f"{run.seconds:.1f}"),
    ]


def halves(values: tuple) -> tuple[tuple, tuple]:
    return values[: len(values) // 2], values[len(values) // 2 :]


def line_of(text: str) -> str:
    return f"<p>{escape(sendable(text))}</p>"
