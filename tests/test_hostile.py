"""What hostile code may not do to the app, to the machine, or to the next run: hostile.py, tried.

Three modes: through smolagents' interpreter; as plain Python, that interpreter bypassed, where Python's
own files can be read; and the same where no file can be opened. Of all that is tried only one thing
succeeds, in the second mode: to learn that a path exists.

What succeeded is seen from outside (watch.py); the first test shows that each observer can see.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import platform
import re
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from smolagents import FinalAnswerTool
from smolagents.local_python_executor import ExecutionTimeoutError, InterpreterError

from agents.sandbox import Limits, Outcome, SandboxError, SandboxExecutor, forkserver, seccomp
from agents.sandbox.executor import LOST
from agents.sandbox.frames import pack
from agents.sandbox.values import encode
from agents.sandbox.worker import MAX_ARGUMENT, MAX_OUTPUT

from . import hostile
from .watch import LEAVE, Memory, World, descendants, soon

LIMITS = Limits(seconds=1.0, memory_mb=128)
PATIENCE = LIMITS.seconds + 2 + LEAVE
"""Seconds. What is promised is the limit and two; the rest is for a machine that does other things too."""
LARGEST = LIMITS.memory_mb + 200
"""Megabytes of a sandboxed process: what it may take, beside Python, numpy and sympy."""
LIBRARIES = ["numpy", "sympy"]
MODES = {
    "ast": {"interpreter": "ast"},
    "python": {"interpreter": "python", "sealed": False},
    "sealed": {"interpreter": "python", "sealed": True},
}
BYPASSED = ("python", "sealed")
MISTAKEN = re.compile(
    r"is not defined|has no attribute|unexpected keyword|positional argument|invalid syntax|unterminated"
)
"""Errors of a payload that is itself wrong, and so proves nothing."""


class Search:
    """A tool with a key, that keeps what it was asked."""

    def __init__(self, key: str):
        self.api_key, self.asked, self.closing = key, [], threading.Event()

    def __call__(self, query, sanitize_inputs_outputs=False):
        self.asked.append(len(pack({"query": encode(query)})))
        if query == "sleep":
            self.closing.wait(60)
        return "x" * 10**6 if query == "echo" else query


class Run:
    """One executor under attack, and what was seen of it."""

    def __init__(self, world: World, mode: str, imports: list[str]):
        self.search, self.wrong = Search(world.secret), []
        try:
            self.executor = SandboxExecutor(
                imports,
                limits=LIMITS,
                # A function of the standard library: it runs inside, where there is no such variable.
                additional_functions={"getenv": os.getenv},
                **MODES[mode],
            )
        except SandboxError as error:
            pytest.skip(f"Nothing can be confined here: {error}")
        numbers = seccomp.numbers(hostile.CALLS, platform.machine())
        let_in = [*seccomp.ALLOWED.values(), *seccomp.PATHS.values(), *seccomp.OTHERS.values()]
        at = list(seccomp.AUDIT_ARCH).index(platform.machine())
        self.executor.send_tools({"search": self.search, "final_answer": FinalAnswerTool()})
        self.executor.send_variables(
            {
                **world.variables(),
                "CALLS": numbers,
                "LET_IN": [pair[at] for pair in let_in],
                "X32": platform.machine() == "x86_64",
                "SEALED": mode == "sealed",
            }
        )

    def acts(self, code: str) -> Outcome | None:
        """How the action went; None if it did not come back in time."""
        return self._in_time(lambda: self._one(code))

    def tries(self, codes: list[str]) -> list[Outcome] | None:
        return self._in_time(lambda: self.executor.trials(codes))

    def _one(self, code: str) -> Outcome:
        before = len(self.search.asked)
        with contextlib.suppress(InterpreterError, ExecutionTimeoutError):
            self.executor(code)
        asked = self.search.asked[before:]
        if len(asked) > LIMITS.calls:
            self.wrong.append(f"made {len(asked)} calls")
        if max(asked, default=0) > MAX_ARGUMENT:
            self.wrong.append(f"was heard with an argument of {max(asked):,} bytes")
        self.wrong += unlike_data(self.executor.last)
        return self.executor.last

    def _in_time(self, act):
        result, started = [], time.monotonic()

        def run():
            try:
                result.append(act())
            except BaseException as error:
                self.wrong.append(f"raised in the app: {error!r:.300}")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if thread.is_alive():
            self.wrong.append(f"did not come back in {PATIENCE:g} seconds")
            while thread.is_alive() and time.monotonic() - started < 10 * PATIENCE:
                if self.executor._session:  # or it would go on beside all the other tests
                    forkserver.kill_group(self.executor._session.group)
                thread.join(0.5)
        return result[0] if result else None

    def goes_on(self) -> None:
        """It answers again; if its state was lost, that was said."""
        answer = self.acts("1 + 1")
        if answer is not None and answer.error == LOST:
            answer = self.acts("1 + 1")
        if answer is None or answer.output != 2:
            self.wrong.append(f"does not go on: {answer!r:.300}")

    def ends(self) -> None:
        self.search.closing.set()
        self.executor.cleanup()


def unlike_data(outcome: Outcome) -> list[str]:
    """What an outcome holds that no honest process would have sent."""
    wrong = []
    try:
        if len(pack({"": encode(outcome.output)})) > MAX_OUTPUT + 100:
            wrong.append("returned more than is returned")
    except ValueError as error:
        wrong.append(f"returned what is no data: {error}")
    if len(outcome.logs) > LIMITS.output_chars + 200:
        wrong.append("printed more than is kept")
    if len(outcome.error or "") > MAX_OUTPUT:
        wrong.append("an error is longer than any result")
    return wrong


def text(outcome: Outcome | None) -> str:
    return "" if outcome is None else repr(replace(outcome, code=""))


def under_servers() -> set[int]:
    return set().union(*(descendants(server.pid) for server in list(forkserver._servers.values())))


@pytest.fixture(scope="module")
def world():
    world = World()
    forkserver.close_all()  # those to come are started with the secret in this process's environment
    yield world
    world.close()


@pytest.fixture(scope="module")
def memory(world):
    memory = Memory(under_servers)
    yield memory
    memory.close()


@pytest.fixture
def watched(world, memory, monkeypatch):
    """The world; afterwards: no process is left, no thread has died or stays, the server is the same."""
    died = []
    monkeypatch.setattr(threading, "excepthook", lambda hook: died.append(repr(hook.exc_value)))
    threads = threading.active_count()
    servers = {packages: server.pid for packages, server in forkserver._servers.items()}
    memory.start()
    yield world
    memory.look()
    gone = soon(lambda: not under_servers())
    assert gone, f"left behind: {under_servers()}"
    assert soon(lambda: threading.active_count() <= threads), "threads are left"
    assert not died, died
    now = {packages: server.pid for packages, server in forkserver._servers.items()}
    assert now | servers == now, "the fork server is another"
    assert all(server.alive for server in forkserver._servers.values())
    assert memory.grown < 200, "the app took memory"
    assert memory.largest < LARGEST, "a sandboxed process took memory"
    assert memory.processes <= 12, "processes were made"


def attack(world: World, mode: str, code: str, imports: list[str]) -> list[str]:
    """What went wrong."""
    run = Run(world, mode, imports)
    outcome = run.acts(code)
    run.goes_on()
    run.ends()
    seen = world.seen(text(outcome))
    if mode != "ast" and code.startswith(hostile.PRELUDE) and outcome and outcome.error:
        seen += ["the payload is wrong: " + outcome.error] * bool(MISTAKEN.search(outcome.error))
    again = Run(world, mode, imports)
    if again.acts("1 + 1").output != 2:
        seen.append("the next run does not work")
    again.ends()
    return run.wrong + seen


def tried(modes, payloads):
    return [
        pytest.param(mode, payloads[name], id=f"{mode}: {name}")
        for mode in modes
        for name in payloads
    ]


@pytest.mark.parametrize(("mode", "code"), tried(MODES, hostile.PLAIN))
def test_what_a_model_could_write_is_stopped(mode, code, watched):
    assert not attack(watched, mode, code, [] if mode == "ast" else LIBRARIES)


@pytest.mark.parametrize(("mode", "code"), tried(MODES, hostile.LIBRARIES))
def test_what_goes_through_numpy_and_sympy_is_stopped(mode, code, watched):
    assert not attack(watched, mode, code, LIBRARIES)


@pytest.mark.parametrize(("mode", "code"), tried(BYPASSED, hostile.BYPASSED))
def test_what_bypasses_the_interpreter_is_stopped_below_it(mode, code, watched):
    assert not attack(watched, mode, hostile.PRELUDE + code, LIBRARIES)


@pytest.mark.parametrize(("mode", "code"), tried(["sealed"], hostile.ORACLES))
def test_sealed_code_cannot_learn_that_a_path_exists(mode, code, watched):
    assert not attack(watched, mode, hostile.PRELUDE + code, LIBRARIES)


@pytest.mark.parametrize(("mode", "code"), tried(["sealed"], hostile.FORGED))
def test_a_forged_frame_is_at_worst_the_end_of_its_run(mode, code, watched):
    assert not attack(watched, mode, hostile.PRELUDE + code, LIBRARIES)


@pytest.mark.parametrize(("mode", "code"), tried(["sealed"], hostile.FLOODS))
def test_who_floods_the_app_is_ended_at_the_limit(mode, code, watched):
    assert not attack(watched, mode, hostile.PRELUDE + code, LIBRARIES)


OBSERVED = {
    "told the secret": "print(open(SECRET_FILE).read())",
    "says: PWNED": "print('PWNED')",
    "wrote to the folder": "open(CANARY, 'w')",
    "wrote to /tmp": "open('/tmp/' + MARKER, 'w')",
    "changed a file": "open(SECRET_FILE, 'a').write('x')",
    "reached: tcp": "socket.create_connection(('127.0.0.1', TCP))",
    "reached: udp": "socket.socket(2, 2).sendto(b'x', ('127.0.0.1', UDP))",
    "reached: abstract socket": "socket.socket(1).connect(chr(0) + ABSTRACT)",
    "reached: socket in a folder": "socket.socket(1).connect(UNIX)",
    "changed the app's limits": "resource.prlimit(APP, resource.RLIMIT_NOFILE, (FEWER, MOST))",
    "signalled the bystander": "os.kill(BYSTANDER, signal.SIGSTOP)",
}


@pytest.mark.parametrize("sight", OBSERVED)
def test_without_a_sandbox_each_observer_sees_what_it_is_there_for(sight):
    world = World()
    fewer, most = world.limits[0] - 1, world.limits[1]
    names = {**world.variables(), "FEWER": fewer, "MOST": most}
    code = f"import os, resource, signal, socket\nglobals().update({names!r})\n{OBSERVED[sight]}"
    try:
        assert not world.seen()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert not done.stderr
        seen: list[str] = []
        soon(lambda: seen.extend(world.seen(done.stdout)) or seen, 2)
        assert [what.strip() for what in seen] == [sight]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, world.limits)
        world.close()


def test_without_a_sandbox_processes_left_and_memory_taken_are_seen():
    code = "import os, time\ntaken = os.fork() or b'x' * 3 * 10**8\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as parent:
        memory = Memory(lambda: descendants(parent.pid))
        try:
            memory.start()
            # Not from the heap, which may have as much to spare that earlier tests gave back.
            with mmap.mmap(-1, 3 * 10**8) as kept:
                for page in range(0, len(kept), mmap.PAGESIZE):
                    kept[page] = 1
                assert memory.grown > 250
            assert soon(lambda: memory.largest > 250)
            assert memory.processes == 1
        finally:
            memory.close()
            forkserver.kill_group(parent.pid)


ENDLESS = [
    *((mode, name, code) for mode in MODES for name, code in hostile.ENDLESS.items()),
    *(
        (mode, name, hostile.PRELUDE + code)
        for mode in BYPASSED
        for name, code in hostile.ENDLESS_BYPASSED.items()
    ),
]
HIJACKED = [("sealed", name, hostile.PRELUDE + code) for name, code in hostile.HIJACKED.items()]


def at_once(world, attempt, tries: list[tuple[str, str, str]]) -> dict[tuple[str, str], list[str]]:
    """What went wrong, by mode and name; side by side, for most take all the time they are given."""
    for mode in MODES:
        Run(world, mode, [] if mode == "ast" else LIBRARIES).ends()  # the servers are ready
    with ThreadPoolExecutor(12) as pool:
        tasks = {(mode, name): pool.submit(attempt, mode, code) for mode, name, code in tries}
        return {which: task.result() for which, task in tasks.items()}


@pytest.fixture(scope="module")
def endless(world, memory):
    def attempt(mode, code):
        run = Run(world, mode, [] if mode == "ast" else LIBRARIES)
        outcome = run.acts(code)
        run.goes_on()
        run.ends()
        if outcome is not None and outcome.error is None:
            run.wrong.append(f"was not stopped: {text(outcome):.300}")
        return run.wrong + ["says PWNED"] * ("PWNED" in text(outcome))

    memory.start()
    return at_once(world, attempt, ENDLESS)


@pytest.fixture(scope="module")
def spoilt(world, memory):
    def attempt(mode, code):
        run = Run(world, mode, LIBRARIES)
        outcome = run.acts(code)
        run.acts("1 + 1")
        run.tries(["1 + 1", "2 + 2"])
        run.acts("1 + 1")
        run.executor.cleanup()
        run.goes_on()  # with a fresh state
        run.ends()
        error = outcome.error if outcome else None
        return run.wrong + [f"the payload is wrong: {error}"] * bool(
            error and MISTAKEN.search(error)
        )

    memory.start()
    return at_once(world, attempt, HIJACKED)


@pytest.mark.parametrize("which", [pytest.param((m, n), id=f"{m}: {n}") for m, n, _ in ENDLESS])
def test_what_has_no_end_ends_at_its_limit(which, endless):
    assert not endless[which]


@pytest.mark.parametrize("which", [pytest.param((m, n), id=f"{m}: {n}") for m, n, _ in HIJACKED])
def test_a_spoilt_state_spoils_nothing_but_itself(which, spoilt):
    assert not spoilt[which]


def test_what_has_no_end_and_what_is_spoilt_leave_nothing_behind(endless, spoilt, world, memory):
    memory.look()
    assert memory.grown < 500  # for all of them at once
    assert memory.largest < LARGEST
    assert soon(lambda: not under_servers())
    assert not world.seen()


def test_what_one_run_says_to_the_server_does_not_hold_up_another(watched):
    noisy, quiet = (Run(watched, "sealed", LIBRARIES) for _ in range(2))
    for descriptor in (
        1,
        2,
    ):  # in blocking mode, which another run may have changed if they are shared
        noisy.acts(
            f"import fcntl, os\nfcntl.fcntl({descriptor}, fcntl.F_SETFL, os.O_WRONLY)\n"
            f"while True:\n    os.write({descriptor}, b'x' * 4096)"
        )
    said = quiet.acts("import warnings\nwarnings.warn('a warning, as numpy gives them')\n1 + 1")
    noisy.ends()
    quiet.ends()
    assert said.output == 2, said.error


def test_what_one_run_changes_no_other_run_sees(watched):
    first, second = (Run(watched, "sealed", LIBRARIES) for _ in range(2))
    first.acts(
        "import collections, math\ncollections.poison = math.pi = 4\nimport builtins\nbuiltins.len = 1"
    )
    seen = second.acts(
        "import collections, math\nlen([math.pi == 4, hasattr(collections, 'poison')]), math.pi == 4,"
        " hasattr(collections, 'poison')"
    )
    first.ends()
    second.ends()
    assert seen.output == (2, False, False)


def test_a_candidate_cannot_reach_another(watched):
    run = Run(watched, "python", LIBRARIES)
    attempts = """
for pid in range(os.getpid() - 20, os.getpid() + 20):
    if pid != os.getpid():
        attempt(os.kill, pid, signal.SIGKILL, fine=())
        attempt(call, 'pidfd_open', pid, 0)
        attempt(call, 'tkill', pid, 9)
"""
    killing, other = run.tries([hostile.PRELUDE + attempts, "import time\ntime.sleep(0.3)\n7"])
    assert not watched.seen(text(killing))
    assert other.output == 7
    run.ends()


def test_bytes_out_of_band_do_not_make_the_others_wait(watched):
    run = Run(watched, "sealed", LIBRARIES)
    out_of_band = hostile.PRELUDE + hostile.FLOODS["a byte out of band"]
    outcomes = run.tries([out_of_band] * 8)
    run.ends()
    assert not run.wrong
    assert all(outcome.error for outcome in outcomes)


def test_a_state_that_forks_slowly_is_not_waited_for_once_per_candidate(watched):
    run = Run(watched, "sealed", LIBRARIES)
    late = """
fork = type(worker)._fork
def late(self, fd):
    time.sleep(1.5)
    fork(self, fd)
type(worker)._fork = late
"""
    run.acts(hostile.PRELUDE + late)
    run.tries(["1"] * 8)
    run.ends()
    assert not run.wrong


def test_after_an_adoption_no_process_of_the_run_is_left_but_the_state(watched):
    run = Run(watched, "sealed", LIBRARIES)
    # The second candidate is said to be there, and is not; its fork is kept for a process of one's own.
    hiding = """
fork, forked = type(worker)._fork, []
def hide(self, fd):
    forked.append(fd)
    if len(forked) % 2:
        return fork(self, fd)
    os.write(fd, struct.pack('>I', 15) + b'{"op": "hello"}')
    if os.fork() == 0:
        time.sleep(60)
type(worker)._fork = hide
"""
    run.acts(hostile.PRELUDE + hiding)
    outcomes = run.tries(["1", "2"])
    if outcomes and outcomes[0].error is None:
        run.executor.adopt(outcomes[0])
    soon(lambda: len(under_servers()) <= 1, 1)
    left = under_servers()
    run.ends()
    assert len(left) <= 1, "a process hides"
