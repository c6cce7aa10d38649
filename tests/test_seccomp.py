"""What the filters of agents/sandbox/seccomp.py say to each system call, on both machines they know.

The programs are evaluated here, so that the one for the other machine is tested too.
"""

from __future__ import annotations

import ctypes
import errno

import pytest

from agents.sandbox import seccomp
from agents.sandbox.seccomp import ALLOW, ALLOWED, AUDIT_ARCH, ERRNO, KILL, NOTIFY, OTHERS, PATHS

from .hostile import CALLS

MACHINES = list(AUDIT_ARCH)
REFUSED, MISSING = ERRNO | errno.EPERM, ERRNO | errno.ENOENT
BPF = {
    seccomp.EQUAL: lambda a, k: a == k,
    seccomp.AT_LEAST: lambda a, k: a >= k,
    seccomp.ANY_BIT: lambda a, k: bool(a & k),
}


def judge(program, machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the kernel would do with the call."""
    words = [number, AUDIT_ARCH[machine] if arch is None else arch, 0, 0]
    for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]:
        words += [argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF]
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = program[at]
        assert max(if_true, if_false) < 256
        at += 1
        if code == seccomp.RETURN:
            return value
        if code == seccomp.LOAD:
            accumulator = words[value // 4]
        else:
            at += if_true if BPF[code](accumulator, value) else if_false


def numbered(table, machine):
    return seccomp.numbers(table, machine)


@pytest.fixture(params=[(m, s) for m in MACHINES for s in (False, True)], ids=str)
def filtered(request):
    """The machine, whether sealed, and the judgement of a call by name."""
    machine, sealed = request.param
    program = seccomp.allow_list(sealed, machine)
    known = {
        name: pair[MACHINES.index(machine)]
        for name, pair in {**CALLS, **ALLOWED, **PATHS, **OTHERS}.items()
    }
    return machine, sealed, lambda name, *given: judge(program, machine, known[name], *given)


def test_what_python_needs_is_allowed(filtered):
    machine, _, says = filtered
    for name in numbered(ALLOWED, machine):
        assert says(name) == ALLOW, name


def test_a_path_is_for_landlock_to_judge_and_sealed_there_is_none(filtered):
    machine, sealed, says = filtered
    for name in numbered(PATHS, machine):
        assert says(name) == (MISSING if sealed else ALLOW), name


def test_every_other_call_is_refused(filtered):
    machine, sealed, _ = filtered
    program = seccomp.allow_list(sealed, machine)
    listed = {n for table in (ALLOWED, PATHS, OTHERS) for n in numbered(table, machine).values()}
    for number in set(range(1000)) - listed:
        assert judge(program, machine, number) == REFUSED, number


@pytest.mark.parametrize(
    "name", ["socket", "execve", "kill", "ptrace", "seccomp", "io_uring_setup"]
)
def test_the_best_known_doors_are_shut(filtered, name):
    machine, sealed, _ = filtered
    number = {"socket": (41, 198), "execve": (59, 221), "kill": (62, 129), **CALLS}[name]
    program = seccomp.allow_list(sealed, machine)
    assert judge(program, machine, number[MACHINES.index(machine)]) == REFUSED


def test_a_fork_is_all_that_clone_makes(filtered):
    _, _, says = filtered
    assert says("clone", 17) == says("clone", 0x01200011) == ALLOW  # as glibc's fork makes it
    for flag in (0x100, 0x2000, 0x8000, 0x10000, 0x800000):  # memory shared, traced, parent, thread
        assert says("clone", flag | 17) == REFUSED
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert says("clone", flag | 17) == REFUSED  # namespaces
    assert says("clone3") == ERRNO | errno.ENOSYS


def test_limits_are_read_and_not_set_and_only_its_own(filtered):
    _, _, says = filtered
    assert says("prlimit64", 0, 7, 0, 0x7000) == ALLOW
    for pid, new in ((1, 0), (1 << 32, 0), (0, 0x7000), (0, 0x7000 << 32), (2**64 - 1, 0)):
        assert says("prlimit64", pid, 7, new, 0x7000) == REFUSED


def test_what_is_sent_has_no_address(filtered):
    _, _, says = filtered
    assert says("sendto", 3, 0x7000, 9, 0, 0, 0) == ALLOW
    assert says("sendto", 3, 0x7000, 9, 0, 0x7000, 16) == REFUSED
    assert says("sendto", 3, 0x7000, 9, 0, 0x7000 << 32, 16) == REFUSED


def test_descriptors_are_duplicated_and_flagged_and_no_more(filtered):
    _, _, says = filtered
    for command in range(2048):
        expected = ALLOW if command in (0, 1, 2, 3, 4, 1030) else REFUSED
        assert says("fcntl", 3, command) == expected, command


def test_a_process_may_end_with_its_parent_and_set_nothing_else_of_itself(filtered):
    *_, ask = filtered
    assert ask("prctl", 1, 9) == ask("prctl", 1, 0) == ALLOW
    for option, value in ((1, 19), (1, 15), (4, 1), (38, 0), (36, 1), (22, 2), (0, 0)):
        assert ask("prctl", option, value) == REFUSED


def test_no_device_is_controlled(filtered):
    _, _, says = filtered
    assert says("ioctl", 3, 0x8901) == ERRNO | errno.ENOTTY


@pytest.mark.parametrize("machine", MACHINES)
def test_each_clone_is_asked_for_and_nothing_else_is(machine):
    program = seccomp.supervise_forks(machine)
    clone = numbered(ALLOWED, machine)["clone"]
    for number in range(1000):
        assert judge(program, machine, number, 17) == (NOTIFY if number == clone else ALLOW)


@pytest.mark.parametrize("machine", MACHINES)
def test_another_machines_calls_and_x32s_are_the_end(machine):
    others = {0xC000003E, 0xC00000B7, 0x40000003, 0x40000028, 0} - {AUDIT_ARCH[machine]}
    for program in (
        seccomp.supervise_forks(machine),
        seccomp.allow_list(True, machine),
        seccomp.allow_list(False, machine),
    ):
        for arch in others:  # i386 and 32-bit arm among them
            assert judge(program, machine, 0, arch=arch) == KILL
        for number in (0x40000000, 0x40000027, 0x40000208, 0x7FFFFFFF, 0xFFFFFFFF):
            assert judge(program, machine, number) == KILL


def test_the_numbers_are_the_kernels():
    try:
        known = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name_arch
    except OSError:
        pytest.skip("libseccomp, which knows the numbers, is not installed")
    known.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    for name, pair in {**ALLOWED, **PATHS, **OTHERS, **CALLS}.items():
        for machine, number in zip(MACHINES, pair, strict=True):
            # Negative: the machine has no such call, or the library is older than it.
            found = known(AUDIT_ARCH[machine], name.encode())
            assert found == number or (found < 0 and (number is None or number > 440)), name
