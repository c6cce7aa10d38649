"""The few system calls that Python has no name for."""

from __future__ import annotations

import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

SET_DUMPABLE, SET_PDEATHSIG, SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVS = 4, 1, 36, 38
NEW_USER, NEW_NET, NEW_IPC = 0x10000000, 0x40000000, 0x08000000

LARGE_PAGE = 2 * 2**20
MADV_COLLAPSE = 25

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


def use_large_pages() -> None:
    """Have the memory of this process in pages of two megabytes where it can be: a fork copies the list of pages."""
    with open("/proc/self/maps") as maps:
        lines = maps.read().splitlines()
    for line in lines:
        fields = line.split()
        anonymous = len(fields) < 6 or fields[5] == "[heap]"
        if fields[1] == "rw-p" and anonymous:
            start, end = (int(address, 16) for address in fields[0].split("-"))
            start, end = -(-start // LARGE_PAGE) * LARGE_PAGE, end // LARGE_PAGE * LARGE_PAGE
            if (
                end > start
            ):  # a kernel that cannot, or a region that does not allow it, is left as it is
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_COLLAPSE)
