"""The chat page in a real browser: everything a visitor can do there, and what they do to each other (nothing)."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from smolagents import Model, tool
from smolagents.models import ChatMessage, MessageRole
from smolagents.monitoring import TokenUsage

from agents import load_model
from agents.chat import asking
from agents.chat.asking import Choice, Making
from agents.chat.chat_tab import NEW
from agents.chat.conversation import Conversation
from agents.chat.offer import Offer
from agents.chat.page import build, launching
from agents.chat.rules import Rules
from agents.chat.visitors import EXPIRED, Visitors
from agents.sandbox import Limits
from agents.template import plain

from .browser import PHONE, served
from .scripted import step

MARKUP = "<img src=x onerror=alert(1)> ![a](http://127.0.0.2:9/x) **b** <|im_end|> $5 and $6"
RTL = "שלום עולם"


@tool
def painted(colour: str) -> object:
    """A picture of one colour.

    Args:
        colour: its name
    """
    from PIL import Image

    return Image.new("RGB", (8, 8), colour)


class Parrot(Model):
    """It does what the last question says: "say X", "set x to 3", "tell x", "loop", "hold", …; word by word."""

    tells = True

    def __init__(self):
        super().__init__(model_id="parrot")
        self.told = ""
        self.hold = threading.Event()
        """Held questions go on once it is set."""
        self.held = threading.Semaphore(0)
        """Counts those that have come to their hold."""

    def generate(
        self, messages, stop_sequences=None, told=None, cancelled=None, **_
    ) -> ChatMessage:
        told_so_far = [message["content"] for message in plain(messages)]
        turns = "\n".join(told_so_far).split("New task:\n")
        question, first = turns[-1], "New task:\n" in told_so_far[-1]
        if not first:
            question = question.partition("\nThought:")[0].rstrip("\n")
        text = ""
        for word in re.findall(r"\s*\S+", self.reply(question, first, len(turns) - 1)):
            text += word
            if told:
                told(word)
            if question == "hold" and "half" in word:
                self.held.release()
                while not (cancelled.is_set() or self.hold.wait(0.02)):
                    pass
            if cancelled and cancelled.is_set():
                break
        return ChatMessage(
            MessageRole.ASSISTANT,
            text,
            raw={"finish_reason": "stop"},
            token_usage=TokenUsage(10, 5),
        )

    def again(self) -> str:
        """Another text each time, so that an answer is seen to be new."""
        self.told += "!"
        return self.told

    def reply(self, question: str, first: bool, turns: int) -> str:
        verb, _, rest = question.partition(" ")
        if verb == "set":
            return step("Kept.", f"{rest.replace(' to ', ' = ')}\nfinal_answer('kept')")
        if verb == "tell":
            return step(
                "Look it up.", f"final_answer(f'{rest} is {{{rest}}}, turn {turns}{self.again()}')"
            )
        if verb == "loop" and first:
            return step("Round and round.", "import time\nwhile True:\n    time.sleep(0.01)")
        if verb == "wrong" and first:
            return step("Divide.", "print('before')\n1 / 0")
        if verb == "paint":
            return step("Paint.", f"final_answer(painted({rest!r}))")
        if verb == "hold":
            return step("I have half of it.", "final_answer('whole')")
        return step(f"I say {rest}", f"final_answer({rest!r})")


@contextmanager
def page_of(model=None, rules=Rules(), clock=time.monotonic, **offered):  # noqa: B008 - frozen
    """The address of a page and its visitors."""
    # Models behind a server are taken to remember a conversation.
    names = ("http://parrot", "http://other")
    limits = {"limits": Limits(seconds=240)}
    offer = Offer(names, settings=limits, loaded=dict.fromkeys(names, model), **offered)
    visitors = Visitors(lambda: Conversation(offer.agent), rules, clock)
    try:
        with served(build(offer, visitors), **launching(rules)) as url:
            yield url, visitors
    finally:
        visitors.close()


@pytest.fixture(scope="module")
def parrot():
    return Parrot()


@pytest.fixture(scope="module")
def shared(parrot, tmp_path_factory):
    rules = Rules(runs=12, per_minute=999, per_minute_address=999)
    feedback = tmp_path_factory.mktemp("chat")
    with page_of(
        parrot, rules, toolbox=(painted,), examples=("say example",), feedback=feedback
    ) as (url, visitors):
        yield url, visitors, feedback


@pytest.fixture
def url(shared):
    return shared[0]


def ask(page, text: str, until: str | None = "Answered.") -> None:
    """until: what the status line says then, once the question was taken; None: do not wait."""
    from playwright.sync_api import expect

    box = page.locator("#box textarea")
    box.fill(text)
    box.press("Enter")
    if until:
        expect(box).to_have_value("")
        sees(page, "#usage", until)


def sees(page, where: str, text, **settings) -> None:
    from playwright.sync_api import expect

    expect(page.locator(where)).to_contain_text(text, **settings)


def answers(page) -> list[str]:
    """The last words of each run."""
    return page.locator("#chat .bot-row").evaluate_all(
        "rows => rows.map(r => [...r.querySelectorAll('[data-testid=bot]')].at(-1).innerText.trim())"
    )


def settings(page):
    """Open them; on a wide page they are."""
    page.wait_for_selector("#settings .toggle-button[aria-label]")
    if page.viewport_size["width"] < 1100 and not page.locator("#settings.open").count():
        page.click("#settings .toggle-button")
    page.wait_for_selector("#settings.open")


def test_a_question_is_answered_and_its_steps_are_seen_and_fold(url, visit):
    page = visit(url)
    ask(page, "wrong once")
    assert answers(page) == ["once"]
    sees(page, "#chat .title >> nth=0", "Worked · 2 steps · 30 tokens")
    sees(page, "#chat", "ZeroDivisionError")
    sees(page, "#chat", "Error: raised by the code")
    page.click("#chat .title >> text=Worked · 2 steps")
    page.wait_for_function("document.querySelectorAll('#chat .title').length == 1")
    page.click("#chat .title >> text=Worked · 2 steps")
    page.wait_for_selector("#chat .title >> text=Step 2")
    assert page.locator("#chat pre .token").count() > 0, "code is highlighted"


def test_words_are_seen_as_they_are_written_and_a_stop_keeps_them(url, visit, parrot):
    page = visit(url)
    ask(page, "hold", until="Working")
    sees(page, "#chat", "I have half")
    page.fill("#box textarea", "typed meanwhile")
    page.press("#box textarea", "Enter")
    page.press("#box textarea", "Escape")
    sees(page, "#usage", "Stopped")
    sees(page, "#chat", "You stopped it.")
    assert page.input_value("#box textarea") == "typed meanwhile"
    assert page.locator("#chat .loading-spinner").count() == 0
    sees(page, "#chat", "I have half")
    ask(page, "say on")
    assert answers(page)[-1] == "on"


def test_ten_visitors_get_their_own_answers_while_one_loops_for_ever(url, shared, parrot, visit):
    looping, page = (visit(url, size=(600, 500)) for _ in range(2))
    ask(looping, "loop for ever", until="Working")
    ask(page, "set x to 9", until=None)
    with ThreadPoolExecutor(8) as others:  # as the page asks for each of its visitors
        told = list(others.map(lambda n: asked_in_turn(shared, parrot, n), range(8)))
    assert [answer.rstrip("!") for answer in told] == [f"x is {n}, turn 2" for n in range(8)]
    sees(page, "#usage", "Answered.")
    ask(page, "tell x", until=None)
    sees(page, "#chat", "x is 9, turn 2")
    assert answers(page)[0] == "kept" and len(answers(page)) == 2
    sees(looping, "#usage", "Working")
    looping.click("#box .stop-button")
    sees(looping, "#usage", "Stopped")


def asked_in_turn(shared, parrot, n: int) -> str:
    """The answer that a visitor gets to the second of two questions, the first of which sets a variable."""
    _, visitors, _ = shared
    offer = Offer(("http://parrot",), loaded={"http://parrot": parrot})
    choice = Choice("http://parrot", (), 5, 1, None, remembers=True)
    making, visitor = Making(offer, visitors.rules, choice), visitors.get()

    async def last(question: str, after: int) -> str:
        states = asking.ask(visitors, visitor, making, question, after=after)
        return [run async for run, _ in states][-1].answer

    assert asyncio.run(last(f"set x to {n}", 0)) == "kept"
    return asyncio.run(last("tell x", 1))


def test_five_tabs_of_one_visitor_do_not_meet(url, visit):
    first = visit(url, size=(600, 500))
    tabs = [first, *(visit.tab(first, url) for _ in range(4))]
    for n, page in enumerate(tabs):
        ask(page, f"say tab {n}", until=None)
    for n, page in enumerate(tabs):
        sees(page, "#usage", "Answered.")
        assert answers(page) == [f"tab {n}"]


def test_a_tab_that_is_closed_stops_its_run(shared, visit, parrot):
    url, visitors, _ = shared
    page = visit(url, size=(600, 500))
    ask(page, "hold", until="Working")
    sees(page, "#chat", "I have half")
    [busy] = [v for v in visitors._known.values() if v.busy]
    [cancelled] = busy.running
    page.close()
    assert cancelled.wait(30)


def test_retry_undo_and_edit_take_the_memory_along(url, visit):
    page = visit(url)
    ask(page, "set x to 1")
    ask(page, "tell x")
    before = answers(page)[-1].removeprefix("x is 1, turn 2")
    page.locator("#chat button[aria-label=Retry]").last.click()
    # The turn that is asked again is forgotten first.
    sees(page, "#chat", f"x is 1, turn 2{before}!")
    sees(page, "#usage", "Answered.")
    page.locator("#chat button[aria-label=Undo]").last.click()
    sees(page, "#usage", "Taken back")
    assert page.input_value("#box textarea") == "tell x" and answers(page) == ["kept"]
    page.locator("#chat button[aria-label=Edit]").first.click()
    page.locator("#chat textarea").fill("set x to 7")
    page.locator("#chat button[aria-label=Submit]").click()
    sees(page, "#chat", "set x to 7")
    sees(page, "#usage", "Answered.")
    ask(page, "tell x", until=None)
    sees(page, "#chat", "x is 7, turn 2")


def test_without_memory_each_question_stands_alone_and_the_past_stays_on_the_page(url, visit):
    page = visit(url)
    settings(page)
    page.uncheck("#remembers input")
    ask(page, "set x to 1")
    page.uncheck("#tools input")
    sees(page, "#usage", "These settings hold from the next question.")
    ask(page, "tell x", until="No answer within 5 steps.")
    assert answers(page) == ["kept", "No answer within 5 steps."]


def test_another_setting_begins_a_new_conversation_below_the_old_one(url, visit):
    page = visit(url)
    page.wait_for_selector("#chat .placeholder-content >> text=painted")
    page.uncheck("#tools input")
    page.wait_for_selector("#chat .placeholder-content >> text=and has Python.")
    ask(page, "set x to 1")
    page.get_by_label("Model").click()
    page.get_by_role("option", name="other").click()
    sees(page, "#usage", "begins a new conversation")
    ask(page, "set y to 2")
    sees(page, "#chat .bot-row >> nth=1", NEW)
    assert answers(page) == ["kept", "kept"] and "set x to 1" in page.inner_text("#chat")
    ask(page, "tell y")
    assert answers(page)[-1].startswith("y is 2, turn 2"), "the turns above are none of it"
    for kept in (2, 1):  # one more is taken back than the new conversation has
        page.locator("#chat button[aria-label=Undo]").last.click()
        page.wait_for_function(f"document.querySelectorAll('#chat .bot-row').length == {kept}")
    ask(page, "tell turns", until="No answer")
    sees(page, "#chat .bot-row >> nth=1", NEW)


def test_a_new_chat_is_empty_even_while_one_runs(url, visit):
    page = visit(url)
    ask(page, "hold", until="Working")
    settings(page)
    page.click("#new")
    sees(page, "#usage", "Ready")
    page.wait_for_selector("#box .submit-button")
    page.get_by_role("button", name="say example").click()  # an example stands there again
    sees(page, "#usage", "Answered.")
    assert answers(page) == ["example"]


def test_less_is_shown_of_what_has_been_when_less_is_asked_for(url, visit):
    page = visit(url)
    ask(page, "say hello")
    assert page.locator("#chat .title").count() == 2
    settings(page)
    page.get_by_label("Steps", exact=True).check()
    page.wait_for_function("!document.querySelector('#chat pre')")
    sees(page, "#chat .thought-group .thought-group", "I say hello")
    answer_only = page.get_by_label("Answer only")
    answer_only.check()
    page.wait_for_function("!document.querySelector('#chat .title')")
    assert answers(page) == ["hello"]
    answer_only.hover()
    assert answer_only.evaluate("radio => getComputedStyle(radio).backgroundImage") != "none"
    ask(page, "say so", until="1 step · 10 in / 5 out tokens")


def test_thumbs_are_written_down_and_runs_are_saved(shared, visit):
    url, _, feedback = shared
    page = visit(url)
    ask(page, "say good")
    with page.expect_response(lambda r: "queue/join" in r.url or "/run/" in r.url):
        page.click("#chat button[aria-label=Like]")
    file, deadline = feedback / "rollouts.jsonl", time.monotonic() + 30
    while not (file.is_file() and file.read_text()) and time.monotonic() < deadline:
        page.wait_for_timeout(20)  # the browser goes on meanwhile
    [line] = file.read_text().splitlines()
    assert (
        json.loads(line)["score"] == 1.0 and json.loads(line)["problem"]["question"] == "say good"
    )
    ask(page, "say more")
    page.wait_for_selector("#chat button[aria-label=Like]")
    assert page.locator("#chat button[aria-label=Liked]").count() == 1
    settings(page)
    for button, end, inside in (
        ("#save-page", ".html", "<details"),
        ("#save-data", ".jsonl", "good"),
    ):
        with page.expect_download() as saving:
            page.click(button)
        assert saving.value.suggested_filename.endswith(end)
        assert inside in saving.value.path().read_text()


def test_text_of_others_is_text(url, visit):
    page = visit(url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, f"say {MARKUP}")
    assert answers(page) == [MARKUP]
    assert page.locator("#chat [data-testid=user]").inner_text().strip() == f"say {MARKUP}"
    assert page.locator("#chat :is([data-testid=bot], [data-testid=user]) :is(img, a)").count() == 0
    page.locator("#chat button[aria-label='Copy message']").last.click()
    assert page.evaluate("navigator.clipboard.readText()") == MARKUP
    ask(page, f"say {RTL}\u202e")
    sees(page, "#chat", RTL)
    sees(page, "#chat", "left out")
    ask(page, "say \\(x^2\\)")
    page.wait_for_selector("#chat .bot-row .katex")
    page.locator("#chat button[aria-label='Copy message']").last.click()
    assert page.evaluate("navigator.clipboard.readText()") == "\\(x^2\\)"


def test_a_message_that_is_refused_stays_in_the_box(url, visit):
    page = visit(url)
    page.wait_for_selector("#box textarea")
    page.evaluate(
        "() => { const box = document.querySelector('#box textarea'); box.value = 'a'.repeat(1_000_000);"
        " box.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    page.press("#box textarea", "Enter")
    sees(page, ".toast-wrap", "Your message has 1,000,000 characters; at most 4,000 are taken.")
    assert len(page.input_value("#box textarea")) == 1_000_000
    ask(page, "say short")
    assert answers(page) == ["short"]


def test_a_message_is_edited_as_it_was_written_and_a_refused_edit_is_taken_back(url, visit):
    page = visit(url)
    text = "say a*b <b> \\alpha &lt; [x]"
    ask(page, text)
    edit = page.locator("#chat button[aria-label=Edit]")
    edit.click()
    box = page.locator("#chat textarea[data-plain]")
    assert box.input_value() == text
    box.fill(f"say {'a' * 5000}")
    page.locator("#chat button[aria-label=Submit]").click()
    sees(page, ".toast-wrap", "5,004 characters")
    sees(page, "#chat [data-testid=user]", text)
    assert len(page.input_value("#box textarea")) == 5004, "what was written is kept"
    edit.click()
    box.fill("say \\* &amp;")
    page.locator("#chat button[aria-label=Submit]").click()
    sees(page, "#chat .bot-row", "\\* &amp;")


def test_what_is_shown_is_as_chosen_while_it_ran(url, visit, parrot):
    page = visit(url)
    page.click("#save-page")
    sees(page, "#usage", "There is nothing to save yet.")
    ask(page, "say hello")
    parrot.hold.clear()
    ask(page, "hold", until="Working")
    sees(page, "#chat", "I have half")
    refused = page.locator(
        "#chat button:is([aria-label=Retry], [aria-label=Undo], [aria-label=Edit])"
    )
    assert not any(button.is_visible() for button in refused.all())
    page.get_by_label("Answer only").check()
    parrot.hold.set()
    sees(page, "#usage", "Answered.")
    page.wait_for_function("!document.querySelector('#chat .title')")
    parrot.hold.clear()
    assert answers(page) == ["hello", "whole"]


def test_a_picture_is_shown(url, visit):
    page = visit(url)
    ask(page, "paint red")
    page.wait_for_selector("#chat .bot-row img")


def test_the_queue_says_the_place_and_hands_back_what_it_cannot_take(parrot, visit):
    from playwright.sync_api import expect

    parrot.hold.clear()
    with page_of(parrot, Rules(runs=1, waiting=1)) as (url, _):
        first, second, third = (visit(url, size=(600, 500)) for _ in range(3))
        ask(first, "hold", until="Working")
        sees(first, "#chat", "I have half")
        ask(second, "say second", until=None)
        sees(second, "#usage", "queue: 1/1")
        ask(third, "say third", until=None)
        sees(third, ".toast-wrap", "busy")
        second.press("#box textarea", "Escape")  # gives up its place
        expect(second.locator("#withdraw")).to_be_hidden()
        assert second.input_value("#box textarea") == "say second" and answers(second) == []
        ask(second, "say second, again", until=None)
        sees(second, "#usage", "queue: 1/1")
        assert third.input_value("#box textarea") == "say third"
        assert all("503" in error for error in visit.errors)
        visit.errors.clear()  # that the browser notes it is right
        parrot.hold.set()
        sees(second, "#usage", "Answered.")
        assert answers(first) == ["whole"] and answers(second) == ["second, again"]
    parrot.hold.clear()


def test_who_comes_back_too_late_is_told_that_all_is_forgotten(parrot, visit):
    away = 0.0
    with page_of(parrot, clock=lambda: time.monotonic() + away) as (url, visitors):
        page = visit(url)
        ask(page, "set x to 1")
        away = 4000.0
        ask(page, "say back", until=None)
        sees(page, "#chat", EXPIRED)
        sees(page, "#usage", "Answered.")
        assert answers(page)[-1] == "back" and len(visitors) == 1


def test_a_model_server_that_goes_down_in_mid_answer_is_said_and_retry_works(server, visit):
    server.replies = [step("I think of Oba.", "final_answer('Oba')")]
    server.breaks_after = 3
    with page_of(load_model(server.name)) as (url, _):
        page = visit(url)
        ask(page, "Which river?", until="The run failed")
        sees(page, "#chat", "The run failed:")
        assert "http" not in answers(page)[-1] and "\n" not in answers(page)[-1]
        server.breaks_after = None
        page.locator("#chat button[aria-label=Retry]").last.click()
        sees(page, "#usage", "Answered.")
        assert answers(page) == ["Oba"]


def test_it_fits_a_phone_and_goes_by_keyboard(url, visit):
    page = visit(url, size=PHONE, color_scheme="dark", reduced_motion="reduce")
    page.wait_for_selector("#box textarea")
    assert page.locator("#settings.open").count() == 0
    page.keyboard.type("say")  # the box has the focus
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two lines")
    assert page.input_value("#box textarea") == "say\ntwo lines"
    page.fill("#box textarea", f"say {'long' * 60}")
    page.keyboard.press("Enter")
    sees(page, "#usage", "Answered.")
    wide = "document.documentElement.scrollWidth <= innerWidth"
    high = "document.documentElement.scrollHeight <= innerHeight + 1"
    page.wait_for_function(f"{wide} && {high}")
    title = page.locator("#chat .title").first
    title.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#chat .title[aria-expanded=false]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#chat .title >> text=Step 1")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_every_control_has_a_name(url, visit):
    page = visit(url)
    ask(page, "say hello")
    settings(page)
    nameless = page.evaluate("""() => [...document.querySelectorAll(
        'button, input, textarea, select, [role=button], [role=tab]')]
        .filter(e => e.checkVisibility() && !e.closest('[aria-hidden=true]'))
        .filter(e => !(e.ariaLabel || e.title || e.innerText?.trim() || e.labels?.[0]?.innerText.trim()
            || document.getElementById(e.getAttribute('aria-labelledby'))))
        .map(e => e.outerHTML.slice(0, 200))""")
    assert nameless == []
    assert page.locator("#said[role=status]").count() == 1
    sees(page, "#said", "Answered.")
