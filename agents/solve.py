"""Run an agent on one question and return everything it did.

`solve` returns the record; `stream` yields each step as it ends and then the record. Collecting from a
teacher, scoring a student and chatting with a visitor all come through here.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from smolagents import ActionStep, CodeAgent
from smolagents.agents import AgentExecutionError, AgentMaxStepsError, AgentParsingError
from smolagents.memory import FinalAnswerStep

from .cancelled import Cancelled
from .dialect import DIALECTS, Dialect
from .models import first_thought_of
from .secrets import without_keys
from .template import plain
from .trajectory import Message, Step, Trajectory, Usage
from .watched import Watched

STOPPED = "Stopped."
"""The error of a run that was stopped by whoever asked."""


@dataclass(frozen=True)
class Piece:
    """Words of the step that is being written."""

    text: str


def solve(agent, question: str) -> Trajectory:
    """Ask once. The system's faults (server gone, out of memory) end as `stop="failed"`, never as a raise."""
    if not isinstance(agent, CodeAgent):
        return agent.solve(question)  # a chain of thought: one request, no steps (agents/cot.py)
    *_, trajectory = stream(agent, question)
    return trajectory


def stream(
    agent: CodeAgent,
    question: str,
    *,
    pieces: bool = False,
    cancelled: threading.Event | None = None,
    keep: bool = False,
) -> Iterator[Piece | ActionStep | Trajectory]:
    """smolagents' `ActionStep` as each step ends (thought, code, observation), then the `Trajectory`.

    pieces: before each step also `Piece`s, its words as they are written; of several candidates, the first's.
    cancelled: once it is set, the model stops writing and code stops running; the trajectory then holds what
        was done, with `error` STOPPED.
    keep: the agent lives on, and may have answered before: its memory and Python variables go into this run.
        What a step that failed or was stopped has left in the memory is taken out of it.
    Without `keep` the agent must be fresh, and is cleaned up. Closing the iterator stops the run.
    """
    if agent.memory.steps and not keep:
        raise ValueError(
            "This agent has answered a question before; make a new one for each question."
        )
    cancelled = cancelled or threading.Event()
    if not pieces:
        yield from _run(agent, question, cancelled, keep)
        return
    told: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        try:
            for event in _run(agent, question, cancelled, keep, lambda t: told.put(Piece(t))):
                told.put(event)
        except BaseException as error:
            told.put(error)
        finally:
            told.put(None)

    in_context = contextvars.copy_context().run  # Gradio's request, a tracer's span
    thread = threading.Thread(target=in_context, args=(work,), daemon=True, name="run")
    thread.start()
    over = False
    try:
        while (event := told.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
        over = True
    finally:
        if not over:
            cancelled.set()


def _run(
    agent: CodeAgent,
    question: str,
    cancelled: threading.Event,
    keep: bool,
    told: Callable[[str], None] | None = None,
) -> Iterator[ActionStep | Trajectory]:
    start, shown, final, error = time.monotonic(), 0, None, None
    since = len(agent.memory.steps)
    model, executor = agent.model, agent.python_executor
    thought = first_thought_of(model)
    task = _dialect(agent).ask(thought.ask(question) if thought else question)
    agent.model = watched = Watched(model, cancelled, told)
    if hasattr(executor, "cancelled"):
        executor.cancelled = cancelled
    run = agent.run(task, stream=True, reset=not keep)
    try:
        for event in run:
            if isinstance(event, ActionStep) and event.step_number > shown:
                watched.seen = False
                # smolagents yields the last step twice when steps run out
                shown = event.step_number
                if _ended(event) or not cancelled.is_set():
                    yield event
            elif isinstance(event, FinalAnswerStep):
                final = event.output
    except Cancelled:
        error = STOPPED
    except Exception as exception:
        # The one broad except around a run: whatever broke is the system's fault and is recorded with its
        # reason. The model's own faults never get here; smolagents turns them into observations.
        error = without_keys(f"{type(exception).__name__}: {exception}")
    finally:
        agent.model = model
        with suppress(RuntimeError):  # smolagents' generator yields while it is being closed
            run.close()
        if not keep:
            agent.cleanup()
    trajectory = record(agent, question, final, error, time.monotonic() - start, since)
    if keep:
        _tidy(agent, since)
    yield trajectory


def _tidy(agent: CodeAgent, since: int) -> None:
    """Leave nothing of a run in the memory that the model did not write or read to its end."""
    steps = agent.memory.steps
    run = [s for s in steps[since:] if not isinstance(s, ActionStep) or _ended(s)]
    steps[since:] = run if any(isinstance(step, ActionStep) for step in run) else []


def _ended(step: ActionStep) -> bool:
    return step.model_output is not None and bool(step.error or step.observations is not None)


def record(
    agent: CodeAgent,
    question: str,
    final,
    error: str | None,
    seconds: float,
    since: int = 0,
) -> Trajectory:
    """The trajectory of a run that is over, read from the agent's memory; since: its first step there."""
    actions = [step for step in agent.memory.steps[since:] if isinstance(step, ActionStep)]
    out_of_steps = any(isinstance(step.error, AgentMaxStepsError) for step in actions)
    written = [step for step in actions if step.model_output is not None]
    messages, steps = transcript(agent, written)
    answered = error is None and not out_of_steps
    usages = [step.token_usage for step in written if step.token_usage]
    thought = first_thought_of(agent.model)
    return Trajectory(
        question=question,
        messages=messages,
        steps=steps,
        answer=str(final) if answered and final is not None else None,
        stop="failed" if error else "answered" if answered else "max_steps",
        error=error,
        model=str(agent.model.model_id),
        method="agent",
        samples=getattr(agent, "samples", 1),
        temperature=getattr(agent, "temperature", None),
        tools=tuple(name for name in agent.tools if name != "final_answer"),
        tags=_dialect(agent).name,
        first_thought=thought.way if thought and written else None,
        usage=Usage(
            input_tokens=sum(u.input_tokens for u in usages),
            output_tokens=sum(u.output_tokens for u in usages),
            requests=sum(getattr(step, "requests", 1) for step in written),
        ),
        seconds=round(seconds, 3),
    )


def transcript(
    agent: CodeAgent, written: list[ActionStep]
) -> tuple[tuple[Message, ...], tuple[Step, ...]]:
    """The last request and the reply to it; every earlier request is a prefix of it, which is checked."""
    messages: tuple[Message, ...] = ()
    steps = []
    for action in written:
        sent = as_sent(action.model_input_messages)
        if sent[: len(messages)] != messages:
            raise AssertionError(
                "A request does not continue the one before it; the record would be untrue."
            )
        # Stripped, as smolagents strips it before showing it to the model again.
        messages = (*sent, Message(role="assistant", content=action.model_output.strip()))
        raw = action.model_output_message.raw if action.model_output_message else None
        steps.append(
            Step(
                message=len(messages) - 1,
                finish_reason=finish_reason(raw),
                error=error_kind(action.error),
                seconds=round(action.timing.duration or 0.0, 3),
                limit=getattr(action, "limit", None),
                votes=getattr(action, "votes", None),
            )
        )
    if not written:  # the first request failed: all that is known is what would have been sent
        messages = as_sent(agent.write_memory_to_messages())
    return messages, tuple(steps)


def _dialect(agent: CodeAgent) -> Dialect:
    return getattr(agent, "dialect", DIALECTS["code"])  # of smolagents' own class, its own


def as_sent(messages) -> tuple[Message, ...]:
    """smolagents' messages as plain text: roles merged and renamed the way every backend is sent them."""
    return tuple(Message(**message) for message in plain(messages))


def finish_reason(raw) -> str | None:
    """Ours put it in a dict; OpenAI-compatible replies hold it in their first choice."""
    if isinstance(raw, dict):
        return raw.get("finish_reason")
    choices = getattr(raw, "choices", None)
    return choices[0].finish_reason if choices else None


def error_kind(error) -> str | None:
    match error:
        case None:
            return None
        case AgentParsingError():
            return "parsing"
        case AgentExecutionError():
            return "execution"
        case _:
            return "other"
