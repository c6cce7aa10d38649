"""Serve an agent to other programs: the OpenAI protocol, Gradio's API and MCP, on one port of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agents import load_model, make_agent
from agents.agent import IMPORTS, LIMITS
from agents.chat.access import KEY, check_host, is_loopback
from agents.chat.rules import Rules
from agents.sandbox import Limits

from .solvers import SEARCH, load_tools, with_folder

PORT = 8800
GRADIO = "/gradio"
RULES = {"per_minute_address": 120}
"""Unlike a page's: all that a chat front end asks comes from one address."""


@dataclass(frozen=True)
class Served:
    """An ASGI app, and where on it the doors are."""

    app: object
    name: str
    """Of the model, in requests."""
    paths: dict[str, str]
    stop: Callable[[], None]
    """Ends the runs under way."""

    def doors(self, address: str) -> dict[str, str]:
        """The doors' addresses, where the app answers at `address`, "http://host:port"."""
        return {door: address + path for door, path in self.paths.items()}


def serve(
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    tools: str = SEARCH,
    tools_dir: Path | None = None,
    index: str | None = None,
    name: str | None = None,
    samples: int = 1,
    sequential: bool = False,
    temperature: float | None = None,
    max_tokens: int | None = None,
    max_steps: int = 5,
    prompt: str | None = None,
    tags: str | None = None,
    imports: str = ",".join(IMPORTS),
    limits: str = "",
    rules: str = "",
    unsafe_local: bool = False,
    open_to_all: bool = False,
    loaded=None,
) -> Served:
    """The app, ready to be run; every request gets an agent of its own.

    name: of the model in requests; the last part of `model` if not given. limits: of an action and of a run,
    which ends in any case (agents/chat/rules.py). rules: of who may ask how much, as "runs=2,per_minute_address=60".
    loaded: the model itself, where the caller has it already; the rest as in `collect`.
    Raises ValueError for a caller's mistake, SandboxError where code cannot be confined.
    """
    check_host(host, secret=KEY, open_to_all=open_to_all)
    if not 0 <= port < 2**16:
        raise ValueError(f"A port is from 0 to 65535, not {port}.")
    read = Rules.read(rules, **RULES)
    toolbox = load_tools(with_folder(tools, tools_dir), index, unsafe_local=unsafe_local)
    settings = {
        "samples": samples,
        "sequential": sequential,
        "temperature": temperature,
        "max_steps": max_steps,
        "prompt": prompt,
        "tags": tags,
        "imports": [part for part in (n.strip() for n in imports.split(",")) if part],
        "limits": read.limits(Limits.read(limits, output_chars=LIMITS.output_chars)),
        "unsafe_local": unsafe_local,
    }
    if max_steps < 1:
        raise ValueError(f"max_steps starts at 1, not {max_steps}.")
    if loaded is None:
        loaded = load_model(model, **({"max_tokens": max_tokens} if max_tokens else {}))

    def make():
        return make_agent(loaded, toolbox, **settings)

    make().cleanup()  # told now what is wrong with it
    name = name or name_of(model)
    return _served(make, name, read, host, port, [tool.name for tool in toolbox])


def _served(
    make: Callable, name: str, rules: Rules, host: str, port: int, tools: list[str]
) -> Served:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import gradio as gr

    from agents.chat.ask import MCP, ask_page
    from agents.chat.security import OnlyAtHome, SecurityHeaders, SmallBodies
    from agents.serve import make_app
    from agents.serve.room import Room

    room = Room(rules)
    others = {"gradio": f"{GRADIO}/", "mcp": GRADIO + MCP}
    app = make_app(make, name, rules, room, others)
    having = f"with {', '.join(tools)} and Python" if tools else "with Python"
    page = ask_page(make, rules, room, title=name, about=f"{name}, an agent {having}.")
    gr.mount_gradio_app(
        app,
        page,
        GRADIO,
        server_name=host,
        server_port=port,
        show_error=False,
        max_file_size=1,  # byte: nothing is taken
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        run_history=False,
        footer_links=["api"],
        mcp_server=True,
    )
    if page.mcp_server_obj is None:  # gradio says so on the terminal only
        raise RuntimeError(page.mcp_error or "There is no MCP server.")
    app.add_middleware(SmallBodies)  # Gradio reads whatever it is sent
    app.add_middleware(SecurityHeaders)
    if is_loopback(host) and not os.environ.get(KEY):
        app.add_middleware(OnlyAtHome)
    return Served(app, name, {"openai": "/v1", **others}, room.close)


def name_of(model: str) -> str:
    """What requests call the model: the name on its server, or its folder's, or as on the Hub."""
    if "#" in model:
        return model.partition("#")[2]
    return Path(model).resolve().name if Path(model).is_dir() else model


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket that listens, and its address as "http://host:port". Port 0 is any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.create_server((host.strip("[]"), port), family=family)
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    return sock, f"http://{shown}:{sock.getsockname()[1]}"


def run_server(served: Served, sock: socket.socket) -> None:
    """Answer until Ctrl-C; runs under way are stopped then."""
    with suppress(KeyboardInterrupt):
        server_of(served).run(sockets=[sock])


def server_of(served: Served):
    """uvicorn's server of the app. As it ends it stops the runs, so that each answer has an end too."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets=None) -> None:
            served.stop()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        served.app,
        log_level="warning",
        access_log=False,  # a question may stand in an address
        server_header=False,
        proxy_headers=False,  # else who asks names the address that is counted
        timeout_graceful_shutdown=2,  # seconds
    )
    return Server(config)
