"""Make one model of an adapter and its base: a student that any program loads, without PEFT."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from agents.models import resolve
from agents.weights import adapter_base, load_folded

from .new_folder import new_folder, room, vacant

OF_THE_ADAPTER = (
    *("adapter_config.json", "README.md", "run.json", "parity.json", "train.json"),
    "contamination.json",
)
"""Told of the adapter, which is no longer there, or of the folder that it was made in."""
BESIDE = (".json", ".jsonl", ".jinja", ".md", ".txt")


def merge(student: str, out: Path, *, dtype: str | None = None) -> Path:
    """Write the student, its adapter added to its base's weights, as a whole model into `out`; returns `out`.

    student: a folder or Hub id of a LoRA adapter (rsLoRA and DoRA too), or `pocket`. dtype: of the weights that
    are written, "float32", "bfloat16" or "float16"; the base's own, if None. The sum is made in float32 and
    rounded once, so in float32 it is what the adapter computes. Tokenizer, chat template, generation settings with
    every token that ends a reply, and what else lies in the student's folder come along.
    Raises ValueError where there is no adapter, something is in `out`, or the disk is too full.
    """
    import torch

    folder = resolve(student)
    base = adapter_base(folder)
    if base is None:
        raise ValueError(f"{student} is a whole model already; there is nothing to merge.")
    kinds = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16")}
    if dtype not in (None, *kinds):
        raise ValueError(f"No dtype {dtype!r}; there are: {', '.join(kinds)}.")
    out = Path(out)
    vacant(out)
    model, tokenizer = load_folded(folder, torch.float32)
    kept = kinds[dtype] if dtype else stored_dtype(base)
    room(out, sum(p.numel() for p in model.parameters()) * kept.itemsize)
    settled(model, tokenizer)
    model.to(kept)
    if broken := [name for name, p in model.named_parameters() if not torch.isfinite(p).all()]:
        raise ValueError(
            f"{student} holds numbers that are not finite as {str(kept).removeprefix('torch.')}, such as in "
            f"{broken[0]}; nothing is written."
        )
    with new_folder(out) as work:
        model.save_pretrained(work)
        tokenizer.save_pretrained(work)
        _without_places(work)
        _bring_along(Path(folder), work)
    return out


def stored_dtype(base: str):
    """The torch.dtype that a model's weights are kept in."""
    import torch
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(base).dtype or torch.float32


def settled(model, tokenizer) -> None:
    """Generation settings that other programs read as ours are: greedy, and every token that ends a reply.

    What the base was released with, a penalty for repeating say, is left out: the student was not trained with it.
    """
    from transformers import GenerationConfig

    from agents.local import end_ids

    released = model.generation_config
    model.generation_config = GenerationConfig(
        bos_token_id=released.bos_token_id,
        pad_token_id=released.pad_token_id,
        eos_token_id=end_ids(model, tokenizer),
        max_new_tokens=released.max_new_tokens,
        do_sample=False,
    )


def _without_places(folder: Path) -> None:
    """Leave out what says where the base lay on this machine."""
    for file in folder.glob("*.json"):
        found = json.loads(file.read_text(encoding="utf-8"))
        names = {
            "_name_or_path",
            "name_or_path",
            "base_model_name_or_path",
            "local_files_only",
            "is_local",
        }
        if isinstance(found, dict) and names & found.keys():
            kept = {key: value for key, value in found.items() if key not in names}
            file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _bring_along(source: Path, target: Path) -> None:
    """Copy the small files beside a student that merging does not write anew."""
    if not source.is_dir():
        return  # of the Hub: its files are its adapter's
    for file in source.iterdir():
        of_its_own = file.suffix in BESIDE and file.name not in OF_THE_ADAPTER
        if of_its_own and file.is_file() and not (target / file.name).exists():
            shutil.copy2(file, target)
