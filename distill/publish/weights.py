"""Where a model's weights come from, and the files of them that are published."""

from __future__ import annotations

import fnmatch
import ipaddress
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from agents.agent import PROMPTS, read_prompt
from agents.models import POCKET, STUDENT, load_model, resolve
from agents.weights import adapter_base

from ..run import write_json
from ..save import COPIED

STUDENTS = (*COPIED, "tekken.json", "adapter_config.json", "adapter_model*.safetensors", STUDENT)
"""Of a student's folder; it may hold checkpoints, metrics and settings of its training too."""
BASE = "weights/base"
CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Weights:
    """A model as it is to be published."""

    name: str
    """As the user named it."""
    kind: str
    """"folder": files on this machine; "hub": a repository; "endpoint": a server of somebody's."""
    folder: Path | None = None
    base: str | None = None
    """Of an adapter: a folder or a Hub id; its own folder, if it stands beside it."""
    student: dict = field(default_factory=dict)
    """What `student.json` says."""

    @property
    def base_folder(self) -> Path | None:
        """The base's, where that is another folder on this machine."""
        if self.base is None or not Path(self.base).is_dir() or self.beside:
            return None
        return Path(self.base)

    @property
    def place(self) -> str:
        """Where it stands in a published folder, under a name that a page can show."""
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.folder.resolve().name).strip(".-")
        name = self.name if self.name in POCKET else name
        return f"weights/{name if name not in ('', 'base') else 'student'}"

    @property
    def beside(self) -> bool:
        """Whether the base's files stand in the adapter's folder."""
        return bool(
            self.base and self.folder and Path(self.base).resolve() == self.folder.resolve()
        )


def find(name: str) -> Weights:
    """Raises ValueError for a model that is not there, or that only the whole repository can run."""
    if name == "pocket-teacher":
        raise ValueError(
            "pocket-teacher is a program of this repository, not a model: it cannot be published. Name a "
            "student, such as pocket."
        )
    if name.startswith(("http://", "https://", "litellm:")):
        load_model(name)  # says what is wrong with the name, and asks no server
        return Weights(name, "endpoint")
    place = resolve(name)
    if not Path(place).is_dir():
        return Weights(name, "hub")
    folder = Path(place)
    if not files(folder) or not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"{folder} holds no *.safetensors; other weights may run code where they are loaded, and are not "
            "published."
        )
    return Weights(name, "folder", folder, adapter_base(place), _student(folder))


def files(folder: Path) -> list[Path]:
    """The files of a student, or of a base, that it takes to run it."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and any(fnmatch.fnmatch(file.name, name) for name in STUDENTS)
    )


def left_out(folder: Path) -> list[str]:
    """The other names in it."""
    taken = {file.name for file in files(folder)}
    return sorted(file.name for file in folder.iterdir() if file.name not in taken)


def copy(weights: Weights, out: Path, *, link: bool = False) -> str:
    """Copy them under a folder; returns how its `agent.json` names the model.

    link: only point to the weights themselves, for a folder that is uploaded and goes again.
    """
    if weights.folder is None:
        return weights.name
    place = out / weights.place
    _copied(weights.folder, place, link)
    if base := weights.base_folder:
        _copied(base, out / BASE, link)
        _rebase(place, "../base")
    return f"./{weights.place}"


def copy_student(weights: Weights, out: Path, repository: str, *, link: bool = False) -> None:
    """Copy them as a repository of their own: what an adapter stands on lies beside it, or has a Hub id."""
    if base := weights.base_folder:
        _copied(base, out, link)
    _copied(weights.folder, out, link)
    if weights.base_folder or weights.beside:
        _rebase(out, repository)  # "." would be whoever's folder it is loaded from


def size(weights: Weights) -> int:
    """Bytes of all files of them; 0 where they are not on this machine."""
    folders = [folder for folder in (weights.folder, weights.base_folder) if folder]
    return sum(file.stat().st_size for folder in folders for file in files(folder))


def is_local_address(name: str) -> bool:
    """Whether only this machine, or its network, can reach the server."""
    host = urlsplit(name.partition("#")[0]).hostname or ""
    if host == "localhost" or host.endswith((".local", ".internal", ".localhost")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host


def _copied(folder: Path, out: Path, link: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for file in files(folder):
        if link and file.suffix == ".safetensors":
            (out / file.name).symlink_to(file.resolve())
        else:
            shutil.copyfile(file, out / file.name)
    told = _student(out)
    tools = told.get("tools")
    if isinstance(tools, list) and any(str(tool).endswith(".py") for tool in tools):
        # Files of this machine: elsewhere they are asked for by name.
        named = [Path(tool).stem if str(tool).endswith(".py") else tool for tool in tools]
        told = told | {"tools": named}
        write_json(out / STUDENT, told)
    name = str(told.get("prompt") or "")
    if name and "\n" not in name and not (PROMPTS / f"{name}.txt").is_file():
        # A file of this machine: its text, which is taken for a prompt too, says as much elsewhere.
        write_json(out / STUDENT, {**told, "prompt": f"{read_prompt(name)}\n"})


def _rebase(folder: Path, base: str) -> None:
    """Say in an adapter's settings where its base is; nothing is written where they say so already."""
    file = folder / CONFIG
    values = json.loads(file.read_text(encoding="utf-8"))
    if values.get("base_model_name_or_path") != base:
        write_json(file, {**values, "base_model_name_or_path": base})


def _student(folder: Path) -> dict:
    try:
        found = json.loads((folder / STUDENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
