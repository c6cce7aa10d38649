"""The fork server: has Python, numpy, sympy and the interpreter ready, and forks a confined process per run.

Trusted: it never runs the model's code. One thread, so that a fork has no locks held by others. Its
environment is empty and it has one descriptor, the app's; when that closes it ends every run, and itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sysconfig
import time
from fcntl import ioctl

from . import confine, kernel
from .frames import BrokenChannelError, Channel
from .worker import Worker, new_interpreter

NOBODY = 65534
CAP = 1 << 16
# linux/seccomp.h: the notification (80 bytes) and the answer (24), for which the kernel waits.
RECEIVE, ANSWER = 0xC0502100, 0xC0182101
CONTINUE = 1
EPERM = 1


class Server:
    def __init__(self, fd: int, config: dict):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
        self.app = Channel(sock, CAP, takes_fds=True)
        self.config = config
        self.runs: dict[int, int] = {}
        """Process group of a run, by the descriptor on which its forks are granted."""
        self.granted: dict[int, tuple[int, int]] = {}
        """Of each run, the process that may fork, and how often still."""
        self.poll = select.poll()

    def serve(self) -> None:
        """Get ready, then answer the app until it is gone."""
        # Orphans come here and are collected. Not "die with the parent": on the app's end the runs
        # must be ended first.
        kernel.prctl(kernel.SET_CHILD_SUBREAPER, 1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: collect_children())
        self.interpreter = prepare(self.config["preload"])
        namespaces = give_up_privileges()
        self.landlock = confine.landlock_abi()
        gc.collect()
        gc.freeze()  # a collection would write to, and so copy, every page
        kernel.use_large_pages()
        self.app.send({"op": "ready", "landlock": self.landlock, "namespaces": namespaces})
        self.poll.register(self.app.sock, select.POLLIN)
        while True:
            for fd, event in self.poll.poll(1000):
                if fd == self.app.sock.fileno():
                    self._answer()
                elif event & select.POLLIN:
                    self._judge(fd)
                else:  # no process of the run is left
                    self.poll.unregister(fd)
                    os.close(fd)
                    self.granted.pop(self.runs.pop(fd), None)
            collect_children()

    def _answer(self) -> None:
        """One request of the app."""
        try:
            self.app.read()
            while (request := self.app.next()) is not None:
                if (answer := self._do(request)) is not None:
                    self.app.send(answer)
        except BrokenChannelError:
            self._end()

    def _do(self, request: dict) -> dict | None:
        """What the app asks for; the answer, if there is one."""
        run = request.get("run")
        match request["op"]:
            case "spawn":
                if not self.app.fds:  # no room for another descriptor
                    return {"op": "failed", "reason": "too many open files"}
                return self._spawn(self.app.fds.pop(0), request)
            case "grant":
                if run in self.granted:
                    self.granted[run] = (request["holder"], request["forks"])
                return {"op": "done"}
            case "kill":
                if run in self.granted:  # else all of it has ended, and the number may be another's
                    kill_group(run)

    def _spawn(self, fd: int, request: dict) -> dict:
        """Fork a run's first process, which speaks to the app on `fd`; returns its process group."""
        ours, theirs = socket.socketpair()
        folders = (
            []
            if request["sealed"]
            else confine.readable(
                [path for path in self.config["path"] if path.rstrip("/").endswith("-packages")]
            )
        )
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            become_worker(self.interpreter, fd, theirs, request, folders, server)
        os.close(fd)
        theirs.close()
        reason, fds, _, _ = socket.recv_fds(ours, 500, 1)
        ours.close()
        if not fds:
            return {"op": "failed", "reason": reason.decode(errors="replace")}
        self.runs[fds[0]] = pid
        self.granted[pid] = (pid, 0)
        self.poll.register(fds[0], select.POLLIN)
        return {"op": "spawned", "run": pid}

    def _judge(self, fd: int) -> None:
        """A process of a run wants to fork: it may if the app has said so of it, and as often as it said."""
        notice = bytearray(80)
        try:
            ioctl(fd, RECEIVE, notice)
        except OSError:
            return  # it was killed while it waited
        number, process = struct.unpack_from("QI", notice)
        run = self.runs[fd]
        holder, forks = self.granted[run]
        may = process == holder and forks > 0
        self.granted[run] = (holder, forks - may)
        answer = struct.pack("QqiI", number, 0, 0 if may else -EPERM, CONTINUE if may else 0)
        with contextlib.suppress(OSError):
            ioctl(fd, ANSWER, bytearray(answer))

    def _end(self) -> None:
        for run in self.runs.values():
            kill_group(run)
        deadline = time.monotonic() + 2
        while collect_children() and time.monotonic() < deadline:
            time.sleep(0.005)
        os._exit(0)


def prepare(preload: list[str]):
    """The interpreter, with the modules it may import loaded, down to those they load late."""
    import multiprocessing  # noqa: F401 - every process that has smolagents has it, and code can tell

    for name in preload:
        importlib.import_module(name)
    interpreter = new_interpreter(preload)
    for name in preload:
        interpreter("import " + name)
        if name in WARM:
            exec(WARM[name], {})  # ours, just below
    time.localtime()
    interpreter.state.clear()
    interpreter.state["__name__"] = "__main__"
    return interpreter


# What a library loads only when it is first used cannot be loaded once no path can be opened.
WARM = {
    "datetime": "import datetime; datetime.datetime.strptime('2020', '%Y')",
    "unicodedata": """
import encodings, importlib, pkgutil
for module in pkgutil.iter_modules(encodings.__path__):
    if module.name not in ("mbcs", "oem"):  # Windows'
        importlib.import_module("encodings." + module.name)
""",
    "numpy": """
import numpy as np
np.linalg.inv(np.eye(2)); np.fft.fft([1, 2]); np.random.default_rng(0).normal(); np.poly1d([1, 2]).roots
str(np.array([1.5, 2])); np.datetime64("2020-01-01"); np.array(["a"]).astype(object)
import numpy.linalg, numpy.fft, numpy.random, numpy.polynomial, numpy.ma
import numpy.char, numpy.rec, numpy.strings, numpy.ctypeslib
""",
    "sympy": """
import sympy
from sympy import *
x, y, n, k = symbols("x y n k")
solve(x**2 - 2, x); solve([x + y - 1, x - y], [x, y]); solveset(sin(x), x); simplify(sin(x)**2 + cos(x)**2)
integrate(exp(-x**2) * x, (x, 0, oo)); integrate(1 / (x**2 + 1), x); diff(sin(x) * x, x); limit(sin(x) / x, x, 0)
series(exp(x), x, 0, 3); summation(1 / n**2, (n, 1, oo)); product(k, (k, 1, 4)); factor(x**2 - 1); expand((x + 1)**2)
Matrix([[1, 2], [3, 4]]).eigenvals(); factorint(360); isprime(7); nsolve(cos(x) - x, x, 1); latex(x / 2)
sympify("x + 1"); S("1/3"); Rational(1, 3); N(pi, 20); lambdify(x, x**2)(2); dsolve(Function("f")(x).diff(x) - 1)
apart(1 / (x * (x + 1)), x); nsimplify(0.5); Poly(x**2 - 1, x).all_roots(); reduce_inequalities(x > 1, x)
binomial(5, 2); gcd(4, 6); lcm(4, 6); totient(10); divisors(12); primerange(1, 10); str(pi.evalf()); pretty(x / 2)
diophantine(x**2 + y**2 - 25); rsolve(Function("a")(n) - 1, Function("a")(n)); Piecewise((1, x > 0), (0, True))
import sympy.abc, sympy.assumptions.facts, sympy.assumptions.handlers.matrices, sympy.assumptions.lra_satask
import sympy.assumptions.satask, sympy.codegen.abstract_nodes, sympy.codegen.pynodes, sympy.combinatorics.galois
import sympy.combinatorics.homomorphisms, sympy.discrete.recurrences, sympy.integrals.prde, xml.dom.minidom
import sympy.logic.algorithms.dpll, sympy.logic.algorithms.dpll2, sympy.polys.dispersion, sympy.vector
import sympy.polys.distributedmodules, sympy.polys.domains.quotientring, sympy.polys.numberfields.resolvent_lookup
import sympy.printing.c, sympy.printing.cxx, sympy.printing.fortran, sympy.printing.rust, sympy.stats
import sympy.sets.handlers.add, sympy.sets.handlers.mul, sympy.sets.handlers.power, sympy.categories
import sympy.tensor.array.array_derivatives, sympy.tensor.array.expressions.from_indexed_to_array
ccode(x**2); cxxcode(x**2); fcode(x**2); jscode(x**2); rust_code(x**2); octave_code(x**2); pycode(x**2); mathml(x)
from sympy.ntheory.modular import crt; crt([3, 5], [2, 3]); Point(0, 0).distance(Point(3, 4))
combsimp(factorial(n) / factorial(n - 1))
""",
}


def give_up_privileges() -> bool:
    """Become nobody if root; leave the network behind if the kernel allows. Whether it did."""
    if os.getuid() == 0:
        os.setgroups([])
        if nobody_can_read(sysconfig.get_path("stdlib")):
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    kernel.drop_capabilities()
    apart = kernel.unshare(kernel.NEW_USER | kernel.NEW_NET | kernel.NEW_IPC)
    kernel.prctl(kernel.SET_DUMPABLE, 0)  # processes of the same user cannot look into it
    return apart


def nobody_can_read(folder: str) -> bool:
    """Root may have a Python of its own in its home, from which only root could import."""
    os.seteuid(NOBODY)
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False
    finally:
        os.seteuid(0)


def become_worker(
    interpreter,
    fd: int,
    theirs: socket.socket,
    request: dict,
    folders: list[str],
    server: int,
) -> None:
    """In the new process: confine it and serve the run. Never returns."""
    try:
        kernel.prctl(kernel.SET_PDEATHSIG, signal.SIGKILL)  # should the server be killed
        if os.getppid() != server:
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # candidates that end leave nothing behind
        # What libraries warn of would fill the pipe, which the app reads only when all has ended.
        os.dup2(1, 2)
        listener = confine.confine(
            {fd, theirs.fileno()},
            seconds=request["seconds"],
            memory_mb=request["memory_mb"],
            folders=folders,
            landlock=request["landlock"],
        )
        socket.send_fds(theirs, [b"."], [listener])
        os.close(listener)
        theirs.close()
        confine.seal(request["sealed"])
        Worker(interpreter, fd).serve()
    except BaseException as error:  # whatever it is: this process must not go on as a server
        with contextlib.suppress(OSError):
            theirs.send(repr(error).encode()[:500])
    finally:
        os._exit(1)


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def collect_children() -> bool:
    """Take the dead off the process table; whether any child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
