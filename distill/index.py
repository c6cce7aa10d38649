"""Build a retrieval index of a corpus, and ask it."""

from __future__ import annotations

from pathlib import Path

from tools.retrieval import (
    DenseIndex,
    LexicalIndex,
    Passage,
    open_index,
    read_passages,
    write_passages,
)

from .run import digest, run_folder, write_json


def index(corpus: Path, out: Path, *, encoder: str | None = None, force: bool = False) -> int:
    """Index the passages (JSON lines with id, title, text) into `out`; returns how many there are.

    Without an encoder by words (BM25), which needs no weights; with one (a folder or Hub id) by meaning.
    """
    if not corpus.is_file():
        raise ValueError(
            f"No corpus {corpus}; it is a file with one passage (id, title, text) as JSON a line."
        )
    passages = list(read_passages(corpus))
    with run_folder(out, "index", {"corpus": digest(str(corpus)), "encoder": encoder}, force=force):
        built = DenseIndex.build(passages, encoder) if encoder else LexicalIndex.build(passages)
        write_passages(passages, out / "passages.jsonl")
        built.save(out)
        write_json(out / "manifest.json", {"passages": len(passages), "encoder": encoder})
    return len(passages)


def search(folder: Path, query: str, *, k: int = 3) -> list[Passage]:
    """The best k passages of an index."""
    return open_index(folder).search([query], k)[0]
