"""The few system calls that Python has no name for."""

from __future__ import annotations

import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

SET_DUMPABLE, SET_PDEATHSIG, SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVS = 4, 1, 36, 38
NEW_USER, NEW_NET, NEW_IPC = 0x10000000, 0x40000000, 0x08000000

MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(
    platform.machine().lower(), platform.machine().lower()
)


def checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def syscall(number: int, *arguments) -> int:
    """Integers and pointers alike; raises OSError."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return checked(libc.syscall(ctypes.c_long(number), *words))


def prctl(option: int, value: int) -> None:
    checked(libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def unshare(flags: int) -> bool:
    """Whether the kernel allowed it."""
    return libc.unshare(flags) == 0


def drop_capabilities() -> None:
    """Keep the user, and nothing that the user may do beyond others."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3; this process
    checked(libc.capset(header, (ctypes.c_uint32 * 6)()))
