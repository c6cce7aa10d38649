"""Tools that others serve: MCP servers, Gradio apps, LangChain; and what they may do to us."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tools
from agents import make_agent, solve
from agents.as_tool import StudentTool
from tools.outside import mcp, words
from tools.outside.borrowed import BorrowedTool, distinct, identifier
from tools.outside.langchain import langchain_tools
from tools.outside.mcp import mcp_tools
from tools.outside.space import names_file, space_tool

from .scripted import ScriptedModel, step

ROOT = Path(__file__).parent.parent
PYTHON = shlex.quote(sys.executable)
SERVER = f"{PYTHON} {shlex.quote(str(Path(__file__).with_name('mcp_server.py')))}"


@pytest.fixture(scope="module", autouse=True)
def none_left():
    yield
    mcp.close_all()


@pytest.fixture
def served():
    return {tool.name: tool for tool in mcp_tools(SERVER)}


def test_an_agent_uses_the_tools_of_an_mcp_server():
    found = tools.compose(["wiki_search", f"mcp:only=river-length {SERVER}"])
    assert [tool.name for tool in found] == ["wiki_search", "river_length"]
    model = ScriptedModel(step("", "final_answer(river_length('Oba', unit='mi') + 1)"))
    assert solve(make_agent(model, found), "?").answer == "194.2"
    assert "river_length(name, unit): How long a river is." in model.requests[0][0]["content"]
    unit = found[1].inputs["unit"]
    assert unit["description"] == 'One of ["km", "mi"]. Optional; km if not given.'


def test_odd_names_and_words_become_usable(served):
    odd = served["print_tool"]
    assert list(odd.inputs) == ["from_", "_2nd", "a_b"]
    assert odd("x", a_b="y") == '{"from": "x", "a b": "y"}'
    assert odd.inputs["_2nd"]["type"] == ["integer", "null"]
    assert "\u200b" not in odd.description and len(odd.description) < 3000


def test_arguments_that_do_not_fit_are_the_models_mistake(served):
    for wrong in ((), ("Oba", "km", 3)):
        with pytest.raises(TypeError, match="it takes: name, unit"):
            served["river_length"](*wrong)
    with pytest.raises(TypeError, match="no argument 'lake'"):
        served["river_length"]("Oba", lake=1)
    with pytest.raises(TypeError, match="two values"):
        served["river_length"]("Oba", name="Oba")


def test_a_tool_that_does_not_say_that_it_only_reads_may_write(served):
    assert not served["river_length"].side_effects
    assert served["count"].side_effects


def test_the_connection_is_held(served):
    first = int(served["count"]())
    assert {tool.name: tool for tool in mcp_tools(SERVER)}["count"]() == str(first + 1)


def test_what_the_server_complains_of_the_model_reads(served):
    with pytest.raises(RuntimeError, match="no such river"):
        served["fail"]()


def test_a_server_that_dies_is_told_and_started_again(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hush-hush-hush")
    found = {tool.name: tool for tool in mcp_tools(f"SERVICE_TOKEN=$MY_TOKEN {SERVER}")}
    assert '"SERVICE_TOKEN": "***"' in found["environment"]()  # it has it, and nothing shows it
    with pytest.raises(
        ConnectionError, match=r"exit code 3; its last words: no more, token \*\*\*"
    ):
        found["die"]()
    assert found["count"]() == "1"


def test_a_server_gets_no_secret_that_is_not_given(served, monkeypatch):
    monkeypatch.setenv("OTHER_API_KEY", "hush-hush-hush")
    found = {tool.name: tool for tool in mcp_tools(f"MODE=$HOME {SERVER}")}
    assert "hush" not in found["environment"]()
    with pytest.raises(ValueError, match="not written out"):
        mcp_tools(f"SERVICE_TOKEN=hush {SERVER}")
    with pytest.raises(ValueError, match="no variable NOT_THERE"):
        mcp_tools(f"SERVICE_TOKEN=$NOT_THERE {SERVER}")
    with pytest.raises(ValueError, match="no password within an address"):
        mcp_tools("http://me:hush@localhost/mcp")


@pytest.mark.parametrize("name", ["flood", "line"])
def test_a_server_that_floods_is_ended_and_started_again(served, name):
    with pytest.raises(ConnectionError, match=r"it sent .*more than [\d,]+ bytes"):
        served[name]()
    assert served["count"]() == "1"


def test_long_names_stay_apart():
    names = distinct([identifier("x" * 80), identifier("x" * 90)])
    made = [BorrowedTool(name, "", {}, dict).name for name in names]
    assert len(set(made)) == 2


BROKEN = """
import json, sys
print("\\x1b[31mred", file=sys.stderr, flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        info = {"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}}
        result = {**info, "serverInfo": {"name": "x", "version": "1"}}
    elif asked["method"] == "tools/list" and "end" not in sys.argv:
        result = {"tools": [{"name": 5}]}
    elif "id" in asked:
        sys.exit(3)
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


@pytest.mark.parametrize(
    ("argument", "said"), [("", "no reply: tools"), ("end", r"last words: \[31mred\. No tools")]
)
def test_what_a_broken_server_sends_is_told_in_one_line(tmp_path, argument, said):
    file = tmp_path / "broken.py"
    file.write_text(BROKEN)
    with pytest.raises(ValueError, match=said) as error:
        mcp_tools(f"{PYTHON} {shlex.quote(str(file))} {argument}")
    assert "\n" not in str(error.value)


def test_a_result_that_is_too_long_is_cut_with_a_note(served):
    result = served["big"]()
    assert len(result) < 21_000
    assert result.endswith("[cut: the first 20,000 of 1,000,000 characters]")


def test_a_server_that_hangs_costs_one_deadline():
    found = {tool.name: tool for tool in mcp_tools(SERVER, seconds=0.5)}
    with pytest.raises(TimeoutError, match=r"did not answer within 0\.5 seconds"):
        found["hang"]()


def test_a_server_that_hangs_ends_with_us_however_we_end():
    code = (
        "import os, threading; from tools.outside.mcp import mcp_tools\n"
        f"found = {{tool.name: tool for tool in mcp_tools({SERVER!r})}}\n"
        "print(found['pid'](), flush=True)\n"
        "threading.Thread(target=found['hang'], daemon=True).start()\n"
        "os._exit(130)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    pid = int(run.stdout)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([handle], [], [], 20)
    os.close(handle)
    assert ended


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no-such-command-here", "no command"),
        (f"{PYTHON} -c 'raise SystemExit(4)'", "exit code 4"),
        ("http://127.0.0.1:9/mcp", "is gone"),
        (f"only=lake {SERVER}", "no tool 'lake'; there are: river-length"),
        ("", "names nothing"),
        ("a 'b", "cannot be split"),
    ],
)
def test_a_server_that_is_none_is_refused_with_a_sentence(text, said):
    with pytest.raises(ValueError, match=said):
        tools.compose([f"mcp:{text}"])


def test_the_tools_of_a_server_over_http(tmp_path):
    import uvicorn
    from mcp.server.fastmcp import FastMCP

    served = FastMCP("sums", log_level="CRITICAL")

    @served.tool()
    def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        return a + b

    config = uvicorn.Config(
        served.streamable_http_app(), port=0, log_level="critical", timeout_graceful_shutdown=0
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    [added] = tools.compose(f"mcp:http://127.0.0.1:{port}/mcp")
    assert added(2, 3) == 5 and added(2) == 3
    server.should_exit = True
    thread.join()
    with pytest.raises(ConnectionError, match="is gone"):
        added(2, 3)


@pytest.fixture(scope="module")
def space():
    import gradio as gr

    def greet(name: str, times: int = 1) -> str:
        """Greet somebody."""
        if name == "nobody":
            raise gr.Error("there is nobody")
        return " ".join(["Hello", name] * int(times))

    with gr.Blocks() as app:
        gr.api(greet, api_name="greet")
        picture = gr.Image(type="filepath")
        gr.Button().click(lambda file: "seen", picture, gr.Textbox(), api_name="look")
    _, address, _ = app.launch(quiet=True, prevent_thread_lock=True, share=False)
    yield address.rstrip("/")
    app.close()


def test_an_endpoint_of_a_gradio_app_is_a_tool(space):
    [greet] = tools.compose(f"hello=space:{space}#greet")
    assert greet.name == "hello" and greet("Ada", 2) == "Hello Ada Hello Ada"
    assert greet(name="Ada") == "Hello Ada"
    with pytest.raises(RuntimeError, match="there is nobody"):
        greet("nobody")
    with pytest.raises(ValueError, match="these endpoints: greet, look"):
        space_tool(space)
    with pytest.raises(ValueError, match="no endpoint 'wave'"):
        space_tool(f"{space}#wave")


def test_no_file_of_this_machine_goes_to_a_gradio_app(space):
    look = space_tool(f"{space}#look")
    for file in ("/etc/passwd", {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}):
        with pytest.raises(ValueError, match="not sent"):
            look(file)
    assert names_file([{"a": [{"path": "x"}]}]) and not names_file([{"a": "x"}])
    with pytest.raises(ValueError, match="not sent"):
        space_tool(f"{space}#greet")(
            {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, 1
        )


def test_an_app_that_is_none_is_refused():
    with pytest.raises(ValueError, match="does not answer as a Gradio app"):
        space_tool("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="neither owner/name"):
        space_tool("a/b/c/d")


LANGCHAIN = '''
from langchain_core.tools import Tool, tool

@tool(parse_docstring=True)
def power(base: float, exponent: float = 2.0) -> float:
    """Raise to a power.

    Args:
        base: what is raised
        exponent: how often
    """
    return base ** exponent

shout = Tool(name="shout it", description="Loud.", func=str.upper, metadata={"read_only": True})
both = lambda: [power, shout]
nothing = 3
'''


@pytest.fixture
def chains(tmp_path, monkeypatch):
    (tmp_path / "my_chains.py").write_text(LANGCHAIN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_chains", None)


def test_langchains_arguments_are_right_by_place_and_described(chains):
    power, shout = langchain_tools("my_chains:both")
    assert power(2, 10) == 1024 and power(3) == 9 and power(exponent=3, base=2) == 8
    assert power.inputs["exponent"]["description"] == "how often. Optional; 2.0 if not given."
    assert shout.name == "shout_it" and shout("hey") == "HEY"
    assert power.side_effects and not shout.side_effects


def test_what_is_no_langchain_tool_is_refused(chains):
    for text, said in (("my_chains:nothing", "no LangChain tool"), ("my_chains:none", "cannot be had"),
                       ("no_such_module:x", "cannot be had"), ("my_chains", "module:attribute")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            langchain_tools(text)


def test_two_tools_of_one_name_are_refused_and_can_be_named(chains):
    with pytest.raises(ValueError, match="both be called 'power'"):
        tools.compose("langchain:my_chains:power,langchain:my_chains:power")
    found = tools.compose("a=langchain:my_chains:power,b=langchain:my_chains:both")
    assert [tool.name for tool in found] == ["a", "b_power", "b_shout_it"]
    for name in ("final_answer", "print"):
        with pytest.raises(ValueError, match="No tool can be called"):
            tools.compose(f"{name}=langchain:my_chains:power")


def test_an_agent_is_made_by_what_is_given_for_it():
    asked = []
    made = StudentTool(ScriptedModel(""), [], "student", "It answers.", {})
    assert tools.compose("agent:pocket", agent=lambda m: asked.append(m) or made) == [made]
    assert asked == ["pocket"]
    with pytest.raises(ValueError, match="not available here"):
        tools.compose("agent:pocket")


def test_a_file_called_final_answer_shadows_nothing(tmp_path):
    file = tmp_path / "end.py"
    file.write_text(
        "from smolagents import tool\n\n@tool\ndef final_answer(x: str) -> str:\n"
        '    """End.\n\n    Args:\n        x: the end\n    """\n    return x\n'
    )
    with pytest.raises(ValueError, match="every agent has one"):
        tools.compose(str(file))


def test_a_file_cannot_take_a_name_of_pythons(tmp_path):
    file = tmp_path / "print.py"
    file.write_text(
        "from smolagents import tool\n\n@tool\ndef print(x: str) -> str:\n"
        '    """Print.\n\n    Args:\n        x: what\n    """\n    return x\n'
    )
    with pytest.raises(ValueError, match="Python's own"):
        tools.compose(str(file))


def test_a_file_that_forks_at_import_is_refused_and_leaves_no_process(tmp_path):
    file, told = tmp_path / "look_up.py", tmp_path / "pid"
    file.write_text(
        "import os, pathlib, time\nif os.fork() == 0:\n"
        f"    pathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n    time.sleep(300)\n"
        f"told = pathlib.Path({str(told)!r})\nwhile not (told.exists() and told.read_text()): pass\n"
    )
    with pytest.raises(ValueError, match="forks the process"):
        tools.compose(str(file))
    with contextlib.suppress(ProcessLookupError):
        ended = os.pidfd_open(int(told.read_text()))
        assert select.select([ended], [], [], 60)[0]


def test_an_address_that_is_none_is_named():
    with pytest.raises(ValueError, match=r"'http://\[x' is no address"):
        words.read("http://[x")


def test_a_variable_may_be_named_in_braces(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "canary-4821")
    found = words.read('Authorization="Bearer ${MY_TOKEN}" https://host/mcp')
    assert found.given == {"Authorization": "Bearer canary-4821"}
    assert found.masked("canary-4821") == "***"


@pytest.mark.parametrize(
    "schema",
    [{"properties": {"a": {}}, "required": [[], {}]}, {"properties": {"a": {"anyOf": {"b": 1}}}},
     {"properties": {"a": {"oneOf": 5}}}, {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": [1]}],
)  # fmt: skip
def test_what_a_schema_has_that_is_none_is_passed_over(schema):
    assert BorrowedTool("x", "", schema, dict).inputs["a"]["type"] == "any"


@pytest.mark.parametrize(
    "schema",
    [{"type": "array"}, {"properties": [1]}, {"properties": {str(i): {} for i in range(99)}}],
)
def test_arguments_that_cannot_be_understood_are_refused(schema):
    with pytest.raises(ValueError, match="The tool 'x'"):
        BorrowedTool("x", "", schema, dict)


def test_a_schema_that_goes_round_in_a_circle_ends():
    schema = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert BorrowedTool("x", "", schema, dict).inputs["a"]["type"] == "any"


@pytest.mark.parametrize(
    ("name", "made"),
    [("get-weather", "get_weather"), ("a.b/c", "a_b_c"), ("2x", "tool_2x"), ("", "tool"), ("日本", "tool"),
     ("len", "len_tool"), ("class", "class_tool"), ("final_answer", "final_answer_tool")],
)  # fmt: skip
def test_every_name_becomes_one_that_code_can_call(name, made):
    assert identifier(name) == made
