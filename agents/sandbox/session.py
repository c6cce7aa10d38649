"""One run in the sandbox: the process that holds its Python state, and its forks while they are tried.

Every frame that comes back may be forged by the code that ran. It is read as such: capped before it is
parsed, exact types demanded, the sender's process known from the kernel and not from what it says.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import selectors
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

from smolagents.local_python_executor import CodeOutput, ExecutionTimeoutError, InterpreterError

from ..cancelled import Cancelled
from .forkserver import ForkServer, SandboxError
from .frames import BrokenChannelError, Channel, pack
from .limits import Limit, Limits
from .tools import Call, Tools
from .values import MAX_ARGUMENT, MAX_OUTPUT, MAX_TEXT, decode

CAP = 1 << 20
"""Bytes of the largest frame taken from sandboxed code."""
GLANCE = 0.05
"""Seconds between two looks at whether the run was stopped."""
HELLO, HELLO_SECONDS = pack({"op": "hello"}), 5.0
EAGER = 16
"""Candidates of a step, at most, that need not wait for one another to begin."""
CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Outcome:
    """How the code of one candidate went; `SandboxExecutor.adopt` makes its effects the run's state."""

    code: str
    output: Any = None
    """The value of the last line, or the final answer; its text where it is no plain data."""
    logs: str = ""
    is_final_answer: bool = False
    error: str | None = None
    """As smolagents words it, to be read by the model."""
    limit: Limit | None = None
    """The limit that was reached; but for "calls", "memory" and "output" its effects are undone."""
    calls: int = 0
    """Tool calls it made."""
    seconds: float = 0.0
    effect: Call | None = None
    """The call of a tool with side effects before which it waits."""
    _candidate: Candidate | None = field(default=None, repr=False, compare=False)

    def result(self) -> CodeOutput:
        """What smolagents' executors return or raise."""
        if self.error is not None:
            timed_out = self.limit == "seconds"
            raise (ExecutionTimeoutError if timed_out else InterpreterError)(self.error)
        return CodeOutput(output=self.output, logs=self.logs, is_final_answer=self.is_final_answer)


class Process:
    """A sandboxed process at the other end of a socket."""

    def __init__(self, sock: socket.socket):
        self.channel = Channel(sock, CAP)
        self.pid: int | None = None
        self._handle: int | None = None

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """Ours, and the end to hand over."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise SandboxError(f"No more sandboxed processes can be reached: {error}.") from None
        ours.settimeout(HELLO_SECONDS)
        # Before it can speak, so that its first word comes with its number.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return cls(ours), theirs

    def greet(self) -> None:
        """Hear its first word, and know it by a handle that no later process of the same number has."""
        sock = self.channel.sock
        try:
            data, extra, _, _ = sock.recvmsg(len(HELLO), socket.CMSG_SPACE(CREDENTIALS.size))
        except OSError as error:
            raise BrokenChannelError(f"did not start: {error}") from None
        finally:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        for level, kind, content in extra:  # as the kernel says, not as the message says
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                self.pid = CREDENTIALS.unpack(content[: CREDENTIALS.size])[0]
        if data != HELLO or not self.pid:
            raise BrokenChannelError("did not start")
        try:
            self._handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            raise BrokenChannelError("has ended") from None
        except OSError:
            pass  # not on this kernel; its number has to do

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            elif self.pid:
                os.kill(self.pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        self.channel.close()
        self.let_go()

    def let_go(self) -> None:
        """Close our descriptors, and nothing more."""
        self.channel.sock.close()
        if self._handle is not None:
            os.close(self._handle)
        self._handle = self.pid = None


class Candidate(Process):
    """A fork of the state that runs one action."""

    code: str
    deadline: float
    """By which it must have ended."""
    started: float
    calls = 0
    busy = False
    """It waits for a tool."""
    limit: Limit | None = None
    outcome: Outcome | None = None


class Session:
    """Not for several threads at once: an agent makes one step after the other."""

    def __init__(self, server: ForkServer, settings: dict, limits: Limits):
        self.server, self.limits = server, limits
        self.owner = os.getpid()
        self.candidates: list[Candidate] = []
        self.kept: list[Process] = []
        """States that the run may go back to; one of them may be the present one."""
        self.total_calls = 0
        self.holder, theirs = Process.pair()
        try:
            self.group = server.spawn(theirs.fileno(), settings)
        finally:
            theirs.close()
        try:
            self.holder.greet()
        except BrokenChannelError as error:
            self.close()
            raise SandboxError(f"A sandboxed process {error}.") from None

    def set_up(self, setup: dict) -> None:
        """Tools, variables and settings, which the state has from now on."""
        try:
            self.holder.channel.send({"op": "setup", **setup})
        except BrokenChannelError as error:
            raise SandboxError(f"A sandboxed process {error}.") from None

    def launch(self, codes: list[str]) -> list[Candidate]:
        """One candidate more per code, told to run it. Raises BrokenChannelError if one does not start."""
        self.server.grant(self.group, self.holder.pid, len(codes))
        new = []
        for code in codes:
            candidate, theirs = Candidate.pair()
            candidate.code = code
            new.append(candidate)
            self.candidates.append(candidate)
            with theirs:
                self.holder.channel.send({"op": "fork"}, theirs.fileno())
        # A few begin while the next are still being forked; many would starve the holder of processors.
        # One deadline for all to be there.
        eager = len(codes) <= EAGER
        deadline = time.monotonic() + HELLO_SECONDS
        others = (*self.kept, *(c for c in self.candidates if c not in new))
        known = {self.holder.pid, *(process.pid for process in others)}
        for candidate in new:
            candidate.channel.sock.settimeout(max(0.01, deadline - time.monotonic()))
            candidate.greet()
            if candidate.pid in known:
                raise BrokenChannelError("is none of its own")  # the holder, which pretends
            known.add(candidate.pid)
            if eager:
                self._begin(candidate)
        if not eager:
            for candidate in new:
                self._begin(candidate)
        return new

    def _begin(self, candidate: Candidate) -> None:
        candidate.channel.sock.settimeout(self.limits.seconds + 1)
        candidate.started = time.monotonic()
        candidate.deadline = candidate.started + self.limits.seconds
        candidate.channel.send({"op": "run", "code": candidate.code})

    def follow(
        self,
        candidates: list[Candidate],
        tools: Tools,
        effects: bool,
        cancelled: threading.Event | None = None,
    ) -> None:
        """Each to its end or its limits, serving the tools they call.

        Raises Cancelled once the event is set; all candidates are ended then, the state is what it was.
        """
        with selectors.DefaultSelector() as selector:
            for candidate in candidates:
                selector.register(candidate.channel.sock, selectors.EVENT_READ, candidate)
                if candidate.outcome:  # it waited before an effect
                    candidate.deadline = (
                        time.monotonic() + self.limits.seconds - candidate.outcome.seconds
                    )
                    self._serve(candidate, tools, candidate.outcome.effect)
                    candidate.outcome = None
            while selector.get_map():
                going = [key.data for key in selector.get_map().values()]
                if cancelled is not None and cancelled.is_set():
                    self.discard()
                    raise Cancelled
                left = min(candidate.deadline for candidate in going) - time.monotonic()
                left = left if cancelled is None else min(left, GLANCE)
                for key, _ in selector.select(max(0.0, left)):
                    self._hear(key.data, selector, tools, effects)
                for candidate in going:
                    if candidate.outcome is None and time.monotonic() >= candidate.deadline:
                        self._too_late(candidate, selector)

    def _too_late(self, candidate: Candidate, selector) -> None:
        self._end(
            candidate,
            selector,
            error="Code execution exceeded the maximum execution time of "
            f"{self.limits.seconds:g} seconds; it was stopped and its effects undone.",
            limit="seconds",
        )

    def adopt(self, candidate: Candidate) -> None:
        """Its process is the state from now on; every other one ends."""
        self.total_calls += candidate.calls
        self.candidates.remove(candidate)
        self.discard()
        self._hold(candidate)

    def keep(self) -> Process:
        """The present state, which stays for `back` however the run goes on."""
        if self.holder not in self.kept:
            self.kept.append(self.holder)
        return self.holder

    def back(self, state: Process) -> None:
        """Make a kept state the present one; it stays kept. Raises ValueError for one that is not."""
        if state not in self.kept:
            raise ValueError("This state of the run was not kept, or was let go.")
        self.discard()
        self._hold(state)

    def forget(self, state: Process) -> None:
        """Keep it no longer."""
        if state in self.kept:
            self.kept.remove(state)
            if state is not self.holder:
                state.kill()

    def _hold(self, state: Process) -> None:
        if self.holder is not state and self.holder not in self.kept:
            self.holder.kill()
        self.holder = state

    def discard(self) -> None:
        """End all candidates; the state stays what it was."""
        while self.candidates:
            self.candidates.pop().kill()

    def close(self) -> None:
        if os.getpid() != self.owner:
            # In a fork of the app: the run is its parent's, and goes on there.
            for process in {self.holder, *self.kept, *self.candidates}:
                process.let_go()
            return
        self.discard()
        for process in {self.holder, *self.kept}:
            process.kill()
        self.server.end(self.group)

    def _hear(self, candidate: Candidate, selector, tools: Tools, effects: bool) -> None:
        """Whatever it has sent: calls of tools, and its result."""
        try:
            candidate.channel.read(wait=False)
            while candidate.outcome is None and (message := candidate.channel.next()) is not None:
                match message.get("op"):
                    case "call":
                        self._called(candidate, message, tools, effects)
                    case "done":
                        candidate.outcome = self._outcome(candidate, message, tools.objects)
                    case _:
                        raise BrokenChannelError("sent an unknown message")
        except BrokenChannelError as error:
            self._end(
                candidate,
                selector,
                error=f"The code's process {error}; its effects are undone. "
                "It may have used too much memory, or have ended itself.",
                limit="process",
            )
        else:
            if candidate.outcome is not None:
                selector.unregister(candidate.channel.sock)

    def _called(self, candidate: Candidate, message: dict, tools: Tools, effects: bool) -> None:
        try:
            name, args, kwargs = (message.get(part) for part in ("name", "args", "kwargs"))
            key = json.dumps([name, args, kwargs], sort_keys=True)
            if (
                candidate.busy
                or len(key) > 2 * MAX_ARGUMENT
                or candidate.calls > 9 * self.limits.calls
            ):
                raise ValueError("too many calls, or one too large")
            args, kwargs = decode(args, tools.objects), decode(kwargs, tools.objects)
            if not isinstance(name, str) or not isinstance(args, tuple):
                raise ValueError("no call")
            if not isinstance(kwargs, dict) or not all(isinstance(k, str) for k in kwargs):
                raise ValueError("no call")
        except (ValueError, RecursionError):
            raise BrokenChannelError("sent a malformed call") from None
        candidate.calls += 1
        candidate.busy = True
        call = Call(name, args, kwargs, key)
        if not effects and tools.has_effects(name):
            seconds = time.monotonic() - candidate.started
            candidate.outcome = Outcome(
                candidate.code, calls=candidate.calls, seconds=seconds, effect=call,
                _candidate=candidate,
            )  # fmt: skip
            return
        self._serve(candidate, tools, call)

    def _serve(self, candidate: Candidate, tools: Tools, call: Call) -> None:
        over = None
        if candidate.calls > self.limits.calls:
            candidate.limit = "calls"
            over = f"The limit of {self.limits.calls} tool calls in one action is reached."
        elif self.total_calls + candidate.calls > self.limits.run_calls:
            candidate.limit = "calls"
            over = f"The limit of {self.limits.run_calls} tool calls in one run is reached."
        # In a thread, so that neither a slow tool nor a candidate that does not listen keeps the others
        # waiting. It cannot be stopped: past the limit, its result finds no one.

        def answer() -> None:
            frame = tools.answer(call, over)
            candidate.busy = False
            with contextlib.suppress(BrokenChannelError):  # no one is there any more
                candidate.channel.send_bytes(frame)

        run = contextvars.copy_context().run  # a tracer's span goes with it
        threading.Thread(target=run, args=(answer,), daemon=True).start()

    def _outcome(self, candidate: Candidate, message: dict, objects: list) -> Outcome:
        """The result as it came, if it is one."""
        logs, error = message.get("logs"), message.get("error")
        final = message.get("final", False)
        valid = isinstance(logs, str) and isinstance(final, bool)
        if not valid or not isinstance(error, str | None):
            raise BrokenChannelError("sent a malformed result")
        text = message.get("text", "")
        if not isinstance(text, str) or max(len(text), len(error or "")) > MAX_TEXT:
            raise BrokenChannelError("sent a malformed result")
        try:
            if len(json.dumps(message.get("output"), ensure_ascii=False)) > MAX_OUTPUT:
                raise ValueError("too large")
            output = decode(message.get("text", message.get("output")), objects)
            logs, error = decode(logs), decode(error)
        except (ValueError, RecursionError):
            raise BrokenChannelError("sent a malformed result") from None
        limit = candidate.limit
        if error is not None and "due to: MemoryError" in error:
            limit = "memory"
        elif len(logs) > self.limits.output_chars:  # smolagents cuts them and says so
            limit = "output"
        return Outcome(
            code=candidate.code,
            output=output,
            logs=logs[: self.limits.output_chars + 200],
            is_final_answer=final,
            error=error,
            limit=limit,
            calls=candidate.calls,
            seconds=time.monotonic() - candidate.started,
            _candidate=candidate,
        )

    def _end(self, candidate: Candidate, selector, *, error: str, limit: Limit = "process") -> None:
        """Its process is killed; the state it started from remains."""
        selector.unregister(candidate.channel.sock)
        candidate.kill()
        self.candidates.remove(candidate)
        candidate.outcome = Outcome(
            code=candidate.code,
            error=error,
            limit=limit,
            calls=candidate.calls,
            seconds=time.monotonic() - candidate.started,
        )
