"""The agent behind the OpenAI protocol, Gradio's API and MCP: what clients get, and what they are refused."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from functools import partial

import httpx
import openai
import pytest
from smolagents import ActionStep
from smolagents.monitoring import Timing

from agents.chat.rules import Rules
from agents.serve.protocol import ApiError, read, task_of
from agents.serve.thoughts import Thoughts
from agents.solve import Piece
from distill.serve import listen, name_of, serve, server_of

from .scripted import ScriptedModel, step
from .serving import running

get, post = partial(httpx.get, timeout=60), partial(httpx.post, timeout=60)  # seconds
ANSWER = (step("Look.", "print(6 * 7)"), step("It is 42.", "final_answer(42)"))


class TellingModel(ScriptedModel):
    """Tells its reply word by word; where `go` is clear, it waits for it before the last."""

    tells = True

    def __init__(self, *replies):
        super().__init__(*replies)
        self.go, self.asked, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.go.set()

    def generate(self, messages, stop_sequences=None, *, told=None, cancelled=None, **settings):
        reply = super().generate(messages, stop_sequences, **settings)
        words = reply.content.split(" ")
        for at, word in enumerate(words):
            if told:
                told(word if at == 0 else f" {word}")
            if at == len(words) - 2:
                self.asked.set()
                while not self.go.wait(0.02):
                    if cancelled.is_set():
                        self.stopped.set()
                        return reply
        return reply

    def script(self, *replies) -> None:
        """Begin anew, with these."""
        self.replies[:], self.requests[:] = replies, []
        self.go.set()
        self.asked.clear()
        self.stopped.clear()


@pytest.fixture(scope="module")
def shared():
    """One server for all tests of this module, over a model whose script each test writes."""
    model = TellingModel("")
    served = serve(
        "student", loaded=model, tools="", rules="runs=1,waiting=1,per_minute_address=1000"
    )
    with running(served.app) as address:
        yield model, served, address


@pytest.fixture
def door(shared):
    model, _, address = shared
    model.script(*ANSWER)
    yield model, address
    model.go.set()


@pytest.fixture
def client(door):
    with openai.OpenAI(base_url=f"{door[1]}/v1", api_key="none", max_retries=0) as client:
        yield client


def ask(client, *, messages=None, **more):
    messages = messages or [{"role": "user", "content": "What is 6 times 7?"}]
    return client.chat.completions.create(model="student", messages=messages, **more)


def test_openais_client_gets_the_agents_answer_its_thoughts_and_its_tokens(client):
    assert [model.id for model in client.models.list()] == ["student"]
    assert client.models.retrieve("student").id == "student"
    reply = ask(client, temperature=0.7, max_tokens=5)
    [choice] = reply.choices
    assert (choice.message.content, choice.finish_reason) == ("42", "stop")
    thoughts = choice.message.reasoning_content
    assert (
        "Look." in thoughts
        and "\n```python\nprint(6 * 7)\n```\n" in thoughts
        and "<code>" not in thoughts
    )
    assert "Observation:\n```\nExecution logs:\n42" in thoughts
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (20, 10)


def test_a_stream_tells_thoughts_as_they_are_written_and_then_the_answer(door, client):
    model, _ = door
    model.go.clear()
    thoughts, content, reason, usage = "", "", None, None
    for chunk in ask(client, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            thoughts += getattr(choice.delta, "reasoning_content", None) or ""
            content += choice.delta.content or ""
            reason = choice.finish_reason or reason
        if "Thought:" in thoughts:
            model.go.set()  # words came while the model was still writing: it had been waiting
        usage = chunk.usage or usage
    assert (content, reason, usage.total_tokens) == ("42", "stop", 30)
    assert thoughts.count("Look.") == 1 and "print(6 * 7)" in thoughts and "42" in thoughts
    model.script(*ANSWER)
    whole = ask(client).choices[0].message.reasoning_content
    assert thoughts.split() == whole.split()


def test_earlier_turns_and_instructions_stand_before_the_question(door, client):
    model, _ = door
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "What is 6 times 7?"}]},
        {"role": "assistant", "content": "42"},
        {"role": "user", "content": "And <|im_end|> doubled?"},
    ]
    ask(client, messages=messages)
    task = model.requests[0][-1]["content"]
    assert task.startswith(
        "New task:\nSaid before in this conversation:\nInstructions: Be short.\n"
    )
    assert "User: What is 6 times 7?\nYou: 42\n\nNow: And <|im_end|> doubled?" in task


def test_of_a_long_conversation_the_newest_is_kept_and_that_is_said():
    messages = [{"role": "user", "content": f"{n}" * 90} for n in range(9)]
    task = task_of([*messages, {"role": "user", "content": "Now?"}], Rules(message_chars=100))
    assert "left out" in task and "8" * 90 in task and "4" * 90 not in task


def test_what_cannot_be_seen_is_no_part_of_earlier_turns_either():
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey")
    messages = [{"role": "user", "content": f"a\0b\u200b{hidden}\ud800"}]
    task = task_of([*messages, {"role": "user", "content": "Now?"}], Rules())
    assert "User: ab?\n" in task


def test_a_run_out_of_steps_says_so(door, client):
    door[0].script(step("Hm.", "print(1)"))
    [choice] = ask(client).choices
    assert (
        choice.finish_reason == "length" and choice.message.content == "No answer within 5 steps."
    )


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"n": 2}, 400, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "tools"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"logprobs": True}, 400, "logprobs"),
        ({"model": "other"}, 404, "model"),
        ({"model": None}, 400, "model"),
        ({"messages": []}, 400, "messages"),
        ({"messages": ["hello"]}, 400, "messages.0.role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "messages.0.role"),
        ({"messages": [{"role": [], "content": "x"}]}, 400, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "messages.0.content",
        ),
        ({"messages": [{"role": "user", "content": "  "}]}, 400, "messages"),
        ({"messages": [{"role": "user", "content": "a" * 5000}]}, 400, "messages"),
        ({"messages": [{"role": "user", "content": "a\0b"}]}, 400, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "messages"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_openais_shape(door, change, status, param):
    model, address = door
    body = {"model": "student", "messages": [{"role": "user", "content": "Hi?"}], **change}
    reply = post(f"{address}/v1/chat/completions", json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (status, param), error
    assert error["type"] == "invalid_request_error" and error["message"]
    assert not model.requests


def test_what_is_no_request_is_refused(door):
    _, address = door
    url = f"{address}/v1/chat/completions"
    as_json = {"content-type": "application/json"}
    for content in (b"{", b"[1]", b"\xff\xfe", b"[" * 100_000):
        assert post(url, content=content, headers=as_json).status_code == 400
    assert post(url, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    large = post(url, content=b'"' + b"a" * 10_000_000 + b'"', headers=as_json)
    assert large.status_code == 413 and "1,000,000 bytes" in large.json()["error"]["message"]
    assert get(f"{address}/v1/embeddings").json()["error"]["message"].startswith("There is no")
    with pytest.raises(ApiError, match="JSON"):
        read(b'{"model": NaN', Rules())


def test_a_model_that_is_down_is_an_error_of_the_server(door, client):
    door[0].script(ConnectionError("Nobody answers at the model's address."))
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError, match="Nobody answers") as error:
            ask(client, stream=stream)
        assert error.value.status_code == 502


def test_a_model_that_goes_down_in_mid_answer_ends_the_stream_with_its_error(door, client):
    door[0].script(ANSWER[0], ConnectionError("It went away."))
    with pytest.raises(openai.APIError, match="It went away") as error:
        list(ask(client, stream=True))
    assert not isinstance(error.value, openai.APIStatusError)  # its status was sent before


def test_who_comes_to_a_full_house_is_told_when_to_come_again(door, client):
    model, address = door
    model.go.clear()
    threads = [threading.Thread(target=ask, args=(client,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: get(f"{address}/health").json() == {"status": "ok", "runs": 1, "waiting": 1})
    with pytest.raises(openai.RateLimitError, match="1 are waiting") as error:
        ask(client)
    assert int(error.value.response.headers["retry-after"]) >= 1
    model.script(*ANSWER, *ANSWER)
    for thread in threads:
        thread.join(60)
    assert get(f"{address}/health").json()["runs"] == 0


def test_who_asks_cannot_name_the_address_that_is_counted_and_the_end_ends_answers():
    model = TellingModel(*ANSWER)
    model.go.clear()
    served = serve("student", loaded=model, tools="", rules="per_minute_address=1")
    server, (sock, address) = server_of(served), listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    url, lines = f"{address}/v1/chat/completions", []
    with httpx.stream("POST", url, json={**CHAT, "stream": True}, timeout=60) as reply:
        told = reply.iter_lines()
        lines.append(next(told))
        again = post(url, json=CHAT, headers={"x-forwarded-for": "9.9.9.9"})
        assert again.status_code == 429
        server.should_exit = True
        lines += told
    assert "Stopped." in "".join(lines) and lines[-2] == "data: [DONE]"
    thread.join(60)
    assert model.stopped.is_set() and not thread.is_alive()


def test_gradios_door_takes_no_body_without_end_and_no_file(door):
    _, address = door
    url, as_json = f"{address}/gradio/gradio_api", {"content-type": "application/json"}
    begun = {**as_json, "content-length": str(1 << 30)}
    host, port = address[7:].split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("POST", "/gradio/gradio_api/run/ask", headers=begun)
    assert connection.getresponse().status == 413
    connection.close()
    assert post(f"{url}/upload", files={"files": b"x"}).status_code == 403


CHAT = {"model": "student", "messages": [{"role": "user", "content": "Hi?"}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", {**CHAT, "stream": True}),
        ("/gradio/gradio_api/run/ask", {"data": ["Hi?"]}),
    ],
)
def test_a_client_that_goes_away_stops_its_run(door, path, body):
    model, address = door
    model.go.clear()
    raw = json.dumps(body).encode()
    with socket.create_connection(address.removeprefix("http://").split(":")) as sock:
        head = f"POST {path} HTTP/1.1\r\nhost: {address[7:]}\r\ncontent-type: application/json\r\n"
        sock.sendall(f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw)
        assert model.asked.wait(60)
    assert model.stopped.wait(60)
    wait_for(lambda: get(f"{address}/health").json()["runs"] == 0)
    assert len(model.requests) == 1


def test_ask_is_the_one_public_endpoint_of_gradios_api(door):
    from gradio_client import Client

    model, address = door
    client = Client(f"{address}/gradio/", verbose=False)
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/ask"]
    answer = client.predict("What is 6 times 7?", api_name="/ask")
    assert answer["answer"] == "42" and answer["stop"] == "answered" and answer["steps"] == 2
    with pytest.raises(Exception, match="at most 4,000"):
        client.predict("a" * 5000, api_name="/ask")
    model.script(ConnectionError("Nobody answers."))
    failed = client.predict("Hi?", api_name="/ask")
    assert (failed["answer"], failed["stop"]) == (None, "failed") and "Nobody answers" in failed[
        "error"
    ]


def test_ask_is_a_tool_for_mcp_clients(door):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    _, address = door

    async def session():
        url = f"{address}/gradio/gradio_api/mcp/"
        async with (
            streamablehttp_client(url) as (reads, writes, _),
            ClientSession(reads, writes) as mcp,
        ):
            await mcp.initialize()
            tools = (await mcp.list_tools()).tools
            return (
                tools,
                await mcp.call_tool("ask", {"question": "What is 6 times 7?"}),
                await mcp.call_tool("ask", {"question": " "}),
            )

    [tool], answer, refused = asyncio.run(session())
    assert tool.name == "ask" and list(tool.inputSchema["properties"]) == ["question"]
    assert "thinks, runs Python" in tool.description and "student" in tool.description
    assert not answer.isError and "'answer': '42'" in answer.content[0].text
    assert refused.isError and "Please ask something" in refused.content[0].text


def test_the_front_page_names_every_door(shared):
    _, served, address = shared
    openai = {"chat": "/v1/chat/completions", "models": "/v1/models"}
    others = {name: path for name, path in served.paths.items() if name != "openai"}
    assert list(others) == ["gradio", "mcp"]
    assert get(f"{address}/").json() == {"model": "student", "doors": openai | others}


def test_a_key_in_the_environment_guards_every_door(shared, monkeypatch):
    _, _, address = shared
    monkeypatch.setenv("SMOLDISTILL_API_KEY", "a-key-of-mine")
    doors = ("/v1/models", "/gradio/config", "/gradio/gradio_api/info", "/gradio/gradio_api/mcp/")
    for path in doors:
        assert get(address + path).status_code == 401, path
        wrong = {"authorization": "Bearer a-key-of-mina"}
        assert get(address + path, headers=wrong).status_code == 401, path
    right = {"authorization": "Bearer a-key-of-mine"}
    assert get(f"{address}/v1/models", headers=right).status_code == 200
    assert get(f"{address}/gradio/config", headers=right).status_code == 200
    with (
        openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def test_other_sites_pages_cannot_ask_a_server_without_a_key(door):
    model, address = door
    url, body = f"{address}/v1/chat/completions", {"model": "student", "messages": []}
    assert post(url, json=body, headers={"origin": "https://evil.example"}).status_code == 403
    assert post(url, json=body, headers={"origin": "null"}).status_code == 403
    # A name of the attacker's that points to this machine.
    assert get(f"{address}/v1/models", headers={"host": "evil.example"}).status_code == 421
    assert not model.requests


def test_a_model_is_called_by_its_last_name(tmp_path):
    assert name_of("http://127.0.0.1:8000/v1#me/it") == "me/it"
    assert name_of(str(tmp_path)) == tmp_path.name and name_of("pocket") == "pocket"


def test_tags_cut_in_two_are_no_tags_in_what_is_told():
    for text, shown in [
        ("Hm.\n<code>\nprint(1)\n</code>", "Hm.\n```python\nprint(1)\n```\n"),
        ("1 < 2<code>x</code> a <b> <co d <", "1 < 2\n```python\nx\n```\n a <b> <co d <"),
    ]:
        thoughts = Thoughts()
        told = "".join(thoughts.of(Piece(character)) for character in text)
        assert told + thoughts._held == shown == thoughts.text + thoughts._held


def test_where_another_candidate_has_won_its_words_are_told_too():
    thoughts = Thoughts()
    thoughts.of(Piece("First.\n<code>\nprint(1)"))
    won = ActionStep(
        step_number=1, timing=Timing(0.0), model_output="Second.\n<code>\nprint(2)\n</code>"
    )
    thoughts.of(won)
    first, told, second = thoughts.text.partition("Most candidates agree on another:")
    assert told and first.split() == ["First.", "```python", "print(1)", "```"]
    assert second.split() == ["Second.", "```python", "print(2)", "```"]


def test_a_mistake_is_told_before_anything_is_served():
    loaded = ScriptedModel("")
    for mistake, said in [
        ({"host": "0.0.0.0"}, "SMOLDISTILL_API_KEY"),
        ({"host": ""}, "The host is empty"),
        ({"rules": "runs=0"}, "runs is above 0"),
        ({"rules": "speed=1"}, "No rule 'speed'"),
        ({"limits": "x=1"}, "No limit 'x'"),
        ({"port": 70_000}, "A port"),
        ({"max_steps": 0}, "max_steps"),
        ({"tools": "nothing"}, "No tool named"),
    ]:
        with pytest.raises(ValueError, match=said):
            serve("student", loaded=loaded, **{"tools": "", **mistake})


def test_the_verb_shows_an_example_and_ends_a_mistake_in_one_sentence():
    from typer.testing import CliRunner

    from distill.__main__ import app

    shown = CliRunner().invoke(app, ["serve", "--help"])
    assert shown.exit_code == 0 and "python -m distill serve pocket" in shown.output
    wrong = CliRunner().invoke(app, ["serve", "pocket", "--host", "0.0.0.0"])
    assert wrong.exit_code == 2 and "Error: 0.0.0.0 is reached from other machines" in wrong.output


def wait_for(condition) -> None:
    """Until it holds; a server's state is not to be awaited otherwise."""
    pause = threading.Event()
    for _ in range(600):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("It did not come to hold.")
