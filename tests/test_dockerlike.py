"""The sandbox holds for a user without capabilities, under what Docker's default profile refuses.

Simulated (dockerlike.py), not in a container. As root, another user's Python has to be found: one that is
readable to all, of the same version.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("-packages")),
    "PYTHONDONTWRITEBYTECODE": "1",
    "HOME": "/tmp",
}
SELECTED = "(sealed and below_it) or cannot_learn or no_other_run_sees or cannot_reach"
"""Of tests/test_hostile.py: what goes around the interpreter, where the layers below stand alone."""


@pytest.fixture(scope="module")
def inside():
    """Runs Python with these arguments as in a container; returns what it wrote and whether it failed."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        command = [python, "-m", "tests.dockerlike", python]
        needed = "import pytest, numpy, sympy, smolagents.local_python_executor"
        try:
            run(command, "-c", needed).check_returncode()
        except (OSError, subprocess.CalledProcessError):
            continue
        return lambda *arguments: run(command, *arguments)
    pytest.skip(
        f"No Python {sys.version_info.major}.{sys.version_info.minor} with the packages of this one "
        f"can be run by a user without rights: {sys.executable} is private to its owner."
    )


def run(command: list[str], *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_it_has_no_rights_and_no_namespaces(inside):
    code = """
import os
from agents.sandbox import kernel
status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines())
print(os.getuid() != 0, int(status['CapEff'], 16), status['NoNewPrivs'], status['Seccomp'])
print(kernel.unshare(kernel.NEW_USER), kernel.libc.socket(38, 5, 0), kernel.libc.socket(1, 1, 0) >= 0)
"""
    assert inside("-c", code).stdout.split() == ["True", "0", "1", "2", "False", "-1", "True"]


def test_landlock_and_seccomp_are_to_be_had(inside):
    code = """
from agents.sandbox import forkserver, tier
server = forkserver.server_for([])
print(tier.of(server), tier.require([], True), tier.require([], None))
"""
    done = inside("-c", code)
    assert done.stdout.split() in (["landlock", "True", "True"], ["sealed", "True", "True"])


def test_what_bypasses_the_interpreter_is_stopped_there_too(inside):
    done = inside(
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        "tests/test_hostile.py",
        "-k",
        SELECTED,
    )
    assert done.returncode == 0, done.stdout
