"""Say how good each method is: a table, the numbers as JSON, and the paper's bar figure.

Every row comes from rollouts that can be opened. The denominator is every problem that was run: a failed
rollout is wrong, and counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from agents.trajectory import Record

from .rollout import Rollout, read_rollouts
from .run import write_json

LABELS = {
    "agent_prompted": "base agent (prompted)",
    "cot_prompted": "base CoT (prompted)",
    "cot": "CoT",
    "cot_rag": "CoT + RAG",
    "agent": "agent",
}
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


def report(
    folders: list[Path], out: Path, *, base: tuple[str, ...] = ("pocket-base",)
) -> list[Result]:
    """Results of several runs' folders into `out/results.json`, `report.png` and `report.svg`."""
    if (out / "run.json").is_file():
        raise ValueError(f"{out} is the folder of a run; name another one for the report.")
    found = []
    for folder in dict.fromkeys(folders):
        found += results(read_rollouts(folder), base)
    found.sort(key=lambda r: (r.benchmark, _place(r.method), r.model))
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "results.json", [result.model_dump() for result in found])
    draw(found, out)
    return found


def _place(method: str) -> int:
    return list(LABELS).index(method) if method in LABELS else len(LABELS)


def results(rollouts: Iterable[Rollout], base: tuple[str, ...] = ("pocket-base",)) -> list[Result]:
    """One result per benchmark, method and model. A model named in `base` was prompted, not distilled."""
    groups: dict[tuple[str, str, str], list[Rollout]] = defaultdict(list)
    for rollout in rollouts:
        t = rollout.trajectory
        method = (
            f"{t.method}_prompted" if t.model in base and t.method in ("agent", "cot") else t.method
        )
        groups[rollout.problem.benchmark or "problems", method, t.model].append(rollout)
    if not groups:
        raise ValueError("There is no finished rollout to report.")
    return [_result(*key, group) for key, group in groups.items()]


def _result(benchmark: str, method: str, model: str, group: list[Rollout]) -> Result:
    from scipy.stats import binomtest

    right, n = sum(r.score == 1.0 for r in group), len(group)
    interval = binomtest(right, n).proportion_ci(method="wilson")
    stops = [r.trajectory.stop for r in group]
    return Result(
        benchmark=benchmark,
        method=method,
        model=model,
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
    )


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
            LABELS.get(r.method, r.method),
            f"{r.accuracy:.1%}",
            f"{r.low:.1%} - {r.high:.1%}",
            *map(str, (r.n, r.answered, r.max_steps, r.failed)),
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
        dict.fromkeys((r.method, r.model) for r in sorted(found, key=lambda r: _place(r.method)))
    )
    several = len({method for method, _ in series}) < len(series)
    width = 0.8 / len(series)
    figure, axes = pyplot.subplots(figsize=(max(6.0, 2.2 * len(names)), 4))
    for i, (method, model) in enumerate(series):
        rows = {r.benchmark: r for r in found if (r.method, r.model) == (method, model)}
        places = [(at, rows[name]) for at, name in enumerate(names) if name in rows]
        x = [at + (i - (len(series) - 1) / 2) * width for at, _ in places]
        y = [100 * r.accuracy for _, r in places]
        error = [
            [100 * (r.accuracy - r.low) for _, r in places],
            [100 * (r.high - r.accuracy) for _, r in places],
        ]
        label = _plain(LABELS.get(method, method) + (f" ({model})" if several else ""))
        axes.bar(
            x,
            y,
            width * 0.92,
            yerr=error,
            capsize=2,
            color=COLOURS.get(method),
            label=label,
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
        ncols=min(4, len(series)),
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
