"""Students trained on other tags: what they are sent, how their replies are read, what the record says.

`published.json` says what the authors' own code sends and trains on; ours must be that, message for message.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from smolagents import Model
from smolagents.utils import parse_code_blobs

import tools
from agents import Trajectory, load_model, make_agent, solve
from agents.agent import DistillAgent, read_prompt
from agents.dialect import DIALECTS, dialect, dialect_of, dialects_of
from agents.local import cut
from agents.models import FirstThought, first_thought_of, read_student
from distill.collect import collect, other_tags, other_tools
from distill.evaluate import evaluate
from distill.problems import write_problems
from distill.rollout import read_rollouts

from .scripted import ScriptedModel

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))
RUNS = {run["name"]: run for run in PUBLISHED["runs"]}


class Served(ScriptedModel):
    """As a server returns replies: cut at the first stop string."""

    def generate(self, messages, stop_sequences=None, **settings):
        reply = super().generate(messages, stop_sequences, **settings)
        reply.content = cut(reply.content, tuple(stop_sequences or ()))
        return reply


def search(run) -> object:
    """The tool that the students know; here it finds what theirs found."""
    observations = iter(
        m["content"] for m in run["trained"] if "Retrieved documents" in m["content"]
    )
    tool = tools.load("web_search")

    def forward(query: str) -> str:
        logs = next(observations).partition("Execution logs:\n")[2]
        return logs.rpartition("\nLast output")[0]

    tool.forward = forward
    tool.is_initialized = True
    return tool


def fenced(code: str, thought: str = "So.") -> str:
    return f"Thought: {thought}\n```python\n{code}\n```"


def published(code: str, thought: str = "So.") -> str:
    return f"Thought: {thought}\nCode:\n```py\n{code}\n```<end_code>"


def words(trajectory: Trajectory) -> list[str]:
    return [m.content for m in trajectory.messages if m.role == "assistant"]


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("name", RUNS)
def test_a_published_student_is_sent_what_it_was_trained_on(name, samples):
    run = RUNS[name]
    model = Served(*(reply for reply in run["replies"] for _ in range(samples)))
    agent = make_agent(model, [search(run)], tags="paper", samples=samples)
    trajectory = solve(agent, run["row"]["question"])
    system, *said = [m.model_dump() for m in trajectory.messages]
    assert said == run["trained"]
    assert hashlib.sha256(system["content"].encode()).hexdigest() == PUBLISHED["system_sha256"]
    assert trajectory.answer == str(run["row"]["generated_answer"])
    for request, step in zip(model.requests[::samples], trajectory.steps, strict=True):
        assert request == [system, *said][: step.message]
    assert model.settings[0]["stop_sequences"] == ["<end_code>", "Observation:", "Calling tools:"]
    assert trajectory.tags == "paper" and trajectory.question == run["row"]["question"]


def test_their_replies_are_parsed_as_theirs_are():
    trajectory = solve(
        make_agent(Served(*RUNS["no code"]["replies"]), [search(RUNS["no code"])], tags="paper"),
        "q",
    )
    assert [step.error for step in trajectory.steps] == ["parsing", "parsing", None, None]


def test_markdown_replies_stop_at_their_fence_and_keep_it():
    first = fenced("print(1 + 1)") + "\nObservation:\n3\n" + fenced("final_answer(3)")
    model = Served(first, fenced("final_answer(2)"))
    trajectory = solve(make_agent(model, [], tags="markdown"), "q")
    assert words(trajectory) == [fenced("print(1 + 1)"), fenced("final_answer(2)")]
    assert "Execution logs:\n2" in trajectory.messages[3].content
    assert (trajectory.answer, trajectory.tags) == ("2", "markdown")
    assert model.settings[0]["stop_sequences"][0] == "\n```\n"


def test_a_reply_without_code_is_shown_how_its_own_tags_are_written():
    for name, sample in {
        "code": "<code>\n            # Your python code here\n            </code>",
        "markdown": "```python\n            # Your python code here\n            ```",
    }.items():
        model = Served("Only\nwords.", "Still.")
        solve(make_agent(model, [], tags=name, max_steps=2), "q")
        assert sample in model.requests[1][-1]["content"]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_prompt_shows_the_tags_that_are_asked_for(name):
    agent = make_agent(Model(), [], prompt="student", tags=name)
    opening, closing = dialect(name).pair
    assert f"between {opening} and {closing}" in agent.system_prompt


def test_without_tags_nothing_stands_between_agent_and_model():
    model = Served("Thought: x\n<code>\nfinal_answer(1)\n")
    agent = make_agent(model, [])
    assert agent.model is model and agent.code_block_tags == ("<code>", "</code>")
    trajectory = solve(agent, "q")
    assert trajectory.tags == "code" and trajectory.messages[1].content == "New task:\nq"


def test_a_record_without_tags_is_of_the_code_dialect():
    old = {"question": "q", "messages": [], "answer": None, "stop": "max_steps", "model": "m"}
    assert Trajectory.model_validate(old | {"method": "agent"}).tags == "code"


def test_candidates_are_parsed_with_the_tags_that_are_asked_for():
    replies = [published("n = 1\nprint(n)"), published("n = 2\nprint(n)"), "no code"]
    model = Served(*replies, published("n = 2\nprint(n)"), *[published("final_answer(n)")] * 4)
    trajectory = solve(make_agent(model, [], tags="paper", samples=4), "q")
    votes = trajectory.steps[0].votes
    assert (votes.sampled, votes.parsed, votes.votes) == (4, 3, 2)
    assert trajectory.answer == "2"


def test_a_first_thought_is_begun_in_any_dialect():
    class Begun(Served):
        def generate(self, messages, stop_sequences=None, *, prefix="", **settings):
            return super().generate(messages, stop_sequences, prefix=prefix, **settings)

    model = Begun(published("final_answer(1)").removeprefix("Thought: So.\n"))
    agent = make_agent(FirstThought(model, "Thought: So.\n"), [], tags="paper")
    assert first_thought_of(agent.model) is not None
    trajectory = solve(agent, "q")
    assert words(trajectory) == [published("final_answer(1)")]
    assert trajectory.first_thought == "prefix"


# What a student's folder says.


def test_a_students_folder_says_how_it_is_spoken_to(tmp_path):
    model = Served(published("final_answer(1)"))
    model.student = {"method": "agent", "prompt": "paper", "tags": "paper", "tools": []}
    agent = make_agent(model, [], temperature=0.5)
    assert agent.dialect.name == "paper" and "<end_code>" in agent.system_prompt
    assert make_agent(model, [], tags="code", prompt="student").dialect.name == "code"
    model.student = {
        "method": "agent",
        "prompt": "A text\nof its own.",
        "tags": ["<code>", "</code>"],
    }
    assert make_agent(model, []).system_prompt == "A text\nof its own."
    model.student = {"method": "cot", "prompt": "cot", "tags": None}
    assert make_agent(model, []).system_prompt == make_agent(Model(), []).system_prompt


def test_the_folder_is_read_with_the_weights(tiny, tmp_path):
    folder = tmp_path / "student"
    folder.mkdir()
    for file in tiny.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "student.json").write_text(
        '{"method": "agent", "prompt": "student", "tags": "markdown"}'
    )
    assert make_agent(load_model(str(folder)), []).dialect.name == "markdown"
    assert make_agent(load_model(str(tiny)), []).dialect.name == "code"
    (folder / "student.json").write_text("{")
    with pytest.raises(ValueError, match="no JSON object"):
        read_student(str(folder))


def test_the_published_students_are_known_by_name():
    student = read_student("agent-distillation/agent_distilled_Qwen2.5-1.5B-Instruct")
    cached = "hub/models--agent-distillation--agent_distilled_Qwen2.5-7B-Instruct/snapshots/0"
    assert read_student(cached) == student
    assert (student["tags"], student["prompt"], student["tools"]) == (
        "paper",
        "paper",
        ["web_search"],
    )
    assert "trained with --tools web_search" in other_tools(student, "wiki_search")
    assert other_tools(student, "web_search") is None and other_tools({}, "wiki_search") is None


def test_their_search_tool_finds_what_ours_does(passages):
    from tools.retrieval import LexicalIndex

    tool = tools.load("web_search", index=LexicalIndex.build(passages), k=1)
    shown = '\nRetrieved documents:\n\n===== Document 0 =====\n"Lurra"\nLurra is a town on the river Oba.'
    assert tool(query="Lurra") == shown


def test_unknown_tags_are_told_at_the_door():
    with pytest.raises(ValueError, match="No tags 'xml'; there are: code, markdown, paper"):
        make_agent(Model(), [], tags="xml")


# Telling dialects apart.


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Thought: x\n<code>\nprint(1)\n</code>", "code"),
        (fenced("print(1)"), "markdown"),
        ("```py\nprint(1)\n```", "markdown"),
        (published("print(1)"), "paper"),
        ("Thought: cut before its end\nCode:\n```py\nprint(1)\n```", "paper"),
        (published("print('<code>')"), "paper"),
        ("<code>\nprint('''\n```python\n''')\n</code>", "code"),
        ("In `<code>` I would write it.\n", "code"),
        ("```json\n{}\n```\nonly words", None),
        ("just words", None),
        ("", None),
    ],
)
def test_a_replys_dialect_is_told_by_its_first_block(text, name):
    assert dialect_of(text) == name


def test_a_conversation_in_the_papers_form_may_lack_an_end_tag():
    assert dialects_of([published("1"), fenced("2"), "words"]) == {"paper"}
    assert dialects_of([fenced("1"), "<code>\n2\n</code>"]) == {"markdown", "code"}


@pytest.mark.parametrize("name", DIALECTS)
def test_an_ended_reply_parses_and_is_not_ended_twice(name):
    speech = dialect(name)
    opening, _ = speech.pair
    closing = "\n```" if name == "paper" else ""  # its stop string comes after the fence
    reply = speech.ended(f"Thought: x\n{opening}\nprint(1){closing}")
    assert parse_code_blobs(reply, speech.tags or speech.pair) == "print(1)"
    assert speech.ended(reply) == reply
    assert dialect_of(reply) == name
    assert speech.asked("New task:\n" + speech.ask("q?")) == "q?"


# Runs over problems.


@pytest.fixture
def file(problem, tmp_path):
    write_problems([problem], tmp_path / "problems.jsonl")
    return str(tmp_path / "problems.jsonl")


def test_tags_that_were_not_asked_for_are_told_of_once(file, tmp_path, capsys):
    model = Served(published("final_answer('Oba')"))
    settings = {"tools": "", "loaded": model, "workers": 1}
    evaluate(file, "m", tmp_path / "wrong", **settings)
    told = "1 of 1 replies are written with ```py tags; pass --tags paper.\n"
    assert capsys.readouterr().err.count(told) == 1
    evaluate(file, "m", tmp_path / "right", tags="paper", **settings)
    assert "--tags" not in capsys.readouterr().err
    (right,) = read_rollouts(tmp_path / "right")
    assert right.trajectory.tags == "paper" and right.score == 1.0
    assert right.trajectory.messages[0].content.startswith("You are an expert assistant")
    assert other_tags(tmp_path / "right") is None


def test_tags_are_a_setting_of_a_run_where_they_are_given(file, tmp_path):
    settings = {"tools": "", "loaded": Served(fenced("final_answer('Oba')")), "workers": 1}
    collect(file, "m", tmp_path / "a", **settings)
    assert "tags" not in json.loads((tmp_path / "a/run.json").read_text())["settings"]
    with pytest.raises(ValueError, match="tags = None, now it is 'markdown'"):
        collect(file, "m", tmp_path / "a", tags="markdown", **settings)
    with pytest.raises(ValueError, match="No tags 'xml'"):
        collect(file, "m", tmp_path / "b", tags="xml", **settings)
    with pytest.raises(ValueError, match="a chain of thought has none"):
        collect(file, "m", tmp_path / "b", method="cot", tags="paper", **settings)
    assert not (tmp_path / "b").exists()


def test_the_stock_agent_has_the_stock_tags():
    agent = DistillAgent(tools=[], model=Model())
    assert agent.code_block_tags == ("<code>", "</code>") and agent.dialect.name == "code"


def test_the_papers_prompt_says_where_its_words_are_from():
    assert "Apache-2.0" in read_prompt("paper")
    assert "Apache" not in make_agent(Model(), [], tags="paper").system_prompt
