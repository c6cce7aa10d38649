"""How messages come from an MCP server: over a child's pipes or over HTTP, never more than a budget of them.

The client of the `mcp` package reads whatever a server sends, and a line without end fills the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable

from .borrowed import plain
from .words import Words

MOST_BYTES = 16 << 20
"""That a server may send between two requests."""
LONGEST_LINE = 4 << 20
LAST_WORDS = 500
"""Characters of a server's standard error that are told when it ends."""
PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Of this process's environment; anything else is given by name, if at all."""
END_SECONDS = 1.0
LAUNCH = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Before the command: it is killed when the thread that started it ends, however this process ends."""


class Flood(Exception):  # noqa: N818 - it is what happened
    pass


class Budget:
    def __init__(self, most: int = MOST_BYTES):
        self.most = self.left = most

    def renew(self) -> None:
        self.left = self.most

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Flood(f"it sent more than {self.most:,} bytes at once")


@contextlib.asynccontextmanager
async def pipes(words: Words, budget: Budget, ended: Callable[[str], None]) -> AsyncIterator[tuple]:
    """Start the command; the two streams that a ClientSession takes. `ended` is told why it is over."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp.types import JSONRPCMessage

    environment = {name: os.environ[name] for name in PASSED if name in os.environ} | words.given
    if shutil.which(words.target[0], path=environment.get("PATH")) is None:
        raise ConnectionError(f"there is no command {words.target[0]!r} that can be run")
    linux = sys.platform == "linux"
    launch = [sys.executable, "-I", "-S", "-c", LAUNCH] if linux else []
    try:
        child = await asyncio.create_subprocess_exec(
            *launch,
            *words.target,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us; and its own children end with it
            limit=LONGEST_LINE,
        )
    except OSError as error:
        raise ConnectionError(f"{words.target[0]!r} cannot be run: {error.strerror}") from None
    into, read = anyio.create_memory_object_stream(0)
    write, out = anyio.create_memory_object_stream(0)
    last_words = bytearray()

    async def hear() -> None:
        why = ""
        try:
            while line := await child.stdout.readline():
                budget.spend(len(line))
                try:
                    message = JSONRPCMessage.model_validate_json(line)
                except ValueError:
                    continue  # a print that strayed onto the channel
                await into.send(SessionMessage(message))
        except Flood as error:
            why = str(error)
        except ValueError:
            why = f"it sent a line of more than {LONGEST_LINE:,} bytes"
        except anyio.BrokenResourceError:
            pass  # we are closing
        if not why:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), END_SECONDS)
            why = "it closed its output" if child.returncode is None else _end(child.returncode)
            await asyncio.sleep(0)  # its last words are read by another task
            said = plain(words.masked(last_words.decode(errors="replace")))
            why += f"; its last words: {said}" if said else ""
        ended(why)
        into.close()

    async def overhear() -> None:
        while part := await child.stderr.read(65536):
            last_words.extend(part)
            del last_words[:-LAST_WORDS]

    async def say() -> None:
        async for sent in out:
            text = sent.message.model_dump_json(by_alias=True, exclude_none=True)
            with contextlib.suppress(ConnectionError):  # `hear` says that it has ended
                child.stdin.write(text.encode() + b"\n")
                await child.stdin.drain()

    tasks = [asyncio.ensure_future(task()) for task in (overhear, hear, say)]
    try:
        yield read, write
    finally:
        child.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), END_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):  # one that left the group may hold them open
            await asyncio.wait_for(_emptied(child), END_SECONDS)
        for stream in (into, read, write, out):
            stream.close()


async def _emptied(child: asyncio.subprocess.Process) -> None:
    """What is left in its pipes, read away: asyncio waits for their end before it lets go of a child."""
    while await child.stdout.read(65536) or await child.stderr.read(65536):
        pass
    await child.wait()


def _end(code: int) -> str:
    return f"it ended with exit code {code}" if code >= 0 else f"it was ended by signal {-code}"


@contextlib.asynccontextmanager
async def http(
    words: Words, budget: Budget, ended: Callable[[str], None], seconds: float
) -> AsyncIterator[tuple]:
    """The two streams that a ClientSession takes, over MCP's "streamable HTTP"."""
    import httpx
    from mcp.client.streamable_http import streamable_http_client

    class Counted(httpx.AsyncByteStream):
        def __init__(self, stream: httpx.AsyncByteStream, reply: bool):
            self.stream, self.reply = stream, reply

        async def __aiter__(self):
            try:
                async for part in self.stream:
                    budget.spend(len(part))
                    yield part
            except Exception as error:
                # The package drops a reply that breaks off, and whoever asked would wait for it.
                if self.reply or isinstance(error, Flood):
                    ended(str(error))
                raise

        async def aclose(self) -> None:
            await self.stream.aclose()

    async def counted(response: httpx.Response) -> None:
        response.stream = Counted(response.stream, response.request.method == "POST")

    timeout = httpx.Timeout(seconds, read=None)  # a call has a deadline of its own
    headers = {
        **words.given,
        "accept-encoding": "identity",
    }  # what unpacks to more than was counted
    hooks = {"response": [counted]}
    async with (
        httpx.AsyncClient(event_hooks=hooks, headers=headers, timeout=timeout) as client,
        streamable_http_client(words.target[0], http_client=client) as (read, write, _),
    ):
        yield read, write
