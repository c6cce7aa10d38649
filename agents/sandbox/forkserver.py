"""The app's side of the fork server: start it, ask it for runs, notice when it is gone.

One server per set of third-party packages serves all runs of this process, however many threads they have.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from smolagents.utils import BASE_BUILTIN_MODULES

from . import cgroup
from .frames import BrokenChannelError, Channel

CAP = 1 << 16
START_SECONDS = 120
ANSWER_SECONDS = 10
DESCRIPTORS = 65_536
SEALABLE = {"numpy", "sympy"}
"""Packages that work without opening any file once they are loaded and warmed (server.py, WARM)."""


class SandboxError(RuntimeError):
    """The sandbox itself does not work; the reason says what to do. Never the model's fault."""


class ForkServer:
    """Starting it takes a second or two, in the background; the first request waits for that."""

    def __init__(self, packages: tuple[str, ...]):
        """packages: to have loaded, beside the modules that smolagents always authorises."""
        self.runs: set[int] = set()
        """Process groups of the runs that have not been ended."""
        self._lock = threading.Lock()
        self._ready: dict | None = None
        self._given_up = False
        raise_descriptor_limit()
        ours, theirs = socket.socketpair()
        ours.settimeout(START_SECONDS)
        self._channel = Channel(ours, CAP)
        here = Path(__file__).parent
        smolagents = importlib.util.find_spec("smolagents").submodule_search_locations[0]
        config = {
            # To import from, after its own: where else this process has packages from.
            "path": [path for path in sys.path if os.path.isdir(path)],
            "agents": str(here.parent),
            "smolagents": smolagents,
            "preload": [*BASE_BUILTIN_MODULES, *packages],
        }
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(here / "boot.py"), str(theirs.fileno()), json.dumps(config)],
            pass_fds=[theirs.fileno()],
            # Nothing of ours: no token, no path. One thread, so that it can fork; the same order of
            # sets every time.
            env={
                "LC_ALL": "C.UTF-8",
                "PYTHONHASHSEED": "0",
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
                "MKL_NUM_THREADS": "1",
            },
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the app's, which ends it
        )
        theirs.close()
        self._group = cgroup.around(self._process.pid, memory())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def layers(self) -> dict:
        """What there is: `landlock` (its version, 0 for none), `namespaces`, `cgroup`."""
        with self._lock:
            return {**self._wait_until_ready(), "cgroup": self._group is not None}

    def spawn(self, fd: int, settings: dict) -> int:
        """Fork a confined process that speaks on the socket `fd`; returns its process group."""
        answer = self._ask({"op": "spawn", **settings}, fd)
        if answer["op"] != "spawned":
            raise SandboxError(f"Code cannot be confined here: {answer.get('reason')}.")
        self.runs.add(answer["run"])
        return answer["run"]

    def grant(self, run: int, holder: int, forks: int) -> None:
        """Let this process of the run fork so many times, and no other process of it at all."""
        self._ask({"op": "grant", "run": run, "holder": holder, "forks": forks})

    def end(self, run: int) -> None:
        """Kill every process of the run.

        Neither waits nor takes the lock: an executor may be collected, and end its run, at any moment, also
        while this thread is in the middle of a request. A frame this short is sent in one piece.
        """
        self.runs.discard(run)
        try:
            self._channel.send({"op": "kill", "run": run})
        except BrokenChannelError:
            kill_group(run)

    @property
    def alive(self) -> bool:
        return not self._given_up and self._process.poll() is None

    def close(self) -> None:
        """End it and all its runs."""
        self._channel.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for run in list(self.runs):
            kill_group(run)
        self.runs.clear()
        self._process.stderr.close()
        if self._group:
            cgroup.remove(self._group)

    def _ask(self, request: dict, fd: int | None = None) -> dict:
        with self._lock:
            self._wait_until_ready()
            try:
                self._channel.send(request, fd)
                return self._channel.receive()
            except BrokenChannelError as error:
                self._give_up()
                raise SandboxError(f"The fork server {error}.") from None
            except BaseException:  # Ctrl-C: its answer would be taken for that to the next request
                self._give_up()
                raise

    def _wait_until_ready(self) -> dict:
        if self._ready is None:
            try:
                self._ready = self._channel.receive()
            except BrokenChannelError as error:
                self._give_up()
                reason = self._process.stderr.read().decode(errors="replace").strip()
                reason = reason.splitlines()[-1] if reason else str(error)
                raise SandboxError(f"The sandbox's fork server does not start: {reason}") from None
            self._channel.sock.settimeout(ANSWER_SECONDS)
        return self._ready

    def _give_up(self) -> None:
        """It does not answer: end it, and the runs that it can no longer end."""
        self._given_up = True
        self._process.kill()
        for run in list(self.runs):
            kill_group(run)
        self.runs.clear()


def roots(imports: Iterable[str]) -> set[str]:
    """The packages that these authorised imports are from."""
    return {name.split(".")[0] for name in imports} - {"*"}


def sealable(imports: Iterable[str]) -> bool:
    """Whether code that imports these works when no path can be opened any more."""
    return "*" not in imports and roots(imports) <= SEALABLE | set(BASE_BUILTIN_MODULES)


_servers: dict[tuple[str, ...], ForkServer] = {}
_lock = threading.Lock()


def server_for(imports: Iterable[str]) -> ForkServer:
    """The running server for these imports; a new one if there is none, or if it was killed."""
    packages = tuple(sorted(roots(imports) - sys.stdlib_module_names))
    with _lock:
        server = _servers.get(packages)
        if server is None or not server.alive:
            server = _servers[packages] = ForkServer(packages)
        return server


@atexit.register
def close_all() -> None:
    with _lock:
        while _servers:
            _servers.popitem()[1].close()


def _forget() -> None:
    """A forked copy of the app must not end, or speak to, its parent's servers."""
    _servers.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, where there is no sandbox either
    os.register_at_fork(after_in_child=_forget)


def raise_descriptor_limit() -> None:
    """To what is allowed anyway: each candidate of each run takes two, and many systems begin with 1,024."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def memory() -> int:
    """Three quarters of this machine's, in megabytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4 // 2**20


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
