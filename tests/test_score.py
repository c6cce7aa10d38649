"""Stored rollouts are scored again, by rule or by a judge, and benchmarks prove the scorer."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from distill import __main__ as cli
from distill import score as scoring
from distill.benchmarks import at_hand
from distill.gold import print_proofs, prove
from distill.judge import Judge
from distill.problems import Problem, write_problems
from distill.rollout import read_rollouts
from distill.run import held
from distill.score import rescore
from distill.training_data import decontaminated

from .scripted import ScriptedModel
from .test_study import PROBLEMS, folder, made, rollout

WORDS = [
    Problem(id=str(i), question=f"Which town, {i}?", answers=("Oslo",), benchmark="towns")
    for i in range(3)
]


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


@pytest.fixture
def judged(monkeypatch):
    """A judge that is scripted: what it is asked, it answers in this order."""

    def use(*replies):
        model = ScriptedModel(*replies)
        monkeypatch.setattr(
            scoring, "Judge", lambda name, **settings: Judge(model, workers=1, waits=())
        )
        return model

    return use


def test_wrong_scores_are_put_right_without_running_anything(tmp_path):
    rollouts = [rollout(PROBLEMS[0], "1", score=0.0), rollout(PROBLEMS[1], "100", score=1.0)]
    rollouts += [rollout(PROBLEMS[2], stop="failed", score=1.0), rollout(PROBLEMS[3], None, score=1.0)]  # fmt: skip
    run_ = folder(tmp_path / "a", rollouts, PROBLEMS[:5])
    scored, changes = rescore(run_)
    assert [r.score for r in read_rollouts(run_)] == [1.0, 0.0, 0.0, 0.0]
    assert dict(+changes) == {"now right": 1, "now wrong": 3}
    assert scored.results[0].accuracy == 1 / 5
    assert json.loads((run_ / "results.json").read_text())[0]["accuracy"] == 1 / 5


def test_a_judge_decides_where_words_differ_and_is_named(tmp_path, judged):
    answers = ["oslo", "Oslo, Norway", "Bergen"]
    run_ = folder(tmp_path / "a", [rollout(p, a) for p, a in zip(WORDS, answers, strict=True)], WORDS)  # fmt: skip
    model = judged(
        '{"reason": "the same town", "correct": true}', '{"reason": "another", "correct": false}'
    )
    scored, changes = rescore(run_, judge="m")
    assert [r.score for r in read_rollouts(run_)] == [1.0, 1.0, 0.0]
    assert scored.results[0].scorer == "judge: scripted" and scored.results[0].accuracy == 2 / 3
    assert scored.results[0].exact_match == 1 / 3  # told beside it
    assert len(model.requests) == 2 and changes["undecided"] == 0
    assert "the same town" in (run_ / "verdicts.jsonl").read_text()
    rescore(run_, judge="m")
    assert len(model.requests) == 2  # kept
    scored, _ = rescore(run_)
    assert scored.results[0].scorer == "exact" and scored.results[0].accuracy == 1 / 3


def test_what_the_judge_cannot_decide_is_wrong_told_and_asked_again(tmp_path, judged):
    run_ = folder(tmp_path / "a", [rollout(WORDS[0], "Christiania")], WORDS[:1])
    judged("perhaps", "perhaps", "perhaps")
    done = run("score", run_, "--judge", "m")
    assert done.exit_code == 1 and "could not decide 1" in done.output
    assert [r.score for r in read_rollouts(run_)] == [None]
    study_ = made(run_)
    assert study_.results[0].outcomes == {"undecided": 1} and study_.results[0].accuracy == 0
    assert "could not decide (1 of towns) counts as wrong" in study_.notes[0]
    judged('{"reason": "its old name", "correct": true}')
    done = run("score", run_, "--judge", "m")
    assert done.exit_code == 0 and [r.score for r in read_rollouts(run_)] == [1.0]


def test_mathematics_is_not_for_a_judge(tmp_path, judged):
    run_ = folder(tmp_path / "a", [rollout(PROBLEMS[0], "one")], PROBLEMS[:1])
    model = judged()
    scored, _ = rescore(run_, judge="m")
    assert not model.requests and scored.results[0].accuracy == 1.0


def test_a_folder_in_use_or_without_rollouts_is_refused(tmp_path):
    run_ = folder(tmp_path / "a", [rollout(PROBLEMS[0])])
    lock = held(run_)
    try:
        assert "at work" in run("score", run_).output
    finally:
        lock.release()
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "nowhere"):
        done = run("score", place)
        assert done.exit_code == 2 and "Error: No" in done.output
    assert not (tmp_path / "nowhere").exists()


def test_own_answers_are_right_and_anothers_are_not(capsys):
    golds = [r"\frac{1}{2}", "3", r"(-\infty, 2]", r"\text{east}", r"\dfrac12", "7", "8", "9"]
    problems = [
        Problem(id=str(i), question="q", answers=(gold,), benchmark="golds", kind="math")
        for i, gold in enumerate(golds)
    ]
    proofs = prove(problems, seed=0) + prove(WORDS)
    assert [(p.right, p.n, p.read) for p in proofs] == [(8, 8, 8), (3, 3, 3)]
    assert proofs[0].shuffled <= 2 and proofs[1].shuffled == proofs[1].alike  # all are Oslo
    print_proofs(proofs)
    assert "golds" in capsys.readouterr().out


def test_an_answer_that_is_not_right_for_itself_is_told(tmp_path):
    (tmp_path / "odd.jsonl").write_text(
        '{"id": "1", "question": "q", "answers": ["\\\\frac{1"], "kind": "math"}\n'
    )
    done = run("gold", tmp_path / "odd.jsonl")
    assert done.exit_code == 1 and "its own answer is not right: 1:" in done.output


def test_a_benchmarks_problems_may_come_from_a_file(tmp_path):
    file = tmp_path / "gsm_hard_500_20250507.json"
    examples = [{"id": 0, "question": "2 + 2?", "answer": 4.0, "dataset_name": "GSM-hard"}]
    file.write_text(json.dumps({"metadata": {}, "examples": examples}))
    words = ["evaluate", "--benchmark", "gsm_hard", "--problems", file, "--model", "pocket-teacher"]
    done = run(*words, "--out", tmp_path / "run", "--json")
    assert done.exit_code == 0, done.output
    [result] = json.loads(done.output.splitlines()[-1])["results"]
    assert (result["benchmark"], result["n"]) == ("gsm_hard", 1)
    done = run(
        *[w if w != "gsm_hard" else "gsm_hard,aime" for w in words], "--out", tmp_path / "two"
    )
    assert done.exit_code == 2 and "one benchmark" in done.output


def test_contamination_is_found(tmp_path):
    question = (
        "Ann buys beads of every colour at the old market on Monday; how many has she with her {}?"
    )
    for name, numbers in (("train", (3, 4)), ("test", (4, 5))):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(
                json.dumps({"id": str(n), "question": question.format(n), "answers": ["1"]}) + "\n"
                for n in numbers
            )
        )
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    done = run("contamination", train, "--against", test, "--out", tmp_path / "found", "--json")
    [row] = json.loads(done.output.splitlines()[-1])["rows"]
    assert (row["exact"], row["near"]) == (1, 1)
    assert json.loads((tmp_path / "found" / "contamination.json").read_text())["overlaps"]


def test_training_leaves_out_what_stands_in_a_benchmark_if_asked(tmp_path, capsys):
    write_problems([PROBLEMS[0].model_copy(update={"benchmark": "test"})], tmp_path / "test.jsonl")
    rollouts = [rollout(p) for p in PROBLEMS[:3]]
    against = str(tmp_path / "test.jsonl")
    kept, (found, _) = decontaminated(rollouts, against, False, 0)
    assert kept == rollouts and len(found) == 1  # told, not taken away
    assert "exact" in capsys.readouterr().out
    kept, _ = decontaminated(rollouts, against, True, 0)
    assert kept == rollouts[1:] and "Left out 1 of 3" in capsys.readouterr().out
    with pytest.raises(ValueError, match="nothing is left"):
        decontaminated(rollouts[:1], against, True, 0)
    assert decontaminated(rollouts, "", False, 0) == (rollouts, None)
    with pytest.raises(ValueError, match="--against"):
        decontaminated(rollouts, None, True, 0)  # none of the Hub's is in the cache


def test_pocket_problems_are_looked_for_in_the_pocket_benchmarks():
    assert at_hand({"hops_train"}) == "sums,sums_ood,hops,hops_ood"
