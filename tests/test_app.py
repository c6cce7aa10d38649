"""The chat page: steps as they happen, an answer, nothing shared, nothing rendered that was not meant."""

from __future__ import annotations

import urllib.request

import app
from distill.pocket import hops, sums
from tools.retrieval import open_index
from tools.wiki_search import POCKET

from .scripted import ScriptedModel, step


def cards(*replies, message="Which river?", tools=()):
    return list(app.respond(message, [], model=ScriptedModel(*replies), toolbox=list(tools)))


def test_steps_are_shown_as_they_happen_and_then_the_answer(tool):
    shown = cards(
        step("Look.", 'print(wiki_search("Lurra"))'),
        step("Oba.", 'final_answer("Oba")'),
        tools=[tool],
    )
    titles = [[card.title for card in state] for state in shown]
    assert [len(state) for state in titles] == [1, 2, 3, 3]
    assert titles[1][0].startswith("Step 1") and titles[1][1] == "Thinking"
    first = shown[1][0].text
    assert "Look." in first and "wiki_search" in first and "Lurra is a town" in first
    assert shown[-1][-1].title is None and "**Oba**" in shown[-1][-1].text


def test_a_step_says_how_many_candidates_agreed():
    model = ScriptedModel(
        *[step("Oba.", f"final_answer({text!r})") for text in ("Oba", "oba", "Ur")]
    )
    *_, last = app.respond("Which river?", [], model=model, toolbox=[], samples=3)
    assert "2 of 3 agree" in last[0].title and "**Oba**" in last[-1].text


def test_an_error_is_shown_in_its_step():
    shown = cards(step("Divide.", "1 / 0"), step("Oba.", 'final_answer("Oba")'))
    assert "ZeroDivisionError" in shown[-1][0].text


def test_no_answer_and_a_failure_are_said():
    assert "No answer within 5 steps" in cards(step("Hm.", "print(1)"))[-1][-1].text
    assert "The run failed" in cards(OSError("gone"))[-1][-1].text


def test_an_empty_or_endless_question_is_not_asked():
    model = ScriptedModel("x")
    for message in ("  ", "a" * 5000):
        [[card]] = app.respond(message, [], model=model, toolbox=[])
        assert "Please ask" in card.text
    assert not model.requests


def test_what_a_model_says_is_no_markup():
    text = cards(step("x", 'final_answer("<img src=x> ![a](http://e/x) **b**")'))[-1][-1].text
    assert "![a](" not in text and "<img" not in text.replace("\\<img", "")
    assert app.fenced("a ``` b").startswith("````\n")


def test_the_page_is_served_to_this_machine_alone(tool):
    page = app.build(ScriptedModel("x"), [tool], "scripted")
    _, url, share = page.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", share=False
    )
    try:
        assert url.startswith("http://127.0.0.1:") and share is None
        assert b"smoldistill" in urllib.request.urlopen(url, timeout=60).read()
    finally:
        page.close()


def test_the_examples_can_be_answered_with_what_is_shipped():
    facts = {p.title: p.text for p in open_index(POCKET).passages}
    for example in app.EXAMPLES:
        if problem := hops.parse(example):
            x = problem.entity
            for relation in problem.relations:
                x = hops.read(facts[x], x, relation)
            assert x
        else:
            assert sums.parse(example).answer
