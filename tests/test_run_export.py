"""Exports: a run is told whole, in files that other programs read, with nothing in them that acts or leaks."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

import tools
from agents import Trajectory, make_agent
from agents.chat.conversation import Conversation
from agents.chat.export import as_page, as_rollouts, as_trace
from agents.chat.replay import split, stored_steps
from distill.rollout import Rollout, read_lines
from tools.retrieval import LexicalIndex

from .conftest import PASSAGES
from .scripted import ScriptedModel, step

EVIL = '<img src=x onerror=alert(1)></pre><script>alert(2)</script> & "quoted" <|im_end|>'

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "main", "article"),
    *("h1", "h2", "h3", "p", "details", "summary", "b", "pre", "code", "span"),
}


@pytest.fixture(scope="module")
def turns():
    """Two turns: one with an observation, an error, no code at all, and an answer full of markup; one in Arabic."""
    model = ScriptedModel(
        step("Look for <b>it</b>.", 'print(wiki_search("Lurra")) # </code-not>'),
        step("Divide.", "1 / 0"),
        "Thought: there is no code here.",
        step("Done.", f"final_answer({EVIL!r})"),
        step("مرحبا", 'final_answer("نعم")'),
    )
    tool = tools.load("wiki_search", index=LexicalIndex.build(PASSAGES))
    chat = Conversation(lambda: make_agent(model, [tool]))
    for question in (f"Which river? {EVIL}", "وماذا بعد؟"):
        list(chat.ask(question))
    yield list(chat.turns)
    chat.close()


class Reader(HTMLParser):
    """The elements of a page, with what they ask for, and its text."""

    def __init__(self, page: bytes):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(page.decode())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def test_the_jsonl_is_the_record_that_distill_reads(tmp_path, turns):
    file = as_rollouts(turns)
    assert re.fullmatch(r"conversation-\w+\.jsonl", file.name)
    (tmp_path / file.name).write_bytes(file.content)
    rollouts = list(read_lines(tmp_path / file.name).values())
    assert [r.trajectory for r in rollouts] == [turn.trajectory for turn in turns]
    assert [r.score for r in rollouts] == [None, None]
    assert Rollout.model_validate_json(as_rollouts(turns[:1]).content) is not None


def test_the_trace_is_in_the_hubs_format(turns):
    """As huggingface.co/docs/hub/session-traces-format has it."""
    head, *lines = map(json.loads, as_trace(turns).content.decode().splitlines())
    assert head["type"] == "session" and head["harness"] and head["id"] == turns[0].id
    messages = [line["message"] for line in lines]
    assert all(line["type"] == "message" for line in lines)
    assert {message["role"] for message in messages} <= {"system", "user", "assistant", "tool"}
    assert all(isinstance(message["content"], str) for message in messages)
    calls = [call for message in messages for call in message.get("toolCalls", ())]
    assert len({call["id"] for call in calls}) == len(calls) == 4
    assert "wiki_search" in json.loads(calls[0]["function"]["arguments"])["code"]
    results = {m["toolCallId"]: m["content"] for m in messages if m["role"] == "tool"}
    assert list(results) == [call["id"] for call in calls]
    assert "Lurra is a town" in results[calls[0]["id"]]
    asked = [message["content"] for message in messages if message["role"] == "user"]
    assert asked[0] == turns[0].question and asked[-1] == turns[1].question
    assert messages[-1]["content"] == "نعم"


def test_the_page_tells_the_run_and_holds_nothing_that_acts(turns):
    page = Reader(as_page(turns).content)
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    named = {name for _, attributes in page.elements for name in attributes}
    assert named <= {"lang", "charset", "http-equiv", "content", "name", "class", "dir"}
    text = "".join(page.texts)
    for turn in turns:
        assert turn.question in text and turn.trajectory.answer in text
    for told in ("Look for <b>it</b>.", "Lurra is a town", "ZeroDivisionError", "there is no code"):
        assert told in text
    assert text.count("مرحبا") == 1, "an earlier turn's steps are not told again"


def test_the_page_asks_for_nothing_and_folds_in_a_browser(tmp_path, turns, visit):
    file = tmp_path / "run.html"
    file.write_bytes(as_page(turns).content)
    page = visit(file.as_uri())
    visit.outside[:] = [url for url in visit.outside if url != file.as_uri()]
    assert page.get_by_text("Lurra is a town").is_hidden()
    page.locator("summary", has_text="Step 1").first.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("Lurra is a town").is_visible()
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) != light, "the style is allowed, and knows the dark"


def test_no_key_of_this_machine_is_in_an_export(monkeypatch, turns):
    monkeypatch.setenv("SOME_TOKEN", "ZeroDivisionError")
    for export in (as_rollouts, as_trace, as_page):
        content = export(turns).content.decode()
        assert "ZeroDivisionError" not in content and "***" in content


def test_thought_and_code_are_told_apart_in_every_dialect():
    assert split("Thought: a\n<code>\nx = 1\n</code>") == ("a", "x = 1")
    assert split("Thought: a\n```python\nx = 1\n```", "markdown") == ("a", "x = 1")
    assert split("Thought: a\nCode:\n```py\nx = 1\n```<end_code>", "paper") == ("a", "x = 1")
    assert split("a\n<code>x</code> b <code>y</code>")[1] == "x\n\ny"
    assert split("No code.</code>") == ("No code.", None)


def test_a_run_without_any_step_is_told(turns):
    class Broken:
        id, question = "run", "Why?"
        trajectory = Trajectory(
            question="Why?", messages=(), answer=None, stop="failed", error="OSError: gone",
            model="m", method="agent",
        )  # fmt: skip

    assert not stored_steps(Broken.trajectory)
    for export in (as_rollouts, as_trace, as_page):
        assert b"OSError: gone" in export([Broken]).content
