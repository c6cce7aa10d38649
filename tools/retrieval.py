"""Passages of a folder, searched by words or by meaning.

One interface, `Retriever.search`, over two ways. By words: BM25 with an English stemmer (`bm25s`), which
needs no weights and is the default. By meaning: an encoder's vectors in FAISS, through LangChain's
vector store but without its pickled documents: opening a folder runs no code from it.

A folder holds `passages.jsonl` (id, title, text), `manifest.json`, and `bm25/` or `index.faiss`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

K1, B = 0.9, 0.4
"""BM25's parameters as Anserini sets them for passages."""
HUB = "hf://datasets/"
"""How the place of an index on the Hub begins; owner/name follow, and @revision if wanted."""
IN_MEMORY = 20_000
"""Up to this many passages an index is built while opening; it takes seconds."""


class Passage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    title: str = ""
    text: str

    @property
    def contents(self) -> str:
        """What is searched."""
        return f"{self.title}\n{self.text}" if self.title else self.text


class Retriever(Protocol):
    def search(self, queries: list[str], k: int = 3) -> list[list[Passage]]:
        """Per query up to k passages, the best first; fewer where fewer fit."""


def open_index(folder: str | Path) -> Retriever:
    """The retriever of a folder, or of a dataset on the Hub that holds one (hf://datasets/owner/name).

    Raises ValueError where there is none, saying how to make one.
    """
    folder = _fetched(folder) if str(folder).startswith(HUB) else Path(folder)
    if not (folder / "passages.jsonl").is_file():
        raise ValueError(
            f"No index in {folder}: make one with `python -m distill index CORPUS --out {folder}`."
        )
    passages = list(read_passages(folder / "passages.jsonl"))
    manifest = folder / "manifest.json"
    settings = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    if settings.get("passages", len(passages)) != len(passages):
        raise ValueError(
            f"{folder} is half written: {len(passages)} of {settings['passages']} passages. Make it again."
        )
    if settings.get("encoder"):
        return DenseIndex.open(folder, passages, settings["encoder"])
    if (folder / "bm25").is_dir():
        return LexicalIndex.open(folder, passages)
    if len(passages) > IN_MEMORY:
        raise ValueError(
            f"{folder} has {len(passages)} passages and no index; make one with `python -m distill index`."
        )
    return LexicalIndex.build(passages)


def _fetched(place: str) -> Path:
    """A dataset's files, from the Hub's cache or the Hub."""
    from huggingface_hub import snapshot_download

    name, _, revision = place.removeprefix(HUB).partition("@")
    files = ["passages.jsonl", "manifest.json", "bm25/*", "index.faiss"]
    try:
        return Path(
            snapshot_download(
                name, repo_type="dataset", revision=revision or None, allow_patterns=files
            )
        )
    except Exception as error:  # no such name, refused, no network: of several libraries
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"The index {place} cannot be had from the Hub: {line}") from None


def read_passages(path: str | Path) -> Iterator[Passage]:
    """Passages from a JSON-lines file; ids must differ. `contents` in place of title and text is read too."""
    seen = set()
    with Path(path).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if isinstance(row, dict) and "contents" in row and "text" not in row:
                    title, _, text = row["contents"].partition("\n")
                    row = {"id": row.get("id"), "title": title.strip('"'), "text": text}
                passage = Passage.model_validate(row)
            except (json.JSONDecodeError, ValidationError) as error:
                problem = error.errors()[0] if isinstance(error, ValidationError) else None
                reason = (
                    f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
                    if problem
                    else "not JSON"
                )
                raise ValueError(
                    f"{path}, line {number}: {reason}. A passage is id, title and text."
                ) from None
            if passage.id in seen:
                raise ValueError(f"{path}, line {number}: the id {passage.id!r} stands twice.")
            seen.add(passage.id)
            yield passage
    if not seen:
        raise ValueError(f"{path} holds no passage.")


def write_passages(passages: Iterable[Passage], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(passage.model_dump_json() + "\n" for passage in passages)


class LexicalIndex:
    """BM25 over stemmed words."""

    def __init__(self, passages: list[Passage], bm25):
        self.passages, self.bm25 = passages, bm25

    @classmethod
    def build(cls, passages: list[Passage]) -> LexicalIndex:
        import bm25s

        bm25 = bm25s.BM25(k1=K1, b=B)
        bm25.index(_words([passage.contents for passage in passages]), show_progress=False)
        return cls(passages, bm25)

    @classmethod
    def open(cls, folder: Path, passages: list[Passage]) -> LexicalIndex:
        import bm25s

        return cls(passages, bm25s.BM25.load(str(folder / "bm25"), mmap=True, load_corpus=False))

    def save(self, folder: Path) -> None:
        self.bm25.save(str(folder / "bm25"), show_progress=False)

    def search(self, queries: list[str], k: int = 3) -> list[list[Passage]]:
        k = min(k, len(self.passages))  # bm25s refuses to fetch more than there are
        rows, scores = self.bm25.retrieve(_words(queries), k=k, show_progress=False)
        return [
            # A score of zero means that no word matched: bm25s fills up with arbitrary passages.
            [self.passages[row] for row, score in zip(*found, strict=True) if score > 0]
            for found in zip(rows, scores, strict=True)
        ]


class DenseIndex:
    """FAISS over an encoder's vectors, by inner product of unit vectors (cosine)."""

    def __init__(self, store):
        self.store = store

    @classmethod
    def build(cls, passages: list[Passage], encoder: str) -> DenseIndex:
        import faiss

        from .encoder import Encoder

        embeddings = Encoder(encoder)
        vectors = embeddings.embed(
            [embeddings.passage_prefix + passage.contents for passage in passages]
        )
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        return cls(_vector_store(embeddings, index, passages))

    @classmethod
    def open(cls, folder: Path, passages: list[Passage], encoder: str) -> DenseIndex:
        import faiss

        from .encoder import Encoder

        index = faiss.read_index(str(folder / "index.faiss"))
        if index.ntotal != len(passages):
            raise ValueError(
                f"{folder}: {index.ntotal} vectors for {len(passages)} passages. Make it again."
            )
        return cls(_vector_store(Encoder(encoder), index, passages))

    def save(self, folder: Path) -> None:
        import faiss

        faiss.write_index(self.store.index, str(folder / "index.faiss"))

    def search(self, queries: list[str], k: int = 3) -> list[list[Passage]]:
        k = min(k, self.store.index.ntotal)
        return [
            [
                Passage(**document.metadata, text=document.page_content)
                for document in self.store.similarity_search(q, k)
            ]
            for q in queries
        ]


def _vector_store(embeddings, index, passages: list[Passage]):
    """LangChain's FAISS store around an index and passages of ours, with nothing to unpickle."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the package is no longer developed, and says so
        from langchain_community.vectorstores import FAISS
        from langchain_community.vectorstores.utils import DistanceStrategy
        from langchain_core.documents import Document

    class Documents:
        """The part of a docstore that searching needs."""

        def search(self, key: int) -> Document:
            passage = passages[key]
            return Document(passage.text, metadata={"id": passage.id, "title": passage.title})

    rows = {row: row for row in range(len(passages))}
    return FAISS(
        embeddings, index, Documents(), rows, distance_strategy=DistanceStrategy.MAX_INNER_PRODUCT
    )


def _words(texts: list[str]):
    """Tokens of texts; queries and passages must be stemmed alike."""
    import bm25s
    import Stemmer

    return bm25s.tokenize(
        texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False
    )
