"""A model behind HTTP: what the server receives is what is recorded, and its faults are failures."""

from __future__ import annotations

import pytest

from agents import load_model, make_agent, solve
from agents.sampling import draw

from .scripted import ScriptedModel, step


def test_what_the_server_receives_is_what_is_recorded(server, tool, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    server.replies = [
        step("Look.", 'print(wiki_search("Lurra"))'),
        step("Oba.", 'final_answer("Oba")'),
    ]
    trajectory = solve(make_agent(load_model(server.name), [tool]), "Which river?")
    record = [{"role": m.role, "content": m.content} for m in trajectory.messages]
    assert [body["messages"] for body in server.bodies] == [record[:2], record[:4]]
    assert server.bodies[0]["temperature"] == 0 and "</code>" in server.bodies[0]["stop"]
    assert trajectory.answer == "Oba" and trajectory.usage.input_tokens == sum(
        len(server.rendered(b)) for b in server.bodies
    )
    assert [s.finish_reason for s in trajectory.steps] == ["stop", "stop"]
    assert "sk-very-secret" not in trajectory.model_dump_json()


def test_settings_of_a_call_beat_the_models(server):
    server.replies = [step("Done.", "final_answer(1)")]
    model = load_model(server.name, temperature=0.9, max_tokens=50)
    solve(make_agent(model, [], temperature=0.4), "q")
    assert (server.bodies[0]["temperature"], server.bodies[0]["max_tokens"]) == (0.4, 50)


def test_a_server_that_refuses_is_a_failed_run(server):
    server.replies = [(400, "no")]
    trajectory = solve(make_agent(load_model(server.name), []), "q")
    assert trajectory.stop == "failed" and "400" in trajectory.error


def test_a_server_that_is_gone_is_a_failed_run():
    trajectory = solve(make_agent(load_model("http://127.0.0.1:9/v1#m"), []), "q")
    assert trajectory.stop == "failed" and "onnection" in trajectory.error


def test_half_a_surrogate_pair_in_a_reply_does_not_end_the_run(server):
    server.replies = [step("Half: \ud800.", "print(1)"), step("Done.", "final_answer(1)")]
    trajectory = solve(make_agent(load_model(server.name), []), "q")
    assert (trajectory.stop, trajectory.answer) == ("answered", "1")


MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "q"}]}]
WARM = {"temperature": 0.7}


def texts(replies):
    return [reply.content for reply in replies]


def test_several_replies_come_from_one_request(server):
    server.replies = ["a a", "b", "c"]
    replies = load_model(server.name).sample(MESSAGES, 3, ["</code>"], **WARM)
    assert texts(replies) == ["a a", "b", "c"]
    assert [body["n"] for body in server.bodies] == [3]
    assert [r.raw for r in replies] == [{"finish_reason": "stop"}] * 3
    tokens = [(r.token_usage.input_tokens, r.token_usage.output_tokens) for r in replies]
    assert tokens == [(len(server.rendered(server.bodies[0])), 4), (0, 0), (0, 0)]


@pytest.mark.parametrize("choices", [1, 2, "refuse"])
def test_a_server_that_gives_fewer_is_asked_for_the_rest_and_known_from_then_on(server, choices):
    server.replies, server.choices = [str(i) for i in range(20)], choices
    model = load_model(server.name)
    assert sorted(texts(model.sample(MESSAGES, 5, **WARM))) == list("01234")
    first, most = len(server.bodies), 2 if choices == 2 else 1
    assert len(model.sample(MESSAGES, 5, **WARM)) == 5
    asked = sorted(body.get("n", 1) for body in server.bodies[first:])
    assert asked == ([1, 2, 2] if most == 2 else [1] * 5)


def test_an_error_that_is_not_about_the_number_is_told(server):
    server.replies = [(400, "The prompt is too long.")]
    model = load_model(server.name)
    with pytest.raises(Exception, match="too long"):
        model.sample(MESSAGES, 4, **WARM)
    assert len(server.bodies) == 2  # the second asks for one alone
    server.replies = ["a"]
    model.sample(MESSAGES, 4, **WARM)
    assert server.bodies[-1]["n"] == 4


def test_greedy_replies_are_asked_for_one_by_one(server):
    server.replies = ["a"]
    assert texts(load_model(server.name).sample(MESSAGES, 3)) == ["a"] * 3
    assert all("n" not in body for body in server.bodies) and len(server.bodies) == 3


def test_separate_requests_draw_with_separate_seeds(server):
    server.replies, server.choices = ["a"], 1
    load_model(server.name, seed=7).sample(MESSAGES, 3, **WARM)
    assert sorted(body["seed"] for body in server.bodies) == [7, 8, 9]


def test_every_reply_is_cut_where_the_server_ignored_a_stop(server):
    server.replies = ["a</code> and on", "b", "c\nObservation: d</code>"]
    replies = load_model(server.name).sample(MESSAGES, 3, ["Observation:", "</code>"], **WARM)
    assert texts(replies) == ["a", "b", "c\n"]


def test_a_reply_that_says_nothing_is_the_models_fault(server):
    server.replies = [None, step("Done.", "final_answer(1)")]
    trajectory = solve(make_agent(load_model(server.name), []), "q")
    assert trajectory.messages[2].content == "" and trajectory.answer == "1"


def test_candidates_of_a_step_are_one_request(server):
    server.replies = [step("So.", f"final_answer({n})") for n in (1, 2, 2)]
    trajectory = solve(make_agent(load_model(server.name), [], samples=3), "q")
    assert trajectory.answer == "2" and trajectory.usage.requests == 1
    assert [(body["n"], body["temperature"]) for body in server.bodies] == [(3, 0.4)]


def test_a_model_without_sample_is_asked_several_times_at_once():
    model = ScriptedModel("a", "b", "c")
    assert sorted(texts(draw(model, MESSAGES, 3, ["x"], temperature=1.0))) == ["a", "b", "c"]
    assert model.settings == [{"stop_sequences": ["x"], "temperature": 1.0}] * 3
