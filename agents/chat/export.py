"""Write finished turns as files to keep: rollouts (JSONL), a trace for the Hub's viewer (JSONL), one HTML page.

The page needs no network and no script: a policy in its head forbids both, every text is escaped, and its
steps fold by themselves. The trace is in the Session Trace Simple Format of huggingface.co/docs/hub.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..secrets import without_keys
from ..trajectory import Trajectory
from .feedback import Turn, as_line, rollout
from .replay import StoredStep, stored_steps, system_prompt

STYLE = Path(__file__).with_name("export.css")
HARNESS = "smoldistill"
PYTHON = "python"
"""What the tool is called that runs an agent's code, in a trace."""
KINDS = {"parsing": "could not be read", "execution": "raised an error", "other": "failed"}
"""What became of a step's code, by the kind of its error."""


@dataclass(frozen=True)
class File:
    name: str
    content: bytes


def as_rollouts(turns: Sequence[Turn]) -> File:
    """One line a turn, in the record that `distill` reads; not scored."""
    lines = [as_line(rollout(turn)) for turn in turns]
    return File(f"{_stem(turns)}.jsonl", "".join(lines).encode())


def as_trace(turns: Sequence[Turn]) -> File:
    """A session and its messages, as the Hub's trace viewer reads them; an agent's code is a call of a tool."""
    head = {
        "type": "session",
        "harness": HARNESS,
        "id": turns[0].id,
        "name": _shortened(turns[0].question),
    }
    messages = [m for number, turn in enumerate(turns, 1) for m in _told(turn, number)]
    lines = [head, *({"type": "message", "message": message} for message in messages)]
    return File(f"{_stem(turns)}-trace.jsonl", "".join(map(as_line, lines)).encode())


def as_page(turns: Sequence[Turn], title: str | None = None) -> File:
    """One HTML file of the turns: questions, folded steps, answers."""
    style = STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    what = "A run" if len(turns) == 1 else f"A conversation of {len(turns)} questions"
    title = title or f"{what} · {turns[0].trajectory.model}"
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<main>\n<h1 dir="auto">{_escaped(title)}</h1>\n{_prompts(turns)}'
        + "".join(map(_article, turns))
        + "</main>\n</body>\n</html>\n"
    )
    return File(f"{_stem(turns)}.html", page.encode("utf-8", "replace"))


def _prompts(turns: Sequence[Turn]) -> str:
    """What the models were told before the first question; the same once."""
    prompts = dict.fromkeys(filter(None, (system_prompt(turn.trajectory) for turn in turns)))
    return "".join(
        f"<details><summary>System prompt</summary>{_block(prompt)}</details>\n"
        for prompt in prompts
    )


def _article(turn: Turn) -> str:
    trajectory = turn.trajectory
    parts = [
        f'<article>\n<h2 dir="auto">{_escaped(turn.question)}</h2>\n'
        f'<p class="facts">{_escaped(facts(trajectory))}</p>\n'
    ]
    parts += [_folded(step) for step in stored_steps(trajectory)]
    none = "" if trajectory.stop == "answered" and trajectory.answer is not None else " none"
    parts.append(f'<p class="answer{none}" dir="auto">{_escaped(closing(trajectory))}</p>\n')
    return "".join([*parts, "</article>\n"])


def facts(trajectory: Trajectory) -> str:
    """Model, tools, steps, tokens and time in one line."""
    usage, steps = trajectory.usage, len(trajectory.steps)
    return " · ".join(
        [
            trajectory.model,
            *([f"with {', '.join(trajectory.tools)}"] if trajectory.tools else []),
            f"{steps} step{'' if steps == 1 else 's'}",
            f"{usage.input_tokens:,} tokens read, {usage.output_tokens:,} written",
            f"{trajectory.seconds:.1f} s",
        ]
    )


def closing(trajectory: Trajectory) -> str:
    """The answer, or why there is none."""
    if trajectory.stop == "failed":
        return f"No answer: {(trajectory.error or 'the run failed').strip()}"
    if trajectory.stop == "max_steps":
        return f"No answer within {len(trajectory.steps)} steps."
    return "It answered with nothing." if trajectory.answer is None else trajectory.answer


def outline(step: StoredStep) -> list[str]:
    """What a step's title says after its number: its vote, what went wrong, its limit, its time."""
    said, votes = [], step.step.votes
    if votes:
        said.append(f"{votes.votes} of {votes.sampled} agree, {votes.distinct} outcomes")
    if step.step.error:
        said.append(KINDS[step.step.error])
    if step.step.limit:
        said.append(f"limit reached: {step.step.limit}")
    if step.step.finish_reason == "length":
        said.append("cut off")
    return [*said, f"{step.step.seconds:.1f} s"]


def _folded(step: StoredStep) -> str:
    parts = [
        f"<details><summary><b>Step {step.number}</b> {_escaped(' · '.join(outline(step)))}</summary>"
    ]
    if step.thought:
        parts.append(f'<h3>Thought</h3><p class="text" dir="auto">{_escaped(step.thought)}</p>')
    if step.code:
        parts.append(f"<h3>Python</h3><pre><code>{_highlighted(step.code)}</code></pre>")
    if step.observation:
        heading = '<h3 class="error">Error</h3>' if step.step.error else "<h3>Observation</h3>"
        parts.append(heading + _block(step.observation.removeprefix("Observation:\n")))
    return "".join([*parts, "</details>\n"])


def _told(turn: Turn, number: int) -> Iterator[dict]:
    """A turn's messages in the format of a trace."""
    trajectory, model = turn.trajectory, turn.trajectory.model
    prompt = system_prompt(trajectory)
    if prompt and number == 1:
        yield {"role": "system", "content": prompt}
    yield {"role": "user", "content": turn.question}
    for step in stored_steps(trajectory):
        if step.code is None:
            yield {"role": "assistant", "content": step.thought, "model": model}
            if step.observation:
                yield {"role": "user", "content": step.observation}
            continue
        call = f"turn-{number}-step-{step.number}"
        code = json.dumps({"code": step.code}, ensure_ascii=False)
        yield {
            "role": "assistant",
            "content": "",
            "reasoningContent": step.thought,
            "toolCalls": [{"id": call, "function": {"name": PYTHON, "arguments": code}}],
            "model": model,
        }
        # Of the last step, no observation is recorded; a call without a result would seem unfinished.
        result = closing(trajectory) if step.observation is None else step.observation
        yield {"role": "tool", "toolCallId": call, "content": result}
    yield {"role": "assistant", "content": closing(trajectory), "model": model}


def _stem(turns: Sequence[Turn]) -> str:
    """A file's name without its ending; of an id, what every file system takes."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "", turns[0].id)[:12]
    return f"{'run' if len(turns) == 1 else 'conversation'}-{safe}".rstrip("-")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _escaped(text: str) -> str:
    return html.escape(without_keys(text))


def _block(text: str) -> str:
    return f'<pre dir="auto">{_escaped(text)}</pre>'


def _highlighted(code: str) -> str:
    """Python as HTML, its parts marked; rich brings pygments along."""
    from pygments.lexers import PythonLexer
    from pygments.token import Comment, Keyword, Literal, Operator

    kinds = {
        Keyword: "k",
        Operator.Word: "k",
        Comment: "c",
        Literal.String: "s",
        Literal.Number: "n",
    }
    parts = []
    for token, text in PythonLexer(ensurenl=False, stripnl=False).get_tokens(without_keys(code)):
        name = next((name for kind, name in kinds.items() if token in kind), None)
        text = html.escape(text)
        parts.append(f'<span class="{name}">{text}</span>' if name else text)
    return "".join(parts)
