"""Beside the chat: models side by side, past runs, results. Each tells what is stored, and nothing else."""

from __future__ import annotations

import json
import os
import re

import pytest
from PIL import Image

import tools
from agents import make_agent
from agents.chat import compare, results, traces
from agents.chat.conversation import Conversation
from agents.chat.offer import Offer
from agents.chat.page import build, launching
from agents.chat.steps import begin, closed
from agents.chat.stored_runs import StoredRuns, Wanted
from agents.chat.visitors import Visitors
from agents.trajectory import Trajectory, Usage
from distill.problems import Problem
from distill.results import Result, Row, Study
from distill.rollout import FILE, Rollout, read_rollouts, run_rollouts
from distill.run import write_json
from tools.retrieval import LexicalIndex

from .browser import PHONE, served
from .conftest import PASSAGES
from .scripted import ScriptedModel, step

EVIL = "<img src=x onerror=alert(1)> ![x](http://127.0.0.2:9/leak) **b** </td>"
REPLIES = {
    "right": [step("Look.", 'print(wiki_search("Lurra"))'), step("Oba.", 'final_answer("Oba")')],
    "wrong": [step("Guess.", "1 / 0"), step("Ur.", f"final_answer({EVIL!r})")],
    "unread": ["There is no code here."],
    "gone": [OSError("gone")],
}
LOOP = (step("Begin.", "print(1)"), step("Loop.", "while True: pass"))
MANY = 45
STUDY = Study(
    title="Rivers <b>", made="today", command="python -m distill report few",
    benchmarks=(), notes=("Four problems.",),
    rows=(Row(id="r0", label="agent", name="pocket", method="agent", model="pocket", base="pocket"),),
    results=(
        Result(
            row="r0", benchmark="rivers", method="agent", model="pocket", n=4, accuracy=0.25,
            low=0.0455872608, high=0.6993582, answered=2, max_steps=1, failed=1, input_tokens=1234,
            output_tokens=567, seconds=8.9,
        ),
        Result(
            row="r0", benchmark="lakes", method="agent", model="pocket", n=3000, accuracy=2 / 3,
            low=0.649573, high=0.683303, answered=3000, max_steps=0, failed=0, input_tokens=1,
            output_tokens=1_234_567, seconds=8.9,
        ),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs, one of four problems that end in four ways, one of many; and a report on the first."""
    root = tmp_path_factory.mktemp("runs")
    tool = tools.load("wiki_search", index=LexicalIndex.build(PASSAGES))
    problems = [
        Problem(
            id=name, question=f"Which river? {name} {EVIL}", answers=("Oba",), benchmark="rivers"
        )
        for name in REPLIES
    ]
    run_rollouts(
        problems,
        lambda p: make_agent(ScriptedModel(*REPLIES[p.id]), [tool], max_steps=2),
        root / "group" / "few",
        workers=1,
    )
    first = next(read_rollouts(root / "group" / "few"))
    (root / "many").mkdir()
    with (root / "many" / FILE).open("w") as lines:
        for n in range(MANY):
            problem = Problem(
                id=str(n), question=f"Number {n}?", answers=("Oba",), benchmark="many"
            )
            lines.write(first.model_copy(update={"problem": problem}).model_dump_json() + "\n")
    (root / "report").mkdir()
    write_json(root / "report" / "report.json", STUDY.model_dump())
    Image.new("RGB", (40, 20), "white").save(root / "report" / "report.png")
    (root / "report" / "report.html").write_text("<!doctype html><title>The report</title>")
    return root


@pytest.fixture(scope="module")
def page_url(folder):
    loops = {f"loop {n}": ScriptedModel(*LOOP) for n in (1, 2, 3)}
    loaded = {
        "one": ScriptedModel(step("So.", 'final_answer("the Oba")')),
        "two": ScriptedModel(step("Hm.", "print(1)"), step("So.", 'final_answer("Oba")')),
        "three": ScriptedModel(step("No.", f"final_answer({EVIL!r})")),
        **loops,
    }
    offer = Offer(
        models=("one", *loops),
        compare=("one", "two", "three"),
        loaded=loaded,
        runs=folder,
        report=folder / "report",
        examples=("Which town?", "Which river?"),
        feedback=folder / "feedback",
    )
    visitors = Visitors(lambda: Conversation(offer.agent))
    with served(build(offer, visitors), **launching(visitors.rules)) as url:
        yield url
    visitors.close()


# Past runs


def test_past_runs_are_found_by_how_they_ended(folder):
    runs = StoredRuns(folder)
    assert runs.names() == ["group/few", "many"]
    assert len(runs.find(Wanted())) == len(REPLIES) + MANY

    def ids(**wanted):
        return [entry.id for entry in runs.find(Wanted(run="group/few", **wanted))]

    assert ids(outcome="right") == ["right"] and ids(outcome="wrong") == ["wrong"]
    assert ids(outcome="no answer") == ["unread"] and ids(outcome="failed") == ["gone"]
    assert ids(trouble="execution") == ["wrong"] and ids(trouble="parsing") == ["unread"]
    assert ids(tool="wiki_search") == ["right"]
    assert ids(steps=2) == ["right", "wrong", "unread"] and ids(steps=0, or_more=True) == list(
        REPLIES
    )
    assert ids(text="311") == [] and ids(text="TOWN lurra") == ["right"], (
        "observations are looked in"
    )
    assert [e.id for e in runs.find(Wanted(benchmark="many", text="number 44"))] == ["44"]


def test_an_opened_rollout_is_the_stored_one(folder):
    runs = StoredRuns(folder)
    for rollout, entry in zip(
        read_rollouts(folder / "group" / "few"), runs.entries("group/few"), strict=True
    ):
        stored = runs.open(entry.key)
        assert stored.trajectory == rollout.trajectory
        assert Rollout.model_validate_json(traces.as_data_of(stored).content) == rollout


def test_half_foreign_and_superseded_lines_are_passed_over(tmp_path, folder):
    whole = (folder / "group" / "few" / FILE).read_text().splitlines()[0]
    retried = json.loads(whole) | {"score": 0.0}
    lines = [
        whole,
        "no json",
        '{"problem": 1}',
        "[" * 5000,
        json.dumps(retried),
        '{"problem": {"id',
    ]
    (tmp_path / FILE).write_text("\n".join(lines))
    runs = StoredRuns(tmp_path)
    assert [entry.outcome for entry in runs.entries(".")] == ["wrong"]
    (tmp_path / FILE).write_text(whole + "\n")
    assert [entry.outcome for entry in runs.entries(".")] == ["right"], (
        "a changed file is read anew"
    )


@pytest.mark.parametrize(
    "change",
    [{"tools": 5}, {"steps": [{"message": [1]}]}, {"steps": [{"message": {}}]}, {"messages": []}],
)
def test_a_broken_line_hides_no_other_and_opens_in_no_traceback(tmp_path, folder, change):
    [line, *_] = (folder / "many" / "rollouts.jsonl").read_text().splitlines()
    broken = json.loads(line)
    broken["trajectory"] |= change
    broken["problem"]["id"] = "broken"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "rollouts.jsonl").write_text(f"{json.dumps(broken)}\n{line}\n")
    runs = StoredRuns(tmp_path)
    entries = runs.entries()
    assert entries[-1].id == json.loads(line)["problem"]["id"]
    for entry in entries[:-1]:
        with pytest.raises(ValueError, match="no rollout"):
            runs.open(entry.key)


def test_a_folder_whose_name_is_no_text_is_passed_over(tmp_path, folder):
    odd = tmp_path / os.fsdecode(b"odd\x80")
    odd.mkdir()
    (odd / FILE).write_bytes((folder / "many" / FILE).read_bytes())
    assert StoredRuns(tmp_path).names() == []


def test_a_pipe_keeps_no_reader_waiting(tmp_path):
    os.mkfifo(tmp_path / "rollouts.jsonl")
    assert StoredRuns(tmp_path).entries() == []


def test_no_name_and_no_link_leads_out_of_the_folder(tmp_path, folder):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / FILE).symlink_to(folder / "many" / FILE)
    (tmp_path / "outside").symlink_to(folder / "many")
    runs = StoredRuns(tmp_path)
    assert runs.names() == [] and runs.find(Wanted()) == []
    for key in (
        "0:inside",
        "0:outside",
        f"0:{folder}/many",
        "0:../many",
        "0:",
        "",
        "many",
        "x:.\0",
    ):
        with pytest.raises(ValueError, match="There is no such"):
            runs.open(key)


def test_what_a_browser_sends_as_a_filter_may_be_anything(folder):
    runs = StoredRuns(folder)
    nonsense = traces.wanted([], {}, 3, None, "x" * 10**6, "-1", ["a"])
    assert nonsense.text == "" and nonsense.steps is None and runs.find(nonsense) == []
    assert traces.wanted(*["all"] * 6, "Oba").run is None
    assert traces.wanted(*["all"] * 5, "5 or more", "").or_more


def test_no_markup_of_a_rollout_is_in_the_table(folder):
    text = traces.listing(StoredRuns(folder).entries("group/few"), 0, None)
    assert (
        "<img" not in text and "&lt;img src=x" in text and text.count("</td>") == 8 * len(REPLIES)
    )


def test_what_visitors_said_is_not_shown_to_others(folder):
    assert StoredRuns(folder, without=folder / "group").names() == ["many"]


def test_pages_end_and_the_longest_come_first(folder):
    runs = StoredRuns(folder)
    html, several, at = traces.a_page(runs, 99, None, "as recorded", Wanted())
    assert "41 to 49 of 49" in html and several and at == 2
    html, several, _ = traces.a_page(runs, 0, None, "most steps", Wanted(run="group/few"))
    assert not several and html.index("? right") < html.index("? gone")
    assert "No rollout passes" in traces.a_page(runs, 0, None, "", Wanted(outcome="not scored"))[0]


def test_without_past_runs_it_is_said_how_to_make_some(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        html, several, _ = traces.a_page(StoredRuns(root), 0, None, "", Wanted())
        assert "python -m distill evaluate" in html and not several


# Results


def test_the_numbers_are_those_of_the_file(folder):
    report = results.read_report(folder / "report")
    stored = json.loads((folder / "report" / "report.json").read_text())["results"]
    rows = re.findall(r"<tr>(<th scope=\"row\".*?)</tr>", results.results_table(report.study))
    names = ("accuracy", "n", "answered", "max_steps", "failed", "missing", "output_tokens")
    for row, result in zip(rows, stored, strict=True):
        values = re.findall(r'data-value="([^"]*)"', row)
        assert [float(value) for value in values] == [result[n] for n in (*names, "seconds")]
    assert ">25.0<" in rows[0] and ">4.6 to 69.9<" in rows[0]
    assert ">66.7<" in rows[1] and ">1,234,567<" in rows[1]
    assert "Rivers &lt;b&gt;" in results.told(report.study)


def test_ways_of_answering_are_rows_and_benchmarks_columns():
    [rivers, lakes] = STUDY.results
    fewer = rivers.model_copy(update={"row": "r1", "model": "base", "n": 3})
    judged = rivers.model_copy(update={"scorer": "judge", "accuracy": 1.0, "high": 1.0})
    study = results.Study.model_validate(
        STUDY.model_dump() | {"results": [r.model_dump() for r in (rivers, lakes, fewer, judged)]}
    )
    head, *rows = re.findall(r"<tr>(.*?)</tr>", results.overview(study))
    assert "rivers, n\u00a0=\u00a04" in head and "lakes, n\u00a0=\u00a03,000" in head
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row) for row in rows]
    said = [[re.sub("<.*?>", "|", cell).strip("|") for cell in row] for row in cells]
    assert said == [
        ["agent", "pocket", "25.0||5 to 70", "66.7||65 to 68"],
        ["agent", "base", "25.0||5 to 70, n = 3", ""],
        ["agent", "pocket", "100.0||5 to 100", ""],
    ]


def test_results_alone_are_enough(tmp_path, folder):
    study_ = json.loads((folder / "report" / "report.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps(study_["results"]))
    assert results.read_report(tmp_path).study.results[0].n == 4


@pytest.mark.parametrize("text", [None, "[", "3", '{"results": [{"n": "many"}]}', "[" * 5000])
def test_without_a_report_the_command_that_makes_one_is_said(tmp_path, text):
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(ValueError, match="python -m distill report"):
        results.read_report(tmp_path)


def test_a_report_by_a_link_out_of_its_folder_is_not_read(tmp_path, folder):
    (tmp_path / "report.json").symlink_to(folder / "report" / "report.json")
    with pytest.raises(ValueError, match="no report"):
        results.read_report(tmp_path)


# Side by side


def run_that_answered(answer: str | None, seconds: float = 1.0):
    stop = "answered" if answer is not None else "max_steps"
    return closed(
        begin("q", str(answer)),
        Trajectory(
            question="q", messages=(), answer=answer, stop=stop, model="m", method="agent",
            usage=Usage(input_tokens=1000, output_tokens=234), seconds=seconds,
        ),
    )  # fmt: skip


def test_equal_answers_agree_however_they_are_written():
    runs = [run_that_answered(answer) for answer in ("the Oba", "oba.", EVIL)]
    told = compare.summed_up(("one", "two", "three"), runs)
    assert "2 of 3 give the same answer" in told
    assert "✓ two" in told and "✓ one" in told and told.count("nobody") == 1
    assert "1,234" in told and "<img" not in told
    assert "No two answers agree" in compare.summed_up(("one", "two"), [runs[0], runs[2]])
    assert "1 model of 2 done" in compare.summed_up(("one", "two"), [runs[0], None])
    assert (
        "agree" not in compare.summed_up(("one",), [run_that_answered(None)]).split("</caption>")[1]
    )


@pytest.mark.parametrize("others", [("pocket-teacher",), ("pocket-base",)])
def test_a_simulated_teacher_is_told_to_be_one(others):
    import gradio as gr

    offer = Offer(models=("pocket",), compare=("pocket", *others))
    with gr.Blocks(analytics_enabled=False) as page:
        compare.tab(offer, Visitors(lambda: Conversation(offer.agent)))
    said = [it.value for it in page.blocks.values() if isinstance(it, gr.Markdown)]
    assert any("makes mistakes on purpose" in text for text in said) == ("pocket-teacher" in others)


# In a browser


def test_past_runs_are_filtered_turned_opened_and_saved(page_url, visit):
    from playwright.sync_api import expect

    page = visit(page_url)
    page.get_by_role("tab", name="Traces").click()
    caption = page.locator("#traces-table caption")
    expect(caption).to_contain_text("1 to 20 of 49")
    page.get_by_role("button", name="Next page").click()
    expect(caption).to_contain_text("21 to 40")
    page.get_by_label("Outcome").click()
    page.get_by_role("option", name="wrong").click()
    expect(caption).to_contain_text("1 to 1 of 1")
    opener = page.locator("#traces-table tbody button")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#traces-about")).to_contain_text("Right answer: Oba")
    expect(page.locator("#traces-about")).to_be_focused()
    expect(opener).to_have_attribute("aria-pressed", "true")
    chat = page.locator("#traces-chat")
    expect(chat).to_contain_text("![x](http://127.0.0.2:9/leak)")
    chat.locator(".title").first.click()
    expect(chat).to_contain_text("Step 1")
    assert page.locator("#traces-tab img[src=x]").count() == 0
    page.get_by_role("button", name="Back to the list").first.click()
    expect(opener).to_be_focused()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as data").click()
    with open(download.value.path(), encoding="utf-8") as saved:
        assert Rollout.model_validate_json(saved.read()).problem.id == "wrong"
    opener.evaluate("it => { it.dataset.key = '7:gone' }")
    opener.click()
    expect(page.locator("#traces-about")).to_contain_text("There is no such run")
    expect(chat).to_be_hidden()


def test_results_are_sorted_by_keyboard_and_downloaded(page_url, visit):
    from playwright.sync_api import expect

    page = visit(page_url)
    page.get_by_role("tab", name="Results").click()
    all_of_them = page.locator("#results-table details")
    expect(page.locator("#results-table table").first).to_contain_text("rivers, n = 4")
    expect(all_of_them.locator("table")).to_be_hidden()
    all_of_them.locator("summary").click()
    for region in page.locator("#results-table .scroll").all():
        assert region.evaluate("it => it.scrollWidth - it.clientWidth") <= 0
    heading = all_of_them.locator("th", has_text="Right, %")
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    benchmarks = all_of_them.locator("tbody td:nth-child(3)")
    expect(benchmarks).to_have_text(["rivers", "lakes"])
    page.keyboard.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(benchmarks).to_have_text(["lakes", "rivers"])
    expect(page.get_by_alt_text("Accuracy, with 95% intervals")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download report.html").click()
    with open(download.value.path(), encoding="utf-8") as saved:
        assert "The report" in saved.read()


def test_models_answer_side_by_side_and_stop_together(page_url, visit):
    from playwright.sync_api import expect

    page = visit(page_url)
    page.get_by_role("tab", name="Compare").click()
    page.get_by_role("button", name="Which river?").click()
    expect(page.get_by_label("Question to all")).to_have_value("Which river?")
    summary = page.locator("#compare-summary")
    expect(summary.get_by_role("status")).to_contain_text("2 of 3 give the same answer")
    expect(summary.locator("tbody tr").nth(2)).to_contain_text(EVIL)
    assert page.locator("#compare-tab img[src=x]").count() == 0
    for n in (1, 2, 3):
        page.get_by_label(f"Model {n}", exact=True).click()
        page.get_by_role("option", name=f"loop {n}").click()
        expect(page.get_by_role("option")).to_have_count(0)
    page.get_by_label("Question to all").press("Enter")
    lines = page.locator(".compare-line")
    cards = page.locator("#compare-columns .cards")
    for at in range(3):
        expect(cards.nth(at)).to_contain_text("Step 2")
    page.get_by_role("button", name="Ask all").click()
    expect(page.locator(".toast-wrap")).to_contain_text("The models are still at work")
    page.get_by_role("button", name="Stop").last.click()
    for at in range(3):
        expect(lines.nth(at)).to_have_text("Stopped")
        expect(cards.nth(at)).to_contain_text("Stopped · 1 step")


def test_on_a_phone_columns_stack_and_nothing_sticks_out(page_url, visit):
    page = visit(page_url, PHONE)
    for tab in ("Compare", "Traces", "Results"):
        page.get_by_role("tab", name=tab).click()
        page.locator(f"#{tab.lower()}-tab").wait_for()
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{tab} is {wide} pixels too wide"
        if tab == "Compare":
            boxes = [box.bounding_box() for box in page.locator("#compare-columns .cards").all()]
            assert len({box["x"] for box in boxes}) == 1 and boxes[0]["y"] < boxes[1]["y"]
            continue
        page.locator(f"#{tab.lower()}-table table").first.wait_for()
        for region in page.locator(f"#{tab.lower()}-table .scroll").all():
            assert region.evaluate("it => it.scrollWidth - it.clientWidth") <= 0, tab
