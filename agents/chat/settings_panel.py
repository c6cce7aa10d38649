"""The settings of a chat: model, tools, how it works, how much of it is shown; at the side, folded away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..agent import SAMPLING_TEMPERATURE
from .asking import Choice
from .offer import Offer, by_label
from .steps import DETAILS

MOST_STEPS = 12
MOST_SAMPLES = 16
LABELS = {"everything": "Everything", "steps": "Steps", "answer": "Answer only"}


@dataclass(frozen=True)
class Panel:
    """Gradio's components of the settings; `choice` are those that `chosen` takes the values of."""

    choice: list[Any]
    detail: Any
    new: Any
    page: Any
    data: Any
    trace: Any


def panel(offer: Offer) -> Panel:
    """Put the settings where this is called."""
    import gradio as gr

    usual = offer.settings
    names = [tool.name for tool in offer.toolbox]
    models = list(by_label(offer.models))
    new = gr.Button("New chat", variant="primary", elem_id="new")
    model = gr.Dropdown(models, value=models[0], label="Model", filterable=False, elem_id="model")
    tools = gr.CheckboxGroup(
        names, value=names, label="Tools", elem_id="tools", visible=bool(names)
    )
    detail = gr.Radio(
        [(LABELS[name], name) for name in DETAILS],
        value=DETAILS[0],
        label="Show",
        elem_id="detail",
    )
    remembers = gr.Checkbox(
        can_converse(offer.models[0]),
        label="Remember the conversation",
        info="Students are trained on single questions and answer those best.",
        elem_id="remembers",
    )
    steps = gr.Slider(
        1,
        max(MOST_STEPS, usual.get("max_steps", 5)),
        usual.get("max_steps", 5),
        step=1,
        label="Steps at most",
        buttons=[],
    )
    samples = gr.Slider(
        1,
        max(MOST_SAMPLES, usual.get("samples", 1)),
        usual.get("samples", 1),
        step=1,
        label="Candidates per step",
        info="The one that most agree with is kept.",
        visible=not usual.get("unsafe_local"),  # which cannot try several
        buttons=[],
    )
    temperature = gr.Slider(
        0,
        1.5,
        usual.get("temperature") or 0,
        step=0.1,
        label="Temperature",
        info=f"0: always the likeliest word, or {SAMPLING_TEMPERATURE} where there are several candidates.",
        buttons=[],
    )
    gr.Markdown("Save this chat as", elem_id="save")
    with gr.Row(elem_id="save-row"):
        page = gr.Button("Page", size="sm", min_width=60, elem_id="save-page")
        data = gr.Button("Data", size="sm", min_width=60, elem_id="save-data")
        trace = gr.Button("Trace", size="sm", min_width=60, elem_id="save-trace")
    choice = [model, tools, steps, samples, temperature, remembers]
    return Panel(choice, detail, new, page, data, trace)


def chosen(offer: Offer, model, tools, steps, samples, temperature, remembers) -> Choice:
    """The values of a panel, as they come from a browser: whatever is not offered is the usual again."""
    names = [tool.name for tool in offer.toolbox]
    return Choice(
        model=by_label(offer.models).get(str(model), offer.models[0]),
        tools=tuple(name for name in names if name in (tools or ())),
        max_steps=within(steps, 1, max(MOST_STEPS, offer.settings.get("max_steps", 5))),
        samples=within(samples, 1, max(MOST_SAMPLES, offer.settings.get("samples", 1))),
        temperature=min(float(temperature), 1.5) if temperature and temperature > 0 else None,
        remembers=bool(remembers),
    )


def within(value, least: int, most: int) -> int:
    return min(max(int(value), least), most)


def can_converse(model: str) -> bool:
    """Whether a model is more than a student: those behind a server have seen conversations."""
    return model.startswith(("http://", "https://", "litellm:"))
