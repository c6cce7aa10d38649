"""A conversation: earlier turns are remembered, and going back undoes memory and Python alike."""

from __future__ import annotations

import threading

import pytest

from agents import Trajectory, load_model, make_agent
from agents.chat.conversation import BOOKMARKS, Conversation
from agents.chat.offer import Offer
from agents.solve import STOPPED, Piece, stream
from agents.template import plain
from distill.pocket.teacher import PocketTeacher

from .scripted import ScriptedModel, step


def conversation(*replies, **settings) -> tuple[Conversation, ScriptedModel]:
    model = ScriptedModel(*replies)
    return Conversation(lambda: make_agent(model, []), **settings), model


def asked(talk: Conversation, question: str, cancelled=None) -> Trajectory:
    *_, trajectory = talk.ask(question, cancelled)
    return trajectory


def test_a_second_question_knows_the_first_and_its_variables():
    talk, model = conversation(
        step("Set.", "x = 2\nfinal_answer(x)"), step("Use.", "final_answer(x + 1)")
    )
    assert asked(talk, "Two?").answer == "2"
    second = asked(talk, "And one more?")
    assert second.answer == "3" and len(second.steps) == 1
    assert "Two?" in model.requests[1][1]["content"]
    assert second.messages[second.steps[0].message].content.startswith("Thought: Use.")
    talk.close()


def test_going_back_undoes_memory_and_variables():
    talk, model = conversation(
        step("Set.", "x = [1]\nfinal_answer(0)"),
        step("Change.", "x.append(2)\ny = 1\nfinal_answer(0)"),
        step("Look.", "print(x, y)"),
        step("Look.", "final_answer(x)"),
    )
    asked(talk, "first")
    asked(talk, "second")
    talk.rewind(1)
    third = asked(talk, "third")
    assert third.answer == "[1]"
    assert "second" not in str(model.requests[-1]) and "first" in str(model.requests[-1])
    assert "`y` is not defined" in str(model.requests[-1])
    talk.rewind(0)
    assert asked(talk, "anew").answer is None  # x is gone, too
    talk.close()


def test_going_back_further_than_python_is_kept_begins_it_anew():
    talk, _ = conversation(step("Set.", "x = 1\nfinal_answer(0)"), step("Look.", "final_answer(x)"))
    for i in range(BOOKMARKS + 2):
        assert asked(talk, str(i)).stop == "answered"
    talk.rewind(1)
    assert [turn.question for turn in talk.turns] == ["0"]
    assert asked(talk, "again").answer is None  # the scripted model goes on asking for x
    talk.close()


def test_without_memory_every_question_is_the_first():
    talk, model = conversation(step("Set.", "final_answer(1)"), remembers=False)
    asked(talk, "first")
    asked(talk, "second")
    assert "first" not in str(model.requests[-1])
    talk.close()


def test_a_failed_question_leaves_no_trace_in_what_the_model_reads():
    talk, model = conversation(OSError("gone"), step("Now.", "final_answer(1)"))
    assert asked(talk, "first").stop == "failed"
    assert asked(talk, "second").answer == "1"
    assert "first" not in str(model.requests[-1]) and "gone" not in str(model.requests[-1])
    talk.close()


def test_pieces_are_the_beginning_of_what_a_step_says():
    model = load_model("pocket")
    agent = make_agent(model, [])
    events = list(stream(agent, "Tom has 3 boxes with 4 pens each. How many pens?", pieces=True))
    said = "".join(event.text for event in events if isinstance(event, Piece))
    words = [m.content for m in events[-1].messages if m.role == "assistant"]
    assert said == "".join(word.removesuffix("</code>") for word in words)


def test_the_pieces_of_one_sample_are_told_of_several():
    model = load_model("pocket")
    agent = make_agent(model, [], samples=3)
    events = list(stream(agent, "Tom has 3 boxes with 4 pens each. How many pens?", pieces=True))
    first = next(i for i, event in enumerate(events) if not isinstance(event, Piece))
    assert "".join(event.text for event in events[:first]).count("Thought:") == 1


def test_stop_ends_code_that_never_would():
    agent = make_agent(
        ScriptedModel(step("Loop.", "print(1)"), step("On.", "while True: pass")), []
    )
    cancelled = threading.Event()
    done = []
    for event in stream(agent, "q", pieces=True, cancelled=cancelled):
        done.append(event)
        cancelled.set()
    assert [type(event).__name__ for event in done] == ["ActionStep", "Trajectory"]
    assert done[-1].stop == "failed" and done[-1].error == STOPPED and len(done[-1].steps) >= 1


def test_stop_ends_a_model_that_is_writing():
    cancelled = threading.Event()
    model = load_model("pocket")
    agent = make_agent(model, [])
    for event in stream(agent, "Who wrote it?", pieces=True, cancelled=cancelled):
        if isinstance(event, Piece) and event.text:
            cancelled.set()
    assert event.error == STOPPED
    assert not model.engine._rows


@pytest.mark.parametrize("samples", [1, 2])
def test_stop_does_not_wait_for_a_model_that_says_nothing(samples):
    asked, never = threading.Event(), threading.Event()

    class Silent(ScriptedModel):
        def generate(self, *args, **settings):
            asked.set()
            never.wait(60)
            return super().generate(*args, **settings)

    cancelled = threading.Event()
    events = stream(
        make_agent(Silent("x"), [], samples=samples), "q", pieces=True, cancelled=cancelled
    )
    threading.Thread(target=lambda: (asked.wait(), cancelled.set()), daemon=True).start()
    assert [event.error for event in events] == [STOPPED]
    never.set()


def test_a_stopped_question_can_be_asked_again():
    talk, model = conversation(step("Done.", "final_answer(1)"))
    stopped = threading.Event()
    stopped.set()
    assert asked(talk, "q", stopped).error == STOPPED and not model.requests
    talk.rewind(0)
    assert asked(talk, "q").answer == "1"
    talk.close()


def test_a_model_without_room_forgets_the_oldest_turns():
    class Small(ScriptedModel):
        context = 1000  # words

        def count(self, messages) -> int:
            return sum(len(message["content"].split()) for message in plain(messages))

    model = Small(step("It is so.", "final_answer(1)"))
    talk = Conversation(lambda: make_agent(model, []))
    for i in range(6):
        assert asked(talk, f"{i}? " + "It rains. " * 50).answer == "1"
    assert 0 < talk.forgotten < 6
    shown = talk.turns[-1].trajectory.messages
    assert sum(message.content.count("New task:") for message in shown) == 6 - talk.forgotten
    talk.rewind(1)
    assert asked(talk, "Again?").answer == "1"
    assert "0?" not in str(model.requests[-1]) and len(talk.turns) == 2
    talk.close()


def test_the_simulated_teacher_answers_the_newest_question():
    talk = Conversation(lambda: make_agent(PocketTeacher(mistakes=0), []))
    for n in (3, 5):
        question = f"Nancy packs {n} boxes with 10 pens each. Then 1 are lost. How many pens are there now?"
        assert asked(talk, question).answer == str(10 * n - 1)
    talk.close()


def test_only_what_is_offered_can_be_had(tool):
    offer = Offer(models=("a",), toolbox=(tool,), loaded={"a": ScriptedModel("x")})
    assert list(offer.agent(tools=["wiki_search"]).tools) == ["wiki_search", "final_answer"]
    assert list(offer.agent(tools=[]).tools) == ["final_answer"]
    with pytest.raises(ValueError, match="No tool 'x'"):
        offer.agent(tools=["x"])
    with pytest.raises(ValueError, match="No model 'b'"):
        offer.agent("b")


def test_a_servers_answer_is_told_as_it_comes(server):
    server.replies = [step("Add.", "final_answer(1 + 1)") + "</code>"]
    events = list(stream(make_agent(load_model(server.name), []), "q", pieces=True))
    pieces = [event.text for event in events if isinstance(event, Piece)]
    assert len([piece for piece in pieces if piece]) > 3
    assert "</code>" not in "".join(pieces)
    assert events[-1].answer == "2" and events[-1].usage.output_tokens > 0


def test_stop_hangs_up_on_the_server(server):
    server.replies, server.hold = [step("Add.", "final_answer(2)")], threading.Event()
    cancelled = threading.Event()
    agent = make_agent(load_model(server.name), [])
    trajectory = None
    for trajectory in stream(agent, "q", pieces=True, cancelled=cancelled):  # noqa: B007
        cancelled.set()
    assert trajectory.error == STOPPED
    assert server.gone.wait(30)


def test_a_server_that_goes_in_mid_answer_is_said_so(server):
    server.replies, server.breaks_after = [step("Add one and one.", "final_answer(2)")], 3
    *pieces, trajectory = stream(
        make_agent(load_model(server.name, retries=0), []), "q", pieces=True
    )
    assert trajectory.stop == "failed" and "broke off" in trajectory.error
    assert any(isinstance(event, Piece) for event in pieces)
