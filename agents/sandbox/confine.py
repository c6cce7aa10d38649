"""Give up, in this process and for good, whatever sandboxed code must not have.

In this order: a session of its own, no file descriptors but those named, resource limits, Landlock
(reading from a few folders, no TCP, no signals to others), seccomp. Each layer would do alone against
most of what is tried; tests/test_hostile.py tries it with the interpreter bypassed.

Landlock is py-landlock's (pure Python, no privilege, works under Docker's default profile). sandlock
would do all layers at once, but needs pidfd_getfd, which that profile refuses, and copies files where
we fork processes. bubblewrap and gVisor need namespaces, which it refuses too. Monty has no numpy, no
sympy, no classes that inherit.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sysconfig

from py_landlock import Landlock, LandlockError, get_abi_version

from . import kernel, seccomp

SYSTEM = ("/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo")
DESCRIPTORS = 64


def landlock_abi() -> int:
    """The kernel's version of Landlock; 0 for none."""
    try:
        return get_abi_version()
    except (LandlockError, OSError):
        return 0


def readable(packages: list[str]) -> list[str]:
    """What unsealed code may read: Python, its packages and the libraries they load. No one's data."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return sorted(path for path in {*folders, *packages, *SYSTEM} if os.path.exists(path))


def confine(
    keep: set[int], *, seconds: float, memory_mb: int, landlock: bool, folders: list[str]
) -> int:
    """All but the last step, `seal`; returns the descriptor on which forks are to be granted.

    folders: what Landlock lets it read.
    """
    os.setsid()
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in keep:
            with contextlib.suppress(OSError):  # the one that listed the folder is gone
                os.close(fd)
    limit_resources(seconds, memory_mb)
    kernel.prctl(kernel.SET_NO_NEW_PRIVS, 1)
    if landlock:
        Landlock(strict=False).allow_read(*folders).apply()
    return seccomp.install(seccomp.supervise_forks(), seccomp.FLAG_NEW_LISTENER)


def seal(sealed: bool) -> None:
    """The last steps, when the listener has been handed over: that takes a call which the filter refuses.

    And room for descriptors: the kernel holds the sender's limit against all that its user's processes
    have under way.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    seccomp.install(seccomp.allow_list(sealed))


def limit_resources(seconds: float, memory_mb: int) -> None:
    with open("/proc/self/statm") as file:
        own = int(file.read().split()[0]) * resource.getpagesize()  # bytes
    limits = {
        resource.RLIMIT_AS: own + memory_mb * 2**20,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        # Each action has a process of its own, so this is per action. The wall clock comes first.
        resource.RLIMIT_CPU: int(seconds) + 2,
    }
    for what, value in limits.items():
        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (value, value))
