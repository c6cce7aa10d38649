"""Ways out: a merged student and one as GGUF are the student, number for number and token for token."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from agents.models import resolve
from agents.template import prompt_ids
from agents.weights import load_folded, load_weights
from distill.export import export, kind_of, read_back
from distill.gguf.architectures import ARCHITECTURES
from distill.gguf.vocabulary import splitting, vocabulary
from distill.merge import merge
from distill.new_folder import new_folder, room

from .families import END_OF_TURN, FAMILIES, save_family
from .gotemplate import rendered
from .test_weights import adapted

pytestmark = pytest.mark.filterwarnings(
    "ignore:llama.cpp", "ignore:Model has .tie", "ignore:Setting .save"
)
WRITTEN = [name for name in FAMILIES if name != "gemma-4"]
READ = [name for name in WRITTEN if name != "smollm3"]
"""transformers has no reader for SmolLM3's files; llama.cpp has, below."""
CHAT = [
    {"role": "system", "content": "You solve tasks with {{ .Python }} code.\nUse the tools."},
    {"role": "user", "content": 'New task:\nWhich river is "Lurra" on? 12345 + 77'},
    {"role": "assistant", "content": 'Thought: I search.\n<code>\nprint("""x""")\n</code>'},
    {
        "role": "user",
        "content": "Observation:\nLurra\tis a town.\n\n  na\u00efve \u2603 <|im_end|>",
    },
]
TEXTS = [
    "hello world", " lead", "1234567", "na\u00efve caf\u00e9 \u2603 \U0001f642", "\n\n", "\u65e5\u672c\u8a9e",
    "def f(x):\n\treturn x + 1\n\n\n", "What's THAT'S \r\n ok", "<code>print(1)</code>", "3.14, 1,000",
]  # fmt: skip


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    """Family name -> folder; its norms and biases are random too, so that none can stand for another."""
    made = {}

    def folder(name: str):
        if name not in made:
            made[name] = save_family(name, tmp_path_factory.mktemp("family") / name)
            _shake(made[name])
        return made[name]

    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory, family):
    """Family name -> its GGUF file in float32."""
    made = {}

    def file(name: str):
        if name not in made:
            out = tmp_path_factory.mktemp("gguf") / name
            made[name] = export(str(family(name)), out, quantization="f32")
        return made[name]

    return file


def _shake(folder) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    torch.manual_seed(1)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if tensor.ndim == 1:
            tensors[name] = tensor + torch.randn_like(tensor) / 4
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def logits(model, ids: list[int]):
    import torch

    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def chat_text(tokenizer, chat) -> str:
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)


# Merging -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "embedding", "saved"])
def test_a_merged_student_computes_what_its_adapter_does(tmp_path, family, kind):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = family("qwen2.5")
    settings = {
        "rslora": {"use_rslora": True},
        "dora": {"use_dora": True},
        "embedding": {"target_modules": ["embed_tokens", "q_proj"]},  # the head keeps the old one
        "saved": {"modules_to_save": ["norm"]},
    }.get(kind, {})
    folder = adapted(base, tmp_path / "adapter", **settings)
    with_adapter = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
    model, _ = load_weights(str(merge(str(folder), tmp_path / "merged")))
    ids = list(range(40, 90))
    assert torch.allclose(logits(model, ids), logits(with_adapter.eval(), ids), atol=2e-5)
    assert not torch.allclose(logits(model, ids), logits(load_weights(str(base))[0], ids), atol=0.1)
    assert model.config.tie_word_embeddings == (kind != "embedding")


def test_a_merged_student_is_a_whole_model_with_what_lay_beside_it(tmp_path, family):
    import torch

    base = shutil.copytree(family("gemma-2"), tmp_path / "base")
    released = json.loads((base / "generation_config.json").read_text())
    penalty = {"repetition_penalty": 1.1, "do_sample": True, "temperature": 0.7}
    only = {"eos_token_id": released["eos_token_id"][0]}  # as in a base that was not made for chats
    (base / "generation_config.json").write_text(json.dumps({**released, **penalty, **only}))
    for file, name in (("config.json", "_name_or_path"), ("tokenizer_config.json", "name_or_path")):
        said = json.loads((base / file).read_text())
        (base / file).write_text(json.dumps({**said, name: f"{tmp_path}/made/here"}))
    student = adapted(base, tmp_path / "student")
    for file in base.glob("*.j*"):
        if file.name != "config.json":
            shutil.copy2(file, student)
    (student / "student.json").write_text('{"method": "agent"}')
    (student / "parity_samples.jsonl").write_text("{}\n")
    out = merge(str(student), tmp_path / "merged")
    assert not (out / "adapter_config.json").exists()
    assert (out / "parity_samples.jsonl").read_text() == "{}\n"
    assert (out / "student.json").read_text() == '{"method": "agent"}'
    ours, tokenizer = load_weights(str(student))
    model, theirs = load_weights(str(out))
    assert all(
        torch.equal(a, b) for a, b in zip(ours.parameters(), model.parameters(), strict=True)
    )
    assert prompt_ids(theirs, CHAT) == prompt_ids(tokenizer, CHAT)
    settings = json.loads((out / "generation_config.json").read_text())
    stops = theirs.convert_ids_to_tokens(settings["eos_token_id"])
    assert set(stops) == {"<eos>", "<end_of_turn>"}
    assert not (penalty.keys() & settings.keys()) - {"do_sample"} and not settings.get("do_sample")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    for file in out.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes(), file.name


def test_weights_are_written_in_the_kind_asked_for_or_the_bases_own(tmp_path, family):
    import torch
    from transformers import AutoModelForCausalLM

    half = tmp_path / "half"
    shutil.copytree(family("chatml"), half)
    AutoModelForCausalLM.from_pretrained(half, dtype=torch.bfloat16).save_pretrained(half)
    student = str(adapted(half, tmp_path / "student"))
    for asked, kept in ((None, torch.bfloat16), ("float32", torch.float32)):
        out = merge(student, tmp_path / str(asked), dtype=asked)
        assert AutoModelForCausalLM.from_pretrained(out).dtype == kept
    with pytest.raises(ValueError, match="No dtype 'int4'; there are: float32"):
        merge(student, tmp_path / "other", dtype="int4")


def test_what_cannot_be_merged_is_refused(tmp_path, family):
    with pytest.raises(ValueError, match="whole model already"):
        merge("pocket-base", tmp_path / "out")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    with pytest.raises(ValueError, match="not empty"):
        merge("pocket", tmp_path / "there")
    with pytest.raises(ValueError, match="not empty"):
        export("pocket", tmp_path / "there")
    assert not (tmp_path / "out").exists()


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out") as work:
        (work / "half").write_text("a")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"needs 1000000.0 GB, the disk has .* left"):
        room(tmp_path / "out", 10**15)


# GGUF --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READ)
def test_a_file_in_float32_reads_back_as_the_student(exported, family, name):
    import torch

    ours, tokenizer = load_folded(str(family(name)), torch.float32)
    model, theirs = read_back(exported(name))
    found = model.state_dict()
    for key, tensor in ours.state_dict().items():
        if name.startswith("gemma") and "norm" in key:  # written with one added, as it is used
            assert torch.equal(1 + tensor, 1 + found[key]), key
        else:
            assert torch.equal(tensor, found[key]), key
    ids = prompt_ids(tokenizer, CHAT)
    assert torch.allclose(logits(ours, ids), logits(model, ids), atol=1e-4)
    assert theirs(chat_text(theirs, CHAT[:3]), add_special_tokens=False).input_ids == list(
        prompt_ids(tokenizer, CHAT[:3])
    )
    for text in TEXTS:
        plain = {"add_special_tokens": False}
        assert theirs(text, **plain).input_ids == tokenizer(text, **plain).input_ids, text
    assert theirs.chat_template == tokenizer.chat_template
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN[name])
    assert theirs.eos_token_id == model.generation_config.eos_token_id == end


@pytest.fixture(scope="session")
def unusual(tmp_path_factory, family):
    """A Gemma 3 whose layers look through windows in another order, and turn otherwise inside them."""
    folder = shutil.copytree(family("gemma-3"), tmp_path_factory.mktemp("unusual") / "unusual")
    config = json.loads((folder / "config.json").read_text())
    config["layer_types"] = ["full_attention", "sliding_attention"]
    config["sliding_window"] = 16
    config["rope_parameters"]["sliding_attention"]["rope_theta"] = 500.0
    config["final_logit_softcapping"] = 5.0
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_settings_that_are_not_the_familys_own_are_written(unusual, tmp_path):
    import torch

    ours, tokenizer = load_folded(str(unusual), torch.float32)
    model, _ = read_back(export(str(unusual), tmp_path / "out", quantization="f32"))
    ids = prompt_ids(tokenizer, CHAT)
    assert torch.allclose(logits(ours, ids), logits(model, ids), atol=1e-4)


@pytest.mark.parametrize(("quantization", "bytes_"), [("f16", 2), ("q8_0", 34 / 32)])
def test_a_smaller_file_is_the_student_but_for_rounding(tmp_path, family, quantization, bytes_):
    import torch

    ours, _ = load_folded(str(family("llama-3.1")), torch.float32)
    file = export(str(family("llama-3.1")), tmp_path / "out", quantization=quantization)
    assert file.name == f"llama-3.1-{quantization}.gguf"
    found = read_back(tmp_path / "out")[0].state_dict()
    size = 0
    for key, tensor in ours.state_dict().items():
        error = (tensor - found[key]).abs()
        if tensor.ndim == 1:
            assert not error.any(), key
        elif quantization == "f16":
            assert (error <= tensor.abs() / 2**11 + 2**-24).all(), key
        else:
            blocks = tensor.reshape(-1, 32).abs().amax(1, keepdim=True)  # 127 steps to the largest
            assert (error.reshape(-1, 32) <= blocks / 127 * 0.51 + blocks / 2**10).all(), key
        size += tensor.numel() * (bytes_ if tensor.ndim > 1 else 4)
    assert size < file.stat().st_size < size + 30_000


def test_rows_without_whole_blocks_stay_in_half_precision():
    assert [kind_of(shape, "q8_0").name for shape in ((4, 64), (4, 48), (64,))] == [
        "Q8_0",
        "F16",
        "F32",
    ]


def test_an_adapter_is_exported_with_its_base(tmp_path, family):
    import torch

    student = adapted(family("qwen3"), tmp_path / "student")
    ours, _ = load_folded(str(student), torch.float32)
    model, _ = read_back(export(str(student), tmp_path / "out", quantization="f32"))
    for key, tensor in ours.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[key]), key


def test_rows_beyond_the_tokenizer_get_names_of_their_own(tmp_path, family):
    import torch
    from gguf import GGUFReader, TokenType

    folder = shutil.copytree(family("chatml"), tmp_path / "wide")
    model, tokenizer = load_folded(str(folder), torch.float32)
    rows = len(tokenizer) + 13
    model.resize_token_embeddings(rows)
    model.save_pretrained(folder)
    file = export(str(folder), tmp_path / "out")
    fields = GGUFReader(file).fields
    kinds = fields["tokenizer.ggml.token_type"].contents()
    assert len(set(fields["tokenizer.ggml.tokens"].contents())) == rows == len(kinds)
    assert kinds[len(tokenizer) :] == [TokenType.UNUSED] * 13
    assert kinds[tokenizer.convert_tokens_to_ids("<|im_end|>")] == TokenType.CONTROL
    assert str(tmp_path).encode() not in file.read_bytes()


def test_a_picture_token_beyond_the_rows_is_left_out(family):
    """Gemma 3's smallest has one: its tokenizer is that of the larger ones, which see."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(family("gemma-3"))
    rows = len(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image_soft_token>"]})
    assert len(vocabulary(tokenizer, rows)["tokens"]) == rows
    tokenizer.add_tokens(["<table2>"])
    with pytest.raises(ValueError, match=f"tokens up to {rows + 1}, the model's embedding {rows}"):
        vocabulary(tokenizer, rows)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_says_how_its_family_splits_and_stops(exported, family, name):
    from gguf import GGUFReader

    fields = GGUFReader(exported(name)).fields
    said = {
        key: fields[f"tokenizer.ggml.{key}"].contents()
        for key in ("model", "pre", "tokens", "eos_token_id", "eot_token_id")
    }
    splitting = {
        "qwen": "qwen2", "chatml": "qwen2", "llama": "smaug-bpe", "gemma": "default",
        "phi-3.5": "default", "phi-4": "gpt-4o", "smollm2": "gpt-2", "smollm3": "smaug-bpe",
    }  # fmt: skip
    assert said["pre"] == next(v for k, v in splitting.items() if name.startswith(k))
    assert said["model"] == ("llama" if said["pre"] == "default" else "gpt2")
    assert said["tokens"][said["eos_token_id"]] == END_OF_TURN[name]
    assert said["eot_token_id"] == said["eos_token_id"]
    if said["model"] == "llama":
        scores, merges = (
            fields[f"tokenizer.ggml.{key}"].contents() for key in ("scores", "merges")
        )
        joined = [scores[said["tokens"].index(merge.replace(" ", ""))] for merge in merges]
        assert joined == sorted(joined, reverse=True) and joined[0] > joined[-1]
        prefix = fields["tokenizer.ggml.add_space_prefix"].contents()
        assert prefix == name.startswith("phi")  # Gemma's puts no space before a text


def test_how_text_is_split_is_read_off_the_tokenizer(family):
    def spec(name: str) -> dict:
        return json.loads((family(name) / "tokenizer.json").read_text())

    words = spec("llama-3.1")
    assert splitting(words) == "smaug-bpe"
    words["model"]["ignore_merges"] = True  # as Llama's own: whole words before merging
    assert splitting(words) == "llama-bpe"
    digits = spec("smollm2")
    assert splitting(digits) == "smollm"
    digits["pre_tokenizer"]["pretokenizers"][0]["individual_digits"] = False
    with pytest.raises(ValueError, match=r"how this tokenizer splits text \(Digits, ByteLevel\)"):
        splitting(digits)
    digits["model"]["type"] = "Unigram"
    with pytest.raises(ValueError, match="Unigram tokenizer of this kind"):
        splitting(digits)


def test_what_llama_cpp_would_compute_otherwise_is_refused(tmp_path, family):
    with pytest.raises(ValueError, match=f"gemma4_text .* there are: {', '.join(ARCHITECTURES)}"):
        export(str(family("gemma-4")), tmp_path / "out")
    for name, settings, said in (
        ("gemma-3", {"query_pre_attn_scalar": 256}, "by the root of 16, the model by that of 256"),
        ("smollm3", {"no_rope_layers": [1, 1, 1, 1]}, "every fourth layer"),
        ("qwen3", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "dynamic"),
    ):  # fmt: skip
        folder = shutil.copytree(family(name), tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **settings}))
        with pytest.raises(ValueError, match=said):
            export(str(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("number", "said"), [(1e5, "too large for f16; export it as f32"), (float("nan"), "not finite")]
)
def test_numbers_that_the_file_cannot_hold_are_refused(tmp_path, family, number, said):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(family("chatml"), tmp_path / "student")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][3, 4] = number
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=said):
        export(str(folder), tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["student"]


def test_a_file_that_was_cut_off_is_told(tmp_path, exported):
    whole = exported("chatml").read_bytes()
    for size in (0, 100, len(whole) // 2):
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        with pytest.raises(ValueError, match="cut off"):
            read_back(tmp_path)
    with pytest.raises(ValueError, match="holds 0 GGUF files"):
        read_back(exported("chatml").parent.parent)


def test_an_unknown_quantization_is_refused(tmp_path):
    with pytest.raises(ValueError, match="No quantization 'q4_k'; there are: f32, f16, q8_0"):
        export("pocket", tmp_path / "out", quantization="q4_k")


# Modelfile ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITTEN)
def test_a_modelfile_renders_the_chat_that_we_send(exported, family, name):
    _, tokenizer = load_folded(str(family(name)), "auto")
    text = (exported(name).parent / "Modelfile").read_text()
    template = re.search(r'TEMPLATE """(.*?)"""\n', text)[1]
    longer = [*CHAT, *CHAT[2:], *CHAT[2:]]
    for chat in (CHAT[1:2], CHAT[:2], CHAT[1:], CHAT, longer, longer[1:]):
        assert rendered(template, chat) == chat_text(tokenizer, chat)
    assert f"FROM ./{exported(name).name}\n" in text
    assert f'PARAMETER stop "{END_OF_TURN[name]}"\n' in text
    assert "PARAMETER temperature 0\n" in text and "PARAMETER repeat_penalty 1\n" in text


def test_ollama_puts_the_start_token_where_the_tokenizer_does(family, tmp_path):
    """Then the template is without it: two would be one too many."""
    from gguf import GGUFReader

    folder = shutil.copytree(family("llama-3.2"), tmp_path / "student")
    file = folder / "tokenizer.json"
    spec = json.loads(file.read_text())
    bos = "<|begin_of_text|>"
    at = next(t["id"] for t in spec["added_tokens"] if t["content"] == bos)
    one = [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    spec["post_processor"] = {
        "type": "TemplateProcessing", "single": one, "pair": one,
        "special_tokens": {bos: {"id": bos, "ids": [at], "tokens": [bos]}},
    }  # fmt: skip
    file.write_text(json.dumps(spec))
    gguf = export(str(folder), tmp_path / "out")
    assert GGUFReader(gguf).fields["tokenizer.ggml.add_bos_token"].contents() is True
    template = re.search(r'TEMPLATE """(.*?)"""', (gguf.parent / "Modelfile").read_text())[1]
    _, tokenizer = load_folded(str(folder), "auto")
    assert bos + rendered(template, CHAT) == chat_text(tokenizer, CHAT)


def test_a_template_that_cannot_be_said_in_go_is_told_aloud(tmp_path, family):
    folder = shutil.copytree(family("chatml"), tmp_path / "student")
    numbered = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }} {{ loop.index }}\n{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    (folder / "chat_template.jinja").write_text(numbered)
    with pytest.warns(UserWarning, match="No TEMPLATE: .* in two ways"):
        gguf = export(str(folder), tmp_path / "out")
    text = (gguf.parent / "Modelfile").read_text()
    assert "# No TEMPLATE" in text and "\nTEMPLATE" not in text


# llama.cpp ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def llama():
    return pytest.importorskip("llama_cpp", reason="pip install llama-cpp-python")


@pytest.mark.parametrize("name", [*WRITTEN, "unusual"])
def test_llama_cpp_reads_the_same_tokens_and_says_the_same(llama, family, unusual, name, tmp_path):
    import numpy as np
    import torch

    folder = unusual if name == "unusual" else family(name)
    file = export(str(folder), tmp_path / "out", quantization="f32")
    ours, tokenizer = load_folded(str(folder), torch.float32)
    exact = {"type_k": 0, "type_v": 0}  # its memory of the prompt in float32, not half precision
    theirs = llama.Llama(str(file), n_ctx=512, n_threads=1, logits_all=True, verbose=False, **exact)
    ids = list(prompt_ids(tokenizer, CHAT[:3]))
    text = chat_text(tokenizer, CHAT[:3]).encode()
    assert theirs.tokenize(text, add_bos=False, special=True) == ids
    plain = {"add_special_tokens": False, "split_special_tokens": True}
    for text in TEXTS:
        found = theirs.tokenize(text.encode(), add_bos=False, special=False)
        assert found == tokenizer(text, **plain).input_ids, text
    theirs.eval(ids)
    expected = logits(ours, ids).numpy()
    assert np.abs(theirs.scores[: len(ids)] - expected).max() < 5e-3
    theirs.close()


def test_llama_cpp_writes_what_the_shipped_student_writes(llama, tmp_path):
    model, tokenizer = load_weights(resolve("pocket"))
    theirs = llama.Llama(
        str(export("pocket", tmp_path / "out")), n_ctx=512, n_threads=1, verbose=False
    )
    chat = [{"role": "user", "content": "New task:\nWhat is 4815162 + 342?"}]
    ids = list(prompt_ids(tokenizer, chat))
    import torch

    written = model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False)
    found = [token for token, _ in zip(theirs.generate(ids, temp=0.0), range(40), strict=False)]
    expected = written[0, len(ids) :].tolist()
    assert found[: len(expected)] == expected
    theirs.close()
