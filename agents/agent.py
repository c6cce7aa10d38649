"""Make the agent: smolagents' CodeAgent, so that what it is shown next is exactly what it wrote.

Three things differ from the stock class. smolagents repeats every action to the model as a "Calling
tools: […]" line merged into the model's own turn; here that line is left out, so a student is never
trained to write it. Running out of steps is no answer: the stock class asks the model once more with
another prompt and returns whatever it says. And a run may have a limit of time and of tokens.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from smolagents import CodeAgent, Model, Tool
from smolagents.agents import (
    EMPTY_PROMPT_TEMPLATES,
    ActionOutput,
    AgentExecutionError,
    AgentGenerationError,
    AgentParsingError,
)
from smolagents.memory import ActionStep
from smolagents.models import ChatMessage, MessageRole
from smolagents.monitoring import AgentLogger, LogLevel

from .dialect import DIALECTS, Dialect, dialect
from .executor import UnconfinedExecutor
from .models import WithSettings, student_of
from .sandbox import Limits, SandboxError, SandboxExecutor

PROMPTS = Path(__file__).parent / "prompts"
LIMITS = Limits(output_chars=4000)
"""As the sandbox's, but for printed output: 50,000 characters would be a small context's end."""
IMPORTS = ("numpy.*", "sympy.*")
"""What code may import beside the modules that smolagents always allows."""
SAMPLING_TEMPERATURE = 0.4
"""Of self-consistent generation, as in the paper; greedy candidates would all be the same."""


class DistillAgent(CodeAgent):
    """A CodeAgent whose history holds the model's own words; see the module's docstring."""

    def __init__(
        self,
        *args,
        as_written: bool = False,
        limits: Limits = LIMITS,
        temperature: float | None = None,
        dialect: Dialect = DIALECTS["code"],
        **kwargs,
    ):
        """as_written: without it, history and running out of steps are as in the stock class.

        temperature: as asked for, for the record; the model has it already. dialect: the model speaks it.
        """
        super().__init__(*args, **{"code_block_tags": dialect.tags, **kwargs})
        self.as_written, self.limits, self.temperature = as_written, limits, temperature
        self.dialect = dialect
        self._begin()

    def _begin(self) -> None:
        """Of a run's limits, nothing is used yet."""
        self._started: float | None = None
        self._tokens = 0
        self._told = False

    def write_memory_to_messages(self, summary_mode: bool = False) -> list[ChatMessage]:
        if not self.as_written or summary_mode:
            return super().write_memory_to_messages(summary_mode)
        steps = (self.memory.system_prompt, *self.memory.steps)
        return [message for step in steps for message in self.dialect.shows(step)]

    def provide_final_answer(self, task: str) -> ChatMessage:
        """Called when the steps are used up. There is no answer then, and no further request."""
        if not self.as_written:
            return super().provide_final_answer(task)
        return ChatMessage(role=MessageRole.ASSISTANT, content=None)

    def run(self, *args, **kwargs):
        self._begin()
        return super().run(*args, **kwargs)

    def _step_stream(self, memory_step: ActionStep) -> Iterator:
        if self._started is None:
            self._started = time.monotonic()
        final = False
        try:
            for event in self._act(memory_step):
                final = isinstance(event, ActionOutput) and event.is_final_answer
                yield event
        except AgentExecutionError as error:
            # smolagents shows the model whatever an executor raises; that there is none is not its fault.
            if isinstance(error.__context__, SandboxError):
                raise AgentGenerationError(str(error.__context__), self.logger) from error
            raise
        except AgentParsingError as error:
            raise AgentParsingError(self.dialect.explained(str(error)), self.logger) from error
        finally:
            self._keep_limits(memory_step, final)

    def _act(self, memory_step: ActionStep) -> Iterator:
        """One step: think, act, observe."""
        return super()._step_stream(memory_step)

    def _keep_limits(self, step: ActionStep, final: bool) -> None:
        """Note the limit that the step reached; past one of the run's, have the next step be the last."""
        outcome = getattr(self.python_executor, "last", None) if step.code_action else None
        step.limit = outcome.limit if outcome else None
        if step.token_usage:
            self._tokens += step.token_usage.total_tokens
        limits, past = self.limits, None
        if limits.run_tokens and self._tokens >= limits.run_tokens:
            past, what = "run_tokens", f"{limits.run_tokens:,} tokens"
        elif limits.run_seconds and time.monotonic() - self._started >= limits.run_seconds:
            past, what = "run_seconds", f"{limits.run_seconds:g} seconds"
        if past and not final and not self._told:
            self._told = True
            step.limit = past
            told = f"This run's limit of {what} is reached; give your final answer in the next step, the last."
            step.observations = f"{step.observations or ''}\n{told}".strip()
            self.step_number = max(self.step_number, self.max_steps - 1)


def make_agent(
    model: Model,
    tools: Sequence[Tool],
    *,
    samples: int = 1,
    temperature: float | None = None,
    max_steps: int = 5,
    executor=None,
    prompt: str | None = None,
    tags: str | None = None,
    imports: Sequence[str] = IMPORTS,
    limits: Limits = LIMITS,
    sequential: bool = False,
    same_answer: Callable[[str, str], bool] | None = None,
    unsafe_local: bool = False,
) -> CodeAgent:
    """An agent for one question: build it, ask it, throw it away. Model and tools may be shared.

    samples: candidates per step, of which the one that most agree with is kept (agents/student.py).
    temperature: None means greedy, and 0.4 where several candidates are sampled.
    executor: any of smolagents' executors instead of the sandbox.
    unsafe_local: run code in this process, unconfined; it can do whatever you can.
    prompt: names a file of `agents/prompts` ("student", the default, or "teacher") or is a path to
        another; it is a Jinja template that sees `tools` and the code tags, as smolagents' own.
    tags: how the model marks its code, "code", "markdown" or "paper" (agents/dialect.py). Without them,
        and without a prompt, what a student's folder says it was trained on; else "code".
    imports: modules that code may import; not used with an executor of your own, nor are the limits of
        an action.
    sequential: sample no more candidates once the vote is decided: fewer tokens, more requests.
    same_answer: whether two final answers count as one in the vote; same words or number if not given.
    Raises SandboxError, which names the ways out, where the machine cannot confine code.
    """
    if samples < 1:
        raise ValueError(f"samples starts at 1, not {samples}.")
    if temperature is None and samples > 1:
        temperature = SAMPLING_TEMPERATURE
    student = student_of(model)
    if student.get("method", "agent") != "agent":
        student = {}  # its prompt is for another task
    spoken = dialect(tags or student.get("tags") or "code")
    prompt = prompt or student.get("prompt") or spoken.prompt
    if temperature is not None:
        model = WithSettings(model, temperature=temperature)
    if unsafe_local:
        warnings.warn("Model-written code runs unconfined: it can do what you can.", stacklevel=2)
    if executor is None:
        executor = (UnconfinedExecutor if unsafe_local else SandboxExecutor)(imports, limits=limits)
    settings = {
        "tools": list(tools),
        "model": spoken.speaking(model),
        "prompt_templates": {
            **EMPTY_PROMPT_TEMPLATES,
            "system_prompt": read_prompt(prompt),
        },
        "additional_authorized_imports": list(imports),
        "max_steps": max_steps,
        "executor": executor,
        "limits": limits,
        "as_written": True,
        "dialect": spoken,
        "temperature": temperature,
        # Quiet at any level: smolagents prints live panels to the terminal by default.
        "logger": AgentLogger(level=LogLevel.OFF, console=Console(file=io.StringIO())),
    }
    if samples == 1:
        return DistillAgent(**settings)
    from .student import StudentAgent

    return StudentAgent(**settings, samples=samples, sequential=sequential, same_answer=same_answer)


def read_prompt(name: str) -> str:
    """The text of a prompt: by the name of a file in `agents/prompts`, by path, or itself (several lines)."""
    if "\n" in name:
        return name.strip()
    path = PROMPTS / f"{name}.txt"
    path = path if path.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROMPTS.glob("*.txt")))
        raise ValueError(f"No prompt named {name!r}; there are: {known}, or give a file.")
    return path.read_text(encoding="utf-8").strip()
