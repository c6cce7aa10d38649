"""The sandbox: the interface of smolagents' executors, limits that are kept, and no process left behind."""

from __future__ import annotations

import copy
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from smolagents import FinalAnswerTool
from smolagents.local_python_executor import ExecutionTimeoutError, InterpreterError

from agents import make_agent, solve
from agents.agent import LIMITS
from agents.cancelled import Cancelled
from agents.sandbox import Limits, SandboxError, SandboxExecutor, forkserver, tier
from agents.sandbox.frames import BrokenChannelError, Channel
from agents.sandbox.values import NotDataError, decode, encode

from .scripted import ScriptedModel, step

ROOT = Path(__file__).parent.parent


@pytest.fixture
def executor():
    executor = SandboxExecutor([], limits=Limits(seconds=2, memory_mb=128))
    executor.send_tools({})
    yield executor
    executor.cleanup()


def children(pid: int) -> set[int]:
    """All processes below one."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found |= {int(folder.name)} | children(int(folder.name))
    return found


def eventually(true, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


# State.


def test_state_lasts_from_action_to_action(executor):
    executor("def double(x):\n    return 2 * x\nn = 3")
    assert executor("double(n)").output == 6


def test_an_error_keeps_what_was_done_before_it(executor):
    with pytest.raises(InterpreterError, match="ZeroDivisionError"):
        executor("n = 5\nprint('seen')\nn / 0")
    assert executor.state["_print_outputs"] == "seen\n"
    assert executor("n").output == 5


def test_an_action_that_was_stopped_undoes_itself(executor):
    executor("n = [1]")
    with pytest.raises(ExecutionTimeoutError, match="exceeded the maximum execution time of 2 sec"):
        executor("n.append(2)\nfor _ in iter(int, 1):\n    pass")
    assert executor("n").output == [1]
    assert executor.last.limit is None


def test_trials_change_nothing_until_one_is_adopted(executor):
    executor("n = 1")
    outcomes = executor.trials(["n = n + 1\nn", "n = n + 10\nn", "n = n / 0"])
    assert [outcome.output for outcome in outcomes] == [2, 11, None]
    assert outcomes[2].error.endswith("division by zero")
    executor.adopt(outcomes[1])
    assert executor("n").output == 11
    with pytest.raises(ValueError, match="newest trials"):
        executor.adopt(outcomes[0])


def test_generators_and_classes_fork_with_the_state(executor):
    executor("class Box:\n    items = []\ng = (i for i in range(9))\nnext(g)")
    first, second = executor.trials(
        ["Box.items.append(1)\nnext(g)", "next(g)\n(next(g), Box.items)"]
    )
    assert (first.output, second.output) == (1, (2, []))


def test_variables_are_plain_data_or_refused(executor):
    executor.send_variables({"table": {"a": (1, 2.5), 3: {4}}})
    assert executor("table").output == {"a": (1, 2.5), 3: {4}}
    with pytest.raises(ValueError, match=r"'thing'.*object"):
        executor.send_variables({"thing": object()})


def test_cleanup_ends_the_run_and_a_new_one_starts_afresh(executor):
    executor("n = 1")
    executor.cleanup()
    with pytest.raises(InterpreterError, match="`n` is not defined"):
        executor("n")


def test_an_authorised_package_that_loads_late_works_unsealed():
    executor = SandboxExecutor(["json", "decimal", "fractions", "sqlite3"])
    assert not executor.sealed
    code = "import json, decimal\njson.dumps({'a': str(decimal.Decimal('0.1'))})"
    assert executor(code).output == '{"a": "0.1"}'


def test_numpy_and_sympy_work_sealed():
    executor = SandboxExecutor(["numpy.*", "sympy.*"])
    assert executor.sealed
    code = "import numpy as np\nfrom numpy.linalg import inv\nfloat(inv(np.eye(2) * 2)[0, 0])"
    assert executor(code).output == 0.5
    code = "import sympy as s\nx = s.symbols('x')\n(s.solve(x**2 - 2, x), s.integrate(s.sin(x), x))"
    assert executor(code).output == "([-sqrt(2), sqrt(2)], -cos(x))"


def test_two_runs_draw_different_random_numbers():
    draws = {SandboxExecutor([])("import random\nrandom.random()").output for _ in range(3)}
    assert len(draws) == 3


def test_an_object_that_a_tool_returns_stays_in_the_app_and_finds_its_way_back(executor):
    class Picture:
        def __str__(self):
            return "a picture"

    picture, seen = Picture(), []
    executor.send_tools(
        {"paint": lambda: [picture], "show": seen.append, "final_answer": FinalAnswerTool()}
    )
    assert executor("p = paint()[0]\nprint(p)\nshow(p)").logs == "a picture\n"
    assert seen == [picture]
    with pytest.raises(InterpreterError, match="AttributeError"):
        executor("p.pixels")
    assert executor("final_answer(p)").output is picture


def test_arrays_come_out_as_arrays():
    output = SandboxExecutor(["numpy"])("import numpy\nnumpy.arange(6.0).reshape(2, 3)").output
    assert output.shape == (2, 3) and output.sum() == 15


# Limits.


@pytest.mark.parametrize(
    ("code", "limit", "told"),
    [
        ("for _ in iter(int, 1):\n    pass", "seconds", "maximum execution time of 2 seconds"),
        ("import time\ntime.sleep(60)", "seconds", "maximum execution time"),
        ("10 ** 10 ** 8", "seconds", "maximum execution time"),
        ("x = 'a' * 10**9", "memory", "MemoryError"),
        ("for i in range(60):\n    echo(i)", "calls", "limit of 50 tool calls in one action"),
    ],
)
def test_a_limit_is_something_the_model_reads(executor, code, limit, told):
    executor.send_tools({"echo": lambda x: x})
    start = time.monotonic()
    with pytest.raises(
        InterpreterError if limit != "seconds" else ExecutionTimeoutError, match=told
    ):
        executor(code)
    assert executor.last.limit == limit
    assert time.monotonic() - start < 2 + 2
    assert executor("1 + 1").output == 2


def test_long_output_is_cut_and_counted(executor):
    result = executor("print('x' * 200_000)")
    assert 50_000 <= len(result.logs) < 51_000 and "truncated" in result.logs
    assert executor.last.limit == "output"


def test_calls_of_a_whole_run_are_limited():
    executor = SandboxExecutor([], limits=Limits(run_calls=3))
    executor.send_tools({"echo": lambda x: x})
    executor("echo(1)\necho(2)")
    with pytest.raises(InterpreterError, match="limit of 3 tool calls in one run"):
        executor("echo(3)\necho(4)")


def test_a_tool_that_hangs_is_not_waited_for():
    executor = SandboxExecutor([], limits=Limits(seconds=0.5))
    executor.send_tools({"hang": lambda: time.sleep(30)})
    start = time.monotonic()
    with pytest.raises(ExecutionTimeoutError):
        executor("hang()")
    assert time.monotonic() - start < 0.5 + 2


def test_past_its_tokens_a_run_has_one_more_step():
    model = ScriptedModel(step("Hm.", "print(1)"), step("Now.", "final_answer(1)"))
    limits = Limits(run_tokens=10)
    trajectory = solve(make_agent(model, [], limits=limits, max_steps=9), "q")
    assert trajectory.steps[0].limit == "run_tokens"
    assert "limit of 10 tokens is reached" in trajectory.messages[3].content
    assert (trajectory.answer, trajectory.stop) == ("1", "answered")
    never = solve(
        make_agent(ScriptedModel(step("Hm.", "1 / 0")), [], limits=limits, max_steps=9), "q"
    )
    assert (len(never.steps), never.stop) == (2, "max_steps")


def test_past_its_seconds_too():
    limits = Limits(run_seconds=0.001)
    model = ScriptedModel(step("Hm.", "print(1)"))
    trajectory = solve(make_agent(model, [], limits=limits, max_steps=9), "q")
    assert [s.limit for s in trajectory.steps] == ["run_seconds", None]


def test_the_limits_of_an_agent_keep_a_small_context():
    agent = make_agent(ScriptedModel(step("So.", "print('x' * 9000)"), "x"), [], max_steps=2)
    trajectory = solve(agent, "q")
    assert len(trajectory.messages[3].content) < LIMITS.output_chars + 200
    assert trajectory.steps[0].limit == "output"


def test_limits_are_read_by_name():
    assert Limits.read("seconds=5, run_tokens=100") == Limits(seconds=5, run_tokens=100)
    for text, told in [
        ("secs=5", "there are: seconds"),
        ("seconds=no", "number"),
        ("calls=0", "at most"),
        ("seconds=inf", "at most"),
        ("memory_mb=nan", "number"),
    ]:
        with pytest.raises(ValueError, match=told):
            Limits.read(text)


# Killed from outside.


def test_a_killed_worker_costs_the_run_its_variables_and_nothing_else(executor):
    executor("n = 1")
    for pid in children(executor._server.pid) & group(executor):
        with suppress(ProcessLookupError):  # one that was ending anyway
            os.kill(pid, signal.SIGKILL)
    with pytest.raises(InterpreterError, match="lost, and every variable"):
        executor("n")
    assert executor("n = 2\nn").output == 2


def test_a_killed_fork_server_is_replaced(executor):
    executor("n = 1")
    before = executor._server.pid
    left = children(before)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(InterpreterError, match="lost"):
        executor("n")
    assert executor("n = 2\nn").output == 2
    assert executor._server.pid != before
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))


def test_an_agents_run_goes_on_after_its_worker_was_killed():
    killer = {}

    class Killer(ScriptedModel):
        def generate(self, *args, **kwargs):
            if len(self.requests) == 1:
                for pid in group(killer["agent"].python_executor):
                    with suppress(ProcessLookupError):  # one that was ending anyway
                        os.kill(pid, signal.SIGKILL)
            return super().generate(*args, **kwargs)

    model = Killer(
        step("One.", "n = 1"), step("Two.", "print(n)"), step("Three.", "final_answer(3)")
    )
    killer["agent"] = make_agent(model, [])
    trajectory = solve(killer["agent"], "q")
    assert trajectory.answer == "3" and trajectory.steps[1].limit == "process"


def test_a_run_leaves_no_process_behind():
    executor = SandboxExecutor([], limits=Limits(seconds=1))
    executor("n = 1")
    server = executor._server.pid
    before = children(server)
    executor.trials(["import time\ntime.sleep(9)", "n", "x = 'a' * 10**10"])
    executor.cleanup()
    assert eventually(lambda: not children(server) & before)
    assert eventually(lambda: not group(executor))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_app_leaves_no_process_behind(how):
    program = (
        "from agents.sandbox import SandboxExecutor, Limits\n"
        "e = SandboxExecutor([], limits=Limits(seconds=60))\n"
        "e('n = 1')\nprint(e._server.pid, flush=True)\n"
        "e.trials(['while True:\\n    pass', 'import time\\ntime.sleep(60)', 'n'])"
    )
    app = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    server = int(app.stdout.readline())
    assert eventually(lambda: len(children(server)) >= 4)
    left = children(server) | {server}
    app.send_signal(how)
    app.wait(20)
    app.stdout.close()
    assert eventually(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in left))


def test_app_and_fork_server_killed_together_leave_no_process_behind():
    program = (
        "from agents.sandbox import SandboxExecutor, Limits\n"
        "e = SandboxExecutor([], limits=Limits(seconds=600))\n"
        "e('n = 1')\ne('n = 2')\nprint(e._server.pid, flush=True)\n"
        "e('import time\\ntime.sleep(600)')"
    )
    app = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    server = int(app.stdout.readline())
    assert eventually(lambda: len(children(server)) >= 2)
    time.sleep(0.2)
    left = children(server)
    os.kill(server, signal.SIGKILL)
    app.kill()
    app.wait()
    app.stdout.close()
    assert eventually(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in left))


def group(executor) -> set[int]:
    """Processes of the executor's run."""
    session = executor._session
    if session is None:
        return set()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == session.group:
                found.add(int(folder.name))
    return found


def test_a_bookmark_is_gone_back_to_as_often_as_wanted(executor):
    executor("x = [1]")
    one = executor.bookmark()
    for _ in range(2):
        executor("x.append(2)\ny = 1")
        executor.go_back(one)
        assert executor("x").output == [1]
        with pytest.raises(InterpreterError, match="`y` is not defined"):
            executor("y")
    two = executor.bookmark()
    executor("x = 3")
    executor.forget(one)
    executor.go_back(two)
    assert executor("x").output == [1]
    with pytest.raises(ValueError, match="not kept, or was let go"):
        executor.go_back(one)


def test_bookmarks_that_are_let_go_and_runs_that_end_leave_no_process(executor):
    bookmarks = []
    for i in range(4):
        executor(f"x = {i}")
        bookmarks.append(executor.bookmark())
    assert eventually(lambda: len(group(executor)) == 4)  # the newest is the present state
    processes = group(executor)
    for bookmark in bookmarks[:2]:
        executor.forget(bookmark)
    assert eventually(lambda: len(group(executor)) == 2)
    executor.cleanup()
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))
    with pytest.raises(ValueError, match="is gone"):
        executor.go_back(bookmarks[2])


def test_stopping_ends_all_candidates_and_keeps_the_state(executor):
    executor("x = 1")
    executor.cancelled = threading.Event()
    before = {executor._session.holder.pid}
    threading.Timer(0.2, executor.cancelled.set).start()
    with pytest.raises(Cancelled):
        executor.trials(["x = 2\nwhile True: pass", "import time\ntime.sleep(60)"])
    assert eventually(lambda: group(executor) == before)
    executor.cancelled = None
    assert executor("x").output == 1


def test_what_the_users_other_programs_have_under_way_is_no_hindrance():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for _ in range(100):  # descriptors that no one has received yet
            socket.send_fds(ours, [b"."], [ours.fileno()])
        assert SandboxExecutor([])("1 + 1").output == 2


def test_ctrl_c_in_the_middle_of_a_request_mixes_up_no_answers(executor):
    executor("n = 1")
    server = executor._server
    receive = server._channel.receive
    server._channel.receive = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        executor("n")
    server._channel.receive = receive
    assert SandboxExecutor([])("1 + 1").output == 2
    with pytest.raises(InterpreterError, match="lost"):
        executor("n")
    assert executor("2").output == 2


def test_a_fork_of_the_app_leaves_its_parents_runs_alone(executor):
    executor("n = 1")
    child = os.fork()
    if child == 0:
        executor.cleanup()
        os._exit(0)
    os.waitpid(child, 0)
    assert executor("n").output == 1
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.copy(executor)


def test_an_error_that_cannot_be_shown_hangs_no_candidate(executor):
    class SlyError(Exception):
        def __str__(self):
            raise SystemExit

    def fail(how):
        raise {"sly": SlyError(), "number": ValueError(10**5000), "long": ValueError("x" * 10**7)}[
            how
        ]

    executor.send_tools({"fail": fail})
    for how in ("sly", "number", "long"):
        outcomes = executor.trials([f"x = {n}\nfail({how!r})" for n in range(3)])
        assert all(o.limit is None and "due to:" in o.error for o in outcomes), outcomes
    assert executor("1").output == 1


def test_many_busy_candidates_all_start():
    executor = SandboxExecutor([], limits=Limits(seconds=60))
    codes = [f"s = {k}\nfor i in range(4000):\n    s += i\ns" for k in range(48)]
    assert [o.error for o in executor.trials(codes)] == [None] * 48


# What the machine can do.


def test_where_code_cannot_be_confined_it_is_not_run():
    with pytest.raises(SandboxError, match=r"Linux only, not on darwin.*Docker.*--unsafe-local"):
        tier.check_machine("darwin", "arm64")
    with pytest.raises(SandboxError, match="riscv64"):
        tier.check_machine("linux", "riscv64")


def test_a_sandbox_that_does_not_hold_is_refused(monkeypatch):
    monkeypatch.setattr(tier, "CANARIES", "['read a file']")
    server = forkserver.server_for([])
    with pytest.raises(SandboxError, match=r"does not hold.*read a file.*--unsafe-local"):
        tier.try_to_break_out(server, True)


def test_without_landlock_only_sealable_imports_are_run():
    class Server:
        layers = {"landlock": 0, "namespaces": False}  # noqa: RUF012

    assert tier.of(Server()) == "sealed"
    assert tier.sealed_or_refused("sealed", ["numpy.*"], None) is True
    for imports, sealed in [(["pandas"], None), (["numpy"], False)]:
        with pytest.raises(SandboxError, match="no Landlock"):
            tier.sealed_or_refused("sealed", imports, sealed)


def test_the_environment_inside_is_empty(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    executor = SandboxExecutor([], interpreter="python", sealed=False)
    environment = executor("import os\ndict(os.environ)").output
    assert "HF_TOKEN" not in environment and "PATH" not in environment


def test_an_unconfined_agent_is_asked_for_by_name():
    model = ScriptedModel(step("So.", "final_answer(2)"))
    with pytest.warns(UserWarning, match="unconfined"):
        agent = make_agent(model, [], unsafe_local=True)
    assert solve(agent, "q").answer == "2"


def test_a_candidate_cannot_use_the_forks_meant_for_its_siblings():
    code = """
import os
won = 0
for _ in range(300):
    try:
        if os.fork() == 0:
            os._exit(0)
        won += 1
    except OSError:
        pass
won"""
    executor = SandboxExecutor([], interpreter="python")
    outcomes = executor.trials([f"n = {n}{code}" for n in range(8)])
    assert [outcome.output for outcome in outcomes] == [0] * 8


# The wire.


@pytest.mark.parametrize(
    "value",
    [
        None, True, 1, -2.5, "é\n", 10**100, [1, [2]], (1, ("a",)), {1, 2}, frozenset({3}), {"a": 1},
        {1: "a", (2, 3): None}, {"!": "set"}, 1 + 2j, b"\x00\xff", float("inf"),
    ],
)  # fmt: skip
def test_a_value_comes_back_as_it_was(value):
    import json

    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value and type(back) is type(value)


def test_a_forged_handle_is_refused():
    for number in (1, -1, "0", None, True):
        with pytest.raises(ValueError):
            decode({"!": "handle", "of": [number, ""]}, ["only"])


def test_what_is_no_data_is_not_sent():
    for value in (object(), [print], {"a": {1: lambda: 0}}, type("S", (str,), {})("x")):
        with pytest.raises(NotDataError):
            encode(value)


@pytest.mark.parametrize(
    "value",
    [
        {"!": "set", "of": [[1]]}, {"!": "dict", "of": [1]}, {"!": "eval", "of": "1"}, {"!": "set"},
        {"!": ["set"], "of": []}, {"!": "bytes", "of": 3}, {"!": "complex", "of": ["a", "b"]},
        {"!": "dict", "of": [[[1], 2]]}, {"!": "tuple", "of": 5}, {"!": "bytes", "of": "\u20ac"},
        {"!": "array", "of": ["O", [1], "12345678"]},
        {"!": "array", "of": ["(1,", [1], "x"]}, {"!": "array", "of": ["<f8", [2], ""]},
        {"!": "array", "of": ["<f8", [10**30, 0], ""]}, {"!": "array", "of": ["|u1", [-1, -1], "a"]},
    ],
)  # fmt: skip
def test_a_forged_value_is_refused(value):
    with pytest.raises(ValueError):
        decode(value)


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 64, b"\x00\x00\x00\x02{}extra\x00", b"\x00\x00\x00\x03abc", b"\x00\x00\x00\x02[]",
        b"\x00\x03\x0d\x40" + b"[" * 200_000, b"\x00\x00\x00\x01", b"",
    ],
)  # fmt: skip
def test_a_broken_frame_is_an_end_and_never_a_crash(sent):
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.settimeout(5)
    with theirs:
        import threading

        thread = threading.Thread(target=lambda: (theirs.sendall(sent), theirs.close()))
        thread.start()
        channel = Channel(ours, 1 << 20)
        with pytest.raises(BrokenChannelError):
            while True:
                channel.receive()
        thread.join()
    channel.close()
