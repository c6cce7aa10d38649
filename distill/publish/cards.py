"""The cards of a model, a dataset and a Space: what is known of them, each number with where it comes from.

Names and texts of others are escaped; what no file tells is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..markdown import escape
from ..results import Result, Row
from .facts import Facts, short

PROJECT = "smoldistill"
METHOD = "*Distilling LLM Agent into Small Models with Retrieval and Code Tools* (arXiv 2505.17612)"
TAGS = ("smolagents", "agent", "code-agent", "agent-distillation")
LICENSE = "apache-2.0"
UNKNOWN = "unknown"
POCKET = (
    "The pocket world is a miniature: invented articles and word problems, and a base model of two million "
    "parameters. Its numbers say that the machinery works, and nothing about real models."
)
SIMULATED = "The teacher is *simulated*: a program that solves the pocket world's problems, with mistakes at a stated rate."


def front_matter(values: dict[str, Any]) -> str:
    """The YAML block that a card begins with; without what is empty."""
    import yaml

    given = {name: value for name, value in values.items() if value not in (None, "", [], {})}
    text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=200)
    return f"---\n{text}---\n"


def model_card(
    facts: Facts, repository: str, *, license: str, dataset: str | None, about: str
) -> str:
    """about: of the sandbox and the limits it was published with."""
    weights = facts.weights
    adapter = weights.base is not None
    base = facts.base if facts.base and facts.base.count("/") == 1 else None
    head = front_matter(
        {
            "license": license,
            "library_name": "peft" if adapter else "transformers",
            "pipeline_tag": "text-generation",
            "base_model": base,
            "base_model_relation": ("adapter" if adapter else "finetune") if base else None,
            "datasets": [dataset] if dataset else None,
            "tags": list(TAGS),
            "model-index": _index(facts, repository),
        }
    )
    parts = [
        f"# {escape(repository.partition('/')[2])}",
        f"A small language model that acts as a smolagents `CodeAgent` (thought, code, observation), distilled with "
        f"{PROJECT} after {METHOD}.",
        "## Measured\n\n" + measured(facts),
        "## Trained is served\n\n" + parity(facts),
        "## How it was made\n\n" + made(facts, dataset),
        "## How to run it\n\n" + _running(repository),
        "## How its code is confined\n\n" + about,
        "## What it is not\n\n" + _limits(facts),
    ]
    return head + "\n" + "\n\n".join(parts) + "\n"


def dataset_card(
    facts: Facts, repository: str, *, license: str, model: str | None, traces: int
) -> str:
    n = len(facts.rollouts)
    head = front_matter(
        {
            "license": license,
            "pretty_name": repository.partition("/")[2],
            "task_categories": ["text-generation", "question-answering"],
            "size_categories": [_size(n)],
            "tags": [*TAGS, "agent-traces", "trajectories"],
            "configs": [{"config_name": "default", "data_files": "rollouts.jsonl"}]
            + ([{"config_name": "traces", "data_files": "traces/*.jsonl"}] if traces else []),
        }
    )
    methods = ", ".join(sorted({r.trajectory.method for r in facts.rollouts}))
    benchmarks = sorted({r.problem.benchmark or "unnamed" for r in facts.rollouts})
    parts = [
        f"# {escape(repository.partition('/')[2])}",
        f"{n:,} runs of a tool-using agent, exactly as they were recorded: what the model was sent, what it wrote, and "
        f"how it ended. Method: {escape(methods)}; problems of: {escape(', '.join(benchmarks))}."
        + (
            f" Published with the student [{model}](https://huggingface.co/{model})."
            if model
            else ""
        ),
        "## Where they come from\n\n" + _source(facts),
        "## Were test problems among them?\n\n" + _contamination(facts),
        "## Format\n\n"
        "`rollouts.jsonl` has a JSON object a line: `problem` (id, question, answers, benchmark, kind), `attempt`, "
        "`trajectory` (messages, answer, stop, model, method, tools, usage, steps), `score` and `scorer`."
        + (
            f" `traces/` holds {traces:,} of them in the Session Trace Simple Format, which the Hub's viewer reads, a "
            "run a file."
            if traces
            else ""
        ),
        "## What it is not\n\n"
        "No human checked the runs. Scores come from exact match, or mathematics compared by value, unless `scorer` "
        "names a judge. What tools returned stands in the messages, under whatever licence its sources have."
        + (f" {SIMULATED}" if facts.simulated else ""),
    ]
    return head + "\n" + "\n\n".join(parts) + "\n"


def space_card(
    facts: Facts,
    *,
    title: str,
    sdk: str,
    sdk_version: str | None,
    python: str | None,
    hardware: str | None,
    license: str,
    models: Iterable[str],
    datasets: Iterable[str],
    secrets: Iterable[str],
    tools: Iterable[str],
    notes: Iterable[str],
    about: str,
    sign_in: bool = False,
) -> str:
    static = sdk == "static"
    head = front_matter(
        {
            "title": title,
            "emoji": "🎓",
            "colorFrom": "blue",
            "colorTo": "indigo",
            "sdk": sdk,
            "sdk_version": sdk_version,
            "python_version": python,
            "app_file": "index.html" if static else "app.py",
            "pinned": False,
            "license": license,
            "short_description": "How a distilled agent was measured"
            if static
            else "Chat with a distilled tool-using agent",
            "suggested_hardware": hardware,
            "hf_oauth": sign_in or None,
            "models": [name for name in models if name],
            "datasets": [name for name in datasets if name],
            "tags": list(TAGS),
        }
    )
    if static:
        parts = [f"# {escape(title)}", "## Measured\n\n" + measured(facts), _limits(facts)]
        return head + "\n" + "\n\n".join(parts) + "\n"
    named = ", ".join(f"`{name}`" for name in tools) or "no tool"
    running = "```\npip install -r requirements.txt\npython app.py\n```"
    if wanted := list(secrets):
        running += f"\n\nIt reads {', '.join(f'`{name}`' for name in wanted)} from the environment (in a Space: a secret)."
    parts = [
        f"# {escape(title)}",
        f"An agent made with {PROJECT}: it thinks, writes Python, and reads what came of it, with {named}.",
        "## Run it\n\n" + running + "\n\nsmolagents loads it too, from this folder: "
        '`CodeAgent.from_folder(".", model=...)`.' + "".join(f" {note}" for note in notes),
        "## Measured\n\n" + measured(facts),
        "## Trained is served\n\n" + parity(facts),
        "## How its code is confined\n\n" + about,
        "## What it is not\n\n" + _limits(facts),
    ]
    return head + "\n" + "\n\n".join(parts) + "\n"


def measured(facts: Facts) -> str:
    """The report's table; "Not measured." where there is none."""
    rows = facts.measured()
    if not any(results for _, results in rows):
        return "Not measured: no report was published with it."
    lines = [
        "| | model | benchmark | right, % (95% interval) | n | failed |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row, results in rows:
        lines += [_line(facts, row, result) for result in results]
    told = (
        "Percent right of the n problems asked for, with 95% intervals after Wilson; a run that failed or has no "
        "answer is wrong."
    )
    if any(facts.is_ours(row) for row, _ in rows):
        told += " This model is in bold."
    else:
        told += " None of the rows is of this model."
    if drawn := [escape(row.label) for row, _ in rows if row.simulated]:
        told += f" **Simulated:** the outcomes of {', '.join(drawn)} are drawn at random; no model was run."
    notes = [f"- {escape(note)}" for note in facts.study.notes]
    return "\n".join([*lines, "", told, *(["", *notes] if notes else [])])


def _line(facts: Facts, row: Row, result: Result) -> str:
    label = f"**{escape(row.label)}**" if facts.is_ours(row) else escape(row.label)
    share = f"{100 * result.accuracy:.1f} ({100 * result.low:.0f}-{100 * result.high:.0f})"
    lost = result.failed + result.missing
    cells = (label, escape(short(row.name)), escape(result.benchmark), share, result.n, lost)
    return f"| {' | '.join(map(str, cells))} |"


def parity(facts: Facts) -> str:
    """What the certificate says, and whether it still belongs to the files."""
    if facts.weights.folder is None:
        return "Not checked: the weights are not on the machine that published this; a server may change what it serves."
    if facts.certificate is None:
        return "Not checked: there is no parity certificate of these weights."
    c = facts.certificate
    tried = [check for check in c.checks if check.passed is not None]
    passed = sum(bool(check.passed) for check in tried)
    held = (
        "It belongs to these very files"
        + (
            ", but for the base's name in adapter_config.json, which a published folder changes."
            if facts.weights.base_folder or facts.weights.beside
            else "."
        )
        if facts.why_no_parity is None
        else "**It does not hold:** " + escape(_without(facts.weights.folder, facts.why_no_parity))
    )
    untried = ", ".join(escape(check.name) for check in c.checks if check.passed is None)
    return (
        f"A certificate of {escape(c.date)} compared what was trained with what is served, over {c.turns:,} turns of "
        f"{c.rollouts:,} rollouts and {c.k} answers of up to {c.tokens} tokens: {passed} of {len(tried)} checks passed"
        + (f" (not tried: {untried})" if untried else "")
        + f". {held}"
    )


def _without(folder: Path, text: str) -> str:
    """A text with a folder's name in place of where it is."""
    for place in (str(folder.resolve()), str(folder)):
        text = text.replace(place, folder.resolve().name)
    return text


def made(facts: Facts, dataset: str | None) -> str:
    lines = [f"- Base: {escape(facts.base) if facts.base else UNKNOWN}"]
    teachers = facts.teachers if facts.trained_on is not False else ()
    lines.append(f"- Teacher: {escape(', '.join(teachers)) if teachers else UNKNOWN}")
    if facts.simulated:
        lines.append(f"- {SIMULATED}")
    if facts.rollouts:
        other = ". They are not those that it was trained on" if facts.trained_on is False else ""
        lines.append(f"- Trajectories, as published with it: {_kept(facts)}{other}")
    if dataset:
        lines.append(f"- Published as [{dataset}](https://huggingface.co/datasets/{dataset})")
    if facts.training:
        told = ", ".join(
            f"{name} {value}"
            for name, value in facts.training.items()
            if value not in (None, "", False)
        )
        lines.append(f"- Training: {escape(told)}")
    if facts.trained:
        told = ", ".join(
            f"{name.replace('_', ' ')} {value:,}" for name, value in facts.trained.items()
        )
        lines.append(f"- Counted: {escape(told)}")
    if not facts.training and not facts.trained:
        lines.append("- Training: its settings were not kept beside the weights")
    return "\n".join(lines)


def _source(facts: Facts) -> str:
    teachers = escape(", ".join(facts.teachers)) or UNKNOWN
    scored = [rollout.score for rollout in facts.rollouts if rollout.score is not None]
    right = sum(score == 1.0 for score in scored)
    text = f"Written by {teachers}. {_kept(facts).capitalize()}. {right:,} of {len(scored):,} scored runs are right."
    return text + (f" {SIMULATED} {POCKET}" if facts.simulated else "")


def _kept(facts: Facts) -> str:
    n = len(facts.rollouts)
    if facts.collected is None:
        return f"{n:,} runs, not filtered"
    why = ", ".join(
        f"{count:,} {escape(reason)}" for reason, count in facts.dropped.items() if count
    )
    policy = f" by the policy {escape(facts.policy)}" if facts.policy else ""
    return f"{n:,} of {facts.collected:,} runs kept{policy}" + (
        f" (left out: {why})" if why else ""
    )


def _contamination(facts: Facts) -> str:
    rows, found = facts.contamination.get("rows"), facts.contamination.get("overlaps")
    if not isinstance(rows, list) or not isinstance(found, list):
        return "Not looked for: no student trained on them was published with a record of it."
    if facts.trained_on is False:
        return "Not looked for: the student that it is published with was trained on others."
    against = "; ".join(
        f"{escape(str(row.get('training', '?')))} with {escape(str(row.get('benchmark', '?')))}: of "
        f"{row.get('problems', '?')} problems {row.get('exact', '?')} are the same, {row.get('near', '?')} nearly"
        for row in rows
        if isinstance(row, dict)
    )
    return (
        f"Before the training they were compared, {against or 'with no benchmark'}."
        + (" Those found were left out of the training." if facts.dropped_contaminated else "")
        + " Questions in other words or another language are not found this way."
    )


def _running(repository: str) -> str:
    return (
        f"From smoldistill's repository:\n\n```\npython app.py --model {repository}\n```\n\n"
        "It answers under the prompt that it was trained with; another prompt is another task to it."
    )


def _limits(facts: Facts) -> str:
    lines = [
        "It answers questions of the kind it was trained on; of others it may be sure and wrong.",
        "It was not tuned to refuse, to be polite or to be safe: it writes and runs code.",
    ]
    if facts.simulated or facts.weights.name.startswith("pocket"):
        lines.append(POCKET)
    return "\n".join(f"- {line}" for line in lines)


def _index(facts: Facts, repository: str) -> list[dict] | None:
    """The results of this model as the Hub reads them."""
    found = [
        {
            "task": {"type": "text-generation", "name": row.label},
            "dataset": {"type": result.benchmark, "name": result.benchmark},
            "metrics": [
                {
                    "type": "accuracy",
                    "value": round(100 * result.accuracy, 1),
                    "name": f"right of {result.n} (95%: {100 * result.low:.0f}-{100 * result.high:.0f})",
                }
            ],
        }
        for row, results in facts.measured()
        if facts.is_ours(row) and not row.simulated
        for result in results
    ]
    return [{"name": repository.partition("/")[2], "results": found}] if found else None


def _size(n: int) -> str:
    for most, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if n < most:
            return name
    return "100K<n<1M"
