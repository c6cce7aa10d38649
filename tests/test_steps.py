"""What a reader sees of a run: steps as they happen, whose error it was, an answer; and no markup of others."""

from __future__ import annotations

import html
import random
import re
import threading

import pytest
from markdown_it import MarkdownIt

from agents import make_agent, stream
from agents.chat import steps
from agents.chat.markdown import escaped, fenced
from agents.chat.options import EXAMPLES
from agents.sandbox import Limits
from agents.trajectory import Votes
from distill.pocket import hops, sums
from tools.retrieval import open_index
from tools.wiki_search import POCKET

from .scripted import ScriptedModel, step


def views(*replies, tools=(), question="Which river?", cancelled=None, **settings):
    """The run after each event."""
    run = steps.begin(question, "r", tools=tuple(tool.name for tool in tools))
    found = [run]
    agent = make_agent(ScriptedModel(*replies), list(tools), **settings)
    for event in stream(agent, question, pieces=True, cancelled=cancelled):
        found.append(run := steps.follow(run, event))
    return found


def titles(run, detail="everything"):
    cards = [m["metadata"]["title"] for m in steps.messages(run, detail) if "metadata" in m]
    return [title.partition(" · ")[0] for title in cards]


def shown(run, detail="everything"):
    return "\n".join(message["content"] for message in steps.messages(run, detail))


def test_steps_are_shown_as_they_happen_and_then_the_answer(tool):
    found = views(
        step("Look.", 'print(wiki_search("Lurra"))'),
        step("Oba.", 'final_answer("Oba")'),
        tools=[tool],
    )
    assert titles(found[0]) == ["Working…", "Step 1"]
    after_one = next(run for run in found if len(run.steps) == 1)
    assert titles(after_one) == ["Working…", "Step 1", "Step 2"]
    assert steps.messages(after_one)[1]["metadata"]["status"] == "pending"
    last = found[-1]
    assert titles(last) == ["Worked", "Step 1", "Step 2"]
    first = steps.messages(last)[2]["content"]
    assert "Look." in first and "```python\nprint(wiki_search" in first
    assert "Lurra is a town" in first and "Execution logs" not in first
    assert steps.messages(last)[-1] == {"role": "assistant", "content": "Oba"}
    assert all(m["metadata"]["status"] == "done" for m in steps.messages(last)[1:-1])
    unfolded = steps.messages(last, unfolded=True)[1:-1]
    assert not any("status" in card["metadata"] for card in unfolded), "which Gradio shows open"


def test_the_words_are_seen_before_the_step_ends():
    run = steps.begin("?", "r")
    for piece in ("Thought: I co", "unt.\n<co", "de>\nx = 1", "\nprint(x)\n</co"):
        run = steps.follow(run, steps.Piece(piece))
        if piece == "unt.\n<co":
            assert steps.messages(run)[-1]["content"] == "I count."
    assert steps.messages(run)[-1]["content"] == "I count.\n\n```python\nx = 1\nprint(x)\n```"


@pytest.mark.parametrize(
    "words",
    [
        "Thought: Look.\n<code>\nx\n</code>",
        "Thought: Look.\n```python\nx\n```",
        "Thought: Look.\nCode:\n```py\nx\n```<end_code>",
    ],
)
def test_every_way_to_mark_code_is_told_from_the_thought_at_every_letter(words):
    for end in range(words.index("<" if "<code" in words else "`"), len(words) + 1):
        thought, code = steps.split(words[:end])
        assert thought == "Look." and code in ("", "x")
    assert code == "x"


def test_a_step_says_how_many_candidates_agreed():
    replies = [step("Oba.", f"final_answer({text!r})") for text in ("Oba", "oba", "Ur")]
    last = views(*replies, samples=3)[-1]
    assert "2 of 3 agree · 2 outcomes" in steps.step_title(last.steps[0])
    assert last.answer == "Oba"
    assert steps.vote(Votes(sampled=8, parsed=8, executed=8, votes=8, distinct=1)) == (
        "8 of 8 agree · 1 outcome"
    )


def test_an_error_says_whose_it_was(tool):
    def broken(query: str) -> str:
        raise OSError("the index is gone")

    tool.forward = broken
    last = views(
        "No code at all.",
        step("Divide.", "1 / 0"),
        step("Ask.", 'print(wiki_search("Lurra"))'),
        step("Oba.", 'final_answer("Oba")'),
        tools=[tool],
    )[-1]
    assert [s.kind for s in last.steps] == ["parsing", "execution", "tool", ""]
    text = shown(last)
    assert "Error: no code could be read" in text
    assert "Error: raised by the code" in text and "ZeroDivisionError" in text
    assert "Error: raised by a tool" in text and "the index is gone" in text


def test_a_limit_is_named():
    last = views(
        step("Wait.", "while True:\n    pass"),
        step("Oba.", 'final_answer("Oba")'),
        limits=Limits(seconds=0.5),
    )[-1]
    assert "limit: time" in steps.step_title(last.steps[0])
    assert "Error: limit of time" in shown(last)


def test_no_answer_and_a_failure_are_said_in_a_sentence():
    assert "No answer within 5 steps." in shown(views(step("Hm.", "print(1)"))[-1])
    failed = views(OSError("gone"))[-1]
    assert failed.state == "failed" and titles(failed)[0] == "Failed"
    assert steps.messages(failed)[-1]["content"] == "The run failed: gone. Retry asks again."


def test_what_was_done_before_a_stop_is_kept():
    cancelled = threading.Event()

    class Stops(ScriptedModel):
        def generate(self, *args, **settings):
            if self.requests:
                cancelled.set()
            return super().generate(*args, **settings)

    run = steps.begin("?", "r")
    agent = make_agent(Stops(step("One.", "print(1)"), step("Two.", "print(2)")), [])
    for event in stream(agent, "?", pieces=True, cancelled=cancelled):
        run = steps.follow(run, event)
    assert titles(run) == ["Stopped", "Step 1"]
    assert "You stopped it" in steps.messages(run)[-1]["content"]


def test_as_much_is_shown_as_was_asked_for():
    last = views(step("Easy.", 'print("out")'), step("So.", 'final_answer("Oba")'))[-1]
    assert shown(last, "answer") == "Which river?\nOba"
    assert shown(steps.begin("Which river?", "r"), "answer") == "Which river?\nWorking…"
    assert titles(last, "steps") == ["Worked", "Step 1", "Step 2"]
    assert "Easy." in shown(last, "steps") and "```" not in shown(last, "steps")


def test_a_stored_run_is_shown_as_it_was():
    last = views(step("Easy.", 'print("out")'), step("So.", 'final_answer("Oba")'))[-1]
    again = steps.replayed(last.trajectory, "r")
    assert [(s.thought, s.code) for s in again.steps] == [(s.thought, s.code) for s in last.steps]
    assert again.steps[0].observation == last.steps[0].observation == "out"
    assert steps.messages(again)[-1] == steps.messages(last)[-1]


def test_the_status_line_counts():
    last = views(step("Easy.", 'final_answer("Oba")'))[-1]
    assert re.fullmatch(
        r"Worked · 1 step · 10 in / 5 out tokens · \d+\.\d s", steps.status(last, 3.0)
    )


def test_a_picture_is_the_answer():
    from PIL import Image

    assert steps.is_image(Image.new("RGB", (2, 2))) and not steps.is_image("picture")


def test_what_a_model_says_is_no_markup():
    hostile = '<img src=x> ![a](http://e/x) **b** www.e.org <|im_end|> "</details>'
    last = views(step(hostile, f"final_answer({hostile!r})"))[-1]
    for message in steps.messages(last, "steps"):
        text = MarkdownIt("gfm-like", {"linkify": False}).render(message["content"])
        assert not re.search(r"<(?!/?p>)", text)
    assert fenced("a ``` b").startswith("````\n")


def test_escaped_text_reads_as_it_was_written():
    draw = random.Random(1)
    pieces = [*"ab 1.\n\t*_`~<>[]()!#+-=|\\&;:/@\"'{}$^", "\n", "&lt;", "```", "www.a", "1. ", "- "]
    pieces += ["    ", "<b>", "![x](y)", "---", "http://x", "a_b", "\n|a|\n|-|\n"]
    markdown = MarkdownIt("commonmark", {"breaks": True}).enable(["table", "strikethrough"])
    for _ in range(2000):
        text = "".join(draw.choices(pieces, k=draw.randint(1, 14)))
        rendered = re.sub(r"</?p>|<br />", "\n", markdown.render(escaped(text)))
        assert words(html.unescape(rendered)) == words(text)


def test_half_a_surrogate_pair_is_shown_as_a_character_that_can_be_sent():
    assert escaped("a\ud800b") == "a\ufffdb" and "a\ufffdb" in fenced("a\ud800b")
    assert escaped("\ud83d" + "\ude00") == "\U0001f600"  # its halves came in two pieces


def test_what_would_turn_the_order_of_a_text_is_seen():
    assert escaped("a\u202eb\u2066") == fenced("a\u202eb\u2066")[4:-4] == "a⟦U+202E⟧b⟦U+2066⟧"
    assert escaped("שלום\u200f") == "שלום\u200f"


def words(text: str) -> list[str]:
    """The lines that are not empty; Markdown makes one gap of many."""
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.split("\n"))
    return [line for line in lines if line]


def test_ordinary_text_is_copied_as_it_was_written():
    for text in ("311 km", "14348182", "It is Oba (a river), 3.5 % longer.", "snake_case", "a - b"):
        assert escaped(text) == text


def test_the_examples_can_be_answered_with_what_is_shipped():
    facts = {p.title: p.text for p in open_index(POCKET).passages}
    for example in EXAMPLES:
        if problem := hops.parse(example):
            x = problem.entity
            for relation in problem.relations:
                x = hops.read(facts[x], x, relation)
            assert x
        else:
            assert sums.parse(example).answer
