"""A tool from its file: imported first in a child with a deadline, then here.

A file that loops, raises or ends the process while it is imported is the caller's mistake, told in a
sentence. The child is no sandbox: whoever names a file runs it, as with any import.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORT_SECONDS = 30.0
"""Of a file's import, its own libraries among it."""
MEMORY = 8 << 30
"""Bytes that the child may write; an endless list would take the machine with it."""
CHILD = r"""
import faulthandler, importlib.util, json, os, resource, sys
import smolagents
path, seconds, memory = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
told = os.fdopen(os.dup(1), "w")
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)  # whatever the file prints, or its own children, is no report
os.dup2(null, 2)
most = resource.getrlimit(resource.RLIMIT_DATA)[1]
if most == resource.RLIM_INFINITY or most > memory:
    resource.setrlimit(resource.RLIMIT_DATA, (memory, most))
# Says in which line, and stops C code too.
faulthandler.dump_traceback_later(seconds, exit=True, file=told)
spec = importlib.util.spec_from_file_location("tool_file", path)
module = importlib.util.module_from_spec(spec)
error = line = None
forks = []
os.register_at_fork(before=lambda: forks.append(1), after_in_child=lambda: told.close())
try:
    spec.loader.exec_module(module)
except BaseException as raised:
    error = f"{type(raised).__name__}: {raised}".rstrip(": ")
    line = getattr(raised, "lineno", None) if isinstance(raised, SyntaxError) else None
    trace = raised.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
if forks and not error:
    # Imported by an app, it would leave a second one, at the same files and ports.
    error = "it forks the process that imports it"
found = {}
if not error:
    exec(sys.argv[4])
faulthandler.cancel_dump_traceback_later()
json.dump({"error": error, "line": line, **found}, told)
told.flush()
os._exit(0)  # threads that it started wait for nobody
"""


class ImportFault(ValueError):  # noqa: N818
    """Why a file cannot be imported; `line` in it, where known."""

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


def try_import(
    path: Path,
    seconds: float = IMPORT_SECONDS,
    environment: dict | None = None,
    then: str = "",
) -> dict:
    """Import the file in a child process. Raises ImportFault.

    environment: the child's; None for this process's own, which the file will be imported with.
    then: code that the child runs next, of which `found`, a dict, comes back.
    """
    command = [sys.executable, "-c", CHILD, str(path), str(seconds), str(MEMORY), then]
    said = _said(command, path, seconds + 60, environment)  # for smolagents, on a busy machine
    try:
        told = json.loads(said)
    except ValueError:
        told = None
    if told is None:
        at = re.findall(rf'File "{re.escape(str(path))}", line (\d+)', said)
        line = int(at[0]) if at else None
        if "Timeout (" in said:
            where = f" in line {line}" if line else ""
            raise ImportFault(
                f"{path} was still being imported after {seconds:g} seconds{where}; "
                "do the work in the tool's function, or in setup().",
                line,
            )
        raise ImportFault(f"{path} ends the process that imports it.", line)
    if told["error"]:
        where = f" in line {told['line']}" if told["line"] else ""
        text = told["error"].rstrip(".")[:500]
        raise ImportFault(f"{path} cannot be imported{where}: {text}.", told["line"])
    return told


def _said(command: list[str], path: Path, seconds: float, environment: dict | None) -> str:
    """What the child wrote. It is ended with all that it has started, which may hold its output open."""
    # A file, not a pipe: what the child has started and left would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ImportFault(f"{path} is not imported after {seconds:g} seconds.") from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        output.seek(0)
        return output.read().decode(errors="replace")


@functools.lru_cache(maxsize=256)
def _tried(path: Path, changed: int, size: int) -> None:
    """Once for each content; a run loads a tool again for each of its parts."""
    try_import(path)


def read_tool(path: Path, *, trusted: bool = False, **settings):
    """The tool that the file defines. Raises ValueError for one that defines none, or several.

    trusted: a file of this folder's, which needs no trial. settings: of the tool's constructor.
    """
    from smolagents import Tool

    if not trusted:
        state = path.stat()
        _tried(path.absolute(), state.st_mtime_ns, state.st_size)
    spec = importlib.util.spec_from_file_location(f"tools.{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (
        Exception,
        SystemExit,
    ) as error:  # whatever a user's file does, it is told with its name
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    tools = [value for value in vars(module).values() if isinstance(value, Tool)]
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Tool)
        and value.__module__ == module.__name__
        and isinstance(getattr(value, "name", None), str)  # else a base of the others
    ]
    # An instance of the file's own class is that class's tool, made ready by the file.
    made = [one for one in classes if not any(type(tool) is one for tool in tools)]
    if len(tools) + len(made) > 1:
        names = sorted({tool.name for tool in tools} | {one.name for one in made})
        raise ValueError(
            f"{path} defines {len(tools) + len(made)} tools, {', '.join(names)}; give each a file of its own."
        )
    if tools:
        tool = tools[0]
        if settings:
            raise ValueError(f"The tool {tool.name} is a function, and takes no settings.")
    elif made:
        try:
            tool = made[0](**settings)
        except Exception as error:
            raise ValueError(
                f"The tool {path.stem} cannot be made with {settings or 'no settings'}: {error}."
            ) from error
    else:
        raise ValueError(
            f"{path} defines no tool: neither a class derived from smolagents' Tool nor a @tool function."
        )
    if not str(tool.description).strip():
        raise ValueError(f"The tool {tool.name} of {path} has no description: say what it does.")
    return tool
