"""Write a study as Markdown, for a README or a model card.

GitHub's dialect: tables, and `<details>` for what would be long. Not the page with the rollouts.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby

from .figures import Share, macro_average
from .results import Comparison, Curve, Result, Row, Study

NOTHING = "–"
VERDICTS = {"better": "is better than", "tie": "ties with", "worse": "is worse than"}
LISTED = 12
"""Comparisons shown at most before the rest is folded away."""


def markdown(study: Study) -> str:
    """The table, what failed, the comparisons, the students' losses, the notes and how it was made; the figures
    as `report.png` and `loss.png`."""
    parts = [
        f"# {escape(study.title)}",
        _simulated(study),
        "![Accuracy with 95% intervals](report.png)",
    ]
    parts += [
        _table(study),
        _reading(study),
        _lost(study),
        _comparisons(study),
        _training(study),
        _notes(study),
        _made(study),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def escape(text: str) -> str:
    """On one line, and with nothing in it that Markdown, HTML or a formula would begin with."""
    text = re.sub(r"([\\`*\[\]<>|$~&#])", r"\\\1", " ".join(text.split()))
    return re.sub(
        r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text
    )  # inside a word it is only an underscore


def _table(study: Study) -> str:
    results = {(result.row, result.benchmark): result for result in study.results}
    several = len(study.benchmarks) > 1
    columns = [f"{escape(b.name)} (n = {b.n})" for b in study.benchmarks]
    lines = [["", "model", *columns, *(["average"] if several else [])]]
    lines.append(["---", "---"] + ["---:"] * (len(lines[0]) - 2))
    for row in study.rows:
        cells = [_cell(results.get((row.id, b.name)), b.n) for b in study.benchmarks]
        if several:
            cells.append(_share(macro_average(study, row.id)))
        lines.append([escape(row.label), escape(row.name), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(result: Result | None, n: int) -> str:
    if result is None:
        return NOTHING
    share = _share(Share(result.accuracy, result.low, result.high))
    return share if result.n == n else f"{share}, n = {result.n}"


def _share(share: Share | None) -> str:
    if share is None:
        return NOTHING
    return f"{100 * share.accuracy:.1f} ({100 * share.low:.0f}-{100 * share.high:.0f})"


def _reading(study: Study) -> str:
    text = "Percent right of the n problems asked for, with 95% intervals after Wilson."
    if len(study.benchmarks) > 1:
        text += (
            " The average counts each benchmark alike; its interval reaches sqrt(sum of squared half-widths) / k "
            "to both sides, over k benchmarks. It is left out where a row lacks a benchmark."
        )
    several = [result for result in study.results if len(result.accuracies) > 1]
    if several:
        deviations = [100 * r.spread for r in several if r.spread is not None]
        text += f" Some results are means of {_range([len(r.accuracies) for r in several])} runs (seeds)"
        if deviations:
            text += (
                f", whose standard deviation is {_range([round(d, 1) for d in deviations])} points"
            )
        text += "."
    return text


def _range(numbers: list) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def _lost(study: Study) -> str:
    """What the system lost, by row: it is in the denominator."""
    lines = []
    for row in study.rows:
        told = []
        for result in study.results:
            if result.row == row.id and (result.failed or result.missing):
                counts = [f"{result.failed} failed"] if result.failed else []
                counts += [f"{result.missing} never run"] if result.missing else []
                told.append(f"{escape(result.benchmark)} {' and '.join(counts)}")
        if told:
            lines.append(f"- {_whole(row)}: {'; '.join(told)}")
    return "Failed or never run, and counted as wrong:\n\n" + "\n".join(lines) if lines else ""


def _comparisons(study: Study) -> str:
    if not study.comparisons:
        return ""
    rows = {row.id: row for row in study.rows}
    benchmarks = Counter((pair.first, pair.second) for pair in study.comparisons)
    single = {pair for pair, n in benchmarks.items() if n == 1}
    together, apart = [], []
    for pair in study.comparisons:
        whole = pair.benchmark is None or (pair.first, pair.second) in single
        (together if whole else apart).append(pair)
    if len(together) > LISTED:
        together.sort(key=lambda pair: pair.p)
    lines = [f"- {_pair(pair, rows)}: {_numbers(pair)}" for pair in together]
    parts = [
        "## Comparisons",
        "On the problems that both were run on. Differences are in points, with a 95% interval; better or worse "
        "where p after Holm's correction over the benchmarks of a pair is below 0.05, else a tie. The smallest "
        "detectable difference is one that such a comparison finds four times out of five."
        + (" The clearest come first." if len(together) > LISTED else ""),
    ]
    if lines:
        parts.append("\n".join(lines[:LISTED]))
    if lines[LISTED:]:
        parts.append(_folded(f"{len(lines) - LISTED} more", ["\n".join(lines[LISTED:])]))
    if apart:
        blocks = []
        for _, pairs in groupby(apart, key=lambda pair: (pair.first, pair.second)):
            pairs = list(pairs)
            lines = [f"- {escape(p.benchmark)}: **{p.verdict}**, {_numbers(p)}" for p in pairs]
            blocks.append(f"{_subject(pairs[0], rows)}\n\n" + "\n".join(lines))
        parts.append(_folded("By benchmark", blocks))
    return "\n\n".join(parts)


def _folded(summary: str, blocks: list[str]) -> str:
    opening = f"<details>\n<summary>{summary}</summary>"
    return "\n\n".join([opening, *blocks, "</details>"])


def _pair(pair: Comparison, rows: dict[str, Row]) -> str:
    told = f"{_named(pair.second, rows)} **{VERDICTS[pair.verdict]}** {_named(pair.first, rows)}"
    return told + (f" on {escape(pair.benchmark)}" if pair.benchmark is not None else "")


def _subject(pair: Comparison, rows: dict[str, Row]) -> str:
    return f"{_named(pair.second, rows)} against {_named(pair.first, rows)}:"


def _named(row: str, rows: dict[str, Row]) -> str:
    return _whole(rows[row]) if row in rows else escape(row)


def _whole(row: Row) -> str:
    return f"{escape(row.label)}, {escape(row.name)}"


def _numbers(pair: Comparison) -> str:
    detectable = (
        f"; smallest detectable {100 * pair.detectable:.1f}" if pair.detectable is not None else ""
    )
    return (
        f"{100 * pair.difference:+.1f} ({100 * pair.low:+.1f} to {100 * pair.high:+.1f}), n = {pair.n}, "
        f"p = {pair.p:.2g}, Holm {pair.p_holm:.2g}; right by it alone {_count(pair.second_only)}, by the "
        f"other alone {_count(pair.first_only)}{detectable}"
    )


def _count(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def _training(study: Study) -> str:
    if not study.curves:
        return ""
    lines = [f"- {escape(curve.label)}: {_course(curve)}" for curve in study.curves]
    picture = "![The students' losses while they were trained](loss.png)"
    return "\n\n".join(["## Training", picture, "\n".join(lines)])


def _course(curve: Curve) -> str:
    told = [f"loss {curve.smooth[0][1]:.3g} to {curve.smooth[-1][1]:.3g} in {curve.steps:,} steps"]
    if curve.unit == "tokens":
        told.append(f"{curve.smooth[-1][0]:,.0f} tokens trained on")
    if curve.validation:
        lowest = min(loss for _, loss in curve.validation)
        told.append(f"on validation problems {lowest:.3g} at best")
    if curve.skipped:
        told.append(f"{len(curve.skipped)} skipped")
    return ", ".join(told)


def _simulated(study: Study) -> str:
    simulated = sum(row.simulated for row in study.rows)
    if not simulated:
        return ""
    which = "all rows" if simulated == len(study.rows) else f"{simulated} of {len(study.rows)} rows"
    return (
        f"> **Simulated:** outcomes of {which} are drawn from a random generator; no model was run."
    )


def _notes(study: Study) -> str:
    return (
        "\n".join(["## Notes", "", *(f"- {escape(note)}" for note in study.notes)])
        if study.notes
        else ""
    )


def _made(study: Study) -> str:
    text = f"## How it was made\n\n{escape(study.made)}"
    if not study.command:
        return text
    longest = max(map(len, re.findall(r"`+", study.command)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{text}:\n\n{ticks}sh\n{study.command}\n{ticks}"
