"""A model behind HTTP: what the server receives is what is recorded, and its faults are failures."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agents import load_model, make_agent, solve
from agents.models import FirstThought

from .scripted import step


@pytest.fixture
def server():
    """An OpenAI-compatible server on loopback that replays `replies` and keeps the bodies it receives."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            site.bodies.append(body)
            reply = site.replies[min(len(site.bodies), len(site.replies)) - 1]
            status, text = reply if isinstance(reply, tuple) else (200, reply)
            choice = {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
            answer = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"]}
            data = json.dumps({**answer, "choices": [choice], "usage": usage}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    site = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.bodies, site.replies = [], []
    threading.Thread(target=site.serve_forever, daemon=True).start()
    site.name = f"http://127.0.0.1:{site.server_port}/v1#student"
    yield site
    site.shutdown()
    site.server_close()


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
    assert trajectory.answer == "Oba" and trajectory.usage.input_tokens == 14
    assert [s.finish_reason for s in trajectory.steps] == ["stop", "stop"]
    assert "sk-very-secret" not in trajectory.model_dump_json()


def test_settings_of_a_call_beat_the_models(server):
    server.replies = [step("Done.", "final_answer(1)")]
    model = load_model(server.name, temperature=0.9, max_tokens=50)
    solve(make_agent(model, [], temperature=0.4), "q")
    assert (server.bodies[0]["temperature"], server.bodies[0]["max_tokens"]) == (0.4, 50)


def test_a_first_thought_is_an_unfinished_turn_and_part_of_the_record(server):
    server.replies = [" and I stop.\n<code>\nfinal_answer(1)\n"]
    agent = make_agent(FirstThought(load_model(server.name), "Thought: I begin"), [])
    trajectory = solve(agent, "q")
    assert server.bodies[0]["messages"][-1] == {"role": "assistant", "content": "Thought: I begin"}
    assert server.bodies[0]["continue_final_message"] is True
    assert trajectory.messages[2].content.startswith("Thought: I begin and I stop.")


def test_a_server_that_begins_the_turn_anew_is_an_error_not_a_trajectory(server):
    server.replies = [step("Something else.", "final_answer(1)")]
    trajectory = solve(
        make_agent(FirstThought(load_model(server.name), "Thought: I begin"), []), "q"
    )
    assert trajectory.stop == "failed" and "began its turn anew" in trajectory.error


def test_a_server_that_refuses_is_a_failed_run(server):
    server.replies = [(400, "no")]
    trajectory = solve(make_agent(load_model(server.name), []), "q")
    assert trajectory.stop == "failed" and "400" in trajectory.error


def test_a_server_that_is_gone_is_a_failed_run():
    trajectory = solve(make_agent(load_model("http://127.0.0.1:9/v1#m"), []), "q")
    assert trajectory.stop == "failed" and "onnection" in trajectory.error
