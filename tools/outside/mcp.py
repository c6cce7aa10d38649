"""Tools of an MCP server, over pipes (`mcp:command arguments`) or HTTP (`mcp:http://host/mcp`).

A server is connected to once in a process and its connection is held until the process ends. A call has a
deadline. A server that ends, hangs or floods costs the call that met it, which says so to the model; the
next call begins with a new connection.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import threading
from dataclasses import replace

from smolagents import Tool

from . import words as read_words
from .borrowed import BorrowedTool, distinct, identifier, plain
from .transport import Budget, http, pipes
from .words import Words

CALL_SECONDS = 30.0
START_SECONDS = 60.0
"""`npx` and `uvx` may have to fetch the server first."""
PING_SECONDS = 5.0
MOST_TOOLS = 100
LONGEST_ERROR = 2000
"""Characters."""


def mcp_tools(
    text: str, *, seconds: float = CALL_SECONDS, start_seconds: float = START_SECONDS
) -> list[Tool]:
    """The server's tools; `text` is what stands behind `mcp:`.

    Words before the command set variables of its environment, or headers where it is an address:
    `TOKEN=$MY_TOKEN npx server`, `Authorization="Bearer $MY_TOKEN" https://host/mcp`; `only=search+read`
    takes these tools alone. Of this process's environment a server gets nothing else that matters.
    Raises ValueError where nothing answers, or offers no tool.
    """
    return server(text, seconds, start_seconds).tools()


class Server:
    """One server, connected to when it is needed; for several threads at once."""

    def __init__(self, words: Words, seconds: float, start_seconds: float):
        only = words.given.get("only")
        self.only = only.split("+") if only else None
        given = {name: value for name, value in words.given.items() if name != "only"}
        self.words = replace(words, given=given)
        self.seconds, self.start_seconds = seconds, start_seconds
        self.name = f"The MCP server {' '.join(words.target)!r}"
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._listed: list | None = None

    def tools(self) -> list[Tool]:
        from mcp.types import ToolAnnotations

        if self._listed is None:
            try:
                self._listed = self._connected().listed()
            except (ConnectionError, TimeoutError, RuntimeError) as error:
                self.close()
                raise ValueError(f"{error or 'It does not answer'}. No tools of it.") from None
        listed = self._listed
        if self.only:
            names = [tool.name for tool in listed]
            if unknown := next((name for name in self.only if name not in names), None):
                raise ValueError(
                    f"{self.name} has no tool {unknown!r}; there are: {', '.join(names)}."
                )
            listed = [tool for tool in listed if tool.name in self.only]
        if not listed:
            raise ValueError(f"{self.name} offers no tool.")
        if len(listed) > MOST_TOOLS:
            raise ValueError(
                f"{self.name} offers more than {MOST_TOOLS} tools; take some with mcp:only=NAME+NAME …"
            )
        names = distinct(identifier(tool.name) for tool in listed)
        return [
            BorrowedTool(
                name,
                tool.description or tool.title or "",
                tool.inputSchema,
                lambda given, name=tool.name: self.call(name, given),
                # The protocol's default too: a tool that does not say that it only reads may write.
                side_effects=not (tool.annotations or ToolAnnotations()).readOnlyHint,
            )
            for name, tool in zip(names, listed, strict=True)
        ]

    def call(self, name: str, arguments: dict):
        """What the tool returns: text, or plain data. RuntimeError, which the model reads, for what it complains of."""
        from mcp import types

        request = types.CallToolRequest(
            params=types.CallToolRequestParams(name=name, arguments=arguments)
        )
        for again in (True, False):
            connection = self._connected()
            try:
                result = connection.request(request, types.CallToolResult, self.seconds)
                break
            except TimeoutError:
                raise TimeoutError(
                    f"{self.name} did not answer within {self.seconds:g} seconds."
                ) from None
            except ForgottenError:
                # It was started anew and knows nothing of us: the call was not made.
                connection.close()
                if not again:
                    raise ConnectionError(f"{self.name} forgets its connections.") from None
        value = self.words.masked(content(result))
        if result.isError:
            raise RuntimeError(plain(str(value))[:LONGEST_ERROR] or "The tool failed.")
        return value

    def _connected(self) -> Connection:
        with self._lock:
            if self._connection is None or self._connection.over.is_set():
                self._connection = Connection(self.words, self.name, self.start_seconds)
            connection = self._connection
        connection.wait()
        return connection

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class ForgottenError(Exception):
    """A server over HTTP no longer knows the connection."""


class Connection:
    """One life of a server, in a thread of its own: a server that keeps it busy keeps no other waiting."""

    def __init__(self, words: Words, name: str, start_seconds: float):
        self.words, self.name, self.start_seconds = words, name, start_seconds
        self.over = threading.Event()
        self.why = ""
        self.budget = Budget()
        self._ready: concurrent.futures.Future = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, daemon=True, name="mcp")
        self._thread.start()

    def wait(self) -> None:
        """Until it can be asked. Raises ConnectionError where that is never."""
        self._ready.result(self.start_seconds + 2 * PING_SECONDS)

    def request(self, request, kind, seconds: float):
        """Ask, and wait for the reply. Raises TimeoutError, ConnectionError, ForgottenError or RuntimeError."""
        from mcp import McpError
        from pydantic import ValidationError

        self.budget.renew()
        asking = self._ask(request, kind, seconds)
        try:
            asked = asyncio.run_coroutine_threadsafe(asking, self._loop)
        except RuntimeError:  # the loop has ended since we looked
            asking.close()
            raise self._ended() from None
        try:
            return asked.result(seconds + PING_SECONDS)
        except McpError as error:
            if error.error.message == "Session terminated":
                raise ForgottenError from None
            if error.error.message == "Connection closed":
                raise self._ended() from None
            raise RuntimeError(
                plain(self.words.masked(error.error.message))[:LONGEST_ERROR]
            ) from None
        except (concurrent.futures.CancelledError, *closed()):
            raise self._ended() from None
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise RuntimeError(
                plain(f"{self.name} sent what is no reply: {place} {first['msg']}")
            ) from None

    def listed(self) -> list:
        from mcp import types

        found, cursor = [], None
        while len(found) <= MOST_TOOLS:
            page = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            got = self.request(
                types.ListToolsRequest(params=page), types.ListToolsResult, self.start_seconds
            )
            found += got.tools
            if not got.nextCursor or not got.tools:
                break
            cursor = got.nextCursor
        return found

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(PING_SECONDS)

    def _ended(self) -> ConnectionError:
        self._thread.join(PING_SECONDS)  # it may know why
        return self._gone()

    def _run(self) -> None:
        try:
            asyncio.run(self._hold())
        except BaseException as error:  # of the connection's many tasks; told to whoever asks next
            self.why = self.why or self.words.masked(cause(error))
        self.over.set()
        if not self._ready.done():
            self._ready.set_exception(self._gone())

    def _gone(self) -> ConnectionError:
        return ConnectionError(f"{self.name} is gone: {self.why or 'it closed the connection'}")

    async def _hold(self) -> None:
        import anyio
        from mcp import ClientSession

        # What goes wrong is said by us; the package would write it to the terminal, too.
        logging.getLogger("mcp").setLevel(logging.CRITICAL)
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        into, sifted = anyio.create_memory_object_stream(0)
        async with self._transport() as (read, write), ClientSession(sifted, write) as session:
            self._sifting = asyncio.ensure_future(self._sift(read, into))
            starting = asyncio.ensure_future(session.initialize())
            closing = asyncio.ensure_future(self._closing.wait())
            done, _ = await asyncio.wait(
                {starting, closing},
                timeout=self.start_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if starting in done and not starting.exception():
                self._session = session
                self._ready.set_result(None)
                await closing
            elif not done:
                self.why = f"it did not answer within {self.start_seconds:g} seconds"
            elif starting in done:
                self.why = self.why or cause(starting.exception())
            starting.cancel()
            self.over.set()

    async def _sift(self, read, into) -> None:
        """Replies and pings go on. Of all else a server may send the package would complain on the terminal."""
        from mcp.types import JSONRPCError, JSONRPCResponse

        with contextlib.suppress(*closed()):
            async for message in read:
                if isinstance(message, Exception):
                    self._end(f"it sent what is no message: {cause(message)}")
                    break
                root = message.message.root
                reply = isinstance(root, JSONRPCResponse | JSONRPCError)
                if reply or getattr(root, "method", None) == "ping":
                    await into.send(message)
        into.close()

    def _transport(self):
        if self.words.target[0].startswith(("http://", "https://")):
            return http(self.words, self.budget, self._end, self.start_seconds)
        return pipes(self.words, self.budget, self._end)

    def _end(self, why: str) -> None:
        self.why = self.why or why
        self.over.set()
        self._closing.set()

    async def _ask(self, request, kind, seconds: float):
        from mcp.types import ClientRequest

        # Not `call_tool`, which checks a reply against a schema of the server's: patterns without end.
        asked = asyncio.ensure_future(self._session.send_request(ClientRequest(request), kind))
        closing = asyncio.ensure_future(self._closing.wait())
        await asyncio.wait({asked, closing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done() and closing.done():
            await asyncio.wait({asked}, timeout=0.1)  # an answer may be the last that it sent
        ended = closing.done()
        closing.cancel()
        if asked.done():
            return asked.result()
        asked.cancel()
        if ended:
            raise asyncio.CancelledError
        self._proof = asyncio.ensure_future(self._alive())
        raise TimeoutError

    async def _alive(self) -> None:
        """End a server that is past a deadline and does not answer a ping either."""
        try:
            await asyncio.wait_for(self._session.send_ping(), PING_SECONDS)
        except Exception:
            self._end("it stopped answering")


def closed() -> tuple[type[Exception], ...]:
    """What is raised where one end of the connection was closed, as it is over."""
    import anyio

    return anyio.ClosedResourceError, anyio.BrokenResourceError


_servers: dict[tuple, Server] = {}
_lock = threading.Lock()


def server(
    text: str, seconds: float = CALL_SECONDS, start_seconds: float = START_SECONDS
) -> Server:
    """The process's one server of that name. Raises ValueError where the package is missing."""
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise ValueError("Tools of MCP servers need a package: pip install 'mcp<2'.") from None
    words = read_words.read(text)
    with _lock:
        if not _servers:
            atexit.register(close_all)
        key = (text, seconds, start_seconds)
        return _servers.setdefault(key, Server(words, seconds, start_seconds))


def close_all() -> None:
    """End every server; each is started again when it is needed."""
    with _lock:
        held = list(_servers.values())
    for one in held:
        one.close()


def content(result):
    """What a result holds: data where the server gives it, else its text; of what is neither, a note."""
    data = result.structuredContent
    if data is not None and not result.isError:
        return data["result"] if set(data) == {"result"} else data
    parts = []
    for part in result.content:
        resource = getattr(part, "resource", None)
        if part.type == "text":
            parts.append(part.text)
        elif isinstance(getattr(resource, "text", None), str):
            parts.append(resource.text)
        elif part.type == "resource_link":
            parts.append(f"[link: {part.uri}]")
        else:
            parts.append(f"[{part.type}: not text, left out]")
    return "\n".join(parts)


def cause(error: BaseException) -> str:
    """The first error of a group, in a sentence's part."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(plain(str(error))[:LONGEST_ERROR].split()) or type(error).__name__
