"""What runs amount to: the benchmark is the denominator, and every way not to be right is wrong and counted."""

from __future__ import annotations

import json

import pytest

from agents.trajectory import Step, Trajectory, Usage, Votes
from distill.problems import Problem, read_problems, write_problems
from distill.rollout import Rollout, write_rollouts
from distill.run import run_folder, write_json
from distill.runs import outcome_of, read_run
from distill.study import study

PROBLEMS = [
    Problem(id=str(i), question=f"q{i}", answers=("1",), benchmark="ones", kind="math")
    for i in range(8)
]


def rollout(problem, answer="1", *, stop="answered", attempt=0, steps=(), score=None, **more):
    right = float(stop == "answered" and answer in problem.answers)
    return Rollout(
        problem=problem,
        attempt=attempt,
        trajectory=Trajectory(
            question=problem.question,
            messages=(),
            answer=answer if stop == "answered" else None,
            stop=stop,
            error="gone" if stop == "failed" else None,
            model=more.pop("model", "m"),
            method=more.pop("method", "agent"),
            steps=steps,
            usage=Usage(output_tokens=10),
            **more,
        ),
        score=right if score is None else score,
    )


def folder(path, rollouts, asked=PROBLEMS, *, attempts=1, about=None, **settings):
    """A run's folder, as evaluate leaves it."""
    path.mkdir(parents=True)
    write_rollouts(rollouts, path)
    write_problems(asked, path / "problems.jsonl")
    write_json(
        path / "run.json",
        {
            "settings": {
                "verb": "evaluate",
                "model": "m",
                "method": "agent",
                "seed": 0,
                **settings,
            },
            "about": about or {},
            "asked": {"attempts": attempts, "problems": len(asked)},
        },
    )
    return path


def made(*folders, **settings):
    return study([read_run(folder) for folder in folders], **settings)[0]


def parsing(**more):
    return Step(message=2, error="parsing", **more)


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        ({}, "right"),
        ({"answer": "2"}, "wrong"),
        ({"answer": None}, "none"),
        ({"answer": "None"}, "none"),
        ({"answer": " "}, "none"),
        ({"stop": "failed"}, "failed"),
        ({"stop": "max_steps"}, "steps"),
        ({"stop": "max_steps", "steps": (Step(message=2), parsing())}, "parsing"),
        (
            {"stop": "max_steps", "steps": (parsing(), Step(message=4, error="execution"))},
            "execution",
        ),
        ({"stop": "max_steps", "steps": (parsing(), Step(message=4, limit="run_tokens"))}, "limit"),
        ({"stop": "max_steps", "steps": (parsing(), Step(message=4))}, "steps"),
    ],
)
def test_how_a_rollout_ended_is_told_apart(ended, outcome):
    assert outcome_of(rollout(PROBLEMS[0], **ended)) == outcome


def test_crashed_out_of_steps_and_nothing_are_each_wrong_and_counted_apart(tmp_path):
    ends = [{}, {"stop": "failed"}, {"stop": "max_steps"}, {"answer": None}, {"answer": "2"}]
    rollouts = [rollout(p, **end) for p, end in zip(PROBLEMS, ends, strict=False)]
    [result] = made(folder(tmp_path / "a", rollouts, PROBLEMS[:5])).results
    assert (result.n, result.accuracy) == (5, 0.2)
    assert result.outcomes == {"right": 1, "failed": 1, "steps": 1, "none": 1, "wrong": 1}
    assert (result.answered, result.max_steps, result.failed, result.missing) == (3, 1, 1, 0)


def test_what_never_ran_is_in_the_denominator_and_told(tmp_path):
    study_ = made(folder(tmp_path / "a", [rollout(p) for p in PROBLEMS[:3]]))
    [result] = study_.results
    assert (result.n, result.accuracy, result.missing) == (8, 3 / 8, 5)
    assert "never run (5 of ones) count as wrong" in study_.notes[0]


def test_a_run_that_was_killed_before_its_first_line_is_all_missing(tmp_path):
    [result] = made(folder(tmp_path / "a", [])).results
    assert (result.n, result.accuracy, result.missing) == (8, 0.0, 8)


def test_only_what_was_asked_for_last_counts(tmp_path):
    run = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS], PROBLEMS[:2])
    assert made(run).results[0].n == 2


def test_several_attempts_are_one_problem(tmp_path):
    rollouts = [
        rollout(p, "1" if k < right else str(9 + k), attempt=k)
        for p, right in zip(PROBLEMS[:4], (4, 2, 1, 0), strict=True)
        for k in range(4)
    ]
    [result] = made(folder(tmp_path / "a", rollouts, PROBLEMS[:4], attempts=4)).results
    assert (result.n, result.attempts, result.accuracy) == (4, 4, 7 / 16)
    assert result.pass_at == pytest.approx({1: 7 / 16, 2: (1 + 5 / 6 + 1 / 2 + 0) / 4, 4: 3 / 4})
    # Of two right and two wrong in two ways the right ones are the majority; of one right, the first, too.
    assert result.majority_at[4] == 3 / 4
    assert result.majority_at[1] == result.pass_at[1]  # whichever it is


def test_seeds_are_repetitions_with_their_spread(tmp_path):
    a = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS], seed=1)
    b = folder(
        tmp_path / "b", [rollout(p, "1" if i < 4 else "2") for i, p in enumerate(PROBLEMS)], seed=2
    )
    study_ = made(a, b)
    [result] = study_.results
    assert result.accuracies == (1.0, 0.5) and result.accuracy == 0.75 and result.n == 8
    assert result.spread == pytest.approx(0.35355, abs=1e-4)
    assert study_.rows[0].runs == (str(a), str(b))


def test_students_of_one_name_are_repetitions(tmp_path):
    about = {"name": "mine", "base": "b", "distilled": True}
    a = folder(tmp_path / "a", [rollout(p, model="s0") for p in PROBLEMS], about=about, model="s0")
    b = folder(tmp_path / "b", [rollout(p, model="s1") for p in PROBLEMS], about=about, model="s1")
    assert len(made(a, b).rows) == 1


def test_other_settings_are_another_row_that_says_so(tmp_path):
    a = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS], max_steps=5, sequential=False)
    b = folder(tmp_path / "b", [rollout(p, "2") for p in PROBLEMS], max_steps=3, sequential=True)
    study_ = made(a, b)
    assert {row.label for row in study_.rows} == {
        "agent [max_steps=5, sequential=not set]",
        "agent [max_steps=3, sequential=True]",
    }
    [pair] = study_.comparisons
    assert abs(pair.difference) == 1.0


def test_one_way_on_several_benchmarks_is_one_row(tmp_path):
    twos = [p.model_copy(update={"benchmark": "twos"}) for p in PROBLEMS]
    a = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS])
    b = folder(tmp_path / "b", [rollout(p) for p in twos], twos)
    study_ = made(a, b)
    assert len(study_.rows) == 1 and [r.benchmark for r in study_.results] == ["ones", "twos"]


def test_the_same_id_in_two_benchmarks_is_two_problems(tmp_path):
    twos = [p.model_copy(update={"benchmark": "twos"}) for p in PROBLEMS]
    both = folder(
        tmp_path / "a",
        [rollout(p, "2") for p in PROBLEMS] + [rollout(p) for p in twos],
        PROBLEMS + twos,
    )
    assert [r.accuracy for r in made(both).results] == [0.0, 1.0]


def test_a_model_that_was_not_distilled_is_prompted_and_a_teacher_is_the_teacher(tmp_path):
    base = folder(
        tmp_path / "base",
        [rollout(p) for p in PROBLEMS],
        about={"distilled": False, "base": "Q-1B"},
        model="Q-1B",
    )
    teacher = folder(
        tmp_path / "t",
        [rollout(p, model="T-32B") for p in PROBLEMS],
        about={"distilled": False},
        model="T-32B",
    )
    study_ = made(base, teacher, teachers=[teacher])
    assert [row.label for row in study_.rows] == ["agent (teacher)", "base agent (prompted)"]
    assert [row.parameters for row in study_.rows] == [32_000_000_000, 1_000_000_000]


def test_words_have_exact_match_and_f1(tmp_path):
    asked = [
        Problem(id=i, question="q", answers=("New York City", "NYC"), benchmark="w") for i in "abc"
    ]
    answers = ["nyc", "York City", "no"]
    rollouts = [rollout(p, a, score=float(a == "nyc")) for p, a in zip(asked, answers, strict=True)]
    [result] = made(folder(tmp_path / "a", rollouts, asked)).results
    assert result.exact_match == pytest.approx(1 / 3) and result.f1 == pytest.approx((1 + 0.8) / 3)


def test_votes_are_averaged_over_steps(tmp_path):
    def step(agreement, sampled):
        return Step(
            message=2,
            votes=Votes(
                sampled=sampled, parsed=1, executed=1, votes=1, distinct=1, agreement=agreement
            ),
        )

    rollouts = [rollout(PROBLEMS[0], samples=8, steps=(step(1.0, 4), step(0.5, 8)))]
    [result] = made(folder(tmp_path / "a", rollouts, PROBLEMS[:1])).results
    assert (result.agreement, result.sampled) == (0.75, 6.0)


def test_names_are_as_short_as_they_can_be_told_apart(tmp_path):
    runs = [
        folder(tmp_path / name, [rollout(p, model=model) for p in PROBLEMS], model=model)
        for name, model in (("a", "runs/one/student"), ("b", "runs/two/student"))
    ]
    assert {row.name for row in made(*runs).rows} == {"one/student", "two/student"}


def test_a_folder_of_another_program_is_refused(tmp_path):
    run = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS])
    (run / "run.json").write_text(json.dumps([1]))
    with pytest.raises(ValueError, match="not written by smoldistill"):
        read_run(run)


def test_a_folder_that_was_forced_on_with_other_settings_says_so(tmp_path):
    for steps in (5, 3):
        with run_folder(tmp_path / "a", "evaluate", {"max_steps": steps}, force=steps == 3):
            write_rollouts([rollout(p) for p in PROBLEMS], tmp_path / "a")
    [note] = made(tmp_path / "a").notes
    assert "other settings (max_steps) by --force" in note


def other(problem, **more):
    """Another problem with the same id."""
    return problem.model_copy(update={"question": "another " + problem.question, **more})


def test_what_answered_another_question_of_the_same_id_does_not_count(tmp_path):
    asked = [other(p, answers=("9",)) for p in PROBLEMS]
    [result] = made(folder(tmp_path / "a", [rollout(p) for p in PROBLEMS], asked)).results
    assert (result.accuracy, result.n, result.missing) == (0.0, 8, 8)


def test_problems_that_share_an_id_alone_are_not_paired(tmp_path):
    a = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS])
    others = [other(p) for p in PROBLEMS]
    b = folder(tmp_path / "b", [rollout(p, "2", model="m2") for p in others], others, model="m2")
    study_ = made(a, b)
    assert study_.comparisons == ()
    assert "some have the same ids and other questions" in study_.notes[0]


def test_runs_of_other_problems_are_no_repetitions(tmp_path):
    others = [other(p) for p in PROBLEMS]
    a = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS], seed=1)
    b = folder(tmp_path / "b", [rollout(p, "2") for p in others], others, seed=2)
    study_ = made(a, b)
    assert [(r.n, r.accuracy, r.accuracies) for r in study_.results] == [(8, 1.0, ()), (8, 0.0, ())]
    assert {row.label for row in study_.rows} == {f"agent [run={a}]", f"agent [run={b}]"}


def test_what_was_hardly_run_is_not_called_worse(tmp_path):
    a = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS])
    b = folder(tmp_path / "b", [rollout(PROBLEMS[0], model="m2")], model="m2")
    study_ = made(a, b)
    assert study_.comparisons == () and "not compared on that benchmark" in study_.notes[0]


def test_what_a_student_was_trained_on_is_told(tmp_path):
    student = tmp_path / "student"
    student.mkdir()
    write_json(
        student / "run.json",
        {"settings": {"verb": "train", "student": "b", "drop_contaminated": False}},
    )
    write_json(student / "contamination.json", {"rows": [{"benchmark": "ones", "exact": 3}]})
    run = folder(
        tmp_path / "a", [rollout(p, model=str(student)) for p in PROBLEMS], model=str(student)
    )
    assert "to the word were trained on (3 of ones)" in made(run).notes[0]


def test_odd_repetitions_are_told(tmp_path):
    about = {"name": "mine", "base": "b", "distilled": True}
    a, b, c = (
        folder(tmp_path / m, [rollout(p, model=m) for p in PROBLEMS], about=about, model=m)
        for m in ("s0", "s1", "s2")
    )
    assert "its repetitions are of 3 models, s0, s1, s2." in made(a, b, c).notes[0]
    d = folder(tmp_path / "d", [rollout(p, model="s0") for p in PROBLEMS], about=about, model="s0")
    assert any("have the same seed" in note for note in made(a, d).notes)


def test_a_name_does_not_join_students_of_different_bases(tmp_path):
    runs = [
        folder(
            tmp_path / m,
            [rollout(p, model=m) for p in PROBLEMS],
            about={"name": "X", "base": m},
            model=m,
        )
        for m in ("one", "two")
    ]
    assert len(made(*runs).rows) == 2


def test_judged_and_exact_runs_are_not_repetitions(tmp_path):
    judged = [
        rollout(p, "2", score=1.0).model_copy(update={"scorer": "judge: j"}) for p in PROBLEMS
    ]
    a, b = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS]), folder(tmp_path / "b", judged)
    study_ = made(a, b)
    assert len(study_.rows) == 2 and any("scorer=judge: j" in row.label for row in study_.rows)
    assert "ones was scored by exact and by judge: j; rows" in study_.notes[0]


def test_under_force_the_model_that_answered_is_named(tmp_path):
    for model in ("alpha", "beta"):
        with run_folder(tmp_path / "a", "evaluate", {"model": model}, force=model == "beta"):
            write_rollouts([rollout(p, model="alpha") for p in PROBLEMS], tmp_path / "a")
    assert made(tmp_path / "a").rows[0].model == "alpha"


def test_a_majority_is_of_the_first_attempts_not_of_those_there(tmp_path):
    rollouts = [rollout(p, attempt=3) for p in PROBLEMS]
    [result] = made(folder(tmp_path / "a", rollouts, attempts=4)).results
    assert result.majority_at == {1: 0.25, 2: 0.5, 4: 1.0} and result.accuracy == 0.25


def test_a_cut_file_of_problems_is_no_smaller_benchmark(tmp_path):
    run = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS[:2]])
    file = run / "problems.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(ValueError, match="holds 2 of the 8 problems"):
        read_run(run)
    file.unlink()
    with pytest.raises(ValueError, match="No problems file"):
        read_run(run)


@pytest.mark.parametrize(
    "broken",
    [
        {"asked": {"attempts": 0}}, {"asked": {"attempts": "4"}}, {"asked": {"attempts": 10**18}}, {"about": "x"},
        {"about": {"name": 5}}, {"before": "x"}, {"settings": []}, [], None, "cut",
    ],
)  # fmt: skip
def test_a_broken_run_file_is_one_sentence(tmp_path, broken):
    run = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS])
    text = (run / "run.json").read_text()
    whole = {**json.loads(text), **broken} if isinstance(broken, dict) else broken
    (run / "run.json").write_text(text[:50] if broken == "cut" else json.dumps(whole))
    with pytest.raises(ValueError, match=r"run\.json was not written by smoldistill"):
        read_run(run)


def test_a_point_needs_an_answer(tmp_path):
    [result] = made(
        folder(tmp_path / "a", [rollout(p, stop="max_steps", score=1.0) for p in PROBLEMS])
    ).results
    assert result.accuracy == 0.0


def test_problems_without_a_benchmark_are_those_of_one(tmp_path):
    lines = [
        '{"id": "1", "question": "a", "answers": ["5"]}',
        '{"id": "1", "question": "b", "answers": ["5"], "benchmark": "problems"}',
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="stands twice"):
        list(read_problems(tmp_path / "p.jsonl"))


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path):
    run = folder(tmp_path / "a", [rollout(p) for p in PROBLEMS], model="m\x1b[2J\nx")
    assert made(run).rows[0].name == "m\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}x"
