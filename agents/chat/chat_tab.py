"""The chat: a question, the agent's work on it as cards, the answer; and the ways back.

What a browser sends is a wish: the runs shown and the settings are kept and checked here, on the server.
"""

# No `from __future__ import annotations`: Gradio reads the events' types from the signatures.

import secrets
import tempfile
from collections.abc import AsyncIterator, Iterable
from html import escape
from pathlib import Path
from typing import Any

from . import access, export, feedback
from .asking import Making, ask, continues
from .markdown import escaped, sendable
from .message import clean
from .offer import Offer, label
from .rules import RefusedError
from .settings_panel import Panel, chosen
from .steps import RunView, ending, messages, status
from .visitors import EXPIRED, Visitors

Runs = tuple[RunView, ...]
Liked = dict[str, bool | None]
READY = "Ready."
NEW = "A new conversation: the agent does not know what was said before this question."
PRIVATE = {"api_visibility": "private"}
PLACEHOLDER = "Ask a question"
LONGEST_KEPT = 100_000
"""Characters of an edit that was refused, which is put into the box."""


def tab(offer: Offer, visitors: Visitors, panel: Panel) -> None:
    """Put the chat where this is called, and wire it to the panel."""
    import gradio as gr

    rules = visitors.rules
    who = gr.State(None, time_to_live=rules.idle_seconds, delete_callback=visitors.drop)
    shown = gr.State(())
    judged = gr.State({})  # by the id of a run: whether its answer is liked
    chat = gr.Chatbot(
        label="Conversation",
        show_label=False,
        elem_id="chat",
        layout="bubble",
        height="calc(100dvh - 196px)",
        buttons=["copy"],
        editable="user",
        feedback_options=("Like", "Dislike"),
        # No single $: it would make "$5 and $6" a formula.
        latex_delimiters=[
            {"left": "$$", "right": "$$", "display": True},
            {"left": "\\[", "right": "\\]", "display": True},
            {"left": "\\(", "right": "\\)", "display": False},
            # As the text is written when it is escaped: Gradio looks there whether there are any.
            {"left": "&#92;(", "right": "&#92;)", "display": False},
        ],
        allow_tags=False,
        placeholder=welcome(offer.models[0], [tool.name for tool in offer.toolbox]),
        examples=[{"text": example} for example in offer.examples],
    )
    usage = gr.HTML(line(READY), elem_id="usage")
    said = gr.HTML("", elem_id="said")
    # Seen while a question waits for its turn (page.css), when there is no run to stop.
    withdraw = gr.Button("Withdraw", size="sm", elem_id="withdraw")
    box = gr.Textbox(
        label="Your question",
        show_label=False,
        container=False,
        placeholder=PLACEHOLDER,
        submit_btn=True,
        stop_btn=False,
        autofocus=True,
        max_lines=8,
        elem_id="box",
    )
    file = gr.DownloadButton("File", visible="hidden", elem_id="file")
    outputs = [chat, box, usage, said, who, shown]
    settings = [judged, panel.detail, *panel.choice]
    unchanged = (gr.skip(),) * len(outputs)

    async def answer(
        question: str,
        at: int | None,
        who: str | None,
        runs: Runs,
        liked: Liked,
        detail: str,
        choice,
        request,
        typed=False,
    ) -> AsyncIterator[tuple]:
        """The states of the page while the question is answered; at: the run it replaces, the next if None."""
        making = Making(offer, rules, chosen(offer, *choice))
        try:
            address = access.who(request)
            visitor = visitors.get(who, address)
            text, note = clean(question, rules)
            kept, told = before(runs, at, making.choice.remembers), note or ""
            goes_on = visitor.talk and continues(visitor, making)
            talk = visitor.talk if goes_on else secrets.token_hex(4)
            if making.choice.remembers and kept and kept[-1].talk != talk:
                # Gradio forgets an old state, too.
                told = EXPIRED if visitor.expired or who is None else NEW
            past = redrawn(kept, detail, unfolded=False)
            begun = ""
            asked = ask(
                visitors,
                visitor,
                making,
                text,
                after=turns(kept, talk),
                who=address,
                note=told,
                talk=talk,
            )
            async for run, seconds in asked:
                if visitor.closed:  # by "New chat", whose empty page stays
                    return
                news = announced(run)
                drawn = past + pictured(run, detail)
                yield (
                    drawn if begun else gr.Chatbot(drawn, feedback_value=thumbs(kept, liked)),
                    # The text is taken at the first state; what is written meanwhile stays.
                    gr.skip() if begun and not run.over else working(run, typed and not begun),
                    # The card has the numbers, too.
                    line(ending(run) if run.over and detail != "answer" else status(run, seconds)),
                    news if news != begun else gr.skip(),
                    visitor.id,
                    (*kept, run) if run.over else gr.skip(),
                )
                begun = news
        except RefusedError as refused:
            gr.Warning(escape(str(refused)), title="Not asked")
            # What a message was edited to is nowhere else once the chat is redrawn.
            edited = at is not None and isinstance(question, str) and question != runs[at].question
            kept = edited and question.strip() and len(question) <= LONGEST_KEPT
            yield (gr.skip(), question, *unchanged[2:]) if kept else unchanged

    def working(run: RunView, take: bool):
        """The box while the run goes on, and when it is over."""
        buttons = {"submit_btn": run.over, "stop_btn": not run.over}
        return gr.Textbox(value="", **buttons) if take else gr.Textbox(**buttons)

    def pictured(run: RunView, detail: str, unfolded: bool = True) -> list[dict]:
        told = messages(run, detail, unfolded=unfolded)
        if run.over and run.image is not None:
            told.append(
                {
                    "role": "assistant",
                    "content": gr.Image(picture(run.image), label="The answer, a picture"),
                }
            )
        return told

    def redrawn(runs: Runs, detail: str, unfolded: bool = True) -> list[dict]:
        """All runs; only the last one's cards may be open."""
        return [
            message
            for n, run in enumerate(runs, start=1)
            for message in pictured(run, detail, unfolded and n == len(runs))
        ]

    async def sent(request: gr.Request, text, who, runs, liked, detail, *choice):
        asked = answer(text, None, who, runs, liked, detail, choice, request, typed=True)
        async for state in asked:
            yield state

    async def example(event: gr.SelectData, request: gr.Request, who, runs, liked, detail, *choice):
        text = event.value["text"]
        async for state in answer(text, None, who, runs, liked, detail, choice, request):
            yield state

    async def retried(event: gr.RetryData, request: gr.Request, who, runs, liked, detail, *choice):
        if (at := run_at(runs, detail, event.index)) is None:
            yield unchanged
            return
        text = runs[at].question
        async for state in answer(text, at, who, runs, liked, detail, choice, request):
            yield state

    async def edited(event: gr.EditData, request: gr.Request, who, runs, liked, detail, *choice):
        if (at := run_at(runs, detail, event.index)) is None:
            yield unchanged
            return
        # Plain text: the page takes Markdown's marks away before a message is edited.
        async for state in answer(event.value, at, who, runs, liked, detail, choice, request):
            yield state

    def undone(event: gr.UndoData, who, runs, liked, detail):
        """Forget the last run, in the agent's memory and variables too; its question is in the box again."""
        at = run_at(runs, detail, event.index)
        try:
            visitor = visitors.get(who)
            if at is None or visitor.busy:
                return unchanged
        except RefusedError as refused:
            return (*unchanged[:2], line(str(refused)), spoken(str(refused)), *unchanged[4:])
        kept = before(runs, at, True)
        visitor.conversation.rewind(turns(kept, visitor.talk))
        state = "Taken back; the agent has forgotten it."
        return (
            gr.Chatbot(redrawn(kept, detail), feedback_value=thumbs(kept, liked)),
            runs[at].question,
            line(state),
            spoken(state),
            visitor.id,
            kept,
        )

    def stopped(who):
        if visitor := visitors.known(who):
            visitor.stop()

    def renewed(who):
        visitors.drop(who)
        return [], idle(None), line(READY), spoken("A new chat."), None, ()

    def idle(who):
        """The box as it is to be: a question that was refused has left the one before it running."""
        visitor = visitors.known(who)
        busy = visitor is not None and visitor.busy
        return gr.Textbox(submit_btn=not busy, stop_btn=busy)

    def settled(who, runs, liked, detail):
        """The page when a run is over, with what was chosen meanwhile; an edit that was refused is taken out."""
        return idle(who), detailed(who, runs, liked, detail)

    def detailed(who, runs, liked, detail):
        """The chat, with as much as is to be shown; at the end of a run that goes on."""
        visitor = visitors.known(who)
        if visitor is not None and visitor.busy:
            return gr.skip()
        return gr.Chatbot(redrawn(runs, detail), feedback_value=thumbs(runs, liked))

    # What goes past the queue can show no toast; the status line tells.
    def thumbed(event: gr.LikeData, runs, liked, detail):
        at = run_at(runs, detail, event.index)
        if at is None or runs[at].trajectory is None:
            return gr.skip(), gr.skip()
        thumb = event.liked if isinstance(event.liked, bool) else None
        try:
            feedback.give(offer.feedback, runs[at], thumb)
        except ValueError as error:
            return line(str(error)), gr.skip()
        here = {run.id for run in runs}
        return gr.skip(), {
            id: given for id, given in {**liked, runs[at].id: thumb}.items() if id in here
        }

    def changed(runs, *values):
        """What is said when a setting changes: in an empty chat, by its welcome."""
        choice = chosen(offer, *values)
        if not runs:
            return gr.skip(), gr.Chatbot(placeholder=welcome(choice.model, choice.tools))
        if choice.remembers:
            return line(
                "The next question begins a new conversation, with these settings."
            ), gr.skip()
        return line("These settings hold from the next question."), gr.skip()

    def saved(write):
        def save(runs):
            done = [run for run in runs if run.trajectory]
            if not done:
                return None, line("There is nothing to save yet.")
            made = write(done)
            folder = Path(tempfile.mkdtemp(prefix="chat-"))
            (folder / made.name).write_bytes(made.content)
            return str(folder / made.name), gr.skip()

        return save

    def wire(listener, function, inputs: list):
        event = listener(
            function,
            [*inputs, who, shown, *settings],
            outputs,
            show_progress="minimal",
            show_progress_on=[usage],  # the place in the queue
            concurrency_id="agent",
            concurrency_limit=rules.runs,
            **PRIVATE,
        )
        event.then(settled, [who, shown, judged, panel.detail], [box, chat], **quick)
        return event

    quick = {"queue": False, "show_progress": "hidden", **PRIVATE}
    runs = [
        wire(box.submit, sent, [box]),
        wire(chat.example_select, example, []),
        wire(chat.retry, retried, []),
        wire(chat.edit, edited, []),
    ]
    box.stop(stopped, who, None, **quick)
    withdraw.click(idle, who, box, cancels=runs, **quick)
    chat.undo(undone, [who, shown, judged, panel.detail], outputs, **quick)
    chat.like(thumbed, [shown, judged, panel.detail], [usage, judged], **quick)
    for again in (panel.new.click, chat.clear):
        again(renewed, who, outputs, cancels=runs, **quick)
    panel.detail.change(detailed, [who, shown, judged, panel.detail], chat, **quick)
    for setting in panel.choice:
        setting.change(changed, [shown, *panel.choice], [usage, chat], **quick)
    download = "() => document.querySelector('#file')?.click()"
    for button, write in (
        (panel.page, export.as_page),
        (panel.data, export.as_rollouts),
        (panel.trace, export.as_trace),
    ):
        made = button.click(saved(write), shown, [file, usage], **quick)
        made.success(None, None, None, js=download, **PRIVATE)


def before(runs: Runs, at: int | None, remembers: bool) -> Runs:
    """The runs that stay when one is asked again, or another after them.

    Of those that a conversation remembers, the ones that never began are left out: it has no turn of them.
    """
    kept = runs if at is None else runs[:at]
    return tuple(run for run in kept if run.trajectory) if remembers else kept


def turns(runs: Runs, talk: str) -> int:
    """How many of the runs are turns of that conversation."""
    return sum(run.talk == talk for run in runs)


def thumbs(runs: Runs, liked: Liked) -> list[str | None]:
    """Of each answer, which thumb is shown."""
    return [{True: "Like", False: "Dislike"}.get(liked.get(run.id)) for run in runs]


def run_at(runs: Runs, detail: str, index) -> int | None:
    """Which run the message of that index belongs to."""
    index = index[0] if isinstance(index, list | tuple) else index
    if not isinstance(index, int) or index < 0:
        return None
    for at, run in enumerate(runs):
        index -= len(messages(run, detail)) + (run.image is not None)
        if index < 0:
            return at
    return None


def announced(run: RunView) -> str:
    """What a screen reader says: not every word, but each step and the end."""
    if not run.over:
        return spoken(f"Working on step {len(run.steps) + 1}.")
    return spoken(ending(run))


def spoken(text: str) -> str:
    return f"<p>{escape(sendable(text))}</p>"


def line(text: str) -> str:
    """The status line."""
    return f"<p>{escape(text)}</p>"


def picture(image) -> Any:
    """A PIL image, of it or of smolagents' own kind."""
    return image.to_raw() if hasattr(image, "to_raw") else image


def welcome(model: str, tools: Iterable[str]) -> str:
    """What stands in an empty chat."""
    *most, last = ["Python", *(f"`{tool}`" for tool in tools)]
    has = f"{', '.join(most)} and {last}" if most else last
    return (
        f"### Ask {escaped(label(model).rpartition('/')[2])}\n"
        f"It thinks, writes code and runs it in a sandbox, step by step, and has {has}."
    )
