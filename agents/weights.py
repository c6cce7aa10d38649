"""Load weights from a folder or the Hub: a whole model, or a LoRA adapter and the base that it names.

What does not fit together is refused here. The libraries beneath fill what they miss with random numbers and
leave out what they cannot place, and the model would answer all the same.
"""

from __future__ import annotations

import json
from pathlib import Path

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")
ADAPTER = "adapter_model.safetensors"
MISMATCH = "ignore_mismatched_sizes"
"""An argument that transformers names where shapes differ."""


def load_weights(path: str):
    """Model (in evaluation mode, on the GPU where there is one) and tokenizer, of weights or an adapter.

    Raises ValueError, naming the place, for whatever cannot be loaded.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = load_folded(path, torch.bfloat16 if device == "cuda" else torch.float32)
    return model.to(device).eval(), tokenizer


def load_folded(path: str, dtype):
    """Model and tokenizer, of weights or of an adapter that has become part of its base; ValueError as above.

    dtype: of torch, or "auto" for the one that the weights are kept in.
    """
    base = adapter_base(path)
    if base is None:
        return load_pretrained(path, dtype)
    try:
        model, tokenizer = load_pretrained(base, dtype)
    except ValueError as error:
        if Path(base).is_dir():
            raise
        raise ValueError(
            f"The adapter {path} stands on {base}, which cannot be had: {error}"
        ) from error
    return model, put_on(model, tokenizer, path, base)


def put_on(model, tokenizer, path: str, base: str):
    """Make the adapter part of its base, whose model and tokenizer are given; the tokenizer to use with it.

    Raises ValueError for an adapter of another base; the model is then neither one nor the other.
    """
    tokenizer = _own_tokenizer(path, base, tokenizer)
    attach_adapter(model, path, base)
    fold_adapter(model)
    return tokenizer


def attach_adapter(model, path: str, base: str) -> None:
    """Put the adapter's layers, with their weights, beside those of its base; ValueError where they do not belong.

    model: as `load_pretrained` gives it. A base in its adapter's folder has been loaded with it already.
    """
    from peft import load_peft_weights, set_peft_model_state_dict

    try:
        if not getattr(model, "_hf_peft_config_loaded", False):
            model.load_adapter(path)
        # Once more by PEFT itself: transformers leaves DoRA's magnitudes as they start.
        weights = load_peft_weights(path, device="cpu")
        bare = {name.removeprefix("base_model.model."): w for name, w in weights.items()}
        set_peft_model_state_dict(model, bare)
    except Exception as error:  # as in `load_pretrained`
        if MISMATCH in str(error):
            error = ValueError(f"its tensors have other shapes than its base {base} has.")
        raise ValueError(f"Could not load the adapter {path}: {_said(error)}") from None
    _complete_adapter(model, path, base)


def load_pretrained(path: str, dtype, **settings):
    """A causal language model and its tokenizer, of a folder or Hub id; ValueError where that fails.

    settings: more of transformers' `from_pretrained`.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    if Path(path).is_file():
        raise ValueError(f"{path} is a file; name the folder that holds the weights.")
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, output_loading_info=True, **settings
        )
    except Exception as error:
        # A dozen libraries raise as many kinds of error for a file that is missing, cut off or no network.
        if MISMATCH in str(error):
            error = ValueError("its tensors have other shapes than its config.json speaks of.")
        raise ValueError(f"Could not load {path}: {_said(error)}") from error
    missing = sorted(name for name in found["missing_keys"] if "lora_" not in name)
    if missing:
        raise ValueError(
            f"{path} lacks {len(missing)} of the weights that its config.json speaks of, such as {missing[0]}."
        )
    tokenizer = load_tokenizer(path)
    _fits(path, tokenizer, model.get_input_embeddings().weight.shape[0])
    return model, tokenizer


def load_tokenizer(path: str):
    """The tokenizer of a folder or Hub id, its chat template settled; ValueError where there is none."""
    from transformers import AutoTokenizer

    from .template import settle

    if Path(path).is_dir() and not any(Path(path, name).is_file() for name in TOKENIZER_FILES):
        raise ValueError(f"{path} holds no tokenizer: none of {', '.join(TOKENIZER_FILES)}.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:  # as in `load_pretrained`
        raise ValueError(f"Could not load the tokenizer of {path}: {_said(error)}") from error
    if tokenizer.chat_template is None:
        raise ValueError(f"{path} has no chat template; take an instruction-tuned model.")
    return settle(tokenizer)


def _fits(path: str, tokenizer, rows: int) -> None:
    """Raise ValueError if text can become a token that the embedding has no row for.

    Special tokens beyond the last row are left alone, as text never becomes them (Gemma 3's image token).
    """
    from .template import end_of_turn_id

    if len(tokenizer) <= rows:
        return
    special = {at for at, token in tokenizer.added_tokens_decoder.items() if token.special}
    beyond = {at for at in tokenizer.get_vocab().values() if at >= rows and at not in special}
    beyond |= {at for at in (end_of_turn_id(tokenizer),) if at >= rows}
    if beyond:
        raise ValueError(
            f"{path}: the tokenizer has {len(tokenizer)} tokens, the model's embedding {rows} rows; "
            "they are not of one model."
        )


def _own_tokenizer(path: str, base: str, tokenizer):
    """The tokenizer that was saved with the adapter, else its base's.

    Raises ValueError if the two have different tokens.
    """
    if not Path(path, "tokenizer.json").is_file() or Path(path).resolve() == Path(base).resolve():
        return tokenizer
    own = load_tokenizer(path)
    if own.get_vocab() != tokenizer.get_vocab():
        raise ValueError(
            f"The adapter {path} was trained with another vocabulary than its base {base} has."
        )
    return own


def _complete_adapter(model, path: str, base: str) -> None:
    """Raise ValueError unless every tensor of the adapter's file has its place in the model, and every place its own."""
    file = Path(path) / ADAPTER
    if not file.is_file():
        return
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        given = {_bare(name.removeprefix("base_model.model.")) for name in tensors.keys()}  # noqa: SIM118
    places = {_bare(name) for name, _ in model.named_parameters()}
    wanted = {_bare(name) for name, _ in model.named_parameters() if ".default" in name}
    for what, names in (("is without", wanted - given), ("has no place for", given - places)):
        if names:
            raise ValueError(
                f"The adapter {path} does not belong on {base}: "
                f"{'it' if what == 'is without' else 'the base'} {what} {min(names)}."
            )


def _bare(name: str) -> str:
    """A tensor's name in an adapter's file and in a model that has loaded it, made the same."""
    for part in (".default", ".modules_to_save", ".base_layer"):
        name = name.replace(part, "")
    return name.removesuffix(".weight")


def _said(error: Exception) -> str:
    """The error in one sentence, in our words where the library's are about its own inside."""
    text = _first_line(error)
    if "header" in text or "incomplete metadata" in text:
        return f"a file of weights is empty or was cut off while it was written ({text})."
    if "couldn't connect" in text.lower() or "offline mode" in text.lower():
        return f"it is neither on this machine nor can the Hub be reached ({text})"
    return text


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def fold_adapter(model) -> None:
    """Add the adapter to the weights it stands beside: the same model, without the detour.

    Sums are made in float32, whatever the weights are kept in. An embedding that shares its weights with the
    head and has an adapter of its own gets weights of its own.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            _fold(model, module)
            folded = module.get_base_layer()
        elif isinstance(module, AuxiliaryTrainingWrapper):
            folded = module.unload_and_optionally_merge_module(
                merge=True, safe_merge=True, adapter_names=None
            )
        else:
            continue
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, folded)
    _untie(model)
    if getattr(model, "_hf_peft_config_loaded", False):  # else saving it would save an adapter,
        del model.peft_config
        model._hf_peft_config_loaded = False
        model._weight_conversions = None  # or name the weights as an adapter's


def _fold(model, layer) -> None:
    import torch

    base = layer.get_base_layer()
    kept = base.weight.dtype
    if sum(base.weight is parameter for _, parameter in _parameters(model)) > 1:
        base.weight = torch.nn.Parameter(base.weight.detach().clone(), requires_grad=False)
    layer.to(torch.float32)
    layer.merge(safe_merge=True)
    base.to(kept)


def _parameters(model):
    return model.named_parameters(remove_duplicate=False)


def _untie(model) -> None:
    """Say so in the configuration where the head's weights are no longer the embedding's."""
    inner, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is not None and inner.weight is not head.weight:
        model.config.tie_word_embeddings = False


def adapter_base(path: str) -> str | None:
    """Folder or Hub id of the base of a LoRA adapter; None where `path` holds no adapter.

    Raises ValueError for an adapter of another kind, or one whose base is not where it says.
    """
    file = Path(path) / "adapter_config.json"
    if not file.is_file():
        if Path(path).exists() or not _hub_adapter(path):
            return None
        from huggingface_hub import hf_hub_download

        return _base_named_in(Path(hf_hub_download(path, file.name)))
    named = _base_named_in(file)
    for folder in (Path(path) / named, Path(named)):
        if (folder / "config.json").is_file():
            return str(folder)
    if named.count("/") == 1 and not named.startswith((".", "/")):
        return named
    raise ValueError(
        f"The adapter {path} stands on {named!r}, which is not here: put its base model there."
    )


def _base_named_in(file: Path) -> str:
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        named = settings["base_model_name_or_path"]
        task, kind = settings.get("task_type"), settings.get("peft_type", "LORA")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{file} is no adapter's configuration.") from None
    if task not in (None, "CAUSAL_LM"):
        raise ValueError(f"{file}: an adapter for {task}; an agent needs one for CAUSAL_LM.")
    if kind != "LORA":
        raise ValueError(f"{file}: an adapter of type {kind}; LoRA adapters can be loaded.")
    if not isinstance(named, str) or not named:
        raise ValueError(f"{file} does not say which base model the adapter stands on.")
    return named


def _hub_adapter(name: str) -> bool:
    from huggingface_hub import file_exists

    try:
        return file_exists(name, "adapter_config.json")
    except Exception:  # offline, refused, no such name: loading it as weights will tell which
        return False
