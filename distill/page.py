"""Write a study and its rollouts as one HTML file: table, figures, comparisons, and every trajectory to open.

It asks the network for nothing. What the first screen needs is inline as JSON; the rollouts are gzipped
chunks, decompressed by the page when they are asked for: per benchmark an index of all rows (question,
gold and given answer, score, outcome, tokens), and trajectories by row and block of problems. Text of a
model is data: it reaches the document through `textContent` alone, and in the file it is base64.

It computes no accuracy and no test; `study` holds them. The averages over benchmarks are made in the page.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agents.trajectory import Step, Trajectory

from .results import OUTCOMES, Study
from .rollout import EXACT, Rollout
from .runs import outcome_of

FILE = "report.html"
FILES = Path(__file__).parent / "page_files"
BLOCK = 100
"""Problems whose trajectories of one row make a chunk: what is decompressed when one of them is opened."""


def write_page(
    study: Study,
    rollouts: Mapping[tuple[str, str], Sequence[Rollout]],
    out: Path,
    *,
    cap: int = 64_000_000,
) -> Path:
    """Write `out/report.html`; `rollouts` are those of (row's id, benchmark's name).

    Trajectories stop at `cap` bytes, compressed: the first problems of each benchmark are kept, of all rows,
    and the page says which are not. Raises ValueError for rollouts of a row or benchmark that the study lacks.
    """
    rows = [row.id for row in study.rows]
    benchmarks = [benchmark.name for benchmark in study.benchmarks]
    for row, benchmark in rollouts:
        for kind, name, names in (("row", row, rows), ("benchmark", benchmark, benchmarks)):
            if name not in names:
                raise ValueError(
                    f"Rollouts of {kind} {name!r}, which the study lacks; there are: {', '.join(names)}."
                )
    groups = [[rollouts.get((row, name), ()) for row in rows] for name in benchmarks]
    problems = [_problems(group) for group in groups]
    chunks = {f"index-{b}": _chunk(_index(places, groups[b])) for b, places in enumerate(problems)}
    trajectories, kept, prompts = _trajectories(problems, groups, cap)
    chunks |= {"prompts": _chunk(list(prompts))} | trajectories
    data = {
        "study": json.loads(study.model_dump_json()),  # pydantic's JSON: what is no number is null
        "outcomes": OUTCOMES,
        "block": BLOCK,
        "cap": cap,
        "rollouts": [[len(rollouts) for rollouts in group] for group in groups],
        "kept": kept,
        "problems": [len(places) for places in problems],
    }
    out.mkdir(parents=True, exist_ok=True)
    file = out / FILE
    new = out / f"{FILE}.new"  # whole or not at all
    with new.open("w", encoding="utf-8", newline="\n") as page:
        page.writelines(_page(study.title, data, chunks))
    new.replace(file)
    return file


def _page(title: str, data: dict, chunks: dict[str, bytes]) -> Iterator[str]:
    """The template with its marks replaced, once: a mark in the data stays what it is."""
    style, script = (_source(name) for name in ("page.css", "page.js"))
    parts = {
        "policy": (
            f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        "title": html.escape(title),
        "style": style,
        "script": script,
        "data": _in_script(data),
    }
    before, after = _source("page.html").split("{{chunks}}")
    yield _filled(before, parts)
    for name, chunk in chunks.items():
        # Base64 has neither "<" nor "&": nothing in it can end the element.
        content = base64.b64encode(chunk).decode("ascii")
        yield f'<script type="text/plain" id="{name}">{content}</script>\n'
    yield _filled(after, parts)


def _source(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


def _filled(template: str, parts: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], template)


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")


def _in_script(data) -> str:
    """JSON that no HTML parser sees markup in, nor JavaScript the end of a line."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _chunk(data) -> bytes:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode(), 6, mtime=0)  # the same study makes the same file


def _problems(group: Sequence[Sequence[Rollout]]) -> dict[tuple, int]:
    """The place of each problem of a benchmark, over all rows. One asked differently is another problem."""
    places: dict[tuple, int] = {}
    for rollouts in group:
        for rollout in rollouts:
            places.setdefault(_key(rollout), len(places))
    return places


def _key(rollout: Rollout) -> tuple:
    return rollout.problem.id, rollout.problem.question, rollout.problem.answers


def _index(places: dict[tuple, int], group: Sequence[Sequence[Rollout]]) -> dict:
    """What is listed, searched and filtered of a benchmark: its problems, and columns by row."""
    kinds = list(OUTCOMES)
    return {
        "ids": [id for id, _, _ in places],
        "questions": [question for _, question, _ in places],
        "answers": [answers for _, _, answers in places],
        "rows": [
            {
                "problem": [places[_key(r)] for r in rollouts],
                "attempt": [r.attempt for r in rollouts],
                "score": [_number(r.score) for r in rollouts],
                "outcome": [kinds.index(outcome_of(r)) for r in rollouts],
                "answer": [r.trajectory.answer for r in rollouts],
                "input": [r.trajectory.usage.input_tokens for r in rollouts],
                "output": [r.trajectory.usage.output_tokens for r in rollouts],
                "seconds": [_number(r.trajectory.seconds) for r in rollouts],
            }
            for rollouts in group
        ],
    }


def _number(value: float | None) -> float | None:
    """JSON has no word for what is no number, nor for infinity."""
    return round(value, 4) if value is not None and abs(value) < float("inf") else None


def _trajectories(
    problems: Sequence[dict[tuple, int]], groups: Sequence[Sequence[Sequence[Rollout]]], cap: int
) -> tuple[dict[str, bytes], list[int], dict[str, int]]:
    """Chunks by name, how many problems of each benchmark they hold, and the system prompts.

    Block by block over all benchmarks, and with all rows or none: two rows can be read side by side on
    whatever is kept.
    """
    chunks: dict[str, bytes] = {}
    prompts: dict[str, int] = {}
    kept = [0] * len(groups)
    size = 0
    blocks = [_blocks(places, group) for places, group in zip(problems, groups, strict=True)]
    for block in range(max(map(len, blocks), default=0)):
        for b in range(len(groups)):
            if block >= len(blocks[b]):
                continue
            found = {
                f"trajectories-{b}-{row}-{block}": _chunk([_packed(r, prompts) for r in rollouts])
                for row, rollouts in blocks[b][block].items()
            }
            size += sum(map(len, found.values()))
            if size > cap:
                return chunks, kept, prompts
            chunks |= found
            kept[b] = min((block + 1) * BLOCK, len(problems[b]))
    return chunks, kept, prompts


def _blocks(
    places: dict[tuple, int], group: Sequence[Sequence[Rollout]]
) -> list[dict[int, list[Rollout]]]:
    """By block of problems and by row, in their order."""
    blocks: list[dict[int, list[Rollout]]] = [{} for _ in range(-(-len(places) // BLOCK))]
    for row, rollouts in enumerate(group):
        for rollout in rollouts:
            blocks[places[_key(rollout)] // BLOCK].setdefault(row, []).append(rollout)
    return blocks


def _packed(rollout: Rollout, prompts: dict[str, int]) -> dict:
    """A trajectory without what the index has: tokens, seconds, answer, and its question's text."""
    t = rollout.trajectory
    packed = {
        "messages": list(_messages(t, rollout.problem.question, prompts)),
        "steps": [_step(step) for step in t.steps],
        "stop": t.stop,
        "error": t.error,
        "model": t.model,
        "method": t.method,
        "samples": t.samples,
        "temperature": _number(t.temperature),
        "tools": t.tools,
        "first_thought": t.first_thought,
        "requests": t.usage.requests,
        "scorer": None if rollout.scorer == EXACT else rollout.scorer,
    }
    return {name: value for name, value in packed.items() if value not in (None, ())}


def _messages(t: Trajectory, question: str, prompts: dict[str, int]) -> Iterator[list]:
    """["system", number of the prompt], [role, text], or [role, before, after] where the question stands."""
    asked = False
    for message in t.messages:
        before, found, after = message.content.partition(question)
        if message.role == "system":
            yield ["system", prompts.setdefault(message.content, len(prompts))]
        elif message.role == "user" and found and not asked:
            asked = True
            yield ["user", before, after]
        else:
            yield [message.role, message.content]


def _step(step: Step) -> dict:
    return {
        **step.model_dump(exclude_defaults=True, exclude={"seconds", "votes"}),
        "seconds": _number(step.seconds),
        **({"votes": step.votes.model_dump()} if step.votes else {}),
    }
