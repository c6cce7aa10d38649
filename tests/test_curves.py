"""A report shows how its students were trained: what their folders hold, once each, and nothing where there is none."""

from __future__ import annotations

import json
import random
import shutil
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from matplotlib import rc_context

from agents import make_agent
from distill.curves import METRICS, POINTS, curves, early_step
from distill.figures import STYLE
from distill.loss_figure import draw_losses, losses
from distill.markdown import markdown
from distill.problems import Problem
from distill.report import report
from distill.results import Row, Study
from distill.rollout import run_rollouts

from .scripted import ScriptedModel, step


def row(model, label="agent", method="agent") -> Row:
    name = str(model).rpartition("/")[2]
    return Row(
        id=f"{label} {model}", label=label, name=name, method=method, model=str(model), base="b"
    )


def made(*rows: Row):
    return curves(rows, {row.id: [row.model] for row in rows})


def steps(losses, trained=100.0, **more) -> list[dict]:
    return [{"step": i, "loss": loss, "trained": trained, "seconds": 1.0, **more}
            for i, loss in enumerate(losses, 1)]  # fmt: skip


def student(folder, lines, **settings):
    """As `train` leaves one: metrics, and how it was asked for."""
    folder.mkdir(parents=True)
    (folder / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = {
        "verb": "train",
        "epochs": 1.0,
        "batch_size": 8,
        "patience": 0,
        "early_at": 0.5,
        **settings,
    }
    (folder / "run.json").write_text(json.dumps({"settings": asked}))
    last = max((line["step"] for line in lines), default=0)
    (folder / "train.json").write_text(json.dumps({"steps": last, "samples": 8 * last}))
    return folder


def one_of_each(folder):
    """Six steps of which the third was skipped, evaluated twice, with an early checkpoint."""
    lines = steps([2.5, 2.0, None, 1.0, 0.75, 0.5])
    lines[2]["skipped"] = True
    lines.insert(3, {"step": 3, "validation": 1.5, "seconds": 1.0})
    lines.append({"step": 6, "validation": 0.625, "seconds": 1.0})
    return student(folder, lines)


def study(found, rows) -> Study:
    return Study(
        title="t",
        made="m",
        command="",
        benchmarks=(),
        rows=tuple(rows),
        results=(),
        curves=tuple(found),
    )


def test_a_curve_is_the_losses_over_the_tokens_that_were_trained_on(tmp_path):
    folder = one_of_each(tmp_path / "s")
    (folder / "early").mkdir()
    [curve], notes = made(row(folder), row(folder / "early"))
    assert curve.loss == ((100, 2.5), (200, 2.0), (400, 1.0), (500, 0.75), (600, 0.5))
    assert curve.validation == ((300, 1.5), (600, 0.625))
    assert (curve.skipped, curve.early, curve.steps) == ((300,), 300, 6)
    assert curve.unit == "tokens" and not notes


def test_rows_of_one_student_share_its_curve(tmp_path):
    folder = one_of_each(tmp_path / "s")
    shutil.copytree(folder, tmp_path / "merged")
    (folder / "early").mkdir()
    rows = [
        row(folder / "early"),
        row(folder),
        row(folder, "agent + sag"),
        row(tmp_path / "merged"),
    ]
    [curve], _ = made(*rows)
    assert curve.label == "agent, agent + sag"
    assert curve.rows == tuple(r.id for r in (*rows[1:], rows[0]))


def test_the_early_checkpoint_is_marked_where_a_row_answers_with_it(tmp_path):
    folder = one_of_each(tmp_path / "s")
    (folder / "early").mkdir()
    assert made(row(folder))[0][0].early is None
    assert made(row(folder / "early"))[0][0].early == 300
    other = student(tmp_path / "t", steps([1.0] * 4), early_at=0.35)
    assert early_step([tmp_path / "none", other]) == 2
    stopped = student(tmp_path / "u", steps([1.0] * 4), patience=3, epochs=2)
    assert early_step([stopped]) == 4


def test_students_of_one_label_are_told_apart_by_name(tmp_path):
    folders = [student(tmp_path / name, steps([2.0, x])) for x, name in enumerate("ab", 1)]
    found, _ = made(row(folders[0]), row(folders[1]), row(folders[0], "CoT"))
    assert [curve.label for curve in found] == ["agent, CoT · a", "agent · b"]
    again = student(tmp_path / "x" / "a", steps([2.0, 7.0]))
    assert [c.label for c in made(row(folders[0]), row(again))[0]] == [
        "agent · a (1)",
        "agent · a (2)",
    ]


def test_steps_stand_for_tokens_where_a_student_has_none(tmp_path):
    with_tokens = student(tmp_path / "a", steps([2.0, 1.0]))
    without = student(tmp_path / "b", [{"step": 20, "loss": 2.0}, {"step": 40, "loss": 1.0}])
    both, _ = made(row(with_tokens), row(without))
    assert {curve.unit for curve in both} == {"steps"}
    assert [curve.loss for curve in both] == [((1, 2.0), (2, 1.0)), ((20, 2.0), (40, 1.0))]


FOREIGN = {
    "empty": b"",
    "bytes": bytes(range(256)),
    "a list": b"[1, 2]\n",
    "a table": b"step,loss\n1,2.0\n",
    "other names": b'{"epoch": 1, "eval_loss": 2.0}\n',
    "no loss": b'{"step": 1, "rate": 0.1}\n',
    "words": b'{"step": 1, "loss": "low"}\n',
    "no number": b'{"step": 1, "loss": NaN}\n{"step": 2, "loss": 1e999}\n',
    "too large": b'{"step": 1, "loss": 1e300, "trained": 1e308}\n',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_passed_over_with_a_note(content, tmp_path):
    foreign = student(tmp_path / "foreign", [])
    (foreign / METRICS).write_bytes(content)
    own = student(tmp_path / "own", steps([2.0, 1.0]))
    [curve], [note] = made(row(foreign), row(own))
    assert curve.rows == (row(own).id,)
    assert str(foreign / METRICS) in note and "no curve is shown" in note


def test_a_half_written_file_is_shown_as_far_as_it_goes(tmp_path):
    folder = student(tmp_path / "s", steps([2.0, 1.0, 0.5]))
    whole = (folder / METRICS).read_bytes()
    for cut in (whole[:-20], whole + b"\xff\xfe\n", whole + b'{"step": 1, "loss": 2.0}\n'):
        (folder / METRICS).write_bytes(cut)
        [curve], [note] = made(row(folder))
        assert curve.loss == ((100, 2.0), (200, 1.0), (300, 0.5))[: len(curve.loss)]
        assert f"line {len(curve.loss) + 1} is cut" in note


def test_a_model_that_is_no_folder_has_no_curve(tmp_path):
    (tmp_path / METRICS).mkdir()
    names = ("pocket-base", "http://localhost:1/v1#m", "x" * 5000, "a\0b", "", str(tmp_path))
    assert made(*map(row, names)) == ([], [])


def test_a_long_training_keeps_its_peaks_and_stays_small(tmp_path):
    draw = random.Random(0)
    values = [2.0 + draw.random() for _ in range(20_000)]
    values[12_345] = 50.0
    [curve], _ = made(row(student(tmp_path / "s", steps(values))))
    assert len(curve.loss) <= POINTS and len(curve.smooth) <= POINTS
    assert (1_234_600, 50.0) in curve.loss
    assert curve.smooth[-1][0] == 2_000_000
    assert all(2.4 < y < 2.6 for _, y in curve.smooth[POINTS // 10 :])
    assert len(curve.model_dump_json()) < 12_000


def test_the_mean_around_a_step_counts_tokens(tmp_path):
    lines = steps([1.0] * 20, trained=10.0)
    lines[9].update(loss=4.0, trained=30.0)
    [curve], _ = made(row(student(tmp_path / "s", lines)))
    assert curve.smooth[9][1] == pytest.approx((1 * 10 + 4 * 30 + 1 * 10) / 50)
    assert curve.smooth[0][1] == 1.0 and curve.smooth[11][1] == 1.0


def test_what_a_training_writes_is_what_a_report_reads(tmp_path):
    from distill.callbacks import METRICS as WRITTEN
    from distill.callbacks import Guard, Metrics

    guard = Guard()
    metrics = Metrics(tmp_path, guard)
    metrics.trainer = SimpleNamespace(
        measured=lambda: {"loss": 2.0, "tokens": 30, "trained": 10.0}, step_gradient=1.0
    )
    state = SimpleNamespace(global_step=0, is_world_process_zero=True)
    metrics.on_train_begin(None, state, None)
    for state.global_step in (1, 2):
        guard.now = state.global_step == 2
        metrics.on_step_end(None, state, None)
    metrics.on_evaluate(None, state, None, metrics={"eval_loss": 1.5})
    assert WRITTEN == METRICS
    [curve], notes = made(row(tmp_path))
    assert curve.loss == ((10, 2.0), (20, 2.0)) and not notes
    assert (curve.validation, curve.skipped) == (((20, 1.5),), (20,))


def test_the_figure_draws_what_was_measured(tmp_path):
    folder = one_of_each(tmp_path / "s")
    (folder / "early").mkdir()
    rows = [
        row(folder),
        row(folder / "early"),
        row(student(tmp_path / "t", steps([9.0, 3.0])), "CoT", "cot"),
    ]
    shown = study(made(*rows)[0], rows)
    with rc_context(STYLE):
        figure = losses(shown)
        figure.draw_without_rendering()
    [ax] = figure.axes
    drawn = [list(map(tuple, line.get_xydata())) for line in ax.lines]
    assert list(shown.curves[0].loss) in drawn and [(100, 9.0), (200, 3.0)] in drawn
    assert [(300, 1.5), (600, 0.625)] in drawn
    assert (
        drawn.count([(300, 1.5)]) == 2
    )  # the skipped step and the ring, on the line from 2.0 to 1.0
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in figure.legends[0].texts] == ["agent", "CoT"]
    for file in draw_losses(shown, tmp_path):
        assert file.stat().st_size > 5000
    ElementTree.parse(tmp_path / "loss.svg")


def test_one_step_or_no_loss_left_is_drawn_too(tmp_path):
    for name, values in (("one", [2.0]), ("zero", [0.0, 0.0])):
        rows = [row(student(tmp_path / name, steps(values, trained=0.0)))]
        assert len(draw_losses(study(made(*rows)[0], rows), tmp_path)) == 2


def evaluation(folder, model):
    problem = Problem(id="1", question="q", answers=("1",), benchmark="ones", kind="math")
    run_rollouts(
        [problem], lambda p: make_agent(ScriptedModel(step("So.", "final_answer(1)")), []), folder
    )
    (folder / "run.json").write_text(json.dumps({"settings": {"model": str(model)}}))
    return folder


def test_a_report_shows_the_losses_of_its_students_and_nothing_without_them(tmp_path):
    folder = one_of_each(tmp_path / "s")
    with (folder / METRICS).open("a") as lines:
        lines.write('{"step": 7, "lo')
    shown = report([evaluation(tmp_path / "run", folder)], tmp_path / "report")
    assert [curve.label for curve in shown.curves] == ["agent"]
    assert [note for note in shown.notes if METRICS in note and "line 9 is cut" in note]
    text = (tmp_path / "report" / "report.md").read_text()
    assert "(loss.png)" in text
    told = "- agent: loss 2.5 to 0.5 in 6 steps, 600 tokens trained on, on validation problems 0.625 at best, 1 skipped"
    assert told in text
    assert (tmp_path / "report" / "loss.png").read_bytes().startswith(b"\x89PNG")
    without = report([evaluation(tmp_path / "other", "scripted")], tmp_path / "bare")
    assert not without.curves and not list((tmp_path / "bare").glob("loss.*"))
    assert "Training" not in markdown(without)
