"""Write a student down so that its folder runs by itself, and so that what it was trained on can be checked.

All of it is made in a folder of its own and then moved, what makes it loadable last: a student that is half
there is refused, not taken for its base.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from .merge import settled
from .run import write_json
from .settings import Settings

SMALL = 1_000_000_000
"""Bytes of a base model up to which it is copied beside its adapter, so that the folder runs by itself."""
COPIED = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.jinja",
)
"""Of a base; a folder of weights may hold records of how they were made, which are not the student's."""
LAST = ("adapter_config.json", "config.json")
"""What makes a folder loadable."""
UNFINISHED = ".saving"


def save_student(
    trainer,
    tokenizer,
    base: str,
    student: str,
    out: Path,
    records: Callable[[Path], None],
    longest_reply: int,
) -> None:
    """The weights or the adapter, the tokenizer, and beside an adapter its base where that is small.

    records: writes what else belongs beside them into a folder. longest_reply: tokens that a reply must be
    allowed to have.
    """
    new = out / UNFINISHED
    first = trainer.is_world_process_zero()
    if first:
        shutil.rmtree(new, ignore_errors=True)
    trainer.save_model(str(new))
    if not first:
        return
    for name in ("training_args.bin", "README.md"):  # a pickle; PEFT's form, not filled in
        (new / name).unlink(missing_ok=True)
    config = new / "adapter_config.json"
    if config.is_file():
        beside = _is_small(base)
        values = json.loads(config.read_text(encoding="utf-8"))
        write_json(config, {**values, "base_model_name_or_path": "." if beside else student})
        if beside:
            for file in Path(base).iterdir():
                if any(fnmatch.fnmatch(file.name, name) for name in COPIED):
                    shutil.copy2(file, new / file.name)
    tokenizer.save_pretrained(str(new))
    model = trainer.accelerator.unwrap_model(trainer.model)
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    settled(model, tokenizer)
    if (model.generation_config.max_new_tokens or longest_reply) < longest_reply:
        model.generation_config.max_new_tokens = None
    model.generation_config.save_pretrained(str(new))
    records(new)
    for file in sorted(new.iterdir(), key=lambda f: LAST.index(f.name) if f.name in LAST else -1):
        file.replace(out / file.name)
    new.rmdir()


def _is_small(base: str) -> bool:
    folder = Path(base)
    return (
        folder.is_dir() and sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) < SMALL
    )


def enough_disk(out: Path, model, s: Settings) -> None:
    """Raises OSError before the first step where the checkpoints and the student will not fit."""
    weights = sum(p.nbytes for p in model.parameters())
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    needed = 3 * 3 * trained if s.full else weights * (weights < SMALL) + 200_000_000
    free = shutil.disk_usage(out if out.exists() else out.parent).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"About {needed / 1e9:.1f} GB are needed for checkpoints and the student, {free / 1e9:.1f} GB are free",
        )
