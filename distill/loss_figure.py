"""Draw the loss of a report's students while they were trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .figures import COLOURS, DARK, OTHER, STYLE, finish, save, shortened
from .results import Curve, Study

DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
"""Of the first, second, … student of one colour."""
LOGARITHMIC = 10
"""How many times the lowest loss the highest is, above which losses are drawn on a logarithmic scale."""
READING = (
    "Light: each step's loss per trained token; strong: its mean over the steps around, within a twentieth of them all",
    "Every student is measured on its own trajectories: the shapes of curves compare, their heights only between "
    "students of one method",
)


def draw_losses(study: Study, out: Path) -> list[Path]:
    """Write `loss.png` and `loss.svg` into the folder `out`; nothing where the study has no curves."""
    from matplotlib import rc_context

    if not study.curves:
        return []
    with rc_context(STYLE):
        return save(losses(study), out, "loss")


def losses(study: Study):
    """The matplotlib `Figure` of `loss`, to be drawn with `STYLE`."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(7.0, 3.0 + 0.2 * len(study.curves)), layout="constrained")
    ax = figure.subplots()
    handles = []
    for curve, (colour, dashes) in zip(study.curves, _looks(study), strict=True):
        if curve.loss != curve.smooth:
            ax.plot(*_xy(curve.loss), color=colour, lw=0.7, alpha=0.35, zorder=2)
        ax.plot(*_xy(curve.smooth), color=colour, lw=1.6, ls=dashes, zorder=3)
        ax.plot(*_xy(curve.validation), "D", color=colour, ms=4.5, mec="white", mew=0.6, zorder=4)
        marked = [(x, at(curve.smooth, x)) for x in curve.skipped]
        ax.plot(*_xy(marked), "x", color=DARK, ms=5, mew=1.2, zorder=5)
        if curve.early is not None:
            place = [(curve.early, at(curve.smooth, curve.early))]
            ax.plot(*_xy(place), "o", mfc="white", mec=colour, ms=7, mew=1.6, zorder=6)
        line = Line2D([], [], color=colour, lw=1.6, ls=dashes)
        handles.append((line, shortened(curve.label, 80)))
    _scales(ax, study.curves)
    finish(figure, handles, ". ".join([*READING, *_marks(study.curves)]) + ".")
    return figure


def at(points: Sequence[tuple[float, float]], x: float) -> float:
    """How much a line of these points has at x; beyond its ends, what it has there."""
    from numpy import interp

    return float(interp(x, *_xy(points)))


def logarithmic(curves: Sequence[Curve]) -> bool:
    found = [y for curve in curves for _, y in (*curve.smooth, *curve.validation)]
    return min(found) > 0 and max(found) / min(found) > LOGARITHMIC


def _scales(ax, curves: Sequence[Curve]) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    unit = curves[0].unit
    if logarithmic(curves):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.grid(axis="y", lw=0.4, alpha=0.5)
    ax.set_ylabel("loss")
    ax.set_xlabel("tokens trained on" if unit == "tokens" else unit)


def _looks(study: Study) -> list[tuple]:
    """A colour and dashes for each curve: the colour of its first row's method."""
    rows = {row.id: row for row in study.rows}
    seen: Counter = Counter()
    found = []
    for curve in study.curves:
        row = rows[curve.rows[0]]
        colour = DARK if row.teacher else COLOURS.get(row.method, OTHER)
        found.append((colour, DASHES[seen[colour] % len(DASHES)]))
        seen[colour] += 1
    return found


def _marks(curves: Sequence[Curve]) -> list[str]:
    """What the marks say that are there."""
    kinds = {
        "Diamonds: on validation problems": any(c.validation for c in curves),
        "Ring: where the early checkpoint was taken": any(c.early is not None for c in curves),
        "Crosses: steps left out, their gradient not being finite": any(c.skipped for c in curves),
    }
    return [told for told, there in kinds.items() if there]


def _xy(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
