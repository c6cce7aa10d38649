"""Say how good each method is: a table, the numbers as JSON, and the paper's bar figure.

Every row comes from rollouts that can be opened. The denominator is every problem that was run: a failed
rollout is wrong, and counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from pydantic import Field

from agents.trajectory import Record

from . import paired
from .rollout import Rollout, read_rollouts
from .run import write_json

LABELS = {
    "agent_prompted": "base agent (prompted)",
    "cot_prompted": "base CoT (prompted)",
    "cot": "CoT",
    "cot_rag": "CoT + RAG",
    "agent": "agent",
}
VARIANTS = {1: "", 2: "//", 3: "xx", 4: ".."}
"""Hatching of the second, third, … row of one method."""
COLOURS = {
    "agent_prompted": "#bab0ac",
    "cot_prompted": "#d4c9c4",
    "cot": "#f28e2b",
    "cot_rag": "#e15759",
    "agent": "#4e79a7",
}


class Result(Record):
    benchmark: str
    method: str
    model: str
    samples: int = 1
    temperature: float | None = None
    n: int
    accuracy: float
    low: float
    """95% interval after Wilson, with `high`."""
    high: float
    answered: int
    max_steps: int
    failed: int
    input_tokens: int
    output_tokens: int
    seconds: float
    """Of all rollouts together; they run at the same time, so this is more than the clock showed."""
    limits: dict[str, int] = Field(default_factory=dict)
    """How many rollouts reached a limit, by its name."""
    agreement: float | None = None
    """Of self-consistent steps, on average, the winner's share of the candidates."""
    sampled: float | None = None
    """Of them, on average, the candidates; fewer than `samples` where sampling stops at a decided vote."""


def report(
    folders: list[Path], out: Path, *, base: tuple[str, ...] = ("pocket-base",)
) -> list[Result]:
    """Results of several runs' folders into `out/results.json`, `report.png` and `report.svg`."""
    if (out / "run.json").is_file():
        raise ValueError(f"{out} is the folder of a run; name another one for the report.")
    rollouts = [list(read_rollouts(folder)) for folder in dict.fromkeys(folders)]
    found = [result for group in rollouts for result in results(group, base)]
    found.sort(key=lambda r: (r.benchmark, _place(r.method), r.model, r.samples))
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "results.json", [result.model_dump() for result in found])
    pairs = paired.self_consistency(chain.from_iterable(rollouts))
    write_json(out / paired.FILE, [pair.model_dump() for pair in pairs])
    draw(found, out)
    return found


def _place(method: str) -> int:
    return list(LABELS).index(method) if method in LABELS else len(LABELS)


def results(rollouts: Iterable[Rollout], base: tuple[str, ...] = ("pocket-base",)) -> list[Result]:
    """One result per benchmark, method, model and number of samples. A model in `base` was prompted, not distilled."""
    groups: dict[tuple, list[Rollout]] = defaultdict(list)
    for rollout in rollouts:
        t = rollout.trajectory
        method = (
            f"{t.method}_prompted" if t.model in base and t.method in ("agent", "cot") else t.method
        )
        kind = (rollout.problem.benchmark or "problems", method, t.model, t.samples, t.temperature)
        groups[kind].append(rollout)
    if not groups:
        raise ValueError("There is no finished rollout to report.")
    return [_result(*key, group) for key, group in groups.items()]


def _result(
    benchmark: str,
    method: str,
    model: str,
    samples: int,
    temperature: float | None,
    group: list[Rollout],
) -> Result:
    from scipy.stats import binomtest

    right, n = sum(r.score == 1.0 for r in group), len(group)
    interval = binomtest(right, n).proportion_ci(method="wilson")
    stops = [r.trajectory.stop for r in group]
    limits = Counter(
        limit for r in group for limit in {s.limit for s in r.trajectory.steps if s.limit}
    )
    votes = [s.votes for r in group for s in r.trajectory.steps if s.votes]
    return Result(
        benchmark=benchmark,
        method=method,
        model=model,
        samples=samples,
        temperature=temperature,
        n=n,
        accuracy=right / n,
        low=interval.low,
        high=interval.high,
        answered=stops.count("answered"),
        max_steps=stops.count("max_steps"),
        failed=stops.count("failed"),
        input_tokens=sum(r.trajectory.usage.input_tokens for r in group),
        output_tokens=sum(r.trajectory.usage.output_tokens for r in group),
        seconds=round(sum(r.trajectory.seconds for r in group), 1),
        limits=dict(limits),
        agreement=round(sum(v.agreement for v in votes) / len(votes), 4) if votes else None,
        sampled=round(sum(v.sampled for v in votes) / len(votes), 2) if votes else None,
    )


def label(result: Result) -> str:
    """What a row is called: the method, and how it chose among candidates."""
    name = LABELS.get(result.method, result.method)
    temperature = "" if result.temperature is None else f"T={result.temperature:g}"
    if result.samples == 1:
        return f"{name} ({temperature})" if temperature else name
    return f"{name} + sag ({', '.join(filter(None, (f'N={result.samples}', temperature)))})"


def print_table(found: list[Result]) -> None:
    """The table on the terminal; plain where it is no terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in (
        "benchmark",
        "method",
        "right",
        "95% interval",
        "n",
        "answered",
        "ran out",
        "failed",
        "limits",
        "agree",
        "sampled",
        "model",
    ):
        table.add_column(
            column,
            justify="left" if column in ("benchmark", "method", "model") else "right",
            no_wrap=True,
        )
    last = None
    for r in found:
        table.add_row(
            escape(r.benchmark) if r.benchmark != last else "",
            label(r),
            f"{r.accuracy:.1%}",
            f"{r.low:.1%} - {r.high:.1%}",
            *map(str, (r.n, r.answered, r.max_steps, r.failed)),
            " ".join(f"{name}:{n}" for name, n in r.limits.items()) or "-",
            "-" if r.agreement is None else f"{r.agreement:.0%}",
            "-" if r.sampled is None else f"{r.sampled:.1f}",
            escape(r.model),
        )
        last = r.benchmark
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no edge to wrap at
    console.print(table)


def draw(found: list[Result], out: Path) -> None:
    """Accuracy by benchmark and method with intervals, as `report.png` and `report.svg`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(r.benchmark for r in found))
    series = list(
        dict.fromkeys(
            (r.method, label(r), r.model)
            for r in sorted(found, key=lambda r: (_place(r.method), r.samples))
        )
    )
    several = len({name for _, name, _ in series}) < len(series)
    width = 0.8 / len(series)
    # Room for a number over each bar, and for two names side by side below.
    figure, axes = pyplot.subplots(
        figsize=(max(7.0, 0.3 * len(series) * len(names)), 4 + 0.25 * ((len(series) + 1) // 2))
    )
    drawn: Counter = Counter()
    for i, (method, name, model) in enumerate(series):
        drawn[method] += 1
        rows = {r.benchmark: r for r in found if (label(r), r.model) == (name, model)}
        places = [(at, rows[benchmark]) for at, benchmark in enumerate(names) if benchmark in rows]
        x = [at + (i - (len(series) - 1) / 2) * width for at, _ in places]
        y = [100 * r.accuracy for _, r in places]
        error = [
            [100 * (r.accuracy - r.low) for _, r in places],
            [100 * (r.high - r.accuracy) for _, r in places],
        ]
        axes.bar(
            x,
            y,
            width * 0.92,
            yerr=error,
            capsize=2,
            color=COLOURS.get(method),
            hatch=VARIANTS.get(drawn[method], "**"),
            edgecolor="white",
            label=_plain(name + (f" ({Path(model).name})" if several else "")),
            error_kw={"lw": 0.8},
        )
        for place, value, (_, r) in zip(x, y, places, strict=True):
            axes.text(
                place,
                min(100 * r.high + 1.5, 103),
                f"{value:.0f}",
                ha="center",
                va="bottom",
                fontsize=8,
            )
    axes.set_xticks(range(len(names)), [_plain(name) for name in names])
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 110)
    axes.set_yticks(range(0, 101, 20))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2 if len(series) > 4 else len(series),
        frameon=False,
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(out / "report.png", dpi=150)
    figure.savefig(out / "report.svg")
    pyplot.close(figure)


def _plain(text: str) -> str:
    """Matplotlib reads what stands between dollars as a formula."""
    return text.replace("$", r"\$")
