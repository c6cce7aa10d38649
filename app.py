"""The chat page: ask the agent, and see each step as it happens.

    python app.py --model pocket

Every question gets an agent of its own, and so do two visitors at once: nothing is shared but the
model's weights and the index. The page is served to this machine alone unless GRADIO_SERVER_NAME says
otherwise (a Space sets it); it makes no public link.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import tools
from agents import Trajectory, load_model, make_agent, stream
from agents.sandbox import SandboxError

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

EXAMPLES = (
    "Nancy packs 318 boxes with 45127 pens each. Then 2204 are lost. How many pens are there now?",
    "In which town was the author of The Crooked Letter born?",
)
LONGEST = 4000
"""Characters of a question."""


@dataclass(frozen=True)
class Card:
    """One piece of the reply: a step, or the answer when it has no title."""

    text: str
    title: str | None = None


WAITING = Card("", "Thinking")


def respond(message: str, history: list, *, model, toolbox, **settings) -> Iterator[list[Card]]:
    """The cards of one question so far, after every step; the last also holds the answer."""
    message = message.strip()
    if not message or len(message) > LONGEST:
        yield [Card(f"Please ask something, in at most {LONGEST} characters.")]
        return
    yield [WAITING]
    cards: list[Card] = []
    for event in stream(make_agent(model, toolbox, **settings), message):
        if isinstance(event, Trajectory):
            cards.append(Card(closing(event)))
            yield cards
        else:
            cards.append(step_card(event))
            yield [*cards, WAITING]


def step_card(step) -> Card:
    """A smolagents step as a card: thought, code, what it printed."""
    words = step.model_output or ""
    thought = words.partition("<code>")[0].removeprefix("Thought:").removesuffix("</code>").strip()
    parts = [thought, fenced(step.code_action, "python") if step.code_action else ""]
    if step.observations:
        parts.append(fenced(step.observations.strip()))
    if step.error:
        parts.append("**Error**\n" + fenced(step.error.message))
    title = [f"Step {step.step_number}", f"{step.timing.duration or 0.0:.1f} s"]
    if votes := getattr(step, "votes", None):
        title.insert(1, f"{votes.votes} of {votes.sampled} agree")
    return Card("\n\n".join(filter(None, parts)), " · ".join(title))


def closing(trajectory: Trajectory) -> str:
    """The last card: the answer, or why there is none."""
    usage = trajectory.usage
    cost = f"\n\n<sub>{usage.input_tokens + usage.output_tokens} tokens, {trajectory.seconds:.1f} s</sub>"
    if trajectory.stop == "answered":
        if trajectory.answer is None:
            return f"It answered with nothing.{cost}"
        return f"**{escaped(trajectory.answer)}**{cost}"
    if trajectory.stop == "max_steps":
        return f"No answer within {len(trajectory.steps)} steps.{cost}"
    return "The run failed: " + escaped((trajectory.error or "").splitlines()[0])


def fenced(text: str, language: str = "") -> str:
    """A code block whose fence no line of the text can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def escaped(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~$-])", r"\\\1", text)


def build(model, toolbox, name: str, **settings):
    """The page, as Gradio Blocks; settings are those of `make_agent`."""
    import gradio as gr

    def show(card: Card):
        metadata = {"title": card.title} if card.title else {}
        if card is WAITING:
            metadata["status"] = "pending"  # a spinner
        return gr.ChatMessage(content=card.text, metadata=metadata)

    def chat(message: str, history: list) -> Iterator[list]:
        for cards in respond(message, history, model=model, toolbox=toolbox, **settings):
            yield [show(card) for card in cards]

    return gr.ChatInterface(
        chat,
        title="smoldistill",
        description=f"{name}, with {', '.join(t.name for t in toolbox)} and Python. Every question starts afresh.",
        examples=[[example] for example in EXAMPLES] if name == "pocket" else None,
        cache_examples=False,
        chatbot=gr.Chatbot(
            height="calc(100dvh - 320px)",
            allow_tags=False,
            layout="bubble",
            buttons=["copy"],
            label="Chat",
        ),
        concurrency_limit=4,
        api_visibility="private",
        fill_height=True,
        analytics_enabled=False,
    )


def main() -> None:
    ours = logging.getLogger("agents")  # says how code is confined; other libraries say too much
    ours.addHandler(logging.StreamHandler())
    ours.setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description="Chat with a student, step by step.")
    parser.add_argument(
        "--model", default="pocket", help="as in `python -m distill evaluate --model`"
    )
    parser.add_argument(
        "--tools", default="wiki_search", help="names of tools, or .py files, with commas between"
    )
    parser.add_argument(
        "--index", help="index folder for wiki_search; the pocket encyclopedia if not given"
    )
    parser.add_argument(
        "--samples", type=int, default=1, help="candidates per step; the majority's is kept"
    )
    parser.add_argument(
        "--unsafe-local",
        action="store_true",
        help="run model-written code unconfined, where there is no sandbox",
    )
    parser.add_argument("--port", type=int, default=7860)
    options = parser.parse_args()
    settings = {"samples": options.samples, "unsafe_local": options.unsafe_local}
    try:
        toolbox = load_toolbox(options.tools, options.index)
        model = load_model(options.model)
        make_agent(model, toolbox, **settings)  # told now what is wrong with it
    except (ValueError, SandboxError) as error:
        parser.exit(2, f"Error: {error}\n")
    page = build(model, toolbox, options.model, **settings)
    page.launch(
        server_name=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        server_port=options.port,
        share=False,
        show_error=False,
        max_file_size="1mb",
        footer_links=[],
        quiet=True,
        prevent_thread_lock=True,
    )
    print(f"{options.model} answers on {page.local_url}; Ctrl-C ends it.", flush=True)
    page.block_thread()


def load_toolbox(names: str, index: str | None) -> list:
    """The tools by name; a wrong index is told now, not at the first question."""
    from tools.retrieval import open_index

    opened = {"index": open_index(index)} if index else {}
    return [
        tools.load(name, **(opened if name == "wiki_search" else {}))
        for name in names.split(",")
        if name
    ]


if __name__ == "__main__":
    main()
