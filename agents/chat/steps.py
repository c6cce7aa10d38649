"""What happens in a run, as the cards that a reader sees: one for the run, in it one a step.

`begin` a run, `follow` it event by event (of `agents.stream`), and at any time `messages` are what Gradio's
Chatbot shows of it. Nothing here knows of Gradio, and nothing changes: each event makes a new `RunView`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from smolagents import ActionStep
from smolagents.agents import AgentParsingError

from ..sandbox.limits import Limit
from ..solve import STOPPED, Piece
from ..trajectory import Trajectory, Votes
from .markdown import escaped, fenced
from .replay import stored_steps

State = Literal["working", "answered", "unanswered", "stopped", "failed"]
Detail = Literal["everything", "steps", "answer"]
"""How much is shown of a run: all; its steps' thoughts; nothing but the answer."""
DETAILS: tuple[Detail, ...] = ("everything", "steps", "answer")
Status = Literal["pending", "open", "done"]
"""Of a card: open with a spinner; open; folded."""
TITLES = {
    "working": "Working…",
    "answered": "Worked",
    "unanswered": "Worked, without an answer",
    "stopped": "Stopped",
    "failed": "Failed",
}
LIMITS: dict[Limit, str] = {
    "seconds": "time",
    "memory": "memory",
    "output": "output",
    "calls": "tool calls",
    "process": "process ended",
    "run_seconds": "the run's time",
    "run_tokens": "the run's tokens",
}
CODE_BEGINS = re.compile(r"<code>|^(?:Code:\s*)?```(?:python|py)?[ \t]*(?:\n|\Z)", re.MULTILINE)
TAG_BEGUN = re.compile(
    r"(?:<c?o?d?e?|^(?:Code:\s*)?`{0,3}(?:p(?:y(?:t(?:h(?:on?)?)?)?)?)?)\Z", re.M
)
"""The end of what was written so far may be the start of a tag."""
CODE_ENDS = re.compile(
    r"</code>\s*\Z|\n\s*</?c?o?d?e?>?\s*\Z|\n`{1,3}(?:<e?n?d?_?c?o?d?e?>?)?\s*\Z"
)
FAILED_LINE = re.compile(r"^Code execution failed at line '(.*?)' due to: (\w+)", re.DOTALL)


@dataclass(frozen=True)
class StepView:
    """A step of a run, as far as it has come."""

    number: int
    """From 1."""
    thought: str = ""
    code: str = ""
    observation: str = ""
    error: str = ""
    kind: str = ""
    """Of the error: "parsing", "execution", "tool"; empty without one."""
    limit: Limit | None = None
    seconds: float | None = None
    """None while it lasts, and where it was stopped."""
    input_tokens: int = 0
    output_tokens: int = 0
    votes: Votes | None = None


@dataclass(frozen=True)
class RunView:
    """A question and what has come of it so far."""

    id: str
    question: str
    steps: tuple[StepView, ...] = ()
    """Those that have ended."""
    writing: str = ""
    """What the model has written of the next one."""
    state: State = "working"
    answer: str | None = None
    image: Any = None
    """The final answer, if it is a picture (PIL)."""
    reason: str = ""
    """Why there is no answer, as one sentence."""
    seconds: float = 0.0
    tools: tuple[str, ...] = ()
    trajectory: Trajectory | None = None
    """The record, once it is over."""
    note: str = ""
    """What the reader is told below the question."""
    talk: str = ""
    """The conversation that it is a turn of."""

    @property
    def over(self) -> bool:
        return self.state != "working"

    @property
    def input_tokens(self) -> int:
        if self.trajectory:
            return self.trajectory.usage.input_tokens
        return sum(step.input_tokens for step in self.steps)

    @property
    def output_tokens(self) -> int:
        if self.trajectory:
            return self.trajectory.usage.output_tokens
        return sum(step.output_tokens for step in self.steps)


def begin(
    question: str, id: str, *, tools: tuple[str, ...] = (), note: str = "", talk: str = ""
) -> RunView:
    return RunView(id, question, tools=tools, note=note, talk=talk)


def follow(run: RunView, event: Piece | ActionStep | Trajectory) -> RunView:
    """The run after one more event."""
    if isinstance(event, Piece):
        return replace(run, writing=run.writing + event.text)
    if isinstance(event, Trajectory):
        return closed(run, event)
    step = ended(event, run.tools)
    image = event.action_output if is_image(getattr(event, "action_output", None)) else run.image
    return replace(run, steps=(*run.steps, step), writing="", image=image)


def ended(step: ActionStep, tools: tuple[str, ...] = ()) -> StepView:
    """A step of smolagents that is over."""
    words = step.model_output or ""
    thought, code = (
        split(words) if step.code_action is None else (split(words)[0], step.code_action)
    )
    usage = step.token_usage
    return StepView(
        number=step.step_number,
        thought=thought,
        code=code,
        observation=told(step.observations or ""),
        error=step.error.message if step.error else "",
        kind=kind_of(step.error, tools),
        limit=getattr(step, "limit", None),
        seconds=step.timing.duration or 0.0,
        input_tokens=usage.input_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
        votes=getattr(step, "votes", None),
    )


def closed(run: RunView, trajectory: Trajectory) -> RunView:
    """The run when it is over: the answer, or why there is none. What was being written stays."""
    state, reason = "answered", ""
    if trajectory.stop == "max_steps":
        state, reason = "unanswered", f"No answer within {count(len(trajectory.steps), 'step')}."
    elif trajectory.error == STOPPED:
        state, reason = "stopped", "You stopped it. What was done until then is kept above."
    elif trajectory.stop == "failed":
        state, reason = "failed", failure(trajectory.error or "")
    elif trajectory.answer is None:
        reason = "It answered with nothing."
    return replace(
        run,
        state=state,
        reason=reason,
        answer=trajectory.answer,
        seconds=trajectory.seconds,
        trajectory=trajectory,
        # What a step has left unfinished: it is told whose fault that is in the reason.
        writing="" if state in ("answered", "unanswered") else run.writing,
    )


def replayed(trajectory: Trajectory, id: str = "run") -> RunView:
    """A run that was stored, as it was seen when it ran, as far as its record tells."""
    run = begin(trajectory.question, id, tools=trajectory.tools)
    steps = tuple(
        StepView(
            number=stored.number,
            thought=stored.thought,
            code=stored.code or "",
            observation=told(stored.observation or ""),
            kind="execution" if stored.step.error == "other" else stored.step.error or "",
            limit=stored.step.limit,
            seconds=stored.step.seconds,
            votes=stored.step.votes,
        )
        for stored in stored_steps(trajectory)
    )
    return closed(replace(run, steps=steps), trajectory)


def split(words: str) -> tuple[str, str]:
    """Thought and code of what a model has written so far, whatever marks its code."""
    text = re.sub(r"\A\s*Thought:\s*", "", words)
    if opening := CODE_BEGINS.search(text):
        return text[: opening.start()].strip(), CODE_ENDS.sub("", text[opening.end() :]).strip("\n")
    return TAG_BEGUN.sub("", text).strip(), ""


def kind_of(error, tools: tuple[str, ...]) -> str:
    """Whose error it is; a tool's if the line that failed calls one and it is no mistake in the code."""
    if error is None:
        return ""
    if isinstance(error, AgentParsingError):
        return "parsing"
    failed = FAILED_LINE.match(error.message)
    if failed and failed[2] not in ("InterpreterError", "NameError", "SyntaxError", "TypeError"):
        called = {name for name in tools if re.search(rf"\b{re.escape(name)}\s*\(", failed[1])}
        return "tool" if called else "execution"
    return "execution"


def failure(error: str) -> str:
    """The system's fault in one sentence; the reason is the first line of what was said."""
    reason = re.sub(r"\A\s*(?:\w+Error: )?(?:Error in generating model output:\s*)?", "", error)
    first = reason.strip().partition("\n")[0][:300].rstrip(".") or "no reason was given"
    return f"The run failed: {first}. Retry asks again."


def told(observations: str) -> str:
    """What a step printed and what its last line was, without the headings that the model reads."""
    text = re.sub(r"\A\s*(?:Observation:\s*)?(?:Execution logs:\n?)?", "", observations)
    text = re.sub(r"(?:\A|\n)Last output from code snippet:\nNone\s*\Z", "", text)
    return re.sub(r"(\A|\n)Last output from code snippet:\n", r"\1", text).strip("\n")


def is_image(value: Any) -> bool:
    """A PIL image, or smolagents' own kind; without importing either."""
    return any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__)


def messages(
    run: RunView, detail: Detail = "everything", *, unfolded: bool = False
) -> list[dict[str, Any]]:
    """The run as Gradio's messages: the question, its cards, the answer. Text of others is no markup in them.

    unfolded: its cards are open until the reader folds them.
    """
    shown: list[dict[str, Any]] = [{"role": "user", "content": escaped(run.question)}]
    if run.note:
        shown.append({"role": "assistant", "content": f"*{escaped(run.note)}*"})
    if detail != "answer":
        shown += cards(run, detail, unfolded)
    elif not run.over:
        shown.append({"role": "assistant", "content": TITLES[run.state]})
    if run.over:
        shown.append({"role": "assistant", "content": answer(run)})
    return shown


def cards(run: RunView, detail: Detail, unfolded: bool) -> list[dict[str, Any]]:
    """The run's card, in it one of each step and of the one that is being written."""
    status: Status = "open" if unfolded else "done"
    now: Status = status if run.over else "pending"
    found = [card(run_title(run), "", id=run.id, status=now)]
    found += [step_card(run, step, detail, status=status) for step in run.steps]
    if run.writing or not run.over:
        step = StepView(len(run.steps) + 1, *split(run.writing))
        found.append(step_card(run, step, detail, status=now))
    return found


def step_card(
    run: RunView, step: StepView, detail: Detail, *, status: Status = "done"
) -> dict[str, Any]:
    """The card of a step: its thought and, with everything, code and what came of it."""
    parts = [escaped(step.thought) or ("…" if status == "pending" and not step.code else "")]
    if detail == "everything":
        parts.append(fenced(step.code, "python") if step.code else "")
        if step.observation:
            parts += ["**Observation**", fenced(step.observation, "text")]
        if step.error:
            parts += [f"**{error_title(step)}**", fenced(step.error, "text")]
    body = "\n\n".join(filter(None, parts))
    return card(step_title(step), body, id=f"{run.id}-{step.number}", parent=run.id, status=status)


def card(
    title: str, body: str, *, id: str, parent: str | None = None, status: Status = "done"
) -> dict[str, Any]:
    """A folding piece of a reply."""
    metadata = {"title": title, "id": id}
    if status != "open":  # as Gradio leaves one without a status
        metadata["status"] = status
    if parent:
        metadata["parent_id"] = parent
    return {"role": "assistant", "content": body, "metadata": metadata}


def run_title(run: RunView) -> str:
    parts = [TITLES[run.state]]
    if run.steps or run.over:
        parts.append(count(len(run.steps), "step"))
    if run.over:
        parts.append(f"{run.input_tokens + run.output_tokens:,} tokens")
        parts.append(f"{run.seconds:.1f} s")
    return " · ".join(parts)


def step_title(step: StepView) -> str:
    parts = [f"Step {step.number}"]
    if step.kind:
        parts.append("error" if step.kind == "execution" else f"{step.kind} error")
    if step.limit:
        parts.append(f"limit: {LIMITS[step.limit]}")
    if step.votes:
        parts.append(vote(step.votes))
    if step.input_tokens or step.output_tokens:
        parts.append(f"{step.input_tokens:,} → {step.output_tokens:,} tokens")
    if step.seconds is not None:
        parts.append(f"{step.seconds:.1f} s")
    return " · ".join(parts)


def vote(votes: Votes) -> str:
    """ "5 of 8 agree · 2 outcomes"."""
    return f"{votes.votes} of {votes.sampled} agree · {count(votes.distinct, 'outcome')}"


def error_title(step: StepView) -> str:
    if step.limit:
        return f"Error: limit of {LIMITS[step.limit]}"
    return {
        "parsing": "Error: no code could be read",
        "tool": "Error: raised by a tool",
    }.get(step.kind, "Error: raised by the code")


def answer(run: RunView) -> str:
    """The last words of a run that is over, as Markdown."""
    if run.state == "answered" and run.answer is not None and not run.reason:
        return escaped(run.answer)
    return escaped(run.reason)


def ending(run: RunView) -> str:
    """How it ended, in a sentence."""
    return {"answered": "Answered.", "stopped": "Stopped."}.get(run.state, run.reason)


def status(run: RunView, seconds: float) -> str:
    """One line on how far it is: state, steps, tokens read and written, seconds."""
    return " · ".join(
        [
            TITLES[run.state].rstrip("…"),
            count(len(run.steps), "step"),
            f"{run.input_tokens:,} in / {run.output_tokens:,} out tokens",
            f"{seconds:.1f} s" if run.over else f"{seconds:.0f} s",
        ]
    )


def count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
