"""An MCP server over pipes that does what it is asked to: answer, die, hang, flood. Without a library."""

import json
import os
import signal
import sys

TEXT = {"type": "string"}
TOOLS = {
    "river-length": {
        "description": "How long a river is.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "unit": {"type": "string", "enum": ["km", "mi"], "default": "km"},
                "name": {"$ref": "#/$defs/Name", "description": "the river"},
            },
            "required": ["name"],
            "$defs": {"Name": {"type": "string"}},
        },
        "annotations": {"readOnlyHint": True},
    },
    "print": {
        "description": "Odd names.\u200b" + "\x07" + "x" * 5000,
        "inputSchema": {
            "type": "object",
            "properties": {
                "from": {},
                "2nd": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "a b": TEXT,
            },
        },
    },
    **{
        name: {"inputSchema": {"type": "object"}}
        for name in ("die", "hang", "flood", "line", "big", "environment", "fail", "count", "pid")
    },
}
calls = 0


def send(message: dict) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def call(name: str, arguments: dict) -> dict:
    global calls
    calls += 1
    if name == "die":
        print("no more, token", os.environ.get("SERVICE_TOKEN"), file=sys.stderr, flush=True)
        os._exit(3)
    while name == "hang":
        signal.pause()
    while name == "flood":
        send(
            {
                "method": "notifications/message",
                "params": {"level": "info", "data": "x" * (1 << 20)},
            }
        )
    while name == "line":
        sys.stdout.write("x" * (1 << 20))
    if name == "river-length":
        length = {"km": 311.0, "mi": 193.2}[arguments.get("unit", "km")]
        return {"content": [], "structuredContent": {"result": length}}
    text = {
        "print": json.dumps(arguments),
        "big": "y" * 1_000_000,
        "environment": json.dumps(dict(os.environ)),
        "fail": "there is no such river",
        "count": str(calls),
        "pid": str(os.getpid()),
    }[name]
    return {"content": [{"type": "text", "text": text}], "isError": name == "fail"}


print("a line that strayed onto the channel", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    match asked.get("method"):
        case "initialize":
            told = {
                "protocolVersion": asked["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "rivers", "version": "1"},
            }
        case "tools/list":
            told = {"tools": [{"name": name, **tool} for name, tool in TOOLS.items()]}
        case "tools/call":
            told = call(asked["params"]["name"], asked["params"]["arguments"])
        case _:
            told = {}
    if "id" in asked:
        send({"id": asked["id"], "result": told})
