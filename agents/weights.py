"""Load weights from a folder or the Hub: a whole model, or a LoRA adapter and the base that it names."""

from __future__ import annotations

import json
from pathlib import Path


def load_weights(path: str):
    """Model (in evaluation mode, on the GPU where there is one) and tokenizer, of weights or an adapter.

    Raises ValueError, naming the place, for whatever cannot be loaded.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = adapter_base(path)
    model, tokenizer = load_pretrained(
        base or path, torch.bfloat16 if device == "cuda" else torch.float32
    )
    if base:
        try:
            if not Path(
                path, "config.json"
            ).is_file():  # beside its base, it has been loaded with it
                model.load_adapter(path)
        except Exception as error:  # as in `load_pretrained`
            raise ValueError(f"Could not load the adapter {path}: {_first_line(error)}") from error
        fold_adapter(model)
    return model.to(device).eval(), tokenizer


def load_pretrained(path: str, dtype):
    """A causal language model and its tokenizer, of a folder or Hub id; ValueError where that fails."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:
        # A dozen libraries raise as many kinds of error for a file that is missing, cut off or no network.
        raise ValueError(f"Could not load {path}: {_first_line(error)}") from error
    if tokenizer.chat_template is None:
        raise ValueError(f"{path} has no chat template; take an instruction-tuned model.")
    return model, tokenizer


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def fold_adapter(model) -> None:
    """Add the adapter to the weights it stands beside: the same model, without the detour."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True)
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())


def adapter_base(path: str) -> str | None:
    """Folder or Hub id of the base of a LoRA adapter; None where `path` holds no adapter."""
    file = Path(path) / "adapter_config.json"
    if not file.is_file():
        if Path(path).is_dir() or not _hub_adapter(path):
            return None
        from peft import PeftConfig

        return PeftConfig.from_pretrained(path).base_model_name_or_path
    try:
        named = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} is no adapter's configuration.") from None
    for folder in (Path(path) / named, Path(named)):
        if (folder / "config.json").is_file():
            return str(folder)
    if named.count("/") == 1 and not named.startswith((".", "/")):
        return named
    raise ValueError(
        f"The adapter {path} stands on {named!r}, which is not here: put its base model there."
    )


def _hub_adapter(name: str) -> bool:
    from huggingface_hub import file_exists

    try:
        return file_exists(name, "adapter_config.json")
    except Exception:  # offline, refused, no such name: loading it as weights will tell which
        return False
