"""Search an encyclopedia the way the published students of arXiv 2505.17612 were trained to."""

from __future__ import annotations

from pathlib import Path

from smolagents import Tool

# smolagents runs the text of a published tool, in the folder that it was published in.
ROOT = Path(globals().get("__file__", "tools/_")).parent.parent
POCKET = ROOT / "distill/pocket/encyclopedia"
PUBLISHED = ROOT / "index"
"""What a published folder has in its place."""


class WebSearch(Tool):
    """Their tool's name, description and layout, over an index of ours; nothing is searched on the web.

    index: a folder made by `python -m distill index`, or a Retriever; the pocket encyclopedia if None,
        or in a published folder the index beside it.
    k: how many passages a search shows; three, as in the paper.
    Beside each document they also showed its similarity to the query; an index tells none.
    """

    name = "web_search"
    # Word for word that of github.com/Nardien/agent-distillation (Apache-2.0): the students know the tool by it.
    description = (
        "Uses semantic search to retrieve the parts of 2018 wikipedia that could be most relevant to "
        "answer your query."
    )
    inputs = {  # noqa: RUF012
        "query": {
            "type": "string",
            "description": "The query to perform. This should be semantically close to your target documents. "
            "Use the affirmative form rather than a question.",
        }
    }
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
            raise TypeError(f"web_search takes a text to look up, not {type(query).__name__}.")
        if isinstance(self.index, str | Path):
            self.setup()
        shown = "\nRetrieved documents:"
        for i, hit in enumerate(self.index.search([query], self.k)[0]):
            title = f'"{hit.title}"\n' if hit.title else ""
            shown += f"\n\n===== Document {i} =====\n{title}{hit.text}"
        return shown
