"""Search an encyclopedia and show the best passages."""

from __future__ import annotations

from pathlib import Path

from smolagents import Tool

# smolagents runs the text of a published tool, in the folder that it was published in.
ROOT = Path(globals().get("__file__", "tools/_")).parent.parent
POCKET = ROOT / "distill/pocket/encyclopedia"
PUBLISHED = ROOT / "index"
"""What a published folder has in its place."""


class WikiSearch(Tool):
    """The tool that agents call; the index is opened at the first call, or given ready to share it.

    index: a folder made by `python -m distill index`, or a Retriever; the pocket encyclopedia if None,
        or in a published folder the index beside it.
    k: how many passages a search shows; three, as in the paper.
    """

    name = "wiki_search"
    description = "Look up articles of an encyclopedia; shows the passages that fit best."
    inputs = {"query": {"type": "string", "description": "a name or words to look up"}}  # noqa: RUF012
    output_type = "string"

    def __init__(self, index=None, k: int = 3):
        super().__init__()
        self.index, self.k = index or (POCKET if POCKET.is_dir() else PUBLISHED), k

    def setup(self) -> None:
        from tools.retrieval import open_index

        if isinstance(self.index, str | Path):
            self.index = open_index(self.index)
        super().setup()

    def forward(self, query: str) -> str:
        if not isinstance(query, str):
            raise TypeError(f"wiki_search takes a text to look up, not {type(query).__name__}.")
        if isinstance(self.index, str | Path):
            self.setup()
        hits = self.index.search([query], self.k)[0]
        if not hits:
            return "No article found."
        return "\n".join(f"[{i}] {hit.title}: {hit.text}" for i, hit in enumerate(hits, 1))
