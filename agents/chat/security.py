"""What a browser may do with what we serve: it loads nothing from elsewhere, and nobody else asks through it.

ASGI middleware, for Gradio's `launch(app_kwargs={"middleware": guards(...)})` and for any other ASGI app. It
stands behind what the page itself does: text of models and tools is escaped (agents/chat/markdown.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from .rules import on_space

POLICY = {
    "default-src": "'self'",
    # A picture's address can carry what the model read to wherever it says; hence from here alone.
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "frame-src": "'self' blob: data:",
    "worker-src": "'self' blob:",
    # Gradio's page has its settings and its loader inline, and compiles the scripts that our page gives it
    # (`js=` of events, `js_on_load=` of tables): without eval it stays at "Loading".
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-dns-prefetch-control": "off",  # a link's host name alone can carry something
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
AT_HOME = ("localhost", "127.0.0.1", "::1")
SAFE = ("GET", "HEAD", "OPTIONS")
BODY = 32_000_000
"""Bytes of a request: more than any message, so that a long one is refused by a sentence, and not by this."""
UPLOADS = ("/upload", "/gradio_api/upload")


def guards(*, only_at_home: bool = False, uploads: bool = False) -> list:
    """The middleware of a page, for `launch(app_kwargs={"middleware": guards()})`.

    only_at_home: the page has no other guard than that it is bound to loopback; see `OnlyAtHome`.
    uploads: the page takes files; else Gradio's route for them, which is always there, is closed.
    """
    from starlette.middleware import Middleware

    found = [
        Middleware(SecurityHeaders, framed=on_space()),
        Middleware(SmallBodies, uploads=uploads),
    ]
    return [*found, Middleware(OnlyAtHome)] if only_at_home else found


def policy(*, framed: bool) -> str:
    """The Content-Security-Policy. framed: other sites may show the page in a frame, as the Hub does a Space."""
    lines = [f"{name} {sources}" for name, sources in POLICY.items()]
    return "; ".join(lines if framed else [*lines, "frame-ancestors 'self'"])


class SecurityHeaders:
    """Puts the policy and its like on every response."""

    def __init__(self, app, *, framed: bool = False):
        self.app = app
        self.headers = [
            (name.encode(), value.encode())
            for name, value in {
                "content-security-policy": policy(framed=framed),
                **HEADERS,
            }.items()
        ]
        self._names = {name for name, _ in self.headers}

    async def __call__(self, scope, receive, send) -> None:
        async def guarded(message) -> None:
            if message["type"] == "http.response.start":
                others = [h for h in message.get("headers", ()) if h[0].lower() not in self._names]
                message = {**message, "headers": [*others, *self.headers]}
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


class SmallBodies:
    """Takes no request that is larger than any could need, and no file where none is asked for."""

    def __init__(self, app, *, most: int = BODY, uploads: bool = False):
        self.app, self.most, self.uploads = app, most, uploads

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE:
            return await self.app(scope, receive, send)
        if not self.uploads and scope["path"].rstrip("/").endswith(UPLOADS):
            return await refuse(send, 403, "This page takes no files.")
        length = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = f"A request may have {self.most:,} bytes."
        if not length.isdigit() or int(length) > self.most:
            return await refuse(send, 413, too_large)
        came, begun, over = 0, False, False

        async def counted():
            """Of one that did not say how long it would be."""
            nonlocal came, over
            message = await receive()
            came += len(message.get("body", b""))
            if came <= self.most:
                return message
            if not begun and not over:
                over = True
                await refuse(send, 413, too_large, [(b"connection", b"close")])
            return {"type": "http.disconnect"}

        async def unless_over(message) -> None:
            nonlocal begun
            if not over:
                begun = True
                await send(message)

        return await self.app(scope, counted, unless_over)


class OnlyAtHome:
    """Answers only who names this machine, and writes only for pages of its own.

    A server on loopback is reached by every page that this machine's browser shows: by a form that it posts
    across sites, or by a name of its own that it lets point to 127.0.0.1. Where there is no password to
    stand in the way, the names do.
    """

    def __init__(self, app, *, hosts: Iterable[str] = AT_HOME):
        self.app, self.hosts = app, frozenset(hosts)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        host, origin = headers.get("host", ""), headers.get("origin")
        if host_of(f"//{host}") not in self.hosts:
            return await refuse(send, 421, "This server answers to the names of this machine only.")
        writes = scope["type"] == "websocket" or scope["method"] not in SAFE
        # A page of another port is another page: `localhost` alone would let any local server in.
        if writes and origin is not None and origin.partition("://")[2] != host:
            return await refuse(send, 403, "Pages of other sites may not ask this server.")
        return await self.app(scope, receive, send)


def host_of(address: str) -> str:
    """The host name of an address, "" where it has none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


async def refuse(send, status: int, sentence: str, headers: Sequence = ()) -> None:
    """A whole response of one sentence, as ASGI messages."""
    body = sentence.encode()
    given = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})
