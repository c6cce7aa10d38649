"""A Gradio app's endpoint as a tool: a Space (`space:owner/name`) or an address (`space:http://host:port`).

smolagents has one, which does not work with the client of today. Nothing of this machine is sent but the
arguments: no token that was not named, and no file, whatever model-written code puts into an argument.
"""

from __future__ import annotations

import concurrent.futures
import threading
from pathlib import Path

from smolagents import Tool

from . import words as read_words
from .borrowed import BorrowedTool, identifier, plain, sentences

CALL_SECONDS = 60.0
START_SECONDS = 30.0


def space_tool(text: str, *, seconds: float = CALL_SECONDS) -> Tool:
    """The endpoint as a tool; `text` is what stands behind `space:`.

    `owner/name/endpoint` or `http://host:port#endpoint`; the endpoint may be left out where there is one.
    `token=$HF_TOKEN owner/name` opens a private Space. Files are given and come back as addresses.
    Raises ValueError where nothing answers or there is no such endpoint.
    """
    app = App(text, seconds)
    endpoint, described = app.endpoint()
    schema, files = arguments(described)
    description = described.get("description") or f"Asks {app.source}."
    shows = ", ".join(str(one.get("label") or one.get("component")) for one in described["returns"])

    def call(given: dict):
        return app.call(endpoint, {name: sent(given[name], name in files) for name in given})

    name = identifier(app.source.rpartition("/")[2] if app.hub else endpoint.strip("/"))
    return BorrowedTool(name, f"{description} Returns: {shows or 'nothing'}.", schema, call)


class App:
    """One app, connected to anew after it was lost; for several threads at once."""

    def __init__(self, text: str, seconds: float):
        words = read_words.read(text)
        if len(words.target) > 1:
            raise ValueError(f"space:{text} is more than one app; name one.")
        if unknown := set(words.given) - {"token"}:
            raise ValueError(f"A Space takes token=$VARIABLE, not {min(unknown)}.")
        self.words, self.seconds = words, seconds
        address, _, self.wanted = words.target[0].partition("#")
        self.hub = not address.startswith(("http://", "https://"))
        if self.hub:
            owner, _, rest = address.partition("/")
            name, _, last = rest.partition("/")
            if not owner or not name or (last and self.wanted) or "/" in last:
                raise ValueError(
                    f"space:{text} is neither owner/name, owner/name/endpoint nor an address."
                )
            address, self.wanted = f"{owner}/{name}", last or self.wanted
        self.source = address
        self._lock = threading.Lock()
        self._client = None

    def client(self):
        with self._lock:
            if self._client is None:
                self._client = self._connected()
            return self._client

    def _connected(self):
        try:
            from gradio_client import Client
        except ImportError:
            raise ValueError("Spaces as tools need a package: pip install gradio_client.") from None
        try:
            return Client(
                self.source,
                # Without it, the client sends this machine's own token to wherever it is pointed.
                token=self.words.given.get("token") or False,
                verbose=False,
                download_files=False,
                analytics_enabled=False,
                httpx_kwargs={"timeout": START_SECONDS},
            )
        except Exception as error:  # httpx's, the Hub's, a wrong kind of reply: all say what it is
            raise ConnectionError(
                f"{self.source} does not answer as a Gradio app: {self._said(error)}"
            ) from None

    def endpoint(self) -> tuple[str, dict]:
        try:
            told = self.client().view_api(return_format="dict", print_info=False)
            endpoints = told["named_endpoints"]
        except ConnectionError as error:
            raise ValueError(f"{error}.") from None
        names = ", ".join(name.strip("/") for name in endpoints) or "none"
        if self.wanted:
            name = f"/{self.wanted.strip('/')}"
            if name not in endpoints:
                raise ValueError(
                    f"{self.source} has no endpoint {self.wanted!r}; there are: {names}."
                )
        elif len(endpoints) != 1:
            how = f"space:{self.source}{'/' if self.hub else '#'}NAME"
            raise ValueError(f"{self.source} has these endpoints: {names}; choose one with {how}.")
        else:
            name = next(iter(endpoints))
        return name, endpoints[name]

    def call(self, endpoint: str, given: dict):
        """What it shows. RuntimeError, which the model reads, for what it complains of."""
        client = self.client()
        try:
            job = client.submit(api_name=endpoint, **given)
            return self.words.masked(job.result(self.seconds))
        except concurrent.futures.TimeoutError:
            job.cancel()
            self._lost(client)
            raise TimeoutError(
                f"{self.source} did not answer within {self.seconds:g} seconds."
            ) from None
        except Exception as error:
            if type(error).__name__ != "AppError":
                self._lost(client)
            raise RuntimeError(f"{self.source} failed: {self._said(error)}") from None

    def _lost(self, client) -> None:
        with self._lock:
            if self._client is client:
                self._client = None
        client.close()

    def _said(self, error: Exception) -> str:
        return plain(self.words.masked(str(error)))[:500] or type(error).__name__


def arguments(described: dict) -> tuple[dict, set[str]]:
    """A JSON Schema of the endpoint's arguments, and the names of those that take a file."""
    properties, required, files = {}, [], set()
    for parameter in described["parameters"]:
        name, schema = parameter["parameter_name"], parameter.get("type") or {}
        is_file = "filepath" in str((parameter.get("python_type") or {}).get("type", ""))
        words = [str(parameter.get("label") or name)]
        if isinstance(schema.get("description"), str):
            words.append(schema["description"])
        if is_file:
            files.add(name)
            schema, words = {"type": "string"}, [words[0], "The http address of a file."]
        properties[name] = {**schema, "description": sentences(words)}
        if parameter.get("parameter_has_default"):
            properties[name]["default"] = parameter.get("parameter_default")
        else:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}, files


def sent(value, is_file: bool):
    """The argument as the client takes it. ValueError for one that would have it send a file of this machine."""
    if is_file and value is not None:
        if not isinstance(value, str) or not value.startswith(("http://", "https://")):
            raise ValueError("Give a file by its http address; files of this machine are not sent.")
        from gradio_client import handle_file

        return handle_file(value)
    if names_file(value):
        raise ValueError("Files of this machine are not sent; give text, numbers, lists and dicts.")
    return value


def names_file(value) -> bool:
    """Whether the client would take it, or a part of it, for a file to upload."""
    if isinstance(value, dict):
        return "path" in value or any(map(names_file, value.values()))
    return isinstance(value, Path) or (
        isinstance(value, list | tuple) and any(map(names_file, value))
    )
