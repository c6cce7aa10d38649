"""What transformers leaves out when it reads a GGUF file, taken from the file's metadata and tensors.

transformers reads names, sizes, weights and tokens. It takes how heads rotate, which layers look through a window
and how some tokenizers split digits from the defaults of the architecture.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .vocabulary import KEEPING, PHI

SMOLLM = "smollm"
"""Name of a splitting that transformers does not know: every digit for itself."""


@dataclass(frozen=True)
class Written:
    """What a file says of a model, beside its weights."""

    metadata: dict[str, object]
    factors: dict[str, list[float]]
    """What frequencies are divided by: `freqs`, or `short` and `long` by the length of the context."""

    def get(self, key: str, default=None):
        """A setting of the architecture, without its prefix."""
        return self.metadata.get(f"{self.metadata['general.architecture']}.{key}", default)


def as_written(file: Path) -> Written:
    from gguf import GGUFReader

    try:
        reader = GGUFReader(file)
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise ValueError(f"{file} is no GGUF file, or was cut off: {error}") from error
    metadata = {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith(("tokenizer.ggml.tokens", "tokenizer.ggml.merges", "GGUF."))
    }
    factors = {
        tensor.name.split(".")[0].removeprefix("rope_").removeprefix("factors_"): np.array(
            tensor.data, dtype=np.float32
        ).tolist()
        for tensor in reader.tensors
        if tensor.name.startswith("rope_")
    }
    return Written(metadata, factors)


def completed(config, said: Written):
    """transformers' configuration, with what it did not take from the file."""
    size = said.get("attention.key_length")
    if size:
        config.head_dim = size
    theta = said.get("rope.freq_base", 10000.0)
    rope = _rope(theta, said)
    pattern = said.get("attention.sliding_window_pattern")
    if pattern:
        config.layer_types = ["sliding_attention" if p else "full_attention" for p in pattern]
    if config.model_type in ("gemma2", "gemma3_text"):
        config.query_pre_attn_scalar = size
        config.final_logit_softcapping = said.get("final_logit_softcapping")
        config.attn_logit_softcapping = said.get("attn_logit_softcapping")
    if config.model_type == "gemma3_text":
        local = {"rope_type": "default", "rope_theta": said.get("rope.freq_base_swa", 10000.0)}
        rope = {"full_attention": rope, "sliding_attention": local}
    if config.model_type == "phi3":
        whole = config.hidden_size // config.num_attention_heads
        rope["partial_rotary_factor"] = said.get("rope.dimension_count", whole) / whole
        config.original_max_position_embeddings = said.get("rope.scaling.original_context_length")
        config.sliding_window = said.get("attention.sliding_window") or None
    config.rope_parameters = rope
    return config


def _rope(theta: float, said: Written) -> dict:
    kind = said.get("rope.scaling.type", "default")
    rope = {"rope_type": kind, "rope_theta": theta}
    if kind in ("linear", "yarn"):
        rope["factor"] = said.get("rope.scaling.factor")
    original = said.get("rope.scaling.original_context_length", said.get("context_length"))
    if kind == "yarn":
        rope["original_max_position_embeddings"] = original
    if said.factors:  # of Llama 3 too: its factors are the same for every length
        rope |= {
            "rope_type": "longrope",
            "short_factor": said.factors.get("short") or said.factors["freqs"],
            "long_factor": said.factors.get("long") or said.factors["freqs"],
            "attention_factor": said.get("rope.scaling.attn_factor", 1.0),
            "original_max_position_embeddings": original,
        }
    return rope


def splitting_as_written(tokenizer, said: Written):
    """The tokenizer, splitting text by the rules that the file names."""
    from tokenizers import Tokenizer

    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    if said.metadata.get("tokenizer.ggml.pre") == SMOLLM:
        digits = {"type": "Digits", "individual_digits": True}
        letters = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
        letters["trim_offsets"] = True
        spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, letters]}
    if any(mark in str(said.metadata.get("general.name")).lower() for mark in PHI):
        for token in spec["added_tokens"]:
            token["rstrip"] = token["content"] not in KEEPING
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(spec))
    return tokenizer
