"""What a run leaves behind: the model's words as it wrote them, its requests as they were sent."""

from __future__ import annotations

import pytest

from agents import Trajectory, make_agent, make_thinker, solve, stream
from agents.cot import find_answer
from agents.executor import UnconfinedExecutor
from agents.sandbox import Limits, SandboxExecutor

from .scripted import ScriptedModel, step

LOOK = step("I look it up.", 'print(wiki_search("Lurra"))')
ANSWER = step("It is the Oba.", 'final_answer("Oba")')


def run(*replies, tools=(), **settings) -> tuple[Trajectory, ScriptedModel]:
    model = ScriptedModel(*replies)
    return solve(make_agent(model, tools, **settings), "Which river is Lurra on?"), model


def test_an_assistant_message_is_what_the_model_wrote_and_nothing_else(tool):
    trajectory, _ = run(LOOK, ANSWER, tools=[tool])
    words = [m.content for m in trajectory.messages if m.role == "assistant"]
    assert words == [LOOK + "</code>", ANSWER + "</code>"]
    assert trajectory.answer == "Oba" and trajectory.stop == "answered"


def test_every_request_is_the_beginning_of_the_record(tool):
    broken = step("Mistake.", "1 / 0")
    trajectory, model = run(LOOK, broken, "no code at all", ANSWER, tools=[tool])
    record = [{"role": m.role, "content": m.content} for m in trajectory.messages]
    assert len(model.requests) == 4
    for request, turn in zip(model.requests, trajectory.steps, strict=True):
        assert request == record[: turn.message]
        assert record[turn.message]["role"] == "assistant"


def test_the_observation_is_what_the_tool_returned(tool, passages):
    trajectory, _ = run(LOOK, ANSWER, tools=[tool])
    assert passages[0].text in trajectory.messages[3].content
    assert trajectory.tools == ("wiki_search",)


def test_errors_are_the_models_to_read_and_are_told_apart():
    trajectory, model = run("just words", step("Divide.", "1 / 0"), ANSWER)
    assert [s.error for s in trajectory.steps] == ["parsing", "execution", None]
    assert "ZeroDivisionError" in model.requests[-1][-1]["content"]
    assert trajectory.stop == "answered"


def test_running_out_of_steps_leaves_no_answer_and_asks_no_more():
    trajectory, model = run(step("Again.", "print(1)"), max_steps=3)
    assert (trajectory.answer, trajectory.stop) == (None, "max_steps")
    assert len(model.requests) == 3 and len(trajectory.steps) == 3


def test_a_broken_server_is_a_failed_run_with_its_reason(tool):
    trajectory, _ = run(LOOK, ConnectionError("server gone"), tools=[tool])
    assert trajectory.stop == "failed" and "server gone" in trajectory.error
    assert trajectory.answer is None
    assert trajectory.messages[2].content.startswith("Thought: I look it up.")


def test_a_reply_that_was_cut_off_says_so():
    trajectory, _ = run(("Thought: I was about to\n<code>\nprint(1", "length"), ANSWER)
    assert [s.finish_reason for s in trajectory.steps] == ["length", "stop"]


def test_tokens_are_added_up():
    trajectory, _ = run(step("One.", "print(1)"), ANSWER)
    assert trajectory.usage.model_dump() == {"input_tokens": 20, "output_tokens": 10, "requests": 2}


def test_an_answer_of_none_is_an_answer_without_a_text():
    trajectory, _ = run(step("Nothing.", "final_answer(None)"))
    assert (trajectory.answer, trajectory.stop) == (None, "answered")


def test_a_trajectory_survives_its_json(tool):
    trajectory, _ = run(LOOK, ANSWER, tools=[tool])
    assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory


def test_an_agent_answers_one_question():
    agent = make_agent(ScriptedModel(ANSWER), [])
    solve(agent, "q")
    with pytest.raises(ValueError, match="make a new one"):
        solve(agent, "q again")


def test_two_agents_share_no_variable():
    first, _ = run(step("Set.", "secret = 1"), step("Read.", "final_answer(secret)"))
    second, _ = run(step("Read.", "final_answer(secret)"), max_steps=1)
    assert first.answer == "1" and second.answer is None


def test_leaving_a_stream_in_the_middle_is_quiet(recwarn):
    steps = stream(make_agent(ScriptedModel(step("One.", "print(1)"), ANSWER), []), "q")
    next(steps)
    steps.close()
    assert not recwarn.list


QUICK = Limits(seconds=0.3)
BOTH = pytest.mark.parametrize("executor", [SandboxExecutor, UnconfinedExecutor])


@BOTH
@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "while True:\n    pass",
        "f = lambda: f()\nf()",
    ],
)
def test_no_code_ends_the_run_or_hangs_it(code, executor):
    trajectory, _ = run(step("Bad.", code), ANSWER, executor=executor([], limits=QUICK))
    assert [s.error for s in trajectory.steps] == ["execution", None]
    assert trajectory.answer == "Oba"


@BOTH
def test_an_endless_loop_that_catches_everything_is_stopped(executor):
    code = "n = 0\nwhile True:\n    try:\n        n += 1\n    except Exception:\n        pass"
    _, model = run(step("Bad.", code), ANSWER, executor=executor([], limits=QUICK))
    assert "0.3 seconds" in model.requests[1][-1]["content"]


@BOTH
@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def __str__(self):\n        raise SystemExit\nfinal_answer(A())",
        "class A:\n    def __str__(self):\n        raise ValueError\nfinal_answer(A())",
        "class A:\n    def __str__(self):\n        while True:\n            pass\nA()",
        "final_answer(10 ** 5000)",
    ],
)
def test_a_result_that_cannot_be_shown_is_the_models_to_mend(code, executor):
    trajectory, _ = run(step("Bad.", code), ANSWER, executor=executor([], limits=QUICK))
    assert [s.error for s in trajectory.steps] == ["execution", None]
    assert trajectory.answer == "Oba"


def test_half_a_surrogate_pair_is_stored_as_a_question_mark():
    trajectory, _ = run(step("Odd \ud83d.", "final_answer(chr(0xd83d))"))
    assert trajectory.answer == "?" and trajectory.stop == "answered"
    assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory


def test_the_temperature_reaches_the_model():
    _, model = run(ANSWER, temperature=0.4)
    assert model.settings[0]["temperature"] == 0.4


def test_the_students_prompt_is_short_and_names_the_tools(tool):
    short = make_agent(ScriptedModel(ANSWER), [tool]).system_prompt
    long = make_agent(ScriptedModel(ANSWER), [tool], prompt="teacher").system_prompt
    assert "wiki_search" in short and "<code>" in short and "</code>" in short
    assert len(short) < len(long) / 5 and "def wiki_search" in long
    with pytest.raises(ValueError, match="student"):
        make_agent(ScriptedModel(ANSWER), [], prompt="nonesuch")


def test_a_chain_of_thought_is_one_request(tool):
    model = ScriptedModel("First this.\n\nThen that.\n<answer>Oba</answer>")
    trajectory = solve(make_thinker(model, tool), "Which river is Lurra on?")
    assert (trajectory.answer, trajectory.method, len(model.requests)) == ("Oba", "cot_rag", 1)
    assert "[1] Lurra" in trajectory.messages[1].content
    assert [m.model_dump() for m in trajectory.messages[:2]] == model.requests[0]
    assert solve(make_thinker(ScriptedModel("I do not know.")), "q").stop == "max_steps"
    assert solve(make_thinker(ScriptedModel(OSError("gone"))), "q").stop == "failed"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>5</answer>", "5"),
        ("<answer>1</answer> no, <answer> 2 </answer>", "2"),
        (r"so \boxed{\frac{1}{2}} it is", r"\frac{1}{2}"),
        (r"<answer>\boxed{7}</answer>", "7"),
        (r"\boxed{1", None),
        ("<answer></answer>", None),
        ("<answer>5", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_answer_is_found_in_the_text(text, answer):
    assert find_answer(text) == answer
