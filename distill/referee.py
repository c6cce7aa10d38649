"""Compare mathematical answers in a process of their own, which a hostile one cannot hold up.

A formula may hang or blow up whatever reads it. The child is told two answers a line and replies with
0 or 1; it is killed by the kernel, whatever it is doing, when a comparison has used `SECONDS` of CPU time,
and it has no more than `MEMORY`. The next comparison then starts another. Being text, answers are read by
parsers alone; nothing is evaluated as Python.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from agents.secrets import without_secrets

SECONDS = 3
"""CPU time of one comparison: a slow machine is not a wrong answer."""
WALL = 30
"""Seconds by the clock, for what waits without computing."""
MEMORY = 2 << 30  # bytes

PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from distill.referee import serve; serve()"


@lru_cache(maxsize=20_000)
def same_mathematics(gold: str, prediction: str, by_value: bool = False) -> bool:
    """Whether the prediction says what the gold answer says; False where that cannot be found out in time.

    From any thread and process; one comparison at a time. Raises RuntimeError where the child cannot start.
    """
    with _lock:
        for attempt in (1, 2):
            child = _child()
            try:
                child.stdin.write(json.dumps([gold, prediction, by_value]) + "\n")
                child.stdin.flush()
                if reply := child.stdout.readline():
                    return _found(json.loads(reply), gold, prediction)
            except BrokenPipeError:
                pass  # it went before it was asked
            ended = _forget(child)
            # Someone else's kill (no memory left, say) says nothing about the answer, the first time.
            if attempt == 2 or ended not in (-signal.SIGKILL, -signal.SIGTERM):
                return False


def _found(reply: bool | str, gold: str, prediction: str) -> bool:
    if isinstance(reply, str):
        warnings.warn(
            f"{gold[:80]!r} and {prediction[:80]!r} could not be compared ({reply[:200]}); it counts as wrong.",
            stacklevel=3,
        )
        return False
    return reply


_lock = threading.RLock()
_children: dict[int, subprocess.Popen] = {}
"""By process: a fork must not talk through its parent's pipes."""


def _child() -> subprocess.Popen:
    child = _children.get(os.getpid())
    if child is None or child.poll() is not None:
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, str(Path(__file__).parents[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=without_secrets() | {"PYTHONIOENCODING": "utf-8"},
            start_new_session=True,  # Ctrl-C is for the run; this ends with its input
        )
        if child.stdout.readline() != "ready\n":
            _forget(child)
            raise RuntimeError(
                "The process that compares mathematical answers does not start; is math-verify installed? "
                "`python -m distill doctor` says what is there."
            )
        _children[os.getpid()] = child
        atexit.register(_forget, child)
    return child


def _forget(child: subprocess.Popen) -> int:
    """End it; how it had ended, if it had."""
    if _children.get(os.getpid()) is child:
        del _children[os.getpid()]
    with suppress(BrokenPipeError):
        child.stdin.close()
    child.stdout.close()
    try:
        return child.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def serve() -> None:
    """The child's part."""
    import resource

    import math_verify  # noqa: F401  loaded before time and memory count
    import sympy  # noqa: F401

    from .mathematics import same

    sys.set_int_max_str_digits(20_000)
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        try:
            resource.setrlimit(limit, (MEMORY, MEMORY))
        except (ValueError, OSError):
            continue  # macOS has no such limit; the one on time holds
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for ended in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(
            ended, signal.SIG_DFL
        )  # the kernel ends the process, also inside a C function
    print("ready", flush=True)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WALL)
        try:
            found = same(*json.loads(line))
        except (RecursionError, MemoryError):
            found = False  # a hostile formula; it is not the right answer
        except Exception as error:
            found = f"{type(error).__name__}: {error}"  # ours, and to be told
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(found), flush=True)
