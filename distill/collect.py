"""Collect trajectories of a model over problems: the teacher's, or anyone's."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import get_args

from agents import load_model
from agents.agent import IMPORTS
from agents.dialect import dialect, dialect_of
from agents.models import Way, student_of, why_no_prefix
from tools.compose import OUTSIDE

from . import benchmarks
from .identity import identity
from .problems import write_problems
from .rollout import FILE, read_rollouts, run_rollouts
from .run import digest, run_folder
from .runs import PROBLEMS
from .solvers import SEARCH, make_solvers

FIRST_THOUGHTS = "first_thoughts"


def collect(
    problems: str,
    model: str,
    out: Path,
    *,
    method: str = "agent",
    first_thought: bool | Way = False,
    attempts: int = 1,
    samples: int = 1,
    sequential: bool = False,
    temperature: float | None = None,
    max_tokens: int | None = None,
    max_steps: int = 5,
    workers: int = 32,
    tools: str = SEARCH,
    index: str | None = None,
    prompt: str | None = None,
    tags: str | None = None,
    imports: str = ",".join(IMPORTS),
    limits: str = "",
    unsafe_local: bool = False,
    seed: int = 0,
    limit: int | None = None,
    force: bool = False,
    file: str | None = None,
    name: str | None = None,
    verb: str = "collect",
    loaded=None,
) -> Counter:
    """Bring `out/rollouts.jsonl` to `attempts` rollouts of every problem; returns how the new ones ended.

    problems: a file, or benchmark names with commas between. prompt: the teacher's by default here.
    first_thought: begin each run's first thought with the first paragraph of the model's own chain of
    thought on the same question; those are collected first, in `out/first_thoughts`. It is given as the
    "prefix" of the reply (so does True), or in the "prompt", for models whose reply cannot be begun. A
    problem without one is not run: its rollout fails, and is tried again by the next call. file: the
    problems of a benchmark, instead of its source. name: what a report calls the model; runs of one name are
    repetitions. tags: how the model marks its code, as in `agents.make_agent`. loaded: the model itself,
    where the caller has it already. Raises ValueError for a caller's mistake, before anything is written.
    """
    if min(attempts, samples, workers, max_steps) < 1 or (limit is not None and limit < 1):
        raise ValueError("attempts, samples, workers, max_steps and limit start at 1.")
    if attempts > 1 and temperature in (None, 0) and samples == 1:
        print(
            f"{attempts} attempts without a temperature: a greedy model answers the same each time; --temperature 0.6, "
            "say, samples them.",
            file=sys.stderr,
        )
    if samples > 1 and temperature == 0:
        raise ValueError("Candidates sampled at temperature 0 are all the same; give a higher one.")
    if temperature is not None and not 0 <= temperature < 100:
        raise ValueError(f"A temperature is 0 (greedy) or more, not {temperature}.")
    if max_tokens is not None and max_tokens < 1:
        raise ValueError("max_tokens starts at 1.")
    way = "prefix" if first_thought is True else first_thought or None
    if way not in (None, *get_args(Way)):
        raise ValueError(f"No way {way!r} to give a first thought; there are: prefix, prompt.")
    source = benchmarks.load(problems, seed=seed, limit=limit, file=file)
    prompt = prompt or ("teacher" if verb == "collect" and method == "agent" else None)
    settings = {
        "problems": digest(problems) + (f" of {digest(file)}" if file else ""),
        "model": model,
        "method": method,
        "first_thought": way,
        "samples": samples,
        "sequential": sequential,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "max_steps": max_steps,
        "tools": digest(tools) if method == "agent" else None,
        "index": index,
        "prompt": digest(prompt) if prompt else None,
        "imports": imports,
        "limits": limits,
        "unsafe_local": unsafe_local,
        "seed": seed,
        **({"tags": tags} if tags else {}),
    }
    chosen = {
        "tools": tools,
        "tags": tags,
        "samples": samples,
        "sequential": sequential,
        "temperature": temperature,
        "max_steps": max_steps,
        "imports": imports,
        "limits": limits,
        "unsafe_local": unsafe_local,
    }
    # Told now what is wrong with them.
    make_solvers(None, method=method, index=index, prompt=prompt, **chosen)
    if way and method != "agent":
        raise ValueError(
            "--first-thought begins an agent's thought; it means nothing for a chain of thought."
        )
    if loaded is None:
        loaded = load_model(model, **_model_settings(model, seed, max_tokens))
    if method == "agent" and (told := other_tools(student_of(loaded), tools)):
        print(told, file=sys.stderr)
    if way == "prefix" and (reason := why_no_prefix(loaded)):
        raise ValueError(f"{reason} --first-thought-in-prompt gives it with the question instead.")
    notes = {
        "about": identity(model, loaded, name),
        "asked": {"attempts": attempts, "problems": len(source.problems)},
    }
    with run_folder(out, verb, settings, force=force, notes=notes):
        # The denominator, should the run not come to its end.
        write_problems(source.problems, out / PROBLEMS)
        if index is None:
            index = _index(source, out)
        solvers = {**chosen, "index": index}
        thoughts = None
        lacking = 0
        if way:
            make = make_solvers(
                loaded, **{**solvers, "temperature": None, "tags": None}, method="cot"
            )
            run_rollouts(
                source.problems, make, out / FIRST_THOUGHTS, workers=workers, title="first thoughts"
            )
            thoughts = first_thoughts(out / FIRST_THOUGHTS)
            lacking = sum(problem.question not in thoughts for problem in source.problems)
        make = make_solvers(
            loaded, **solvers, method=method, prompt=prompt, first_thoughts=thoughts, way=way
        )
        ended = run_rollouts(
            source.problems, make, out, attempts=attempts, workers=workers, title=out.name
        )
        if lacking:
            ended["no_first_thought"] = lacking
            print(
                f"{lacking} of {len(source.problems)} problems have no first thought and were not run; "
                f"the reasons are in {out / FIRST_THOUGHTS / FILE}. Calling again tries them again."
            )
        # A student keeps to the tags that it was trained with.
        own = method != "agent" or student_of(loaded).get("tags")
        if not own and (told := other_tags(out)):
            print(told, file=sys.stderr)
        return ended


def other_tools(trained: dict, tools: str) -> str | None:
    """One sentence where a student has other tools than it was trained with."""
    if any(OUTSIDE.fullmatch(part.strip()) for part in tools.split(",")):
        return None  # what others serve has names that are known once it is asked
    names = {Path(name.strip()).stem for name in tools.split(",") if name.strip()}
    if not trained.get("tools") or names == set(trained["tools"]):
        return None
    theirs = ",".join(trained["tools"])
    return f"This student was trained with --tools {theirs}; it is given {tools or 'none'}."


def other_tags(folder: Path) -> str | None:
    """One sentence where half of the replies or more are written with other tags than were asked for."""
    found: Counter = Counter()
    replies, asked = 0, None
    for rollout in read_rollouts(folder):
        for message in rollout.trajectory.messages:
            if message.role == "assistant":
                replies += 1
                found[dialect_of(message.content)] += 1
        asked = rollout.trajectory.tags
    other = [(count, name) for name, count in found.items() if name not in (None, asked)]
    if not other or 2 * max(other)[0] < replies:
        return None
    count, name = max(other)
    opening = dialect(name).pair[0].split("\n")[-1]
    return f"{count} of {replies} replies are written with {opening} tags; pass --tags {name}."


def first_thoughts(folder: Path) -> dict[str, str]:
    """Per question the first paragraph of its chain of thought, as the unfinished start of a thought."""
    found = {}
    for rollout in read_rollouts(folder):
        words = [m.content for m in rollout.trajectory.messages if m.role == "assistant"]
        if words and (paragraph := words[-1].split("\n\n")[0].strip()):
            found[rollout.problem.question] = f"Thought: {paragraph}\n"
    return found


def _index(source: benchmarks.Source, out: Path):
    """The encyclopedia of a pocket benchmark, written beside the rollouts that it explains."""
    passages = source.passages()
    if passages is None:
        return None
    from tools.retrieval import LexicalIndex, write_passages

    write_passages(passages, out / "index" / "passages.jsonl")
    return LexicalIndex.build(passages)


def _model_settings(model: str, seed: int, max_tokens: int | None) -> dict:
    settings = {} if model.startswith(("http", "litellm:")) else {"seed": seed}
    return settings | ({"max_tokens": max_tokens} if max_tokens else {})
