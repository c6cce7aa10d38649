"""Which files a certificate belongs to, and whether they are still the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from agents.weights import adapter_base

from .records import Certificate, Check, Student

CERTIFICATE = "parity.json"
KINDS = {".safetensors", ".bin", ".gguf", ".jinja", ".model"}
NAMES = {
    "config.json", "generation_config.json", "adapter_config.json", "model.safetensors.index.json",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "student.json", "parity_samples.jsonl", "Modelfile",
}  # fmt: skip
"""What decides what a student is sent and writes, beside files of those kinds."""


TRAINED_KINDS = {".safetensors", ".bin", ".jinja", ".model"}
ADAPTER_CONFIG = "adapter_config.json"
TRAINED_NAMES = {ADAPTER_CONFIG, "tokenizer.json"}
"""What training leaves and nobody changes afterwards, beside files of those kinds."""


def trained_files(folder: Path) -> dict[str, str]:
    """sha256 per file of weights, of an adapter's settings, tokenizer and chat template, by name."""
    return {
        file.name: _settings_sha256(file) if file.name == ADAPTER_CONFIG else sha256(file)
        for file in sorted(folder.iterdir())
        if file.is_file() and (file.suffix in TRAINED_KINDS or file.name in TRAINED_NAMES)
    }


def _settings_sha256(file: Path) -> str:
    """Of an adapter's settings, without the place of its base, which may be moved."""
    try:
        values = json.loads(file.read_bytes())
        values.pop("base_model_name_or_path", None)
    except (ValueError, AttributeError):
        return sha256(file)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def check_files(folder: Path, student: Student | None) -> Check:
    """The files are those that training left; one that is gone is told by what lacks it."""
    name, before = "files as trained", student.files if student else {}
    if not before:
        return Check(name=name, passed=None, detail="no student.json tells their digests")
    if ADAPTER_CONFIG in before and not (folder / ADAPTER_CONFIG).is_file():
        return Check(
            name=name, passed=None, detail="merged: its files are not those of the adapter"
        )
    now = trained_files(folder)
    same = before.keys() & now.keys()
    other = sorted(file for file in same if before[file] != now[file])
    return Check(
        name=name,
        passed=not other,
        detail=f"{', '.join(other)}: not as training left it" if other else "sha256 of each",
        compared=len(same),
    )


def digests(folder: Path) -> dict[str, str]:
    """sha256 per file of the folder that matters to what it writes, by name; of a file, its own."""
    files = [
        file
        for file in (sorted(folder.iterdir()) if folder.is_dir() else [folder])
        if file.is_file() and (file.suffix in KINDS or file.name in NAMES)
    ]
    return {file.name: sha256(file) for file in files}


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_certificate(folder: Path) -> Certificate:
    """Raises ValueError where there is none, or it cannot be read."""
    file = folder / CERTIFICATE
    if not file.is_file():
        raise ValueError(
            f"{folder} has no {CERTIFICATE}; `python -m distill doctor --parity {folder}` makes one."
        )
    try:
        return Certificate.model_validate_json(file.read_bytes())
    except ValidationError:
        raise ValueError(f"{file} is no certificate; make it again.") from None


def still_holds(folder: str | Path) -> str | None:
    """None if the folder's certificate passed and belongs to its very files; else one sentence, why not."""
    folder = Path(folder)
    try:
        certificate = read_certificate(folder)
        base = adapter_base(str(folder))
    except ValueError as error:
        return str(error)
    if not certificate.passed:
        failed = [check.name for check in certificate.checks if check.passed is False]
        return f"Its parity certificate did not pass: {', '.join(failed)}."
    now = {"student": digests(folder)}
    if "base" in certificate.digests and base and Path(base).is_dir():
        now["base"] = digests(Path(base))
    for part, files in now.items():
        before = certificate.digests.get(part, {})
        for name in sorted({*before, *files}):
            if before.get(name) != files.get(name):
                how = (
                    "is gone"
                    if name not in files
                    else "is new"
                    if name not in before
                    else "has changed"
                )
                whose = " of its base" if part == "base" else ""
                return (
                    f"{name}{whose} {how} since the parity certificate of {certificate.date}; "
                    f"`python -m distill doctor --parity {folder}` makes another."
                )
    return None
