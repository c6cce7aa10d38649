"""The agent as an OpenAI-compatible server: `/v1/models` and `/v1/chat/completions`, whole or streamed.

The agent answers: its thoughts, code and observations are `reasoning_content`, which Open WebUI and chat-ui
fold away, and its final answer is `content`. A client that goes away stops its run.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from types import MappingProxyType

from smolagents import ActionStep

from ..chat.access import KEY, same
from ..chat.rules import Rate, RefusedError, Rules, address_of
from ..sandbox import SandboxError
from ..solve import STOPPED
from ..trajectory import Trajectory
from .protocol import ApiError, Asked, Reply, answer_of, read
from .room import Room
from .run import awaited, gone, run
from .thoughts import Thoughts

logger = logging.getLogger(__name__)
BODY = 1_000_000
"""Bytes of a request."""
QUIET = 15.0
"""Seconds of silence in a stream after which a comment is sent, so that proxies keep it open."""
DOORS = ("/", "/health")
"""What may be asked without a key."""


def make_app(
    make: Callable,
    name: str,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    room: Room | None = None,
    doors: Mapping[str, str] = MappingProxyType({}),
):
    """A FastAPI app; others may be mounted on it, behind the same key.

    make: returns a fresh agent, whose `limits` should have an end for a run. name: of the model, in requests.
    room: shared with the other doors of the process. doors: those, by name, as paths; the front page lists them.
    """
    from fastapi import FastAPI

    app = FastAPI(title="smoldistill", docs_url=None, redoc_url=None, openapi_url=None)
    door = Door(make, name, rules, room or Room(rules), doors)
    app.add_route("/", door.about, methods=["GET"])
    app.add_route("/health", door.health, methods=["GET"])
    app.add_route("/v1/models", door.models, methods=["GET"])
    app.add_route("/v1/models/{name:path}", door.model, methods=["GET"])
    app.add_route("/v1/chat/completions", door.completions, methods=["POST"])
    app.add_route("/v1/{rest:path}", door.unknown, methods=["GET", "POST", "PUT", "DELETE"])
    app.add_exception_handler(Exception, broken)  # and it is logged
    app.add_middleware(Keyed)
    return app


class Keyed:
    """ASGI middleware: everything but the front door wants the key in SMOLDISTILL_API_KEY, where one is set."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        key = os.environ.get(KEY)
        if key and scope["type"] in ("http", "websocket") and scope["path"] not in DOORS:
            given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
            kind, _, token = given.partition(" ")
            if kind.lower() != "bearer" or not same(token.strip(), key):
                error = ApiError(401, "The API key is missing or wrong.", code="invalid_api_key")
                return await as_json(error.body(), 401)(scope, receive, send)
        return await self.app(scope, receive, send)


class Door:
    """The routes over one agent."""

    def __init__(
        self, make: Callable, name: str, rules: Rules, room: Room, doors: Mapping[str, str]
    ):
        self.make, self.name, self.rules, self.room = make, name, rules, room
        self.doors = {"chat": "/v1/chat/completions", "models": "/v1/models", **doors}
        self._rate = Rate(rules.per_minute_address)

    async def about(self, request):
        return as_json({"model": self.name, "doors": self.doors})

    async def health(self, request):
        return as_json({"status": "ok", "runs": self.room.taken, "waiting": self.room.waiting})

    async def models(self, request):
        return as_json({"object": "list", "data": [self._card()]})

    async def model(self, request):
        if request.path_params["name"] != self.name:
            return failed(self._no_model(request.path_params["name"]))
        return as_json(self._card())

    async def unknown(self, request):
        path = f"/v1/{request.path_params['rest']}"
        return failed(ApiError(404, f"There is no {request.method} {path[:100]} here."))

    async def completions(self, request):
        try:
            asked = read(await body_of(request), self.rules)
            if asked.model != self.name:
                raise self._no_model(asked.model)
            if seconds := self._rate.take(caller(request)):
                raise RefusedError("Too many questions a minute; please wait.", seconds)
            return await (self._stream if asked.stream else self._whole)(request, asked)
        except (ApiError, RefusedError, SandboxError) as error:
            return failed(error)

    async def _whole(self, request, asked: Asked):
        """Steps are collected; the answer comes when it is there."""
        thoughts, cancelled, trajectory = Thoughts(), threading.Event(), None
        async with gone(request, cancelled), aclosing(self._run(asked, cancelled)) as events:
            async for event in events:
                if isinstance(event, Trajectory):
                    trajectory = event
                else:
                    thoughts.of(event)
        if trajectory is None or trajectory.error == STOPPED:
            return failed(stopped())
        return as_json(Reply(self.name).whole(trajectory, thoughts.text.strip()))

    async def _stream(self, request, asked: Asked):
        """The status waits for the first word, so that what fails before it has a status of its own."""
        from starlette.responses import StreamingResponse

        cancelled = threading.Event()
        events = self._run(asked, cancelled, pieces=True)
        async with gone(request, cancelled):
            first = await anext(events, None)
            while isinstance(first, ActionStep) and first.model_output is None:
                first = await anext(events, None)  # a step that came to nothing; why comes next
        if first is None or (isinstance(first, Trajectory) and first.error == STOPPED):
            return failed(stopped())
        if isinstance(first, Trajectory):
            answer_of(first)  # raises what went wrong
        return StreamingResponse(
            self._sent(asked, first, events),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
        )

    async def _sent(self, asked: Asked, first, events) -> AsyncIterator[str]:
        """The stream's text."""
        reply, thoughts = Reply(self.name), Thoughts()
        async with aclosing(events):
            yield sse(reply.piece(role="assistant", content=""))
            async for event in spoken(first, events):
                if event is None:
                    yield ": working\n\n"
                elif isinstance(event, Trajectory):
                    try:
                        content, reason = answer_of(event)
                    except ApiError as error:  # too late for a status
                        yield sse(error.body())
                        break
                    yield sse(reply.piece(content=content))
                    yield sse(reply.piece(reason))
                    if asked.usage:
                        yield sse(reply.usage(event))
                elif told := thoughts.of(event):
                    yield sse(reply.piece(reasoning_content=told))
            yield "data: [DONE]\n\n"

    def _run(self, asked: Asked, cancelled: threading.Event, pieces: bool = False):
        events = partial(run, self.make, asked.task, self.room, cancelled, pieces=pieces)
        return awaited(events, cancelled)

    def _card(self) -> dict:
        return {"id": self.name, "object": "model", "created": 0, "owned_by": "smoldistill"}

    def _no_model(self, name: str) -> ApiError:
        message = f"No model {name[:200]!r}; there is {self.name!r}."
        return ApiError(404, message, code="model_not_found", param="model")


def stopped() -> ApiError:
    """Whoever asked has gone, or the server is ending."""
    return ApiError(499, "The run was stopped.")


async def broken(request, error: Exception):
    return as_json(ApiError(500, "The server has failed at this request.").body(), 500)


async def spoken(first, events) -> AsyncIterator:
    """The events, the first of which is there already; None for each time that nothing came for a while."""
    yield first
    waiting = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(events, None))
            done, _ = await asyncio.wait([waiting], timeout=QUIET)
            if not done:
                yield None
                continue
            event, waiting = waiting.result(), None
            if event is None:
                return
            yield event
    finally:
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await waiting


async def body_of(request) -> bytes:
    """Raises ApiError for one that is too large, or no JSON by its own account."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Also what keeps other sites' pages out: a browser asks leave before it sends this type.
        raise ApiError(415, "Send JSON, with `content-type: application/json`.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY:
            raise ApiError(413, f"A request may have {BODY:,} bytes.")
    return bytes(body)


def caller(request) -> str:
    peer = request.client.host if request.client else None
    return address_of(dict(request.headers), peer)


def failed(error: ApiError | RefusedError | SandboxError):
    if isinstance(error, RefusedError):
        error = ApiError(429, str(error), code="busy", retry_after=error.retry_after)
    elif isinstance(error, SandboxError):
        error = ApiError(503, f"Code cannot be run safely: {str(error).splitlines()[0][:300]}")
    if error.status >= 500:
        logger.warning("%s", error)
    after = {"retry-after": str(int(error.retry_after) + 1)} if error.retry_after else {}
    return as_json(error.body(), error.status, after)


def as_json(value: dict, status: int = 200, headers: dict[str, str] | None = None):
    from starlette.responses import Response

    return Response(
        json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"),
        status,
        headers=headers,
        media_type="application/json",
    )


def sse(value: dict) -> str:
    return f"data: {json.dumps(value)}\n\n"
