"""Find what must not leave this machine in a folder's files: keys, tokens, and places of this machine.

Each file is read as it lies there, with its escapes undone (JSON's, once and twice, an address's, Markdown's and
HTML's), and with its base64 decoded. Of weights the header is read, of the rest the values of this process's
environment are looked for. Not found: what is encrypted, split over two lines, spelled in words, or compressed
otherwise than in a report's page.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from .sources import ROOT

SHAPES = {
    "Hugging Face token": r"(?<![A-Za-z0-9])(?:hf|api_org)_[A-Za-z0-9]{20,}",
    # A capital letter or a long run: else it is a name of several words, as style sheets have them.
    "API key (sk-)": r"(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]*[0-9])(?=[a-z0-9_-]*(?:[A-Z]|[a-z0-9]{16}))[A-Za-z0-9_-]{20,}",
    "GitHub token": r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
    "GitLab token": r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,}",
    "AWS key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    "AWS secret": r"(?i:aws_?secret_?access_?key)[\"'\s:=]{1,8}[A-Za-z0-9/+]{40}",
    "API key": r"(?<![A-Za-z0-9])(?:(?:gsk|r8|npm|tgp_v1)_[A-Za-z0-9]{30,}|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|(?:xai|nvapi|pplx|pypi)-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{40,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
    "Google key": r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "Slack token": r"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,}",
    "signed token (JWT)": r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "Bearer header": r"\bBearer[ \t]+(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{12,}"
    r"|\b(?i:bearer)[ \t]+(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{20,}",
    "Authorization header": r"(?i:authorization[\"']?\s*[:=,]\s*[\"']?(?:bearer|basic|token)\s+)"
    r"(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{8,}",
    "token in an address": r"://(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}@\w",
    "password in an address": r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@\"'<>{}$]{1,100}:(?!(?i:password|passwd)@)[^\s/@\"'<>{}$]{1,100}@[\w\[]",
    "key in an address": r"://[^\s\"'<>]{1,300}[?&][A-Za-z_-]*(?:key|token|secret|password)=[^\s&\"'<>{}$]{8,}",
}
"""Kinds of secrets by how they look."""
HOMES = (
    r"(?<![\w.~-])(?:/home|/Users)/[A-Za-z0-9._-]+(?=[/\"'\s:,)]|$)"
    r"|(?<![\w/.])/root/[\w.]"
    r"|[A-Za-z]:\\+Users\\+[A-Za-z0-9._-]+"
)
HOME = "absolute path"
NAMES = (
    "KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS"
)  # fmt: skip
"""Environment variables of whose names a part ends so have secret values."""
WHOLE = ("PAT", "PASS", "AUTH", "DSN")
"""As above, of whose names a part is so."""
PLACES = re.compile(r"(?<![\w.:/~>-])/[\w.+-]+(?:/[\w.+-]+)+")
QUOTED = re.compile(r"[\"'](/[^\"'\n\\]{1,300} [^\"'\n\\]{1,300})[\"'\\]")
"""A place with a space in it."""
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/run")
"""Every machine has these: to name a file of theirs tells nothing."""
CODE = (".py", ".js", ".css")
"""Kinds of files of ours; those name no place of a user's."""
SHORTEST = 8
"""Characters of a value that is looked for; shorter ones stand in ordinary text."""
TENSORS = ".safetensors"
BINARY = (TENSORS, ".gguf", ".bin", ".npy", ".faiss", ".index", ".png", ".jpg", ".pt", ".model")
CHUNK = 1 << 24  # bytes
BASE64 = re.compile(rb"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}")
GZIP = b"H4sI"
"""How base64 of gzip begins: a report's page holds its rollouts so."""
URLSAFE = str.maketrans("+/", "-_")
MOST = 1 << 30  # bytes unpacked
LONGEST = 1 << 20
"""Characters of one base64 text that is decoded: a key is short, a picture is not."""

_PATTERNS = {name: re.compile(shape) for name, shape in SHAPES.items()}
_HOMES = re.compile(HOMES)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([!-/:-@\[-`{-~])|[nrtbf])")


@dataclass(frozen=True, order=True)
class Finding:
    """Where something is that must not be there; never what it says."""

    file: str
    line: int
    """From 1; 0 in a binary file."""
    kind: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}" if self.line else f"{self.file}: {self.kind}"


@dataclass(frozen=True)
class Known:
    """What is secret here: values by the kind that a finding names them with."""

    values: Mapping[str, str]

    @classmethod
    def here(cls, places: Iterable[Path | str] = ()) -> Known:
        """Of this process's environment, the Hub's stored token, and the places given."""
        from huggingface_hub import get_token

        found = {
            value: f"the value of {name}"
            for name, whole in os.environ.items()
            for value in _values(name, whole)
            if len(value) >= SHORTEST
        }
        if (token := get_token()) and token not in found:
            found[token] = "the Hub's token of this machine"
        for place in (Path.home(), *places):
            if len(text := str(Path(place).resolve())) >= SHORTEST:
                found[text] = HOME
        return cls(found)

    @cached_property
    def encoded(self) -> dict[str, str]:
        """The values in hexadecimal, and the part of their base64 that is the same wherever they stand in a text."""
        found = {}
        for value, kind in self.values.items():
            content = value.encode()
            found[content.hex()] = f"{kind}, in hexadecimal"
            for before in range(3):
                text = base64.b64encode(b"\0" * before + content).decode()
                text = text[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]
                found[text] = found[text.translate(URLSAFE)] = f"{kind}, in base64"
        return found


def _values(name: str, value: str) -> Iterator[str]:
    """What is secret in an environment variable: all of it, each of several lines, the password of an address."""
    parts = name.upper().split("_")
    if any(part.endswith(NAMES) or part in WHOLE for part in parts):
        yield value.strip()
        lines = value.splitlines()
        yield from (line.strip() for line in lines if len(lines) > 1 and len(line.strip()) >= 16)
    elif m := re.search(r"://[^\s/:@]*:([^\s/@]+)@", value):
        yield m[1]


def scan(folder: Path, known: Known | None = None) -> list[Finding]:
    """What was found in the folder's files and in their names, in order; empty if nothing was."""
    known = known or Known.here()
    found: set[Finding] = set()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        ours = file.suffix in CODE and (ROOT / name).is_file()
        shown = "/".join("***" if kinds(part, known) else part for part in name.split("/"))
        found |= {Finding(shown, 0, f"{kind} (in its name)") for kind in kinds(name, known)}
        found |= {Finding(shown, line, kind) for line, kind in look(file, known, ours=ours)}
    return sorted(found)


def look(file: Path, known: Known, *, ours: bool = False) -> Iterator[tuple[int, str]]:
    """(line, kind) of each finding in a file. ours: it is code that is shipped here."""
    if file.suffix in BINARY or _is_binary(file):
        for kind in _binary(file, known):
            yield 0, kind
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            found = _in_bytes(line, known)
            text = line.decode("utf-8", "replace")
            if not ours and any(map(_is_here, PLACES.findall(text) + QUOTED.findall(text))):
                found.add(HOME)
            for kind in found:
                yield number, kind


@cache
def _is_here(place: str) -> bool:
    """Whether it is a place of this machine, and not of every machine."""
    try:
        return not place.startswith(SYSTEM) and Path(place).exists()
    except OSError:  # too long a name, for one
        return False


def without_places(text: str) -> str:
    """The text with each place of this machine by its last name."""
    return PLACES.sub(lambda m: Path(m[0]).name if _is_here(m[0]) else m[0], text)


def kinds(text: str, known: Known) -> set[str]:
    """The kinds of secrets in a text, however it is escaped."""
    found = {kind for value, kind in known.encoded.items() if value in text}
    for form in _forms(text):
        found |= {name for name, pattern in _PATTERNS.items() if pattern.search(form)}
        found |= {kind for value, kind in known.values.items() if value in form}
        if _HOMES.search(form):
            found.add(HOME)
    return found


def _forms(text: str) -> Iterator[str]:
    yield text
    once = _unescaped(text) if "\\" in text else text
    if once != text:
        yield once
        if "\\" in once and (twice := _unescaped(once)) != once:
            yield twice
    if "%" in once and (plain := unquote(once)) != once:
        yield plain
    if "&" in once and (plain := unescape(once)) != once:
        yield plain


def _unescaped(text: str) -> str:
    def plain(m: re.Match) -> str:
        code = m[1] or m[2]
        return chr(int(code, 16)) if code else m[3] or " "  # a break of a line, a tab

    return _ESCAPE.sub(plain, text)


def _in_bytes(content: bytes, known: Known) -> set[str]:
    found = kinds(content.decode("utf-8", "replace"), known)
    forms = {content}
    if b"\\" in content:  # base64 has a slash, which JSON may escape
        forms.add(content.replace(b"\\/", b"/").replace(b"\\n", b" "))
    for form in forms:
        for run in BASE64.findall(form):
            found |= {
                kind if "compressed" in kind else f"{kind}, in base64"
                for kind in _decoded(run, known)
            }
    return found


def _decoded(run: bytes, known: Known) -> set[str]:
    if run.startswith(GZIP):
        return {f"{kind}, compressed" for kind in _in_bytes(unpacked(run), known)}
    if len(run) > LONGEST:
        return set()
    run = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    found = set()
    for start in range(4):  # it may stand at the end of other letters
        part = run[start:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            text = base64.b64decode(part + b"=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue
        found |= kinds(text.decode("latin-1"), known)
    return found


def unpacked(run: bytes) -> bytes:
    """What was compressed and then written in base64; empty where it is neither, and cut where it is very much."""
    try:
        packed = base64.b64decode(run + b"=" * (-len(run) % 4))
        return zlib.decompressobj(wbits=31).decompress(packed, MOST)
    except (ValueError, zlib.error):
        return b""


def _is_binary(file: Path) -> bool:
    with file.open("rb") as stream:
        return b"\0" in stream.read(8192)


def _binary(file: Path, known: Known) -> set[str]:
    """Of weights, what their header says; of any, the values that are known, wherever they stand."""
    found = set()
    if file.suffix == TENSORS:
        found |= _in_bytes(_header(file), known)
    elif file.stat().st_size <= CHUNK:
        content = file.read_bytes()
        texts = re.findall(rb"[\x20-\x7e]{8,}", content)
        texts += [wide[::2] for wide in re.findall(rb"(?:[\x20-\x7e]\0){8,}", content)]  # UTF-16
        text = b"\n".join(texts)
        found |= {kind for kind in _in_bytes(text, known) if "base64" not in kind}
    wanted = {value.encode(): kind for value, kind in known.values.items()}
    longest = max(map(len, wanted), default=1)
    with file.open("rb") as stream:
        before = b""
        while chunk := stream.read(CHUNK):
            window = before + chunk
            found |= {kind for value, kind in wanted.items() if value in window}
            before = window[-longest:]
    return found


def _header(file: Path) -> bytes:
    """The JSON at the start of a file of tensors; empty where it is none."""
    with file.open("rb") as stream:
        size = stream.read(8)
        if len(size) < 8:
            return b""
        header = stream.read(min(struct.unpack("<Q", size)[0], 100_000_000))
    try:
        metadata = json.loads(header).get("__metadata__") or {}
    except (ValueError, AttributeError, RecursionError):
        return header
    return json.dumps(metadata, ensure_ascii=False).encode()
