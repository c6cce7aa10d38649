"""Thumbs: written as rollouts that the pipeline reads, once for each run, and only where one was given."""

from __future__ import annotations

import json
import threading

import pytest
from filelock import FileLock

from agents import make_agent
from agents.chat import feedback
from agents.chat.conversation import Conversation
from agents.chat.feedback import give
from distill.encode import turn_weights
from distill.filter import filter_rollouts
from distill.rollout import read_rollouts
from distill.runs import read_run
from distill.scoring import score
from distill.training_data import read_kept, student_messages

from .scripted import ScriptedModel, step

REPLIES = (step("Oba.", 'final_answer("Oba")'), step("Long.", 'print(311)\nfinal_answer("311 km")'))


def conversation(*replies) -> Conversation:
    model = ScriptedModel(*(replies or REPLIES))
    return Conversation(lambda: make_agent(model, [], max_steps=2))


@pytest.fixture(scope="module")
def turns():
    """Two turns of one conversation."""
    chat = conversation()
    for question in ("Which river is Lurra on?", "How long is it?"):
        list(chat.ask(question))
    yield list(chat.turns)
    chat.close()


def test_a_liked_answer_is_a_rollout_that_filter_keeps(tmp_path, turns):
    give(tmp_path, turns[0], True)
    [rollout] = read_rollouts(tmp_path)
    assert rollout.problem.question == "Which river is Lurra on?" and rollout.score == 1.0
    assert (rollout.problem.benchmark, rollout.scorer) == ("chat", "person")
    assert rollout.trajectory == turns[0].trajectory
    assert filter_rollouts(tmp_path) == {"kept": 1}
    assert read_run(tmp_path).rollouts == [rollout]


def test_of_a_later_turn_only_its_own_steps_are_trained_on(tmp_path, turns):
    give(tmp_path, turns[1], True)
    filter_rollouts(tmp_path)
    [rollout] = read_kept([tmp_path])
    [messages] = student_messages([rollout])
    said = [m.content for m in messages if m.role == "assistant"]
    assert "Oba" in said[0] and "311" in said[1]
    assert turn_weights(rollout.trajectory) == [0.0, 1.0]
    assert turn_weights(rollout.trajectory, step_weights={"final": 2, "first": 3}) == [0.0, 2.0]


def test_a_disliked_answer_is_not_kept_and_no_rescoring_takes_it_for_right(tmp_path, turns):
    give(tmp_path, turns[0], False)
    [rollout] = read_rollouts(tmp_path)
    assert rollout.score == score(rollout.problem, rollout.trajectory.answer) == 0.0
    assert score(rollout.problem, "not known") == 0.0
    assert filter_rollouts(tmp_path)["kept"] == 0


def test_a_liked_answer_is_still_right_when_it_is_scored_by_rule(tmp_path, turns):
    give(tmp_path, turns[0], True)
    [rollout] = read_rollouts(tmp_path)
    assert score(rollout.problem, rollout.trajectory.answer) == 1.0


def test_the_right_answer_can_be_told(tmp_path, turns):
    give(tmp_path, turns[0], False, right=" the Ur ")
    [rollout] = read_rollouts(tmp_path)
    assert rollout.problem.answers == ("the Ur",) and rollout.score == 0.0
    with pytest.raises(ValueError, match="at most"):
        give(tmp_path, turns[0], False, right="a" * 5000)


def test_a_changed_thumb_supersedes_and_a_withdrawn_one_leaves_nothing(tmp_path, turns):
    for liked in (True, False):
        give(tmp_path, turns[0], liked)
        give(tmp_path, turns[1], True)
    assert [r.score for r in read_rollouts(tmp_path)] == [0.0, 1.0]
    give(tmp_path, turns[0], None)
    assert [r.problem.question for r in read_rollouts(tmp_path)] == ["How long is it?"]
    assert turns[0].id not in (tmp_path / feedback.FILE).read_text()


def test_nothing_is_written_without_a_thumb(tmp_path, turns):
    give(tmp_path / "chat", turns[0], None)
    assert not (tmp_path / "chat").exists()


def test_a_run_without_an_answer_is_never_kept(tmp_path):
    chat = conversation(step("Hm.", "print(1)"))
    list(chat.ask("What?"))
    give(tmp_path, chat.turns[0], True)
    chat.close()
    [rollout] = read_rollouts(tmp_path)
    assert rollout.trajectory.stop == "max_steps" and rollout.score == 0.0
    assert filter_rollouts(tmp_path, policy="answered")["kept"] == 0


def test_a_half_line_of_a_killed_app_is_cut_off(tmp_path, turns):
    give(tmp_path, turns[0], True)
    file = tmp_path / feedback.FILE
    with file.open("a") as lines:
        lines.write('{"problem": {"id": "' + "x" * 200_000)
    give(tmp_path, turns[1], True)
    assert [r.score for r in read_rollouts(tmp_path)] == [1.0, 1.0]


def test_a_last_line_without_its_end_is_kept(tmp_path, turns):
    file = tmp_path / feedback.FILE
    give(tmp_path, turns[0], True)
    file.write_bytes(file.read_bytes().rstrip())  # as some editors leave it
    give(tmp_path, turns[1], True)
    assert [r.problem.id for r in read_rollouts(tmp_path)] == [turn.id for turn in turns]
    file.write_bytes(file.read_bytes().rstrip())
    give(tmp_path, turns[0], None)
    assert [r.problem.id for r in read_rollouts(tmp_path)] == [turns[1].id]


def test_what_cannot_be_written_is_said_and_a_link_is_left_alone(tmp_path, turns):
    theirs, file = tmp_path / "theirs", tmp_path / feedback.FILE
    theirs.write_text("half a line")
    file.symlink_to(theirs)
    for folder in (theirs, tmp_path):  # a file, and a folder with a link
        with pytest.raises(ValueError, match="could not be stored"):
            give(folder, turns[0], True)
    assert theirs.read_text() == "half a line"


def test_thumbs_at_once_are_all_whole_lines(tmp_path, turns):
    threads = [
        threading.Thread(target=give, args=(tmp_path, turn, liked))
        for turn in turns
        for liked in (True, False, True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / feedback.FILE).read_text().splitlines()
    assert len(lines) == 6 and len(list(read_rollouts(tmp_path))) == 2


def test_a_folder_that_is_being_written_is_said_and_left_alone(tmp_path, turns, monkeypatch):
    monkeypatch.setattr(feedback, "WAIT", 0.0)
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="could not be stored"):
        give(tmp_path, turns[0], True)
    assert not (tmp_path / feedback.FILE).exists()


def test_a_key_of_this_machine_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDENT_API_KEY", 'pass"wörd-123')
    chat = conversation(step("Say it.", "final_answer('the pass\"wörd-123')"))
    list(chat.ask("What is it?"))
    give(tmp_path, chat.turns[0], True)
    chat.close()
    text = (tmp_path / feedback.FILE).read_text()
    assert "wörd-123" not in text and "***" in text
    assert json.loads(text)["problem"]["answers"] == ["the ***"]
