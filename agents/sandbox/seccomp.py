"""The system calls that sandboxed code may make, as a seccomp filter.

An allow-list: no sockets, no exec, no signals, no new threads, no limits raised, no writing to paths.
*Sealed*, no paths at all. `fork` waits for the fork server's word, which is given for each candidate
and no more (seccomp user notification).

Ours rather than libseccomp's (pyseccomp): the filter is the same for every program, two tables of
numbers and forty instructions; libseccomp is a system library that pip cannot install, and pyseccomp
keeps the listener, which has to be handed to another process, to itself.
Source of the numbers: Linux's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import signal
import struct

from .kernel import MACHINE, syscall

# name: (x86_64, aarch64); None where the machine has no such call.
ALLOWED = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "poll": (7, None),
    "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66), "select": (23, None),
    "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233), "nanosleep": (35, 101),
    "getpid": (39, 172), "recvfrom": (45, 207), "recvmsg": (47, 212), "clone": (56, 220),
    "exit": (60, 93), "uname": (63, 160), "getcwd": (79, 17),
    "gettimeofday": (96, 169), "getrusage": (98, 165), "sysinfo": (99, 179), "times": (100, 153),
    "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175), "getegid": (108, 177),
    "getppid": (110, 173), "sigaltstack": (131, 132), "arch_prctl": (158, None),
    "gettid": (186, 178), "time": (201, None), "futex": (202, 98), "sched_getaffinity": (204, 123),
    "getdents64": (217, 61), "set_tid_address": (218, 96), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "pselect6": (270, 72), "ppoll": (271, 73), "set_robust_list": (273, 99),
    "getrandom": (318, 278), "membarrier": (324, 283), "rseq": (334, 293),
}  # fmt: skip
# Calls that take a path: Landlock says which; sealed, none.
PATHS = {
    "access": (21, None), "readlink": (89, None), "openat": (257, 56), "readlinkat": (267, 78),
    "newfstatat": (262, 79), "faccessat": (269, 48), "statx": (332, 291), "faccessat2": (439, 439),
}  # fmt: skip
# Calls of which some uses are allowed, below.
OTHERS = {
    "ioctl": (16, 29), "sendto": (44, 206), "prlimit64": (302, 261), "fcntl": (72, 25),
    "clone3": (435, 435), "seccomp": (317, 277), "prctl": (157, 167),
}  # fmt: skip
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000
"""Numbers from here on are x86_64's second interface, which would pass by another name."""
NOT_A_FORK = 0x7E020000 | 0x100 | 0x2000 | 0x8000 | 0x10000 | 0x800000
"""clone's flags for namespaces, threads, shared memory, another parent, tracing."""
FCNTL = (0, 1, 2, 3, 4, 1030)
"""Its commands for duplicates and flags. F_SETOWN with F_SETSIG would be another name for `kill`."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, NOTIFY, ERRNO = 0x7FFF0000, 0x80000000, 0x7FC00000, 0x00050000
NUMBER, ARCH = 0, 4
FLAG_NEW_LISTENER = 8

Program = list[tuple[int, int, int, int]]
"""Classic BPF: (code, jump if true, jump if false, value)."""


def low(argument: int) -> int:
    """Offset in seccomp_data of the lower half of an argument, on a little-endian machine."""
    return 16 + 8 * argument


def numbers(table: dict, machine: str) -> dict[str, int]:
    at = list(AUDIT_ARCH).index(machine)
    return {name: pair[at] for name, pair in table.items() if pair[at] is not None}


def _head(machine: str) -> Program:
    return [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL),
    ]


def _when(number: int, then: Program) -> Program:
    """`then` for that call alone; it must end by returning, or with the number loaded again."""
    return [(EQUAL, 0, len(then), number), *then]


def _zero(argument: int, refusal: int) -> Program:
    """Go on if a pointer argument is null, else refuse."""
    return [
        (LOAD, 0, 0, low(argument)),
        (EQUAL, 0, 2, 0),
        (LOAD, 0, 0, low(argument) + 4),
        (EQUAL, 1, 0, 0),
        (RETURN, 0, 0, refusal),
    ]


def supervise_forks(machine: str = MACHINE) -> Program:
    """The filter that asks the fork server about each clone; everything else is the other filter's matter."""
    clone = numbers(ALLOWED, machine)["clone"]
    return [*_head(machine), *_when(clone, [(RETURN, 0, 0, NOTIFY)]), (RETURN, 0, 0, ALLOW)]


def allow_list(sealed: bool, machine: str = MACHINE) -> Program:
    allowed, paths, others = (numbers(table, machine) for table in (ALLOWED, PATHS, OTHERS))
    refuse, missing = ERRNO | errno.EPERM, ERRNO | errno.ENOENT
    back = (LOAD, 0, 0, NUMBER)
    program = _head(machine)
    program += _when(
        allowed["clone"],
        [(LOAD, 0, 0, low(0)), (ANY_BIT, 0, 1, NOT_A_FORK), (RETURN, 0, 0, refuse), back],
    )
    program += _when(others["clone3"], [(RETURN, 0, 0, ERRNO | errno.ENOSYS)])  # glibc takes clone
    read_own = [*_zero(0, refuse), *_zero(2, refuse), (RETURN, 0, 0, ALLOW)]
    program += _when(others["prlimit64"], read_own)
    program += _when(others["sendto"], [*_zero(4, refuse), (RETURN, 0, 0, ALLOW)])  # no address
    program += _when(others["ioctl"], [(RETURN, 0, 0, ERRNO | errno.ENOTTY)])
    commands = [(EQUAL, len(FCNTL) - at, 0, command) for at, command in enumerate(FCNTL)]
    fcntl = [(LOAD, 0, 0, low(1)), *commands, (RETURN, 0, 0, refuse), (RETURN, 0, 0, ALLOW)]
    program += _when(others["fcntl"], fcntl)
    # PR_SET_PDEATHSIG with SIGKILL or nothing: to end with the process that it was forked from (worker.py).
    end_with = [
        (LOAD, 0, 0, low(0)),
        (EQUAL, 0, 4, 1),
        (LOAD, 0, 0, low(1)),
        (EQUAL, 1, 0, 0),
        (EQUAL, 0, 1, signal.SIGKILL),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, refuse),
    ]
    program += _when(others["prctl"], end_with)
    for number in paths.values():
        program += _when(number, [(RETURN, 0, 0, missing if sealed else ALLOW)])
    for number in allowed.values():
        program += _when(number, [(RETURN, 0, 0, ALLOW)])
    return [*program, (RETURN, 0, 0, refuse)]


def install(program: Program, flags: int = 0) -> int:
    """Bind this process, and all it will ever fork, to the filter; with FLAG_NEW_LISTENER, returns its descriptor."""

    class Fprog(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    fprog = Fprog(len(program), ctypes.cast(code, ctypes.c_void_p))
    number = numbers(OTHERS, MACHINE)["seccomp"]
    return syscall(number, 1, flags, ctypes.byref(fprog))  # 1: SECCOMP_SET_MODE_FILTER
