"""The pictures and the Markdown of a report: whatever a study holds, they are made, and say its numbers."""

from __future__ import annotations

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from matplotlib import rc_context
from matplotlib.text import Text

from bench.study import write_study
from distill.figures import STYLE, accuracy, average, draw, macro_average, tokens
from distill.markdown import escape, markdown
from distill.results import Benchmark, Comparison, Result, Row, Study
from distill.rollout import FILE
from distill.runs import read_run
from distill.scoring import score
from distill.study import study as make_study

COUNTS = {
    "hotpotqa": 500, "bamboogle": 125, "musique": 500, "2wiki": 500,
    "math_500": 500, "gsm_hard": 500, "aime": 90, "olymmath": 200,
}  # fmt: skip
SIZES = {"simulated 0.5B": 494032768, "simulated 1.5B": 1543714304, "simulated 3B": 3085938688}


def row(label="agent", name="m", method="agent", base="b", **more) -> Row:
    return Row(
        id=f"{label} {name}", label=label, name=name, method=method, model=name, base=base, **more
    )


def result(row: Row, benchmark: str, right: int, n: int, **more) -> Result:
    p, z = right / n, 1.96
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    failed, missing = more.pop("failed", 0), more.pop("missing", 0)
    return Result(
        row=row.id, benchmark=benchmark, method=row.method, model=row.model, n=n, accuracy=p,
        low=max(0.0, centre - half), high=min(1.0, centre + half), answered=n - failed - missing,
        max_steps=0, failed=failed, missing=missing, input_tokens=900 * n,
        output_tokens=more.pop("tokens", 90) * n, seconds=1.0 * n,
        outcomes={"right": right, "wrong": n - right - failed - missing, "failed": failed, "missing": missing},
        **more,
    )  # fmt: skip


def study(rows, results, counts, **more) -> Study:
    benchmarks = tuple(Benchmark(name=b, kind="factual", n=n) for b, n in counts.items())
    return Study(
        title="Report", made="2027-01-05 10:00 UTC", command="python -m distill report runs/a",
        benchmarks=benchmarks, rows=tuple(rows), results=tuple(results), **more,
    )  # fmt: skip


def paper() -> Study:
    """Four methods at three sizes on eight benchmarks, and a teacher."""
    methods = {
        "CoT": ("cot", 1, 300), "CoT + RAG": ("cot_rag", 1, 220), "agent": ("agent", 1, 260),
        "agent + sag (N=8, T=0.4)": ("agent", 8, 1500),
    }  # fmt: skip
    rows, results = [], []
    for s, (base, parameters) in enumerate(SIZES.items()):
        for m, (label, (method, samples, written)) in enumerate(methods.items()):
            rows.append(
                row(label, base, method, base, parameters=parameters, samples=samples, simulated=True)
            )  # fmt: skip
            for b, (benchmark, n) in enumerate(COUNTS.items()):
                share = (0.12 + 0.1 * s + 0.06 * m) * (1.6 - 0.2 * b) * (0.5 if b == 6 else 1)
                results.append(
                    result(rows[-1], benchmark, round(n * share), n, tokens=written + 40 * b * (1 + s))
                )  # fmt: skip
    rows.append(row("agent (teacher)", "simulated 32B", "agent", "simulated 32B", parameters=32763876352,
                    teacher=True, simulated=True))  # fmt: skip
    results += [
        result(rows[-1], benchmark, round(n * (0.75 - 0.08 * b)), n, tokens=400 + 50 * b)
        for b, (benchmark, n) in enumerate(COUNTS.items())
    ]
    return study(rows, results, COUNTS)


def demo() -> Study:
    """The demo's seven rows on four benchmarks, of one base."""
    table = {
        ("base agent (prompted)", "pocket-base", "agent_prompted"): (100, 0, 0, 0, 0, 58),
        ("CoT", "student-cot", "cot"): (200, 0, 2, 5, 3, 78),
        ("CoT + RAG", "student-cot_rag", "cot_rag"): (200, 1, 1, 2, 1, 70),
        ("agent", "student-agent", "agent"): (200, 194, 99, 181, 62, 104),
        ("agent", "student-early", "agent"): (40, 12, 6, 23, 3, 120),
        ("agent + sag (N=8, T=0.4)", "student-agent", "agent"): (40, 39, 22, 36, 12, 420),
        ("agent + sag (N=8, T=0.4)", "student-early", "agent"): (40, 25, 11, 23, 2, 610),
    }
    names = ("sums", "sums_ood", "hops", "hops_ood")
    rows, results = [], []
    for (label, name, method), (n, *right, written) in table.items():
        rows.append(row(label, name, method, "pocket-base"))
        results += [
            result(rows[-1], b, k, n, tokens=written) for b, k in zip(names, right, strict=True)
        ]
    return study(rows, results, dict.fromkeys(names, 200))


def comparison(first: Row, second: Row, benchmark=None, **more) -> Comparison:
    values = {
        "n": 400, "first_only": 10, "second_only": 30, "difference": 0.05, "low": 0.02, "high": 0.08,
        "p": 0.0022, "p_holm": 0.0044, "detectable": 0.045, "verdict": "better",
    }  # fmt: skip
    return Comparison(first=first.id, second=second.id, benchmark=benchmark, **{**values, **more})


def one(right=0, n=1, **more) -> Study:
    only = row(**more)
    return study([only], [result(only, "ones", right, n)], {"ones": n})


def disjoint() -> Study:
    """Two rows of two bases that share no benchmark."""
    rows = [row(name=base, base=base) for base in ("a", "b")]
    return study(
        rows, [result(rows[0], "ones", 5, 9), result(rows[1], "twos", 5, 9)], {"ones": 9, "twos": 9}
    )


NASTY = "[/bold] $x^{$ | a\\b\n`c` <b> 名前 _it_"


def nasty() -> Study:
    rows = [row(f"_{NASTY} {i}", NASTY, "my|method", NASTY + base, settings={"k|": "$"})
            for i in range(2) for base in ("", "-1")]  # fmt: skip
    rows = [r.model_copy(update={"id": str(i)}) for i, r in enumerate(rows)]
    return study(
        rows, [result(r, b, 3, 9) for r in rows for b in (NASTY, "$2")], {NASTY: 9, "$2": 9}
    )


def untold() -> Study:
    """No model wrote a token, as far as is known."""
    rows = [row(name=base, base=base, parameters=p) for base, p in (("a", None), ("b", 10**9))]
    return study(rows, [result(r, "ones", 5, 9, tokens=0) for r in rows], {"ones": 9})


def only_a_teacher() -> Study:
    return one(teacher=True)


@pytest.mark.filterwarnings("ignore:Glyph")  # the font has no 名
@pytest.mark.parametrize("make", [paper, demo, one, disjoint, nasty, untold, only_a_teacher])
def test_figures_are_drawn_whatever_the_study_holds(make, tmp_path):
    written = draw(make(), tmp_path / "new")
    assert [file.name for file in written] == [
        "report.png",
        "report.svg",
        "tokens.png",
        "tokens.svg",
    ]
    for file in written:
        assert file.stat().st_size > 5000
        if file.suffix == ".svg":
            ElementTree.parse(file)


@pytest.mark.parametrize("make", [paper, demo])
def test_bars_are_as_high_as_the_numbers(make):
    shown = make()
    heights = [100 * r.accuracy for r in shown.results]
    if make is paper:
        heights += [100 * macro_average(shown, row.id).accuracy for row in shown.rows]
        teacher = {100 * r.accuracy for r in shown.results if r.row == shown.rows[-1].id}
        teacher.add(100 * macro_average(shown, shown.rows[-1].id).accuracy)
        heights = [height for height in heights if height not in teacher]
    drawn = [patch.get_height() for axes in accuracy(shown).axes for patch in axes.patches]
    assert sorted(drawn) == pytest.approx(sorted(heights))


def beyond(axes) -> list[Text]:
    """Labels of ticks that lie outside what is shown."""
    return [
        tick.label1
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    ]


@pytest.mark.parametrize("picture", [accuracy, tokens])
@pytest.mark.parametrize("make", [paper, demo])
def test_no_label_covers_another(make, picture):
    with rc_context(STYLE):
        figure = picture(make())
        figure.draw_without_rendering()
        hidden = {label for axes in figure.axes for label in beyond(axes)}
        labels = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
        labels = [label for label in labels if label not in hidden]
        boxes = [(label.get_text(), label.get_window_extent()) for label in labels]
    assert len(boxes) > 20
    for (one, box), (other, another) in combinations(boxes, 2):
        assert not box.overlaps(another), (one, other)
    for label, box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, label


def test_models_of_unknown_size_and_base_are_shown_by_benchmark():
    rows = [row("agent", name, base=name) for name in ("a", "b")]
    shown = study(rows, [result(r, b, 5, 9) for r in rows for b in ("x", "y")], {"x": 9, "y": 9})
    [axes] = accuracy(shown).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "y"]
    assert len(axes.patches) == 4
    known = [r.model_copy(update={"parameters": 10**9 * (i + 1)}) for i, r in enumerate(rows)]
    average_of_both, x, y = accuracy(shown.model_copy(update={"rows": tuple(known)})).axes
    for axes in (average_of_both, x, y):
        assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]


def test_the_average_counts_benchmarks_alike_and_its_interval_shrinks():
    ones = row()
    found = [result(ones, "a", 10, 100), result(ones, "b", 1, 2)]
    share = average(found)
    assert share.accuracy == pytest.approx(0.3)
    half = math.sqrt(sum(((r.high - r.low) / 2) ** 2 for r in found)) / 2
    assert (share.low, share.high) == (pytest.approx(0.3 - half), pytest.approx(0.3 + half))
    shown = study([ones], found, {"a": 100, "b": 2})
    assert macro_average(shown, ones.id) == share
    assert macro_average(study([ones], found, {"a": 100, "b": 2, "c": 3}), ones.id) is None


def cells(text: str) -> list[list[str]]:
    """The lines of the first table, split where GitHub splits them."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[c.strip() for c in re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]] for line in lines]


@pytest.mark.parametrize("make", [paper, demo])
def test_cells_are_the_numbers_of_the_study(make):
    shown = make()
    header, _, *lines = cells(markdown(shown))
    assert header[2:-1] == [f"{b.name} (n = {b.n})" for b in shown.benchmarks]
    results = {(r.row, r.benchmark): r for r in shown.results}
    assert len(lines) == len(shown.rows)
    for row, line in zip(shown.rows, lines, strict=True):
        shares = [results[row.id, b.name] for b in shown.benchmarks]
        for cell, share in zip(line[2:], [*shares, macro_average(shown, row.id)], strict=True):
            value, low, high, n = re.fullmatch(
                r"([\d.]+) \((\d+)-(\d+)\)(?:, n = (\d+))?", cell
            ).groups()
            assert float(value) == pytest.approx(100 * share.accuracy, abs=0.051)
            assert [int(low), int(high)] == [round(100 * share.low), round(100 * share.high)]
            assert n is None or int(n) == share.n
    assert ("Simulated" in markdown(shown)) == (make is paper)


def test_what_failed_or_is_missing_is_told():
    ones = row()
    text = markdown(study([ones], [result(ones, "a", 5, 9, failed=2, missing=1)], {"a": 9}))
    assert "- agent, m: a 2 failed and 1 never run" in text
    assert "Failed or never run" not in markdown(one())


def test_a_row_without_a_benchmark_has_no_cell_and_no_average():
    _, _, first, second = cells(markdown(disjoint()))
    assert first[2] != "–" and first[3:] == ["–", "–"]
    assert second[2] == "–" and second[4] == "–"


def test_comparisons_are_told_in_words_those_by_benchmark_folded_away():
    cot, agent = row("CoT", method="cot"), row()
    pairs = (
        comparison(cot, agent, "a"),
        comparison(cot, agent, "b", verdict="tie", detectable=None, first_only=1.5),
        comparison(cot, agent),
    )
    results = [result(r, b, 5, 9) for r in (cot, agent) for b in "ab"]
    text = markdown(study([cot, agent], results, {"a": 9, "b": 9}, comparisons=pairs))
    line = (
        "+5.0 (+2.0 to +8.0), n = 400, p = 0.0022, Holm 0.0044; right by it alone 30, by the other alone 10; "
        "smallest detectable 4.5"
    )
    before, after = text.split("<details>")
    assert f"- agent, m **is better than** CoT, m: {line}" in before
    assert "agent, m against CoT, m:\n\n- a: **better**, " + line in after
    assert "- b: **tie**" in after and "by the other alone 1.5\n" in after


def test_names_stay_names():
    shown = nasty().model_copy(update={"notes": (NASTY,), "title": NASTY, "command": "echo ```\n"})
    text = markdown(shown)
    table = cells(text)
    assert {len(line) for line in table} == {5} and len(table) == 6
    assert table[2][1] == r"\[/bold\] \$x^{\$ \| a\\b \`c\` \<b\> 名前 \_it\_"
    assert escape("a_b __init__ _c_") == r"a_b \_\_init\_\_ \_c\_"
    assert "````sh\necho ```\n\n````" in text


def test_a_simulated_study_reads_like_a_real_one_and_says_what_it_is(tmp_path):
    folders = write_study(tmp_path / "one", limit=4, sizes=("0.5B",))
    made, cells = make_study([read_run(folder) for folder in folders], teachers=folders[-1:])
    assert len(made.rows) == 5 and all(r.simulated and "simulated" in r.name for r in made.rows)
    assert [r.parameters for r in made.rows if r.teacher] == [32_763_876_352]
    assert [b.name for b in made.benchmarks] == list(COUNTS)
    [agent] = [r.id for r in made.rows if r.label == "agent"]
    first = next(r for r in made.results if (r.row, r.benchmark) == (agent, "hotpotqa"))
    assert (first.n, first.failed, first.missing) == (4, 1, 1)
    rollouts = [rollout for found in cells.values() for rollout in found]
    assert all(score(r.problem, r.trajectory.answer) == r.score for r in rollouts)
    again = write_study(tmp_path / "two", limit=4, sizes=("0.5B",))
    for one, other in zip(folders, again, strict=True):
        assert (one / FILE).read_bytes() == (other / FILE).read_bytes()
