"""Write a student down so that its folder runs by itself, and so that what it was trained on can be checked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .merge import settled
from .run import write_json
from .settings import Settings
from .training_data import prompt_of

SMALL = 1_000_000_000
"""Bytes of a base model up to which it is copied beside its adapter, so that the folder runs by itself."""
COPIED = (".json", ".safetensors", ".jinja", ".model", ".txt")


def save_student(trainer, tokenizer, base: str, student: str, out: Path) -> None:
    """The weights or the adapter, the tokenizer, and beside an adapter its base where that is small.

    The adapter comes first: a folder in which the rest is still missing is refused, not taken for its base.
    """
    trainer.save_model(str(out))
    if not trainer.is_world_process_zero():
        return
    for name in ("training_args.bin", "README.md"):  # a pickle; PEFT's form, not filled in
        (out / name).unlink(missing_ok=True)
    config = out / "adapter_config.json"
    if config.is_file():
        beside = _is_small(base)
        values = json.loads(config.read_text(encoding="utf-8"))
        write_json(config, {**values, "base_model_name_or_path": "." if beside else student})
        if beside:
            for file in sorted(Path(base).iterdir(), key=lambda f: f.name == "config.json"):
                if file.suffix in COPIED and not (out / file.name).exists():
                    shutil.copy2(file, out / file.name)
    tokenizer.save_pretrained(str(out))
    model = trainer.accelerator.unwrap_model(trainer.model)
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    settled(model, tokenizer)
    model.generation_config.save_pretrained(str(out))


def _is_small(base: str) -> bool:
    folder = Path(base)
    return (
        folder.is_dir() and sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) < SMALL
    )


def enough_disk(out: Path, model, s: Settings) -> None:
    """Raises OSError before the first step where the checkpoints and the student will not fit."""
    import errno

    weights = sum(p.nbytes for p in model.parameters())
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    needed = 3 * 3 * trained if s.full else weights * (weights < SMALL) + 200_000_000
    free = shutil.disk_usage(out if out.exists() else out.parent).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"About {needed / 1e9:.1f} GB are needed for checkpoints and the student, {free / 1e9:.1f} GB are free",
        )


def finish(out: Path, tokenizer, rollouts, data, s: Settings, summary: dict) -> None:
    """What belongs beside the weights; `train.json`, which says that all is there, last."""
    from .parity.samples import write_samples, write_student

    trajectory = rollouts[0].trajectory
    for folder in (out, *([out / "early"] if (out / "early").is_dir() else ())):
        write_samples(folder, data.recorded)
        write_student(
            folder,
            tokenizer,
            method=trajectory.method,
            prompt=s.prompt or prompt_of(trajectory),
            tags=trajectory.tags,
            tools=trajectory.tools,
        )
    write_json(out / "train.json", summary)
