"""The chat: a question, the agent's work on it as cards, the answer; and the ways back.

What a browser sends is a wish: the runs shown and the settings are kept and checked here, on the server.
"""

# No `from __future__ import annotations`: Gradio reads the events' types from the signatures.

import tempfile
from collections.abc import AsyncIterator
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
from .steps import RunView, messages, status
from .visitors import EXPIRED, Visitors

Runs = tuple[RunView, ...]
READY = "Ready."
NEW = "The settings have changed: a new chat has begun."
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
        placeholder=welcome(offer),
        examples=[{"text": example} for example in offer.examples],
    )
    usage = gr.HTML(line(READY), elem_id="usage")
    said = gr.HTML("", elem_id="said")
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
    settings = [panel.detail, *panel.choice]
    unchanged = (gr.skip(),) * len(outputs)

    async def answer(
        question: str,
        at: int | None,
        who: str | None,
        runs: Runs,
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
            if not making.choice.remembers:
                pass
            elif runs and (visitor.expired or who is None):  # Gradio forgets an old state, too
                kept, told = (), EXPIRED
            elif kept and not continues(visitor, making):
                kept, told = (), NEW
            past = [message for run in kept for message in messages(run, detail)]
            begun = ""
            asked = ask(visitors, visitor, making, text, after=len(kept), who=address, note=told)
            async for run, seconds in asked:
                if visitor.closed:  # by "New chat", whose empty page stays
                    return
                news = announced(run)
                yield (
                    past + pictured(run, detail),
                    # The text is taken at the first state; what is written meanwhile stays.
                    gr.skip() if begun and not run.over else working(run, typed and not begun),
                    line(status(run, seconds)),
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

    def pictured(run: RunView, detail: str) -> list[dict]:
        told = messages(run, detail)
        if run.over and run.image is not None:
            told.append(
                {
                    "role": "assistant",
                    "content": gr.Image(picture(run.image), label="The answer, a picture"),
                }
            )
        return told

    def redrawn(runs: Runs, detail: str) -> list[dict]:
        return [message for run in runs for message in pictured(run, detail)]

    async def sent(request: gr.Request, text, who, runs, detail, *choice):
        async for state in answer(text, None, who, runs, detail, choice, request, typed=True):
            yield state

    async def example(event: gr.SelectData, request: gr.Request, who, runs, detail, *choice):
        async for state in answer(event.value["text"], None, who, runs, detail, choice, request):
            yield state

    async def retried(event: gr.RetryData, request: gr.Request, who, runs, detail, *choice):
        if (at := run_at(runs, detail, event.index)) is None:
            yield unchanged
            return
        async for state in answer(runs[at].question, at, who, runs, detail, choice, request):
            yield state

    async def edited(event: gr.EditData, request: gr.Request, who, runs, detail, *choice):
        if (at := run_at(runs, detail, event.index)) is None:
            yield unchanged
            return
        # Plain text: the page takes Markdown's marks away before a message is edited.
        async for state in answer(event.value, at, who, runs, detail, choice, request):
            yield state

    def undone(event: gr.UndoData, who, runs, detail):
        """Forget the last run, in the agent's memory and variables too; its question is in the box again."""
        at = run_at(runs, detail, event.index)
        try:
            visitor = visitors.get(who)
            if at is None or visitor.busy:
                return unchanged
        except RefusedError as refused:
            return (*unchanged[:2], line(str(refused)), spoken(str(refused)), *unchanged[4:])
        kept = before(runs, at, True)
        visitor.conversation.rewind(len(kept))
        state = "Taken back; the agent has forgotten it."
        return (
            redrawn(kept, detail),
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

    def settled(who, runs, detail):
        """The page when a run is over, with what was chosen meanwhile; an edit that was refused is taken out."""
        visitor = visitors.known(who)
        busy = visitor is not None and visitor.busy  # its next state draws the chat
        return idle(who), gr.skip() if busy else redrawn(runs, detail)

    # What goes past the queue can show no toast; the status line tells.
    def thumbed(event: gr.LikeData, runs, detail):
        at = run_at(runs, detail, event.index)
        if at is None or runs[at].trajectory is None:
            return gr.skip()
        liked = event.liked if isinstance(event.liked, bool) else None
        try:
            feedback.give(offer.feedback, runs[at], liked)
        except ValueError as error:
            return line(str(error))
        return gr.skip()

    def changed(runs, *choice):
        """What is said when a setting changes."""
        if not runs:
            return gr.skip()
        return line("The next question begins a new chat, with these settings.")

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
        event.then(settled, [who, shown, panel.detail], [box, chat], **quick)
        return event

    quick = {"queue": False, "show_progress": "hidden", **PRIVATE}
    runs = [
        wire(box.submit, sent, [box]),
        wire(chat.example_select, example, []),
        wire(chat.retry, retried, []),
        wire(chat.edit, edited, []),
    ]
    box.stop(stopped, who, None, **quick)
    chat.undo(undone, [who, shown, panel.detail], outputs, **quick)
    chat.like(thumbed, [shown, panel.detail], usage, **quick)
    for again in (panel.new.click, chat.clear):
        again(renewed, who, outputs, cancels=runs, **quick)
    panel.detail.change(redrawn, [shown, panel.detail], chat, **quick)
    for setting in panel.choice:
        setting.change(changed, [shown], usage, **quick)
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
    return spoken({"answered": "Answered.", "stopped": "Stopped."}.get(run.state, run.reason))


def spoken(text: str) -> str:
    return f"<p>{escape(sendable(text))}</p>"


def line(text: str) -> str:
    """The status line."""
    return f"<p>{escape(text)}</p>"


def picture(image) -> Any:
    """A PIL image, of it or of smolagents' own kind."""
    return image.to_raw() if hasattr(image, "to_raw") else image


def welcome(offer: Offer) -> str:
    """What stands in an empty chat."""
    *most, last = ["Python", *(f"`{tool.name}`" for tool in offer.toolbox)]
    has = f"{', '.join(most)} and {last}" if most else last
    return (
        f"### Ask {escaped(label(offer.models[0]).rpartition('/')[2])}\n"
        f"It thinks, writes code and runs it in a sandbox, step by step, and has {has}."
    )
