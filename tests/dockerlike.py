"""Run a command as in a container with Docker's default profile: `python -m tests.dockerlike COMMAND …`.

No capabilities, no way to more of them, another user where we are root, and a filter of our own that refuses
what Docker's does in a container without capabilities. Not a container: the files and processes are this
machine's. Stricter in one thing: system calls of other machines end the process.
Source: https://github.com/moby/profiles, seccomp/default.json of 2026-06-30.
"""

from __future__ import annotations

import errno
import os
import sys

from agents.sandbox import kernel, seccomp
from agents.sandbox.seccomp import ALLOW, ANY_BIT, AT_LEAST, EQUAL, ERRNO, LOAD, NUMBER, RETURN

USER = 1000
# name: (x86_64, aarch64); None where the machine has no such call.
REFUSED = {
    "_sysctl": (156, None), "acct": (163, 89), "add_key": (248, 217), "afs_syscall": (183, None),
    "bpf": (321, 280), "chroot": (161, 51), "clock_settime": (227, 112),
    "create_module": (174, None), "delete_module": (176, 106), "fanotify_init": (300, 262),
    "finit_module": (313, 273), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fsopen": (430, 430), "fspick": (433, 433), "get_kernel_syms": (177, None),
    "get_mempolicy": (239, 236), "getpmsg": (181, None), "init_module": (175, 105),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_uring_setup": (425, 425),
    "ioperm": (173, None), "iopl": (172, None), "kcmp": (312, 272),
    "kexec_file_load": (320, 294), "kexec_load": (246, 104), "keyctl": (250, 219),
    "lookup_dcookie": (212, 18), "lsm_get_self_attr": (459, 459),
    "lsm_list_modules": (461, 461), "lsm_set_self_attr": (460, 460), "mbind": (237, 235),
    "migrate_pages": (256, 238), "mount": (165, 40), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "move_pages": (279, 239), "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438), "pivot_root": (155, 41), "process_madvise": (440, 440),
    "putpmsg": (182, None), "query_module": (178, None), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "reboot": (169, 142), "request_key": (249, 218),
    "security": (185, None), "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450), "setdomainname": (171, 162),
    "sethostname": (170, 161), "setns": (308, 268), "settimeofday": (164, 170),
    "swapoff": (168, 225), "swapon": (167, 224), "sysfs": (139, None), "syslog": (103, 116),
    "tuxcall": (184, None), "umount2": (166, 39), "unshare": (272, 97), "uselib": (134, None),
    "userfaultfd": (323, 282), "ustat": (136, None), "vhangup": (153, 58), "vserver": (236, None),
}  # fmt: skip
SOME = {"clone": (56, 220), "clone3": (435, 435), "socket": (41, 198), "personality": (135, 92)}
NEWER = 467
"""Numbers from here on, the profile does not know."""
NAMESPACES = 0x7E020000
PERSONALITIES = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)


def default_profile(machine: str = kernel.MACHINE) -> seccomp.Program:
    refuse, back = ERRNO | errno.EPERM, (LOAD, 0, 0, NUMBER)
    some = seccomp.numbers(SOME, machine)
    first = (LOAD, 0, 0, seccomp.low(0))
    program = seccomp._head(machine)
    program += seccomp._when(
        some["clone"], [first, (ANY_BIT, 0, 1, NAMESPACES), (RETURN, 0, 0, refuse), back]
    )
    program += seccomp._when(some["clone3"], [(RETURN, 0, 0, ERRNO | errno.ENOSYS)])
    families = [(EQUAL, 1, 0, 38), (EQUAL, 0, 1, 40)]  # AF_ALG, AF_VSOCK
    program += seccomp._when(some["socket"], [first, *families, (RETURN, 0, 0, refuse), back])
    kinds = [(EQUAL, len(PERSONALITIES) - at, 0, kind) for at, kind in enumerate(PERSONALITIES)]
    program += seccomp._when(
        some["personality"], [first, *kinds, (RETURN, 0, 0, refuse), (RETURN, 0, 0, ALLOW)]
    )
    program += [(AT_LEAST, 0, 1, NEWER), (RETURN, 0, 0, refuse)]
    for number in seccomp.numbers(REFUSED, machine).values():
        program += seccomp._when(number, [(RETURN, 0, 0, refuse)])
    return [*program, (RETURN, 0, 0, ALLOW)]


def enter() -> None:
    """Confine this process so, for good."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    kernel.drop_capabilities()
    kernel.prctl(kernel.SET_NO_NEW_PRIVS, 1)
    seccomp.install(default_profile())


if __name__ == "__main__":
    enter()
    os.execvp(sys.argv[1], sys.argv[1:])
