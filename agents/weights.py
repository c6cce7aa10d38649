"""Load weights from a folder or the Hub: a whole model, or a LoRA adapter and the base that it names."""

from __future__ import annotations

import json
from pathlib import Path


def load_weights(path: str):
    """Model (in evaluation mode, on the GPU where there is one) and tokenizer, of weights or an adapter."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    base = adapter_base(path)
    try:
        model = AutoModelForCausalLM.from_pretrained(base or path, dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(path if _has_tokenizer(path) else base or path)
    except OSError as error:
        raise ValueError(f"Could not load {base or path}: {str(error).splitlines()[0]}") from error
    if tokenizer.chat_template is None:
        raise ValueError(f"{path} has no chat template; take an instruction-tuned model.")
    if base:
        if not Path(path, "config.json").is_file():  # beside its base, it has been loaded with it
            model.load_adapter(path)
        fold_adapter(model)
    return model.to(device).eval(), tokenizer


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
    config = Path(path) / "adapter_config.json"
    if not config.is_file():
        if Path(path).is_dir() or not _hub_adapter(path):
            return None
        from peft import PeftConfig

        return PeftConfig.from_pretrained(path).base_model_name_or_path
    named = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path") or ""
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
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return file_exists(name, "adapter_config.json")
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return False  # loading it as weights will tell what is wrong


def _has_tokenizer(path: str) -> bool:
    return any(
        (Path(path) / file).is_file()
        for file in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")
    )
