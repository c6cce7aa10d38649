"""What answers other programs: an agent behind the OpenAI protocol, Gradio's API and MCP."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..options import (
    Config,
    Imports,
    Index,
    Json,
    Limits,
    MaxSteps,
    MaxTokens,
    Prompt,
    Samples,
    Sequential,
    Tags,
    Temperature,
    Tools,
    ToolsDir,
    UnsafeLocal,
)
from . import last, verb


@verb("serve", "serve pocket --port 8800")
def serve(
    model: Annotated[
        str,
        typer.Argument(
            help="pocket, pocket-base, pocket-teacher, a folder or Hub id, or http://host:port/v1#name."
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; one that other machines reach wants SMOLDISTILL_API_KEY to be set."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8800,
    name: Annotated[
        str | None, typer.Option(help="Of the model in requests; its own if not given.")
    ] = None,
    tools: Tools = "wiki_search",
    tools_dir: ToolsDir = None,
    index: Index = None,
    samples: Samples = 1,
    sequential: Sequential = False,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    max_steps: MaxSteps = 5,
    prompt: Prompt = None,
    tags: Tags = None,
    imports: Imports = "numpy.*,sympy.*",
    limits: Limits = "",
    rules: Annotated[
        str,
        typer.Option(
            help="Of who may ask how much: runs=4,waiting=20,per_minute_address=120,message_chars=4000,"
            "run_seconds=300,run_tokens=100000."
        ),
    ] = "",
    unsafe_local: UnsafeLocal = False,
    open_to_all: Annotated[
        bool,
        typer.Option(
            "--open-to-all",
            help="Listen to other machines without a key; something else guards it.",
        ),
    ] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Serve the agent: /v1/chat/completions for other chat pages, Gradio's API, and a tool for MCP clients."""
    from ..serve import listen, run_server, serve

    served = serve(
        model, host=host, port=port, name=name, tools=tools, tools_dir=tools_dir, index=index,
        samples=samples, sequential=sequential, temperature=temperature, max_tokens=max_tokens, max_steps=max_steps,
        prompt=prompt, tags=tags, imports=imports, limits=limits, rules=rules, unsafe_local=unsafe_local,
        open_to_all=open_to_all,
    )  # fmt: skip
    sock, address = listen(host, port)
    doors = served.doors(address)
    print(f"{served.name} answers; Ctrl-C ends it.")
    print(f"  OpenAI's protocol   {doors['openai']}   (model {served.name!r})")
    print(f"  Gradio's API        {doors['gradio']}   (endpoint /ask)")
    print(f"  MCP                 {doors['mcp']}   (tool ask)", flush=True)
    last(json, {"model": served.name, **doors})
    sys.stdout.flush()
    run_server(served, sock)
