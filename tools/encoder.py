"""Turn texts into unit vectors with a transformers model: mean of the last layer, as e5 and MiniLM want it."""

from __future__ import annotations

import threading

from langchain_core.embeddings import Embeddings

MAX_TOKENS = 256
BATCH = 64


class Encoder(Embeddings):
    """name: a folder or Hub id of an encoder. e5 models get the prefixes they were trained with."""

    def __init__(self, name: str):
        from transformers import AutoModel, AutoTokenizer

        try:
            self.tokenizer, self.model = (
                AutoTokenizer.from_pretrained(name),
                AutoModel.from_pretrained(name).eval(),
            )
        except OSError as error:
            raise ValueError(
                f"Could not load the encoder {name}: {str(error).splitlines()[0]}"
            ) from error
        e5 = "e5" in name.lower()
        self.query_prefix, self.passage_prefix = ("query: ", "passage: ") if e5 else ("", "")
        self._lock = threading.Lock()  # agents search from many threads

    def embed(self, texts: list[str]):
        """float32 vectors of length one, (texts, dimensions)."""
        import numpy
        import torch

        parts = []
        with self._lock, torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                batch = self.tokenizer(
                    texts[start : start + BATCH],
                    padding=True,
                    truncation=True,
                    max_length=MAX_TOKENS,
                    return_tensors="pt",
                )
                hidden = self.model(**batch).last_hidden_state  # (batch, tokens, dimensions)
                mask = batch["attention_mask"].unsqueeze(-1)
                mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
                parts.append(torch.nn.functional.normalize(mean, dim=-1).numpy())
        return numpy.ascontiguousarray(numpy.concatenate(parts), dtype="float32")

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed([self.passage_prefix + text for text in texts]).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.embed([self.query_prefix + text])[0].tolist()
