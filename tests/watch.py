"""What a hostile action may not reach, planted; and who sees, from outside, that one of them was reached."""

from __future__ import annotations

import os
import re
import resource
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

LEAVE = 5.0
"""Seconds in which what was killed must be gone, and what was sent must have come."""


class World:
    """A secret in three places, a canary's folder, listeners, a bystander. `seen` says what was reached."""

    def __init__(self):
        self.secret = uuid.uuid4().hex
        self.marker = "sandbox-test-" + uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix="sandbox-test-"))
        self.folder.chmod(0o777)  # so that it is the sandbox that keeps others out
        self.file = self.folder / "secret"
        self.file.write_text(self.secret)
        self.file.chmod(0o644)
        self.status = self.file.stat()
        os.environ[self.secret_name] = self.secret
        self.heard: list[str] = []
        self._listeners = {
            "tcp": socket.create_server(("127.0.0.1", 0)),
            "udp": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "abstract socket": socket.socket(socket.AF_UNIX),
            "socket in a folder": socket.socket(socket.AF_UNIX),
        }
        self._listeners["udp"].bind(("127.0.0.1", 0))
        self._listeners["abstract socket"].bind("\0" + self.marker)
        self._listeners["socket in a folder"].bind(str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        for name in ("abstract socket", "socket in a folder"):
            self._listeners[name].listen()
        self.known = set(os.listdir(self.folder))
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.bystander = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(10**6)"],
            env={"SECRET": self.secret},
            start_new_session=True,
        )
        self._open = True
        threading.Thread(target=self._listen, daemon=True).start()

    secret_name = "SANDBOX_TEST_SECRET"

    def variables(self) -> dict:
        """The names in capitals that the payloads use."""
        return {
            "CANARY": str(self.folder / "canary"),
            "FOLDER": str(self.folder),
            "MARKER": self.marker,
            "SECRET_FILE": str(self.file),
            "SECRET_NAME": self.secret_name,
            "TCP": self._listeners["tcp"].getsockname()[1],
            "UDP": self._listeners["udp"].getsockname()[1],
            "ABSTRACT": self.marker,
            "UNIX": str(self.folder / "socket"),
            "BYSTANDER": self.bystander.pid,
            "APP": os.getpid(),
        }

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for name, listener in self._listeners.items():
                selector.register(listener, selectors.EVENT_READ, name)
            while self._open:
                for key, _ in selector.select(0.1):
                    self.heard.append(key.data)
                    if key.data == "udp":
                        key.fileobj.recv(1 << 10)
                    else:
                        key.fileobj.accept()[0].close()

    def seen(self, told: str = "") -> list[str]:
        """What was reached since the last time it was asked; `told`: all that came back."""
        seen = []
        if self.secret in told:
            seen.append("told the secret")
        if "PWNED" in told:
            at = told.index("PWNED")
            seen.append(f"says: {told[at : at + 300]}")
        if new := set(os.listdir(self.folder)) - self.known:
            seen.append("wrote to the folder")
            for name in new:
                (self.folder / name).unlink()
        for folder in {*sys.path, "/tmp", "/dev/shm", "/var/tmp", "/run", "/", os.getcwd()}:
            for found in Path(folder or ".").glob(f"*{self.marker}*"):
                seen.append(f"wrote to {folder}")
                found.unlink()
        now = self.file.stat() if self.file.exists() else None
        if now is None or (now.st_mode, now.st_uid, now.st_mtime, now.st_size) != (
            self.status.st_mode, self.status.st_uid, self.status.st_mtime, self.status.st_size,
        ):  # fmt: skip
            seen.append("changed a file")
        if self.heard:
            seen.append("reached: " + ", ".join(sorted(set(self.heard))))
            self.heard.clear()
        if self.bystander.poll() is not None or state(self.bystander.pid) == "T":
            seen.append("signalled the bystander")
        if resource.getrlimit(resource.RLIMIT_NOFILE) != self.limits:
            seen.append("changed the app's limits")
        return seen

    def close(self) -> None:
        self._open = False
        self.bystander.kill()
        self.bystander.wait()
        for listener in self._listeners.values():
            listener.close()
        shutil.rmtree(self.folder)
        os.environ.pop(self.secret_name, None)


def state(pid: int) -> str:
    """One letter, as in ps; nothing for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def descendants(pid: int) -> set[int]:
    """The processes that this one started, and those that they did; not the dead who wait to be collected."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            how, parent = stat.rpartition(")")[2].split()[:2]
            if how not in "ZX":
                parents[int(entry)] = int(parent)
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def resident(pid: int) -> int:
    """The most memory it ever held, in megabytes; 0 if it is gone."""
    try:
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(peak[1]) >> 10 if peak else 0


class Memory:
    """The most memory that this process, and each under another one, has held since `start`; in megabytes."""

    def __init__(self, under: Callable[[], set[int]]):
        self.under, self.own, self.largest, self.processes = under, 0, 0, 0
        self._open = True
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while self._open:
            self.look()
            time.sleep(0.1)

    def look(self) -> None:
        under = self.under()
        self.processes = max(self.processes, len(under))
        self.largest = max([self.largest, *map(resident, under)])

    def start(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now
        self.own, self.largest, self.processes = resident(os.getpid()), 0, 0

    @property
    def grown(self) -> int:
        """What this process has taken since, at its most."""
        return resident(os.getpid()) - self.own

    def close(self) -> None:
        self._open = False


def soon(true: Callable[[], bool], seconds: float = LEAVE) -> bool:
    """Whether it becomes true in a while."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
