"""Make the agent: smolagents' CodeAgent, so that what it is shown next is exactly what it wrote.

Two things differ from the stock class. smolagents repeats every action to the model as a "Calling
tools: […]" line merged into the model's own turn; here that line is left out, so a student is never
trained to write it. And running out of steps is no answer: the stock class asks the model once more with
another prompt and returns whatever it says.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from smolagents import CodeAgent, Model, Tool
from smolagents.agents import EMPTY_PROMPT_TEMPLATES
from smolagents.models import ChatMessage, MessageRole
from smolagents.monitoring import AgentLogger, LogLevel

from .executor import GuardedExecutor
from .models import WithSettings

PROMPTS = Path(__file__).parent / "prompts"
MAX_OBSERVATION = 4000
"""Characters of printed output kept per step; smolagents' own limit is 50,000, a small context's end."""


class DistillAgent(CodeAgent):
    """A CodeAgent whose history holds the model's own words; see the module's docstring."""

    def write_memory_to_messages(self, summary_mode: bool = False) -> list[ChatMessage]:
        messages = super().write_memory_to_messages(summary_mode)
        return [message for message in messages if message.role != MessageRole.TOOL_CALL]

    def provide_final_answer(self, task: str) -> ChatMessage:
        """Called when the steps are used up. There is no answer then, and no further request."""
        return ChatMessage(role=MessageRole.ASSISTANT, content=None)


def make_agent(
    model: Model,
    tools: Sequence[Tool],
    *,
    temperature: float | None = None,
    max_steps: int = 5,
    executor=None,
    prompt: str | None = None,
) -> CodeAgent:
    """An agent for one question: build it, ask it, throw it away. Model and tools may be shared.

    `prompt` names a file of `agents/prompts` ("student", the default, or "teacher") or is a path to
    another; it is a Jinja template that sees `tools` and the code tags, as smolagents' own.
    `temperature` None means greedy.
    """
    if temperature is not None:
        model = WithSettings(model, temperature=temperature)
    return DistillAgent(
        tools=list(tools),
        model=model,
        prompt_templates={
            **EMPTY_PROMPT_TEMPLATES,
            "system_prompt": read_prompt(prompt or "student"),
        },
        max_steps=max_steps,
        executor=executor or GuardedExecutor([], max_print_outputs_length=MAX_OBSERVATION),
        # Quiet at any level: smolagents prints live panels to the terminal by default.
        logger=AgentLogger(level=LogLevel.OFF, console=Console(file=io.StringIO())),
    )


def read_prompt(name: str) -> str:
    """The text of a prompt, by the name of a file in `agents/prompts` or by path."""
    path = PROMPTS / f"{name}.txt"
    path = path if path.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROMPTS.glob("*.txt")))
        raise ValueError(f"No prompt named {name!r}; there are: {known}, or give a file.")
    return path.read_text(encoding="utf-8").strip()
