"""What this machine can do to confine code, found out by trying to break out; or why it cannot.

| tier         | where                                   | layers                                         |
|--------------|-----------------------------------------|------------------------------------------------|
| `namespaces` | Linux that lets users make namespaces   | limits, Landlock, seccomp, a network of its own |
| `landlock`   | Docker's default profile, most services | limits, Landlock, seccomp                      |
| `sealed`     | Linux without Landlock                  | limits, seccomp that allows no path at all     |
| none         | macOS, Windows, gVisor, other machines  | refused                                        |
"""

from __future__ import annotations

import logging
import platform
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from . import forkserver
from .forkserver import ForkServer, SandboxError, sealable
from .frames import BrokenChannelError
from .limits import Limits
from .session import Session
from .tools import Tools

log = logging.getLogger(__name__)

Tier = Literal["namespaces", "landlock", "sealed"]
WAYS_OUT = (
    "run it elsewhere with one of smolagents' executors (Docker, E2B, Modal, Blaxel; "
    "`make_agent(…, executor=…)`), or unconfined with `--unsafe-local`"
)
MACHINES = ("x86_64", "amd64", "aarch64", "arm64")
CANARIES = """
import os, socket
won = []
def attempt(what, act):
    try:
        act()
    except Exception:
        return
    won.append(what)
def fork():
    if os.fork() == 0:
        os._exit(0)
attempt("read a file", lambda: open({file!r}).read())
attempt("write a file", lambda: open({file!r} + ".new", "w"))
attempt("reach the network", lambda: socket.create_connection(("127.0.0.1", {port}), 1))
attempt("start a process", fork)
attempt("signal a process", lambda: os.kill(os.getppid(), 0))
attempt("run a program", lambda: os.execv({python!r}, ["python", "-c", ""]))
won
"""

_held: set[bool] = set()
_lock = threading.Lock()


def require(imports: Iterable[str], sealed: bool | None) -> bool:
    """Whether code with these imports is to be sealed. Raises SandboxError where it cannot be confined so."""
    check_machine(sys.platform, platform.machine())
    server = forkserver.server_for(imports)
    tier = of(server)
    sealed = sealed_or_refused(tier, imports, sealed)
    with _lock:
        if sealed not in _held:
            try_to_break_out(server, sealed)
            _held.add(sealed)
            log.info("Sandbox: tier %s%s; tried, and it held.", tier, ", sealed" if sealed else "")
    return sealed


def check_machine(system: str, machine: str) -> None:
    """Raises SandboxError on machines for which there is no sandbox."""
    if not system.startswith("linux"):
        raise SandboxError(
            f"Code that a model wrote can be confined on Linux only, not on {system}: {WAYS_OUT}."
        )
    if machine.lower() not in MACHINES:
        raise SandboxError(
            f"Code that a model wrote can be confined on {' and '.join(MACHINES)}, not on {machine}: {WAYS_OUT}."
        )


def sealed_or_refused(tier: Tier, imports: Iterable[str], sealed: bool | None) -> bool:
    """Sealed if asked for, or if the imports allow; raises SandboxError where it would have to be, and cannot."""
    if sealed is None:
        sealed = sealable(imports)
    if not sealed and tier == "sealed":
        raise SandboxError(
            "This machine has no Landlock, so sandboxed code can open no file, and only numpy and sympy work "
            f"like that; authorise no other imports, or {WAYS_OUT}."
        )
    return sealed


def of(server: ForkServer) -> Tier:
    layers = server.layers
    if not layers["landlock"]:
        return "sealed"
    return "namespaces" if layers["namespaces"] else "landlock"


def describe(server: ForkServer, sealed: bool) -> str:
    tier, layers = of(server), ["resource limits", "seccomp"]
    if tier != "sealed":
        layers.insert(1, f"Landlock {server.layers['landlock']}")
    if tier == "namespaces":
        layers.append("a network of its own")
    if server.layers["cgroup"]:
        layers.append("a cap on the memory of all")
    files = "no file can be opened" if sealed else "only Python's own files can be read"
    return f"tier {tier} ({', '.join(layers)}); {files}; tried to break out, and it held"


def try_to_break_out(server: ForkServer, sealed: bool) -> None:
    """Run the canaries as plain Python in a confined process. Raises SandboxError unless all are stopped."""
    limits = Limits(seconds=10.0)
    settings = {
        "seconds": limits.seconds,
        "memory_mb": limits.memory_mb,
        "sealed": sealed,
        "landlock": server.layers["landlock"] > 0,
    }
    setup = {
        "interpreter": "python", "imports": [], "output_chars": 100, "settings": {}, "tools": [],
        "inside": {}, "functions": [], "plain_final_answer": False, "variables": {},
    }  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        Path(folder).chmod(0o755)  # so that it is the sandbox that keeps others out
        canary = Path(folder, "canary")
        canary.write_text("seen")
        canary.chmod(0o644)
        port = listener.getsockname()[1]
        code = CANARIES.format(file=str(canary), port=port, python=sys.executable)
        try:
            session = Session(server, settings, limits)
            try:
                session.set_up(setup)
                (candidate,) = session.launch([code])
                session.follow([candidate], Tools({}, once=False, objects=[]), effects=False)
            finally:
                session.close()
        except (BrokenChannelError, SandboxError) as error:
            raise SandboxError(
                f"Model-written code cannot be confined on this machine ({error}): {WAYS_OUT}."
            ) from None
    outcome = candidate.outcome
    if outcome.error is not None or outcome.output != []:
        could = outcome.error or "code inside could " + ", ".join(map(str, outcome.output))
        raise SandboxError(f"The sandbox does not hold on this machine ({could}): {WAYS_OUT}.")
