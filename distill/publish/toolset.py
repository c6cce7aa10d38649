"""The tools of a published agent: which files they are, and what smolagents can load of them."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tools
from tools.compose import OUTSIDE, tool_files
from tools.outside import words

from .requirements import distribution
from .sources import imports
from .weights import is_local_address

SEARCH = ("wiki_search", "web_search")
"""Tools that look in an index."""
OWN = "tools/own"
"""Where a user's files stand."""


@dataclass(frozen=True)
class Chosen:
    """One tool."""

    spec: str
    """How `agent.json` names it."""
    name: str | None = None
    """What the model calls it; None for those that a server names."""
    kind: str | None = None
    """Of what others serve: mcp, space, langchain or agent. Their name is published, and nothing of theirs."""
    place: str = ""
    """Where that is."""
    secrets: tuple[str, ...] = ()
    """Environment variables that it is given by name."""
    file: Path | None = None
    """The user's file, if it is one."""
    libraries: frozenset[str] = frozenset()
    text: str | None = None
    """Its class, as smolagents loads it; None where it cannot."""
    why_not: str | None = None
    """Why it cannot."""
    apart: bool = False
    """Whether its file stands beside the text that smolagents loads."""

    @property
    def ours(self) -> bool:
        """Whether it is shipped with this repository."""
        return self.file is None and self.kind is None


def choose(spec: str | Iterable[str], folders: Iterable[Path] = ()) -> tuple[Chosen, ...]:
    """The tools of `spec`, and those of the folders.

    Raises ValueError for a tool that is not there, that cannot be published, or whose name is taken.
    """
    parts = spec.split(",") if isinstance(spec, str) else spec
    named = (_chosen(part.strip()) for part in parts if part.strip())
    found = (*named, *(_users(file) for folder in folders for file in tool_files(folder)))
    names = [tool.name for tool in found if tool.name]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Two tools are called {min(twice)}.")
    return found


def write(chosen: Iterable[Chosen], out: Path) -> None:
    """Put the users' files where `agent.json` and smolagents look for them; ours are copied with their package."""
    for tool in chosen:
        if tool.file is None:
            continue
        if tool.apart:
            (out / OWN).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tool.file, out / OWN / tool.file.name)
        if tool.text is not None:
            (out / "tools").mkdir(exist_ok=True)
            (out / "tools" / f"{tool.name}.py").write_text(tool.text, encoding="utf-8")


def _chosen(part: str) -> Chosen:
    if match := OUTSIDE.fullmatch(part):
        return _outside(part, match[2], match[3].strip())
    if not part.endswith(".py"):
        return _ours(part, tools.load(part))
    return _users(Path(part))


def _outside(part: str, kind: str, place: str) -> Chosen:
    secrets = ()
    if kind in ("mcp", "space"):
        [*_, place] = words.read(place).target  # no secret is written out in it
        given = shlex.split(part)[: -1 if kind == "mcp" else None]
        secrets = tuple(dict.fromkeys(re.findall(r"\$(\w+)", " ".join(given))))
    server = place.startswith(("http://", "https://"))
    if kind == "mcp" and not server:
        raise ValueError(
            f"{part}: the command of an MCP server is not there where the page is published; serve it by HTTP and "
            "name it mcp:https://..."
        )
    if server and is_local_address(place):
        raise ValueError(
            f"{part} can be reached from this machine alone; name one that others reach."
        )
    if kind == "agent" and not server and (Path(place).exists() or place.count("/") != 1):
        raise ValueError(
            f"{part}: name a model on the Hub (owner/name); a folder of this machine stays here."
        )
    libraries = {place.partition(":")[0].partition(".")[0]} if kind == "langchain" else set()
    return Chosen(part, kind=kind, place=place, secrets=secrets, libraries=frozenset(libraries))


def _ours(name: str, tool) -> Chosen:
    text = (tools.FOLDER / f"{name}.py").read_text(encoding="utf-8")
    return Chosen(name, tool.name, text=text, why_not=_refused(text))


def _users(file: Path) -> Chosen:
    tool = tools.load(str(file))
    if tool.name in tools.available() or (tools.FOLDER / f"{tool.name}.py").exists():
        raise ValueError(
            f"{file}: a tool called {tool.name} is shipped already; give yours another name."
        )
    _, libraries = imports(file.resolve(), file.resolve().parent)
    for library in sorted(libraries):
        if any((file.parent / name).exists() for name in (f"{library}.py", library)):
            raise ValueError(
                f"{file} imports its neighbour {library}; only the one file is published, so put all in it."
            )
        distribution(library)
    text = file.read_text(encoding="utf-8")
    _alone(file, text)
    own, why = f"./{OWN}/{file.name}", None
    if type(tool).__name__ == "SimpleTool":  # smolagents loads classes; of a function it makes one
        try:
            text = tool.to_dict()["code"]
        except Exception as error:  # of its checks, in many kinds
            why = _line(error)
    elif _refused(text) is None:
        own = f"./tools/{tool.name}.py"
    why = why or _refused(text)
    return Chosen(
        own, tool.name, file=file, libraries=frozenset(libraries), text=None if why else text, why_not=why,
        apart=own.startswith(f"./{OWN}/"),
    )  # fmt: skip


def _alone(file: Path, text: str) -> None:
    """Raises ValueError for a file that reads others beside it, as those stay here."""
    beside = {other.name for other in file.resolve().parent.iterdir() if other.suffix}
    said = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    if named := sorted((beside - {file.name}) & {Path(s).name for s in said if isinstance(s, str)}):
        raise ValueError(
            f"{file} names {named[0]}, which lies beside it; only the one file is published, so put all in it."
        )
    if "__file__" not in text:
        return
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / file.name
        shutil.copyfile(file, copied)
        try:
            tools.load(str(copied))
        except ValueError as error:
            said = _line(error).replace(str(copied), file.name)
            raise ValueError(
                f"{file} needs what lies beside it, and only the one file is published: {said}"
            ) from None


def _refused(text: str) -> str | None:
    """Why smolagents cannot load a tool's class; None if it can."""
    from smolagents import Tool

    try:
        Tool.from_code(text)
    except Exception as error:  # the file is the user's: anything may come
        return _line(error)
    return None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
