"""Rows of somebody else's data: of a file, a folder or a dataset on the Hugging Face Hub.

Files are read as JSON or Parquet, which run nothing: no dataset script, no pickle. A row is given as it stands
in its file, whatever its neighbours are like (`datasets.load_dataset` refuses a column of several types).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
LISTS = ("data", "rows", "examples", "train")
"""Where a JSON file keeps its rows that is an object itself."""


@dataclass(frozen=True)
class Source:
    name: str
    """As it was given; of a Hub dataset with its commit."""
    files: tuple[Path, ...]
    passed_over: tuple[str, ...] = ()
    """Files of other splits."""


def open_source(name: str) -> Source:
    """The files of a file's or folder's path, or of a Hub id ("owner/name", or "owner/name@revision").

    Raises ValueError where there is nothing to read, or the Hub cannot be asked.
    """
    path = Path(name)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{name} is none of {', '.join(SUFFIXES)}; write it as JSON lines.")
        return Source(name, (path,))
    if path.is_dir():
        return _chosen(name, sorted(p for p in path.rglob("*") if p.is_file()), path)
    if name.partition("@")[0].count("/") != 1 or name.startswith((".", "/", "~")):
        raise ValueError(f"No {name}: give a file, a folder or a dataset on the Hub (owner/name).")
    return _on_hub(*name.partition("@")[::2])


def rows(source: Source) -> Iterator[tuple[str, Any]]:
    """Every row with its place, in order; what cannot be read is given as the ValueError that says why."""
    for file in source.files:
        match file.suffix.lower():
            case ".parquet":
                yield from _parquet(file)
            case ".json":
                yield from _json(file)
            case _:
                yield from _lines(file)


def _chosen(name: str, paths: list[Path], root: Path) -> Source:
    """The data files among them; of several splits, that for training."""
    names = training_files([str(path.relative_to(root)) for path in paths])
    if not names:
        raise ValueError(f"{name} holds no file of {', '.join(SUFFIXES)}.")
    data = {str(p.relative_to(root)) for p in paths if p.suffix.lower() in SUFFIXES}
    return Source(name, tuple(root / n for n in names), tuple(sorted(data - {*names})))


def training_files(names: list[str]) -> list[str]:
    """Of a dataset's files those with rows to train on: of the split "train", where there are splits."""
    data = sorted(
        n
        for n in names
        if n.lower().endswith(SUFFIXES) and not Path(n).name.startswith((".", "dataset_info"))
    )
    return [n for n in data if "train" in n.lower()] or data


def _on_hub(repo: str, revision: str) -> Source:
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if constants.HF_HUB_OFFLINE:
        try:
            folder = snapshot_download(
                repo, repo_type="dataset", revision=revision or None, local_files_only=True
            )
        except LocalEntryNotFoundError:
            raise ValueError(f"{repo} is not in the cache, and HF_HUB_OFFLINE is set.") from None
        root = Path(folder)
        return _chosen(
            f"{repo}@{root.name}", sorted(p for p in root.rglob("*") if p.is_file()), root
        )
    try:
        info = HfApi().dataset_info(repo, revision=revision or None)
        there = [sibling.rfilename for sibling in info.siblings or ()]
        names = training_files(there)
        files = [
            hf_hub_download(repo, n, repo_type="dataset", revision=revision or None) for n in names
        ]
    except HfHubHTTPError as error:
        raise ValueError(
            f"{constants.ENDPOINT} does not give {repo}{revision and '@' + revision}: {_first_line(error)} "
            "For a dataset with terms, accept them there and set HF_TOKEN."
        ) from None
    except Exception as error:  # of the HTTP library beneath, whichever huggingface_hub uses
        raise ValueError(
            f"{repo} cannot be fetched from {constants.ENDPOINT} ({_first_line(error)}). Give a file, or a Hub "
            "that can be reached with HF_ENDPOINT."
        ) from None
    if not files:
        raise ValueError(f"{repo} holds no file of {', '.join(SUFFIXES)}.")
    others = [n for n in there if n.lower().endswith(SUFFIXES) and n not in names]
    return Source(f"{repo}@{info.sha}", tuple(map(Path, files)), tuple(others))


def _lines(file: Path) -> Iterator[tuple[str, Any]]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"{file.name}, line {number}", _parsed(line)


def _json(file: Path) -> Iterator[tuple[str, Any]]:
    text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    whole = _parsed(text)
    if isinstance(whole, ValueError):
        # One object a line, under the wrong name, is common.
        first = text.strip().split("\n", 1)[0]
        if isinstance(_parsed(first), dict):
            yield from _lines(file)
            return
    if isinstance(whole, dict):
        found = next((whole[k] for k in LISTS if isinstance(whole.get(k), list)), None)
        whole = [whole] if found is None else found
    if not isinstance(whole, list):
        yield file.name, whole if isinstance(whole, ValueError) else ValueError("no list of rows")
        return
    for number, row in enumerate(whole, 1):
        yield f"{file.name}, row {number}", row


def _parquet(file: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=64):
            for row in batch.to_pylist():
                number += 1
                yield f"{file.name}, row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        yield f"{file.name}, row {number + 1}", ValueError(f"not Parquet: {_first_line(error)}")


def _parsed(text: str) -> Any:
    """What the JSON says, or the ValueError that says why it says nothing."""
    if any("\udc80" <= character <= "\udcff" for character in text):
        return ValueError("not UTF-8")
    try:
        return json.loads(text)
    except RecursionError:
        return ValueError("not JSON: too deep")
    except ValueError as error:
        return ValueError(f"not JSON: {getattr(error, 'msg', error)}")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
