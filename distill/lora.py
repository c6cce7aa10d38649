"""The adapter that is trained: PEFT's LoRA on all linear layers."""

from __future__ import annotations

from .settings import Settings


def lora_config(settings: Settings):
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_rslora=settings.rslora,
        use_dora=settings.dora,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
