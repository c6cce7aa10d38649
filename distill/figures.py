"""Draw a study: accuracy by base model, method and benchmark, and what it costs in tokens.

Pictures of the numbers that are there: nothing is counted here but the average over benchmarks.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .results import Benchmark, Result, Row, Study

COLOURS = {
    "agent_prompted": "#bab0ac",
    "cot_prompted": "#59524f",
    "cot": "#f28e2b",
    "cot_rag": "#e15759",
    "agent": "#4e79a7",
}
"""Apart for the colour-blind too: at least 19 units of CIELAB under simulated protan-, deuter- and tritanopia."""
OTHER = "#b07aa1"
DARK = "#333333"
VARIANTS = ("", "//", "xx", "..", "\\\\", "++", "oo")
"""Hatching of the first, second, … series of one method."""
SHADES = (0.0, -0.35, 0.45, -0.6, 0.65)
"""Of them, how far the colour is taken to black (below 0) or white: hatching does not show on a narrow bar."""
MARKERS = "s^oDv<>pPXdh"
STYLE = {
    "text.parse_math": False,  # a name may hold dollars
    "svg.hashsalt": "smoldistill",  # the same study gives the same file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "hatch.linewidth": 0.8,
    "text.color": DARK,
    "axes.labelcolor": DARK,
    "axes.edgecolor": DARK,
    "xtick.color": DARK,
    "ytick.color": DARK,
}
WIDTH = 9.0  # inches; a README shows it at about 900 pixels
WHISKERS = "Whiskers: 95% intervals after Wilson"
AVERAGED = "; of an average over k benchmarks: √(Σ half-width²) / k to both sides of the mean"


class Share(NamedTuple):
    """An accuracy and its 95% interval, 0 to 1."""

    accuracy: float
    low: float
    high: float


def average(results: Sequence[Result]) -> Share:
    """Over benchmarks, each counting alike. The half-width is sqrt(sum of squared half-widths) / k."""
    k = len(results)
    mean = sum(r.accuracy for r in results) / k
    half = math.sqrt(sum(((r.high - r.low) / 2) ** 2 for r in results)) / k
    return Share(mean, max(0.0, mean - half), min(1.0, mean + half))


def macro_average(study: Study, row: str) -> Share | None:
    """Of a row over all benchmarks of the study; None where it lacks one: it would be of other problems."""
    found = [r for r in study.results if r.row == row]
    return average(found) if len(found) == len(study.benchmarks) else None


def draw(study: Study, out: Path) -> list[Path]:
    """Write `report` and `tokens`, each as .png and .svg, into the folder `out`.

    report: where the study has base models of several sizes, the average by size with a small figure for
    each benchmark; of one, bars by benchmark. tokens: accuracy against the output tokens of a problem.
    """
    from matplotlib import rc_context

    if not study.results:
        return []
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with rc_context(STYLE):
        for name, figure in (("report", accuracy(study)), ("tokens", tokens(study))):
            written += save(figure, out, name)
    return written


def save(figure, out: Path, name: str) -> list[Path]:
    """Write it as .png and .svg."""
    files = [out / f"{name}.png", out / f"{name}.svg"]
    figure.savefig(files[0], dpi=150)
    figure.savefig(files[1], metadata={"Date": None})
    return files


def accuracy(study: Study):
    """The matplotlib `Figure` of `report`, to be drawn with `STYLE`."""
    view = View.of(study)
    return _by_size(view) if len(view.bases) > 1 else _by_benchmark(view)


def tokens(study: Study):
    """The matplotlib `Figure` of `tokens`, to be drawn with `STYLE`."""
    return _by_tokens(View.of(study))


@dataclass(frozen=True)
class Series:
    """What has one colour: a way of answering, of at most one model per base."""

    label: str
    rows: dict[str, Row]
    """By base, as `View` has them."""
    colour: str
    hatch: str
    marker: str


@dataclass(frozen=True)
class View:
    """A study as it is drawn."""

    study: Study
    series: tuple[Series, ...]
    bases: tuple[str, ...]
    """In the order of their parameters, those whose number is not known last; one where sizes do not differ."""
    teachers: tuple[Row, ...]
    """Drawn as lines, unless there is nothing else."""
    results: dict[tuple[str, str], Result]
    """By row and benchmark."""

    @classmethod
    def of(cls, study: Study) -> View:
        students = [row for row in study.rows if not row.teacher] or list(study.rows)
        teachers = tuple(row for row in study.rows if row.teacher and row not in students)
        results = {(r.row, r.benchmark): r for r in study.results}
        bases = _bases(students)
        if not _sized(students):  # then each row is a series
            bases, students = ("",), [row.model_copy(update={"base": ""}) for row in students]
        return cls(study, tuple(_series(students)), bases, teachers, results)

    @property
    def benchmarks(self) -> tuple[Benchmark, ...]:
        return self.study.benchmarks

    def share(self, row: Row, benchmarks: Sequence[Benchmark]) -> Share | None:
        found = self.found(row, benchmarks)
        if not found:
            return None
        if len(found) > 1:
            return average(found)
        return Share(found[0].accuracy, found[0].low, found[0].high)

    def tokens(self, row: Row, benchmarks: Sequence[Benchmark]) -> float | None:
        """Output tokens of a problem that was run, on average over benchmarks."""
        found = self.found(row, benchmarks)
        if not found:
            return None
        return sum(r.output_tokens / max(1, _run(r)) for r in found) / len(found)

    def found(self, row: Row, benchmarks: Sequence[Benchmark]) -> list[Result]:
        """The row's results on these; none where it lacks one of them."""
        found = [self.results.get((row.id, benchmark.name)) for benchmark in benchmarks]
        return [] if None in found else found

    def panels(self) -> list[tuple[str, tuple[Benchmark, ...]]]:
        """What has axes of its own: the average, where a row has all benchmarks, then each benchmark."""
        single = [(f"{shortened(b.name, 24)} (n = {b.n})", (b,)) for b in self.benchmarks]
        rows = [row for series in self.series for row in series.rows.values()]
        if len(single) == 1 or not any(self.found(row, self.benchmarks) for row in rows):
            return single
        return [(f"average of {len(single)} benchmarks", self.benchmarks), *single]

    def caption(self, *sentences: str) -> str:
        simulated = sum(row.simulated for row in self.study.rows)
        all_of = f"Of {simulated} of {len(self.study.rows)} rows the outcomes are simulated"
        if simulated == len(self.study.rows):
            all_of = "Outcomes are simulated"
        first = [f"{all_of}: no model was run"] if simulated else []
        return ". ".join([*first, *filter(None, sentences)]) + "."


def _series(rows: Iterable[Row]) -> list[Series]:
    groups: dict[tuple, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        kind = (row.label, row.method, tuple(sorted(row.settings.items())))
        nth = sum(row.base in found for key, found in groups.items() if key[:3] == kind)
        groups[*kind, nth][row.base] = row
    labels = Counter(key[0] for key in groups)
    seen: Counter = Counter()
    found = []
    for (label, method, settings, nth), by_base in groups.items():
        if labels[label] > 1:
            names = " ".join(row.name for row in by_base.values()) if len(by_base) == 1 else ""
            names = (
                names or ", ".join(f"{k}={v}" for k, v in settings) or (f"{nth + 1}" if nth else "")
            )
            label = f"{label} · {names}" if names else label
        variant = seen[method]
        seen[method] += 1
        found.append(
            Series(
                shortened(label, 60),
                by_base,
                shade(COLOURS.get(method, OTHER), SHADES[variant % len(SHADES)]),
                VARIANTS[variant % len(VARIANTS)],
                MARKERS[len(found) % len(MARKERS)],
            )
        )
    return found


def _sized(rows: Sequence[Row]) -> bool:
    """Whether the rows are of several sizes; where those are not known, of several bases with several rows each."""
    each = Counter(row.base for row in rows)
    known = {row.parameters for row in rows} - {None}
    return len(each) > 1 and (len(known) > 1 or min(each.values()) > 1)


def _bases(rows: Iterable[Row]) -> tuple[str, ...]:
    parameters: dict[str, int | None] = {}
    for row in rows:
        parameters[row.base] = parameters.get(row.base) or row.parameters
    return tuple(sorted(parameters, key=lambda b: (parameters[b] is None, parameters[b] or 0, b)))


def _by_size(view: View):
    """The average over benchmarks large, each benchmark small, base models along x."""
    panels = view.panels()
    averaged = len(panels[0][1]) > 1
    bars = len(view.series) * len(view.bases)
    figure, axes = _canvas(len(panels), averaged or len(panels) == 1, 4 if bars <= 16 else 2, bars)
    names = {base: Path(base).name or base for base in view.bases}
    if len(set(names.values())) < len(names):
        names = {base: base for base in view.bases}
    short = dict(zip(names, _telling(list(names.values())), strict=True))
    for place, (ax, (title, benchmarks)) in enumerate(zip(axes, panels, strict=True)):
        large = place == 0 and (averaged or len(panels) == 1)
        _bars(
            ax,
            [
                [(series, row, view.share(row, benchmarks)) if row else None
                 for series in view.series for row in [series.rows.get(base)]]
                for base in view.bases
            ],
            numbers=(1 if bars <= 20 else 0) if large else None,
            runs=view if len(benchmarks) == 1 else None,
            benchmarks=[benchmarks] * len(view.bases),
        )  # fmt: skip
        for teacher, dashes in zip(view.teachers, _dashes(), strict=False):
            if share := view.share(teacher, benchmarks):
                ax.axhline(100 * share.accuracy, color=DARK, lw=1, ls=dashes, zorder=1)
        ax.set_title(title, fontweight="bold" if large else None)
        room = ax.get_subplotspec().get_geometry()[1] if not large else 1
        chars = int(
            (105 if large else 115) * figure.get_size_inches()[0] / WIDTH / room / len(view.bases)
        )
        ticks = [_wrap(names[base] if large else short[base], max(6, chars)) for base in view.bases]
        ax.set_xticks(range(len(view.bases)), ticks, fontsize=9 if large else 7)
        ax.tick_params(axis="x", length=0)
        _scale(ax, view, benchmarks, large)
    axes[0].set_ylabel("accuracy, %")
    finish(
        figure,
        [*_handles(view), *_teacher_lines(view)],
        view.caption(
            "Accuracy in % of the problems asked for; failed and missing runs are wrong",
            WHISKERS + (AVERAGED if averaged else ""),
            "Each panel has its own scale, from zero" if len(axes) > 1 else "",
            _runs_told(view),
        ),
    )
    return figure


def _by_benchmark(view: View):
    """Bars side by side for each benchmark; on several lines where they would get too narrow."""
    from matplotlib.figure import Figure

    a_line = max(1, 32 // len(view.series))
    lines = math.ceil(len(view.benchmarks) / a_line)
    a_line = math.ceil(len(view.benchmarks) / lines)
    width = max(7.0, 0.3 * a_line * len(view.series))
    figure = Figure(figsize=(width, 1.3 + 2.9 * lines), layout="constrained")
    grid = figure.subplots(lines, 1, squeeze=False)[:, 0]
    for line, ax in enumerate(grid):
        shown = view.benchmarks[line * a_line : (line + 1) * a_line]
        groups = [
            [(series, row, view.share(row, (benchmark,))) for series in view.series
             for row in series.rows.values()]
            for benchmark in shown
        ]  # fmt: skip
        _bars(ax, groups, numbers=0, runs=view, benchmarks=[(b,) for b in shown])
        for teacher, dashes in zip(view.teachers, _dashes(), strict=False):
            for at, benchmark in enumerate(shown):
                if share := view.share(teacher, (benchmark,)):
                    y = 100 * share.accuracy
                    ax.plot([at - 0.45, at + 0.45], [y, y], color=DARK, lw=1, ls=dashes, zorder=1)
        chars = int(width / a_line * 11)
        ax.set_xticks(range(len(shown)), [_wrap(b.name, max(8, chars)) for b in shown])
        ax.set_xlim(-0.6, a_line - 0.4)
        ax.tick_params(axis="x", length=0)
        ax.set_ylim(0, 112)
        ax.set_yticks(range(0, 101, 20))
        ax.set_ylabel("accuracy, %")
    finish(
        figure,
        [*_handles(view), *_teacher_lines(view)],
        view.caption(
            "Accuracy in % of the problems asked for; failed and missing runs are wrong",
            WHISKERS,
            _runs_told(view),
        ),
    )
    return figure


def _by_tokens(view: View):
    """Accuracy against output tokens; lines join the sizes of one way of answering."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    panels = view.panels()
    averaged = len(panels[0][1]) > 1
    figure, axes = _canvas(len(panels), averaged or len(panels) == 1, 4, 12)
    sizes = dict(zip(view.bases, _marker_sizes(len(view.bases)), strict=True))
    all_tokens = [view.tokens(row, (b,)) for row in view.study.rows for b in view.benchmarks]
    all_tokens = [tokens for tokens in all_tokens if tokens is not None]
    logarithmic = min(all_tokens) > 0 and max(all_tokens) / min(all_tokens) > 5
    for place, (ax, (title, benchmarks)) in enumerate(zip(axes, panels, strict=True)):
        large = place == 0 and (averaged or len(panels) == 1)
        scale = 1.0 if large else 0.7
        dots = [
            (view.tokens(row, benchmarks), share, series.colour, series.marker, sizes[base], n)
            for n, series in enumerate(view.series)
            for base, row in series.rows.items()
            if (share := view.share(row, benchmarks))
        ]
        dots += [
            (view.tokens(row, benchmarks), share, DARK, "*", 10.0, f"teacher {n}")
            for n, row in enumerate(view.teachers)
            if (share := view.share(row, benchmarks))
        ]
        for x, share, colour, marker, size, _ in dots:
            y, down, up = _percent(share)
            ax.errorbar(
                x, y, [[down], [up]], color=colour, marker=marker, ms=size * scale, mec="white",
                mew=0.6, lw=0, elinewidth=0.9, zorder=3,
            )  # fmt: skip
        for n in {dot[-1] for dot in dots}:
            path = sorted((x, share.accuracy) for x, share, *_, m in dots if m == n)
            order = [dot for dot in dots if dot[-1] == n]
            if len(path) > 1:
                ax.plot([d[0] for d in order], [100 * d[1].accuracy for d in order],
                        color=order[0][2], lw=0.9, alpha=0.6, zorder=2)  # fmt: skip
        _token_axis(ax, [dot[0] for dot in dots], 9 if large else 4, logarithmic)
        ax.set_title(title, fontweight="bold" if large else None)
        ax.tick_params(labelsize=9 if large else 7)
        top = _top(max((100 * d[1].high for d in dots), default=1))
        ax.set_ylim(-0.04 * top, top)  # room for the lower half of a mark at zero
        ax.yaxis.set_major_locator(
            MaxNLocator(6 if large else 4, steps=[1, 2, 2.5, 5, 10], integer=True)
        )
    axes[0].set_ylabel("accuracy, %")
    axes[0].set_xlabel("output tokens per problem", fontsize=9)
    handles = [
        (Line2D([], [], color=s.colour, marker=s.marker, ms=6.5, mec="white", lw=0), s.label)
        for s in view.series
    ]
    for teacher in view.teachers:
        dot = Line2D([], [], color=DARK, marker="*", ms=10, mec="white", lw=0)
        handles.append((dot, _teacher_name(teacher)))
    if len(view.bases) > 1:
        handles += [
            (Line2D([], [], color="#999999", marker="o", ms=sizes[b], mec="white", lw=0),
             shortened(Path(b).name or b, 40))
            for b in view.bases
        ]  # fmt: skip
    finish(
        figure,
        handles,
        view.caption(
            "Output tokens of all candidates and steps of a run, on average over runs; accuracy in % of the "
            "problems asked for",
            WHISKERS + (AVERAGED if averaged else ""),
            "The size of a mark stands for the base model" if len(view.bases) > 1 else "",
            "Each panel has its own scales" if len(axes) > 1 else "",
        ),
    )
    return figure


def _canvas(panels: int, first_is_large: bool, columns: int, bars: int):
    """A figure, and its axes: the first over the whole width, then a grid."""
    from matplotlib.figure import Figure

    small = panels - first_is_large
    columns = max(1, min(columns, small))
    rows = math.ceil(small / columns)
    width = max(WIDTH, 0.3 * bars)
    figure = Figure(figsize=(width, 1.2 + 3.0 * first_is_large + 1.75 * rows), layout="constrained")
    figure.get_layout_engine().set(hspace=0.06, wspace=0.03)
    heights = [1.75] * first_is_large + [1.0] * rows
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    places = [grid[0, :]] * first_is_large
    places += [grid[first_is_large + i // columns, i % columns] for i in range(small)]
    return figure, [figure.add_subplot(place) for place in places]


def _bars(ax, groups, *, numbers: int | None, runs: View | None, benchmarks) -> None:
    """Groups of (series, row, share), side by side at 0, 1, …; numbers: their decimals, None for none."""
    from matplotlib.patheffects import withStroke

    most = max(map(len, groups))
    width = 0.84 / most
    for at, group in enumerate(groups):
        for i, bar in enumerate(group):
            if bar is None or bar[2] is None:
                continue
            series, row, share = bar
            x = at + (i - (len(group) - 1) / 2) * width
            y, down, up = _percent(share)
            ax.bar(
                x, y, width * 0.92, yerr=[[down], [up]], capsize=2 if numbers is not None else 0,
                color=series.colour, hatch=series.hatch, edgecolor="white", linewidth=0.3,
                ecolor=DARK, error_kw={"lw": 0.8}, zorder=2,
            )  # fmt: skip
            top = y + up
            if runs:
                single = [100 * a for a in runs.results[row.id, benchmarks[at][0].name].accuracies]
                if len(single) > 1:
                    top = max(top, *single)
                    ax.plot(
                        [x] * len(single), single, "o", ms=2.6, color="white", mec=DARK, mew=0.5, zorder=4
                    )  # fmt: skip
            if numbers is not None:
                ax.annotate(
                    f"{y:.{numbers}f}", (x, top), (0, 2), textcoords="offset points", ha="center",
                    va="bottom", fontsize=8, zorder=5, path_effects=[withStroke(linewidth=2, foreground="white")],
                )  # fmt: skip
    ax.set_xlim(-0.6, len(groups) - 0.4)


def _scale(ax, view: View, benchmarks, large: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    shares = [view.share(row, benchmarks) for row in view.study.rows]
    top = max((100 * share.high for share in shares if share), default=1.0)
    ax.set_ylim(0, _top(top, 1.14 if large else 1.06))
    ax.yaxis.set_major_locator(
        MaxNLocator(6 if large else 4, steps=[1, 2, 2.5, 5, 10], integer=True)
    )
    ax.tick_params(axis="y", labelsize=9 if large else 7)


def _top(highest: float, room: float = 1.06) -> float:
    return max(2.0, min(highest * room, 100 * room))


def _token_axis(ax, tokens: Sequence[float], ticks: int, logarithmic: bool) -> None:
    """With ticks at 1, 2 and 5 times powers of ten where it is logarithmic."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    low, high = min(tokens, default=1.0), max(tokens, default=1.0)
    if logarithmic:
        ax.set_xscale("log")
        low, high = low / 1.3, high * 1.3
        ax.set_xlim(low, high)
        places = [m * 10**e for e in range(-1, 9) for m in (1, 2, 5)]
        places = [place for place in places if low <= place <= high] or [math.sqrt(low * high)]
        ax.xaxis.set_major_locator(FixedLocator(places[:: math.ceil(len(places) / ticks)]))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        room = 0.15 * (high - low) or 0.5 * high or 1.0
        ax.set_xlim(low - room, high + room)
        ax.xaxis.set_major_locator(MaxNLocator(min(ticks, 6), integer=True))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 0 else "")


def _handles(view: View) -> list[tuple]:
    from matplotlib.patches import Patch

    return [
        (Patch(facecolor=s.colour, hatch=s.hatch, edgecolor="white"), s.label) for s in view.series
    ]


def _teacher_lines(view: View) -> list[tuple]:
    from matplotlib.lines import Line2D

    return [
        (Line2D([], [], color=DARK, lw=1, ls=dashes), _teacher_name(teacher))
        for teacher, dashes in zip(view.teachers, _dashes(), strict=False)
    ]


def _teacher_name(row: Row) -> str:
    who = "" if "teacher" in row.label else "teacher: "
    return shortened(f"{who}{row.label} · {row.name}", 60)


def _dashes():
    yield from ("--", ":", "-.")
    while True:
        yield (0, (1, 3))


def finish(figure, handles: list[tuple], caption: str) -> None:
    """The legend on top, in as many columns as fit, and the caption below."""
    width = figure.get_size_inches()[0]
    widest = max(len(label) for _, label in handles)
    figure.legend(
        *zip(*handles, strict=True),
        loc="outside upper center",
        ncols=max(1, min(len(handles), int(width / (0.55 + 0.074 * widest)))),
        frameon=False,
        handlelength=2.2,
    )
    text = "\n".join(textwrap.wrap(caption, int(17.5 * width)))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=7)


def _runs_told(view: View) -> str:
    several = any(len(result.accuracies) > 1 for result in view.study.results)
    return "White dots: single runs (seeds)" if several else ""


def _run(result: Result) -> int:
    """Rollouts that were run."""
    asked = sum(result.outcomes.values()) or result.n * result.attempts
    return asked - result.missing


def _percent(share: Share) -> tuple[float, float, float]:
    """The accuracy in percent, and how far its interval reaches down and up."""
    down, up = share.accuracy - share.low, share.high - share.accuracy
    return 100 * share.accuracy, max(0.0, 100 * down), max(0.0, 100 * up)


def _marker_sizes(n: int) -> list[float]:
    return [6.5] if n == 1 else [5.0 + 6.0 * i / (n - 1) for i in range(n)]


def shade(colour: str, by: float) -> str:
    """A colour taken towards black (by < 0) or white."""
    goal = 0 if by < 0 else 255
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (goal - part) * abs(by)):02x}" for part in parts)


def shortened(text: str, most: int) -> str:
    """One printable line. Matplotlib leaves out of a legend what begins with an underscore."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = text if len(text) <= most else text[: most - 1] + "…"
    return f" {text}" if text.startswith("_") else text


def _telling(names: list[str]) -> list[str]:
    """Names without the words that they all begin or end with, where something is left of each."""
    words = [re.split(r"(?<=[-_ ])", name) for name in names]
    while len(words) > 1 and min(map(len, words)) > 1 and len({w[0] for w in words}) == 1:
        words = [w[1:] for w in words]
    while len(words) > 1 and min(map(len, words)) > 1 and len({w[-1] for w in words}) == 1:
        words = [w[:-1] for w in words]
    told = ["".join(w).strip("-_ ") for w in words]
    return told if all(told) and len(set(told)) == len(set(names)) else names


def _wrap(text: str, width: int) -> str:
    """Broken after a hyphen or underscore where it is too wide, onto three lines at most."""
    words = (
        shortened(text, 3 * width).replace("_", "_ ").replace("-", "- ").replace("/", "/ ").split()
    )
    lines = [""]
    for word in words:
        glue = " " if lines[-1] and lines[-1][-1] not in "_-/" else ""
        if lines[-1] and len(lines[-1]) + len(glue) + len(word) > width:
            lines.append(word)
        else:
            lines[-1] += glue + word
    return "\n".join(lines)
