"""Write a student as GGUF, with a Modelfile for Ollama, and read such a file back to see that it is the student."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

from agents.models import POCKET, resolve
from agents.weights import adapter_base, load_folded

from .new_folder import new_folder, room, vacant

Quantization = Literal["f32", "f16", "q8_0"]
QUANTIZATIONS = ("f32", "f16", "q8_0")
BYTES = {"f32": 4.0, "f16": 2.0, "q8_0": 34 / 32}
"""A weight. q8_0: 32 weights in a byte each, and half a float for all of them."""
BLOCK = 32
LARGEST_HALF = 65504.0


def export(student: str, out: Path, *, quantization: Quantization = "f16") -> Path:
    """Write the student as one GGUF file and a Modelfile into the folder `out`; returns the file.

    student: a folder or Hub id, weights or a LoRA adapter, or `pocket`. quantization: "f32" as trained; "f16" at half
    the size; "q8_0" at a quarter, in blocks of 32. Norms and biases are kept in float32 always.
    Raises ValueError for an architecture, a tokenizer or numbers that the file cannot hold as they are.
    """
    from agents.local import end_ids

    from .gguf.architectures import architecture, context_length, remarks
    from .gguf.modelfile import modelfile
    from .gguf.vocabulary import remarks as remarks_on_text

    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"No quantization {quantization!r}; there are: {', '.join(QUANTIZATIONS)}."
        )
    out, folder = Path(out), resolve(student)
    vacant(out)
    model, tokenizer = load_folded(folder, _exact(adapter_base(folder)))
    arch = architecture(model.config)
    room(out, int(sum(p.numel() for p in model.parameters()) * BYTES[quantization]))
    notes = [*remarks(model.config, arch), *remarks_on_text(tokenizer)]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    name = student if student in POCKET else Path(folder).resolve().name
    with new_folder(out) as work:
        file = work / f"{name}-{quantization}.gguf"
        write(file, model, tokenizer, arch, quantization, name)
        text = modelfile(
            tokenizer,
            file,
            context=context_length(model.config),
            stops=end_ids(model, tokenizer),
            notes=notes,
        )
        (work / "Modelfile").write_text(text, encoding="utf-8")
    return out / file.name


def _exact(base: str | None):
    """The torch.dtype in which the student is itself: an adapter's sum is rounded once, when it is written."""
    import torch

    return torch.float32 if base else "auto"


def write(file: Path, model, tokenizer, arch, quantization: Quantization, name: str) -> None:
    """The GGUF file: first what the model is, then its tensors, of which one is in memory at a time."""
    import gguf
    import numpy as np

    from .gguf.architectures import tensors

    writer = gguf.GGUFWriter(file, arch.name)
    for key, value in metadata(model, tokenizer, arch, quantization, name).items():
        _add(writer, key, value)
    for place, values in tensors(model, arch):
        kind = kind_of(values.shape, quantization)
        block, size = gguf.GGML_QUANT_SIZES[kind]
        writer.add_tensor_info(
            place, values.shape, np.dtype(np.float32), values.numel() // block * size, kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for place, values in tensors(model, arch):
        writer.write_tensor_data(packed(place, values, quantization))
    writer.close()


def metadata(model, tokenizer, arch, quantization: Quantization, name: str) -> dict[str, object]:
    """Everything in the file but its tensors."""
    from gguf import GGML_QUANT_VERSION, LlamaFileType

    from .gguf.architectures import settings
    from .gguf.vocabulary import named, vocabulary

    rows = model.get_input_embeddings().weight.shape[0]
    kinds = {
        "f32": LlamaFileType.ALL_F32,
        "f16": LlamaFileType.MOSTLY_F16,
        "q8_0": LlamaFileType.MOSTLY_Q8_0,
    }
    return {
        "general.type": "model",
        "general.name": named(name, tokenizer),
        "general.file_type": int(kinds[quantization]),
        "general.quantization_version": GGML_QUANT_VERSION,
        "general.sampling.temp": 0.0,
        "general.sampling.penalty_repeat": 1.0,
        **{f"{arch.name}.{key}": value for key, value in settings(model.config, arch).items()},
        **{f"tokenizer.ggml.{key}": value for key, value in vocabulary(tokenizer, rows).items()},
        "tokenizer.chat_template": tokenizer.get_chat_template(),
    }


def kind_of(shape, quantization: Quantization):
    """How a tensor of this shape is kept: vectors in float32, and what has no whole blocks in half precision."""
    from gguf import GGMLQuantizationType as Kind

    if len(shape) < 2 or quantization == "f32":
        return Kind.F32
    return Kind.Q8_0 if quantization == "q8_0" and shape[-1] % BLOCK == 0 else Kind.F16


def packed(place: str, values, quantization: Quantization):
    """The tensor's numbers as they stand in the file; ValueError for what half precision cannot hold."""
    import gguf
    import numpy as np
    import torch

    numbers = values.detach().to("cpu", torch.float32).contiguous().numpy()
    kind = kind_of(numbers.shape, quantization)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{place} holds numbers that are not finite; this student is broken.")
    if kind != gguf.GGMLQuantizationType.F32 and np.abs(numbers).max(initial=0) > LARGEST_HALF:
        raise ValueError(f"{place} holds numbers too large for {quantization}; export it as f32.")
    return gguf.quants.quantize(numbers, kind)


def _add(writer, key: str, value) -> None:
    for kind, add in (
        (bool, writer.add_bool), (int, writer.add_uint32), (float, writer.add_float32),
        (str, writer.add_string), (list, writer.add_array),
    ):  # fmt: skip
        if isinstance(value, kind):
            return add(key, value)
    raise TypeError(f"{key}: {type(value).__name__}")


def read_back(place: Path):
    """Model (float32) and tokenizer from a GGUF file, or the folder it lies in, read by transformers.

    Raises ValueError for an architecture that transformers does not read.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    from .gguf.reading import as_written, completed, splitting_as_written

    disable_progress_bar()
    file = _only(Path(place))
    said = as_written(file)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        config = completed(AutoConfig.from_pretrained(**where), said)
        model = AutoModelForCausalLM.from_pretrained(config=config, dtype=torch.float32, **where)
        tokenizer = AutoTokenizer.from_pretrained(**where)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ValueError(f"transformers does not read {file}: {error}") from error
    return model.eval(), splitting_as_written(tokenizer, said)


def _only(place: Path) -> Path:
    files = [place] if place.is_file() else sorted(place.glob("*.gguf"))
    if len(files) != 1:
        raise ValueError(f"{place} holds {len(files)} GGUF files, not one; name the file.")
    return files[0]
