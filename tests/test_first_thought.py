"""A first thought: how each kind of model is given it, what is told where it cannot be, and what is kept."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from smolagents import Model
from typer.testing import CliRunner

from agents import load_model, make_agent, solve
from agents.models import FirstThought, WithSettings, why_no_prefix
from agents.replies import begun_anew
from distill.__main__ import app
from distill.collect import FIRST_THOUGHTS, collect
from distill.pocket.teacher import PocketTeacher
from distill.rollout import FILE, Rollout, read_rollouts
from distill.training_data import student_messages

from .scripted import ScriptedModel, step

THOUGHT = "Thought: I begin\n"
GIVEN = {"role": "assistant", "content": THOUGHT}
MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "q"}]}]


class Plain(ScriptedModel):
    """A model of somebody else: no prefix, no sample."""


class Prefilled(ScriptedModel):
    def generate(self, messages, stop_sequences=None, *, prefix="", **settings):
        return super().generate(messages, stop_sequences, prefix=prefix, **settings)


def begun(model, way="prefix", **settings):
    return solve(make_agent(FirstThought(model, THOUGHT, way), [], **settings), "q")


# Servers


def test_it_is_an_unfinished_turn_and_part_of_the_record(server):
    server.replies = ["and stop.\n<code>\nprint(1)\n", step("One.", "final_answer(1)")]
    trajectory = begun(load_model(server.name))
    first, second = server.bodies
    assert first["messages"][-1] == GIVEN and first["continue_final_message"] is True
    assert first["add_generation_prompt"] is False
    assert trajectory.first_thought == "prefix"
    assert (
        trajectory.messages[2].content == "Thought: I begin\nand stop.\n<code>\nprint(1)\n</code>"
    )
    assert second["messages"][-1]["role"] == "user" and "continue_final_message" not in second


def test_all_samples_of_the_first_step_begin_with_it_and_no_later_one(server):
    server.replies = ["a\n<code>\nprint(1)\n"] * 3 + [step("One.", "final_answer(1)")]
    trajectory = begun(load_model(server.name), samples=3)
    assert [(b["n"], b["messages"][-1]["role"]) for b in server.bodies] == [
        (3, "assistant"),
        (3, "user"),
    ]
    assert trajectory.steps[0].votes.sampled == 3
    assert trajectory.messages[2].content.startswith("Thought: I begin\na")


@pytest.mark.parametrize("choices", [1, "refuse"])
def test_a_server_of_one_choice_is_given_it_in_every_request_of_the_first_step(server, choices):
    server.replies, server.choices = ["a\n<code>\nfinal_answer(1)\n"], choices
    assert begun(load_model(server.name), samples=3).answer == "1"
    assert len(server.bodies) == 3 + (choices == "refuse")
    assert all(body["messages"][-1] == GIVEN for body in server.bodies)


@pytest.mark.parametrize(
    ("unfinished", "why"), [("refuse", "422: Unexpected fields"), ("ignore", "begins a new turn")]
)
def test_a_server_that_cannot_continue_a_turn_is_named_however_it_hides_it(server, unfinished, why):
    server.replies, server.unfinished = ["a plausible rest.\n<code>\nfinal_answer(1)\n"], unfinished
    model = load_model(server.name)
    assert why in why_no_prefix(WithSettings(model, temperature=1.0))
    trajectory = begun(model)
    assert trajectory.stop == "failed" and why in trajectory.error
    assert not server.bodies and len(server.probes) <= 3  # asked once


def test_a_server_that_continues_any_last_turn_is_used(server):
    server.replies, server.unfinished = [" and stop.\n<code>\nfinal_answer(1)\n"], "always"
    assert begun(load_model(server.name)).answer == "1"


@pytest.mark.parametrize(
    "reply",
    [
        step("Something else.", "final_answer(1)"),
        f"{THOUGHT}and stop.\n<code>\nfinal_answer(1)\n",
        "I begin and stop.\n<code>\nfinal_answer(1)\n",
        "<|im_start|>assistant\nHere.\n<code>\nfinal_answer(1)\n",
    ],
)
def test_a_turn_begun_anew_is_an_error_not_a_trajectory(server, reply):
    server.replies, server.counts = [reply], False
    trajectory = begun(load_model(server.name))
    assert trajectory.stop == "failed" and "began its turn anew" in trajectory.error


def test_a_second_thought_is_the_models_own_where_the_server_is_known_to_continue(server):
    server.replies = [step("So I go on.", "final_answer(1)")]
    trajectory = begun(load_model(server.name))
    assert trajectory.answer == "1"
    assert trajectory.messages[2].content.startswith("Thought: I begin\nThought: So I go on.")


@pytest.mark.parametrize("text", ["", " and on", "then <|im_end|> is a marker", "Thoughts differ"])
def test_the_rest_of_a_turn_is_not_taken_for_a_new_one(text):
    assert not begun_anew(text, THOUGHT)


def test_a_server_that_is_gone_is_not_called_unable():
    model = load_model("http://127.0.0.1:9/v1#m")
    assert why_no_prefix(model) is None
    assert "onnection" in begun(model).error


# Models of somebody else


def test_a_model_that_takes_no_start_of_its_reply_is_refused_by_name():
    with pytest.raises(ValueError, match=r"Plain \(scripted\) cannot take a first thought"):
        FirstThought(WithSettings(Plain("x"), temperature=1.0), THOUGHT)
    assert "cannot take" in why_no_prefix(Plain("x")) and why_no_prefix(Prefilled("x")) is None


def test_in_the_prompt_it_stands_in_every_request_and_in_the_record():
    model = Plain(step("I begin.", "print(1)"), step("One.", "final_answer(1)"))
    trajectory = begun(model, "prompt", temperature=0.2)
    question = {"role": "user", "content": "New task:\nq\n\nBegin with this thought: I begin"}
    assert [request[1] for request in model.requests] == [question] * 2
    assert all("prefix" not in settings for settings in model.settings)
    record = [{"role": m.role, "content": m.content} for m in trajectory.messages]
    assert record[:4] == model.requests[1]
    assert (trajectory.first_thought, trajectory.question) == ("prompt", "q")


def test_the_student_is_not_shown_what_the_prompt_said(problem):
    trajectory = solve(
        make_agent(FirstThought(Plain(step("I begin.", "final_answer(1)")), THOUGHT, "prompt"), []),
        problem.question,
    )
    rollout = Rollout(problem=problem, attempt=0, trajectory=trajectory, score=0.0)
    [(_, user, reply)] = student_messages([rollout])
    assert user.content == f"New task:\n{problem.question}"
    assert reply == trajectory.messages[2]


def test_a_run_without_one_says_that_it_has_none():
    assert (
        solve(make_agent(ScriptedModel(step("So.", "final_answer(1)")), []), "q").first_thought
        is None
    )


# Collecting with them


def thoughts(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / FIRST_THOUGHTS / FILE).read_text().splitlines()]


def gather(out, model, **settings):
    settings = {"first_thought": True, "limit": 4, "workers": 2, **settings}
    return collect("hops_train", "a model", out, loaded=model, **settings)


class Sometimes(PocketTeacher):
    """Its server is down for the questions in `down`."""

    def __init__(self, *down):
        super().__init__(mistakes=0.0)
        self.down, self.asked = down, 0

    def generate(self, messages, stop_sequences=None, *, prefix="", **settings):
        self.asked += 1
        if any(question in str(messages) for question in self.down):
            raise ConnectionError("down")
        return super().generate(messages, stop_sequences, prefix=prefix, **settings)


def test_a_problem_without_one_is_not_run_but_counted_said_and_tried_again(tmp_path, capsys):
    whole = gather(tmp_path / "whole", Sometimes())
    assert whole["answered"] == 4 and "no_first_thought" not in whole
    lost = next(iter(read_rollouts(tmp_path / "whole"))).problem
    ended = gather(tmp_path / "r", Sometimes(lost.question))
    assert (ended["answered"], ended["failed"], ended["no_first_thought"]) == (3, 1, 1)
    assert "1 of 4 problems have no first thought" in capsys.readouterr().out
    [failed] = [r for r in read_rollouts(tmp_path / "r") if r.trajectory.stop == "failed"]
    assert failed.problem == lost and "no first thought" in failed.trajectory.error
    again = gather(tmp_path / "r", Sometimes())
    assert again["answered"] == 1 and not again["failed"]
    assert len(thoughts(tmp_path / "r")) == 5  # the failed one once more, the others not
    assert all(r.trajectory.first_thought == "prefix" for r in read_rollouts(tmp_path / "r"))


def test_they_are_made_once(tmp_path):
    gather(tmp_path, Sometimes())
    model = Sometimes()
    assert not gather(tmp_path, model)
    assert model.asked == 0 and len(thoughts(tmp_path)) == 4
    gather(tmp_path, model, attempts=2)
    assert len(thoughts(tmp_path)) == 4  # more attempts begin with the same


def test_in_the_prompt_they_are_collected_alike(tmp_path):
    class Other(Sometimes):
        def generate(self, messages, stop_sequences=None, **settings):
            assert "prefix" not in settings
            return super().generate(messages, stop_sequences, **settings)

    with pytest.raises(ValueError, match="--first-thought-in-prompt"):
        gather(tmp_path, Other())
    assert not any(tmp_path.iterdir())
    assert gather(tmp_path, Other(), first_thought="prompt")["answered"] == 4
    for rollout in read_rollouts(tmp_path):
        assert "Begin with this thought: " in rollout.trajectory.messages[1].content
        assert rollout.trajectory.first_thought == "prompt"


def test_the_command_line_has_an_option_for_each_way(tmp_path):
    words = ["collect", "--problems", "sums_train", "--model", "pocket-teacher", "--limit", "2"]
    for option, way in (("--first-thought", "prefix"), ("--first-thought-in-prompt", "prompt")):
        done = CliRunner().invoke(app, [*words, option, "--out", str(tmp_path / way)])
        assert done.exit_code == 0, done.output
        settings = json.loads((tmp_path / way / "run.json").read_text())["settings"]
        assert settings["first_thought"] == way
        assert all(r.trajectory.first_thought == way for r in read_rollouts(tmp_path / way))


def test_a_way_that_is_none_is_told(tmp_path):
    with pytest.raises(ValueError, match="there are: prefix, prompt"):
        gather(tmp_path, Model(), first_thought="loudly")


def test_a_server_that_cannot_is_told_before_anything_is_collected(server, tmp_path):
    server.replies, server.unfinished = ["x"], "ignore"
    with pytest.raises(ValueError, match=r"begins a new turn.*--first-thought-in-prompt"):
        gather(tmp_path, load_model(server.name))
    assert not server.bodies and not any(tmp_path.iterdir())


KILLED = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.test_first_thought import Sometimes, gather

class Slow(Sometimes):
    def generate(self, messages, stop_sequences=None, *, prefix="", **settings):
        time.sleep(0.5)
        return super().generate(messages, stop_sequences, prefix=prefix, **settings)

gather(Path({out!r}), Slow(), workers=1)
"""


def test_kill_9_among_the_first_thoughts_loses_only_the_one_being_made(tmp_path):
    root, file = str(Path(__file__).parent.parent), tmp_path / FIRST_THOUGHTS / FILE
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(root=root, out=str(tmp_path))], cwd=root
    )
    while not (file.is_file() and file.read_bytes().count(b"\n") >= 2):
        assert child.poll() is None
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = file.read_text().splitlines()
    assert 2 <= len(kept) < 4 and not (tmp_path / FILE).is_file()
    assert gather(tmp_path, Sometimes())["answered"] == 4
    lines = file.read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert len({json.loads(line)["problem"]["id"] for line in lines}) == len(lines) == 4


# litellm


litellm = pytest.mark.skipif(
    not importlib.util.find_spec("litellm"), reason="the package litellm is not installed"
)


@pytest.fixture
def hosted(server, monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else importing it asks GitHub

    def load(name, **settings):
        return load_model(f"litellm:{name}", api_base=server.address, api_key="none", **settings)

    return load


@litellm
@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_litellm_continues_a_turn_and_draws_several(server, hosted, provider):
    server.replies = ["a\n<code>\nfinal_answer(1)\n"]
    trajectory = begun(hosted(f"{provider}/student"), samples=3)
    assert trajectory.answer == "1" and trajectory.usage.requests == 1
    [body] = server.bodies
    assert body["messages"][-1] == GIVEN and body["continue_final_message"] is True
    assert (body["n"], body["temperature"]) == (3, 0.4)
    server.unfinished = "ignore"
    assert "begins a new turn" in why_no_prefix(hosted(f"{provider}/student"))
    server.unfinished = "refuse"
    assert "refuses to continue" in why_no_prefix(hosted(f"{provider}/student"))


@litellm
@pytest.mark.parametrize(
    ("echo", "name"),
    [(THOUGHT.strip(), "mistral/codestral-latest"), ("", "deepseek/deepseek-chat")],
)
def test_litellm_begins_the_reply_of_a_provider_that_continues_by_itself(
    server, hosted, echo, name
):
    server.replies = [f"{echo} and stop.\n<code>\nfinal_answer(1)\n"]
    trajectory = begun(hosted(name))
    assert not server.probes
    assert server.bodies[0]["messages"][-1] == {**GIVEN, "content": THOUGHT.strip(), "prefix": True}
    assert trajectory.messages[2].content.startswith("Thought: I begin and stop.")


@litellm
@pytest.mark.parametrize("name", ["anthropic/claude-sonnet-4-6", "groq/llama-3.3-70b-versatile"])
def test_litellm_names_a_model_that_takes_no_start(hosted, name):
    assert "litellm" in why_no_prefix(hosted(name))
