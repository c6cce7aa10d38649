"""Weights that do not fit together are refused in one sentence, and never filled with random numbers."""

from __future__ import annotations

import json
import shutil

import pytest

from agents.weights import fold_adapter, load_weights

from .families import save_family

WEIGHTS, TENSORS = "model.safetensors", "adapter_model.safetensors"


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return save_family("qwen2.5", tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="session")
def lora(tmp_path_factory, base):
    """A LoRA adapter on `base`, with the tokenizer beside it."""
    folder = adapted(base, tmp_path_factory.mktemp("lora") / "lora")
    shutil.copy2(base / "tokenizer.json", folder)
    shutil.copy2(base / "tokenizer_config.json", folder)
    shutil.copy2(base / "chat_template.jinja", folder)
    return folder


def adapted(base, folder, **settings):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    names = ["q_proj", "v_proj", "up_proj", "down_proj"]
    settings = {"target_modules": names, "task_type": "CAUSAL_LM", **settings}
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=4, lora_alpha=8, init_lora_weights=False, **settings),
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(tmp_path):
    """A copy of a folder, to break; with what is to be written into one of its JSON files."""

    def copied(source, file: str | None = None, **values):
        folder = shutil.copytree(source, tmp_path / f"copy{len(list(tmp_path.iterdir()))}")
        if file:
            before = json.loads((folder / file).read_text())
            (folder / file).write_text(json.dumps({**before, **values}))
        return folder

    return copied


@pytest.fixture
def resized(tmp_path, base):
    """The base with other sizes, random weights and the same tokenizer."""

    def made(**sizes):
        from transformers import AutoConfig, AutoModelForCausalLM

        folder = shutil.copytree(base, tmp_path / "resized")
        settings = {**AutoConfig.from_pretrained(base).to_dict(), "layer_types": None, **sizes}
        config = AutoConfig.for_model(**settings)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        return folder

    return made


def refusal(folder) -> str:
    with pytest.raises(ValueError) as error:
        load_weights(str(folder))
    assert "\n" not in str(error.value)
    return str(error.value)


def on(copy, lora, other) -> str:
    """What is said of the adapter on another base."""
    return refusal(copy(lora, "adapter_config.json", base_model_name_or_path=str(other)))


def test_an_adapter_on_a_base_of_another_shape(copy, lora, resized):
    assert "other shapes" in on(copy, lora, resized(intermediate_size=96))


def test_an_adapter_on_a_base_with_fewer_layers(copy, lora, resized):
    assert "has no place for model.layers.1" in on(copy, lora, resized(num_hidden_layers=1))


def test_an_adapter_on_a_base_with_more_layers(copy, lora, resized):
    assert "is without model.layers.2" in on(copy, lora, resized(num_hidden_layers=3))


def test_an_adapter_on_a_base_of_another_vocabulary(copy, lora, tmp_path):
    other = save_family("llama-3.2", tmp_path / "other")  # whose shapes are the same
    assert "another vocabulary" in on(copy, lora, other)


def test_half_of_an_adapter(copy, lora):
    from safetensors.torch import load_file, save_file

    folder = copy(lora)
    tensors = load_file(folder / TENSORS)
    kept = {name: tensor for name, tensor in tensors.items() if "layers.1" not in name}
    save_file(kept, folder / TENSORS, metadata={"format": "pt"})
    assert "it is without model.layers.1" in refusal(folder)


def test_a_tokenizer_with_more_tokens_than_the_embedding_has_rows(resized):
    small = resized(vocab_size=300, pad_token_id=None, eos_token_id=2)
    assert "421 tokens, the model's embedding 300 rows" in refusal(small)


@pytest.mark.parametrize(("which", "file"), [("base", WEIGHTS), ("lora", TENSORS)])
@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_a_half_written_file_of_weights(request, copy, which, file, kept):
    folder = copy(request.getfixturevalue(which))
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: int(len(whole) * kept)])
    assert "cut off" in refusal(folder)


@pytest.mark.parametrize(("which", "file"), [("base", WEIGHTS), ("lora", TENSORS)])
def test_a_file_of_weights_that_is_not_there(request, copy, which, file):
    folder = copy(request.getfixturevalue(which))
    (folder / file).unlink()
    assert file in refusal(folder)


def test_a_shard_that_is_not_there(copy, base):
    from transformers import AutoModelForCausalLM

    folder = copy(base)
    (folder / WEIGHTS).unlink()
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(folder, max_shard_size="30KB")
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.unlink()
    assert shard.name in refusal(folder)


def test_a_tensor_that_is_not_there(copy, base):
    """transformers would put random numbers in its place."""
    from safetensors.torch import load_file, save_file

    folder = copy(base)
    tensors = load_file(folder / WEIGHTS)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    assert "lacks 1 of the weights" in refusal(folder)


@pytest.mark.parametrize(("kind", "said"), [("gemma2", "other shapes"), ("bert", "lacks")])
def test_the_configuration_of_another_architecture(copy, base, kind, said):
    assert said in refusal(copy(base, "config.json", model_type=kind))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"task_type": "SEQ_CLS"}, "an adapter for SEQ_CLS"),
        ({"peft_type": "PREFIX_TUNING"}, "of type PREFIX_TUNING"),
        ({"base_model_name_or_path": None}, "which base model"),
        ({"base_model_name_or_path": "../gone"}, "'../gone', which is not here"),
    ],
)
def test_an_adapter_that_cannot_be_one_of_an_agent(copy, lora, values, said):
    assert said in refusal(copy(lora, "adapter_config.json", **values))


def test_no_network_for_the_base_of_an_adapter(copy, lora):
    said = on(copy, lora, "nobody/nothing-0.5B")
    assert "stands on nobody/nothing-0.5B" in said and "nor can the Hub be reached" in said


@pytest.mark.parametrize(
    ("file", "said"),
    [("chat_template.jinja", "no chat template"), ("tokenizer.json", "holds no tokenizer")],
)
def test_a_file_of_the_tokenizer_that_is_not_there(copy, base, file, said):
    folder = copy(base)
    (folder / file).unlink()
    assert said in refusal(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "adapter_config.json"])
def test_a_half_written_description(copy, base, lora, file):
    folder = copy(lora if file.startswith("adapter") else base)
    (folder / file).write_text((folder / file).read_text()[:100])
    assert str(folder) in refusal(folder)


def test_a_file_instead_of_a_folder(base):
    assert "is a file; name the folder" in refusal(base / WEIGHTS)


def test_the_tokenizer_is_the_adapters_own(copy, lora):
    folder = copy(lora)
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(template.replace("You are Qwen", "You are small"))
    assert "You are small" in load_weights(str(folder))[1].chat_template


def test_an_adapter_is_added_in_float32_whatever_the_weights_are_kept_in(base, lora):
    import copy

    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model.load_adapter(str(lora))
    exact = copy.deepcopy(model).to(torch.float32)
    for one in (model, exact):
        fold_adapter(one)
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, exact.state_dict()[name].to(torch.bfloat16)), name
