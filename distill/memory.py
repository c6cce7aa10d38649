"""How much memory a training will take, counted before any weight is loaded.

The model is built on torch's meta device, which has shapes and no numbers, and reads its longest sample
there; what autograd would keep for the backward pass is added up.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy
from transformers import AttentionInterface, DynamicCache

from .lora import lora_config
from .settings import Settings

FLOAT32 = 4  # bytes
ADAM = 2 * FLOAT32
"""Two moments a weight."""
FOUR_BITS = 0.57
"""Bytes of a weight in four bits, with its share of the block's scale."""


def memory(base: str, settings: Settings, longest: int, trained: int) -> dict[str, int]:
    """Bytes: weights, trained (with gradients and the optimizer's state), activations, and their total.

    base: folder or Hub id. longest, trained: tokens of the longest sample, and how many of them have loss.
    """
    cuda = torch.cuda.is_available()
    model = empty_model(base, torch.bfloat16 if cuda else torch.float32)
    size = 2 if cuda and not settings.full else FLOAT32
    weights = sum(p.numel() for p in model.parameters()) * (FOUR_BITS if settings.qlora else size)
    if settings.full:
        trainable = sum(p.numel() for p in model.parameters())
        trained_bytes = trainable * (FLOAT32 + ADAM)
    else:
        from peft import get_peft_model

        model = get_peft_model(model, lora_config(settings))
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        trained_bytes = trainable * (2 * FLOAT32 + ADAM)
    kept = activations(model, longest, trained)
    if settings.checkpointing or (settings.checkpointing is None and cuda):
        config = model.config.get_text_config()
        layers = config.num_hidden_layers
        kept = kept // layers + layers * longest * config.hidden_size * FLOAT32
    found = {"weights": round(weights), "trained": trained_bytes, "activations": kept}
    return {**found, "total": sum(found.values()), "trainable": trainable}


def read_config(base: str):
    """The configuration of a folder or Hub id; ValueError where there is none."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(base)
    except Exception as error:  # as in agents/weights.py
        raise ValueError(
            f"Could not read the configuration of {base}: {str(error).splitlines()[0]}"
        ) from error


def context(config) -> int | None:
    """Tokens that a model of this configuration can read; None where it does not say."""
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def empty_model(base: str, dtype):
    """The model of a folder or Hub id, without its numbers."""
    from transformers import AutoModelForCausalLM

    config = read_config(base)
    AttentionInterface.register("shapes", _attend)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="shapes")


def _attend(module, query, key, value, attention_mask, **_):
    """Attention as fused kernels keep it; on the meta device torch's own would keep all scores."""
    return _Attention.apply(query, key, value).transpose(1, 2), None


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value):
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, out)
        return out

    @staticmethod
    def backward(ctx, *_):
        raise NotImplementedError("only what is kept is counted")


def activations(model, tokens: int, trained: int) -> int:
    """Bytes that autograd keeps of reading so many tokens, with the loss on some of them."""
    parameters = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, tuple] = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept[storage._cdata] = (storage.nbytes(), tensor)  # held, or its place would be reused
        return tensor

    ids = torch.zeros(1, tokens, dtype=torch.long, device="meta")
    at = torch.zeros(trained, dtype=torch.long, device="meta")
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        # With a cache, transformers does not look into the numbers, of which there are none.
        cache = DynamicCache(config=model.config)
        out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=at)
        logits = out.logits[0]
        cross_entropy(logits.float(), at, reduction="sum")
    return sum(size for size, _ in kept.values())
