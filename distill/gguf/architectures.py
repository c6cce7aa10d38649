"""A model's configuration and weights as llama.cpp names, orders and shapes them.

llama.cpp writes some of an architecture into its code (which layers look through a window, how attention is
scaled); a configuration that says otherwise is refused here, as it would load and give other answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

FULL_TURN = 2 * math.pi


@dataclass(frozen=True)
class Architecture:
    """What sets one architecture of llama.cpp apart from the next."""

    name: str
    """`general.architecture`, and the prefix of its settings."""
    interleaved: bool = False
    """Rotates neighbouring pairs of a head, where transformers rotates its halves against each other."""
    shifted_norms: bool = False
    """Norms multiply by the stored weight; transformers' by one more than it."""
    head_size: bool = False
    """Says the size of a head, which need not be the hidden size over the heads."""
    windows: int = 0
    """Of so many layers in a row, the last sees everything and the others a window; 0: all see everything."""


ARCHITECTURES = {
    "qwen2": Architecture("qwen2"),
    "qwen3": Architecture("qwen3", head_size=True),
    "llama": Architecture("llama", interleaved=True, head_size=True),
    "smollm3": Architecture("smollm3", interleaved=True, head_size=True),
    "gemma2": Architecture("gemma2", shifted_norms=True, head_size=True, windows=2),
    "gemma3_text": Architecture("gemma3", shifted_norms=True, head_size=True, windows=6),
    "phi3": Architecture("phi3"),
}
"""By `model_type` of transformers' configuration."""


def architecture(config) -> Architecture:
    """llama.cpp's architecture for this configuration; ValueError where it has none that computes the same."""
    found = ARCHITECTURES.get(config.model_type)
    if found is None:
        raise ValueError(
            f"A {config.model_type} model cannot be written as GGUF here; "
            f"there are: {', '.join(ARCHITECTURES)}."
        )
    problem = _unlike(config, found)
    if problem:
        raise ValueError(f"llama.cpp would compute this {config.model_type} otherwise: {problem}.")
    return found


def _unlike(config, arch: Architecture) -> str | None:
    """What llama.cpp fixes in its code and this model has otherwise; None if nothing."""
    size = head_size(config)
    rope = global_rope(config)
    if arch.windows:
        scale = config.query_pre_attn_scalar
        large = {"gemma2": 46, "gemma3": 62}[arch.name] == config.num_hidden_layers
        theirs = config.hidden_size // config.num_attention_heads if large else size
        if scale != theirs:
            return f"it divides attention by the root of {theirs}, the model by that of {scale}"
    elif not arch.head_size and size * config.num_attention_heads != config.hidden_size:
        return f"its heads together are the hidden size {config.hidden_size}, the model's are not"
    if arch.name == "smollm3" and list(config.no_rope_layers) != [
        int((i + 1) % 4 != 0) for i in range(config.num_hidden_layers)
    ]:
        return "every fourth layer is without rotation there"
    if arch.name == "gemma3" and local_rope(config).get("rope_type", "default") != "default":
        return "its windowed layers rotate without scaling"
    kind = rope.get("rope_type", "default")
    known = {"default", "linear", "yarn"}
    known |= {"llama3"} if arch.name == "llama" else set()
    known |= {"longrope"} if arch.name == "phi3" else set()
    if kind not in known:
        return f"it knows no rotation of type {kind!r} for it"
    if rope.get("partial_rotary_factor", 1.0) != 1.0 and arch.name != "phi3":
        return "it rotates whole heads"
    if getattr(config, "attention_bias", False) and arch.name not in ("qwen2", "llama"):
        return "it has no bias in attention"
    if getattr(config, "mlp_bias", False) and arch.name != "llama":
        return "it has no bias in the feed-forward layers"
    return None


def remarks(config, arch: Architecture) -> list[str]:
    """What llama.cpp leaves out of this model and a user should know: a sentence each."""
    window = getattr(config, "sliding_window", None)
    sliding = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    narrow = window and window < context_length(config)
    if narrow and not arch.windows and (sliding or arch.name == "phi3"):
        return [
            f"llama.cpp looks at the whole context where the model was made to see {window} tokens: "
            "longer chats differ."
        ]
    return []


def head_size(config) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def context_length(config) -> int:
    """Tokens a chat may have so that every program computes it the same way."""
    rope = global_rope(config)
    if rope.get("rope_type") == "longrope":  # llama.cpp changes factors by the size of its context
        return rope.get("original_max_position_embeddings") or config.max_position_embeddings
    return config.max_position_embeddings


def global_rope(config) -> dict:
    """How layers that see everything rotate."""
    rope = config.rope_parameters or {}
    return rope.get("full_attention", rope)


def local_rope(config) -> dict:
    rope = config.rope_parameters or {}
    return rope.get("sliding_attention", rope)


def settings(config, arch: Architecture) -> dict[str, int | float | str | list[bool]]:
    """The architecture's own metadata: what is written as `<name>.<key>`."""
    size, rope = head_size(config), global_rope(config)
    found = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.freq_base": float(rope.get("rope_theta", 10000.0)),
        "vocab_size": config.vocab_size,
    }
    if arch.head_size:
        found |= {"attention.key_length": size, "attention.value_length": size}
    if arch.interleaved or arch.name == "phi3":
        found["rope.dimension_count"] = rotated(config)
    if arch.windows:
        found |= _windows(config, arch)
    if arch.name == "phi3":
        found["attention.sliding_window"] = getattr(config, "sliding_window", None) or 0
        found["rope.scaling.original_context_length"] = context_length(config)
    return found | _scaling(rope, config)


def _windows(config, arch: Architecture) -> dict:
    found = {"attention.sliding_window": config.sliding_window}
    windowed = [kind == "sliding_attention" for kind in config.layer_types]
    if windowed != [(i + 1) % arch.windows != 0 for i in range(config.num_hidden_layers)]:
        found["attention.sliding_window_pattern"] = windowed
    if arch.name == "gemma3":
        found["rope.freq_base_swa"] = float(local_rope(config).get("rope_theta", 10000.0))
    for place in ("attn", "final"):
        if cap := getattr(config, f"{place}_logit_softcapping", None):
            found[f"{place}_logit_softcapping"] = float(cap)
    return found


def _scaling(rope: dict, config) -> dict:
    kind = rope.get("rope_type", "default")
    if kind == "longrope":
        return {
            "rope.scaling.type": kind,
            "rope.scaling.attn_factor": longrope_attention(rope, config),
        }
    if kind not in ("linear", "yarn"):
        return {}
    found = {"rope.scaling.type": kind, "rope.scaling.factor": float(rope["factor"])}
    if kind == "yarn":
        original = rope.get("original_max_position_embeddings") or config.max_position_embeddings
        found["rope.scaling.original_context_length"] = original
    return found


def longrope_attention(rope: dict, config) -> float:
    """What queries and keys are multiplied with: grows with how far the context was stretched."""
    if rope.get("attention_factor"):
        return float(rope["attention_factor"])
    original = rope.get("original_max_position_embeddings") or config.max_position_embeddings
    stretch = rope.get("factor") or config.max_position_embeddings / original
    return math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0


def rotated(config) -> int:
    """Dimensions of a head that are rotated."""
    return int(head_size(config) * global_rope(config).get("partial_rotary_factor", 1.0))


def tensors(model, arch: Architecture) -> Iterator[tuple[str, object]]:
    """Name and values of every tensor, as llama.cpp wants them; computed one at a time."""
    import torch
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

    config = model.config
    kind = next(key for key in MODEL_ARCH if MODEL_ARCH_NAMES[key] == arch.name)
    names = get_tensor_name_map(kind, config.num_hidden_layers)
    yield from _rope_tensors(config)
    for name, values in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if theirs is None:
            raise ValueError(f"llama.cpp's {arch.name} has no place for the weights {name}.")
        if arch.interleaved and ".q_proj." in name:
            values = interleaved(values, config.num_attention_heads)
        if arch.interleaved and ".k_proj." in name:
            values = interleaved(values, config.num_key_value_heads)
        if arch.shifted_norms and name.endswith("norm.weight"):
            values = values.to(torch.float32) + 1
        yield theirs, values


def interleaved(values, heads: int):
    """Rows of queries or keys (heads of `size` rows each), each head's halves taken in turn."""
    size = values.shape[0] // heads
    halves = values.reshape(heads, 2, size // 2, *values.shape[1:])
    return halves.transpose(1, 2).reshape(values.shape)


def _rope_tensors(config) -> Iterator[tuple[str, object]]:
    import torch

    rope = global_rope(config)
    if rope.get("rope_type") == "llama3":
        yield "rope_freqs.weight", torch.tensor(llama3_factors(rope, head_size(config)))
    if rope.get("rope_type") == "longrope":
        for kind in ("long", "short"):
            factors = torch.tensor(rope[f"{kind}_factor"], dtype=torch.float32)
            yield f"rope_factors_{kind}.weight", factors


def llama3_factors(rope: dict, size: int) -> list[float]:
    """What each of a head's frequencies is divided by: 1 for fast ones, `factor` for slow, between them a blend."""
    original = rope["original_max_position_embeddings"]
    slow, fast, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    found = []
    for i in range(0, size, 2):
        turns = original / (FULL_TURN * rope["rope_theta"] ** (i / size))  # in the original context
        share = min(1.0, max(0.0, (turns - slow) / (fast - slow)))
        found.append(1 / ((1 - share) / factor + share))
    return found
