"""One question, one answer: the public endpoint of Gradio's API, which is also a tool for MCP clients."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import aclosing, nullcontext

from ..serve.room import Room
from ..serve.run import awaited, gone, run
from ..trajectory import Trajectory
from .access import who
from .message import clean
from .rules import Rate, RefusedError, Rules

PATH = "/ask"
MCP = "/gradio_api/mcp/"
"""Below the page's own address."""


def add_ask(make: Callable, rules: Rules, room: Room | None = None, about: str = "") -> None:
    """Give the Gradio blocks that are being built the endpoint `ask(question) -> dict`.

    make: returns a fresh agent. room: shared with the other doors of the process. about: the agent, in a few
    words, for those who choose among tools. The endpoint has no place in Gradio's queue: it waits for room
    by itself, and so does an MCP call, which would else go through a second connection to this server.
    """
    import gradio as gr

    room, rate = room or Room(rules), Rate(rules.per_minute_address)

    async def ask(question, request):
        """Ask the agent one question: it thinks, runs Python, calls its tools, and answers.

        It remembers nothing of earlier questions.

        Args:
            question: the question, in words
        """
        try:
            text = clean(question, rules).text
            if seconds := rate.take(who(request)):
                raise RefusedError("Too many questions a minute; please wait.", seconds)
            cancelled, ended = threading.Event(), None
            events = awaited(lambda: run(make, text, room, cancelled, pieces=False), cancelled)
            # Only this way the caller waits on the request itself, and can be seen to go away.
            inner = getattr(request, "request", None)
            direct = inner if inner is not None and "/run/" in inner.url.path else None
            async with gone(direct, cancelled) if direct else nullcontext(), aclosing(events):
                async for event in events:
                    ended = event
        except (RefusedError, RuntimeError) as error:
            raise gr.Error(str(error).splitlines()[0], print_exception=False) from None
        if not isinstance(ended, Trajectory):
            raise gr.Error("The run was stopped.", print_exception=False)
        return told(ended)

    # Gradio reads them, and knows its own classes only where it is imported: here.
    ask.__annotations__ = {"question": str, "request": gr.Request, "return": dict}
    description = f"{about} {ask.__doc__}".strip() if about else None
    gr.api(ask, api_name="ask", api_description=description, queue=False)


def told(trajectory: Trajectory) -> dict:
    """What a caller gets: the answer, or why there is none, and what it took."""
    error = (trajectory.error or "").strip().splitlines()
    return {
        "answer": trajectory.answer,
        "stop": trajectory.stop,
        "error": error[-1][:300] if error else None,
        "steps": len(trajectory.steps),
        "input_tokens": trajectory.usage.input_tokens,
        "output_tokens": trajectory.usage.output_tokens,
        "seconds": trajectory.seconds,
    }


def ask_page(
    make: Callable, rules: Rules, room: Room | None = None, *, title: str, about: str = ""
):
    """Gradio blocks with the endpoint alone, and a line that says how to use it."""
    import gradio as gr

    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(
            "`ask` is an endpoint of Gradio's API and a tool for MCP clients; see the API page."
        )
        add_ask(make, rules, room, about)
    page.queue(max_size=rules.waiting)
    return page
