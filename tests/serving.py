"""An ASGI app behind a real server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from distill.serve import listen


@contextmanager
def running(app) -> Iterator[str]:
    """The app's address, "http://127.0.0.1:port", as long as the context lasts."""
    sock, address = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(10)
        sock.close()
