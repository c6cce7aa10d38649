"""Every family of students in small: its tokenizer's kind, its chat template, its architecture with random weights.

`save_family` writes a folder as a release has it. Special tokens, pre-tokenizers, stop tokens and the odd
parts of the architectures (rope scaling, soft caps, sliding windows, layers without rope) are those of the
releases; the vocabularies are learnt here from a few lines, and the weights are random.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent / "templates"
HIDDEN, MERGED = 32, 160
"""Width of the models; entries of a vocabulary beyond bytes and special tokens."""
CONTEXT = 8192

LINES = [
    "Thought: I will search for the river, then print what I find.",
    '<code>\nprint(wiki_search(query="river Oba"))\n</code>',
    "<code>\nresult = 1234 + 567\nfinal_answer(result)\n</code>",
    "Observation:\nExecution logs:\nThe Oba is a river of 311 km.\nLast output from code snippet:\nNone",
    "You are an assistant who solves tasks with Python code. Use the tools.",
    "Which town is on the river? for value in range(10): print(value)",
]

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Family:
    template: Callable[[], str]
    tokenizer: Callable
    """Makes the tokenizers.Tokenizer, without the added tokens."""
    special: tuple[str, ...]
    config: Callable
    """Makes the model's configuration, of its common settings."""
    end: str
    """The token that ends a turn of the assistant."""
    eos: str
    stops: tuple[str, ...]
    """What the release's generation settings stop on."""
    pad: str | None = None
    bos: str | None = None
    unk: str | None = None
    plain: tuple[str, ...] = ()
    """Added tokens that are not special: ordinary text may hold them."""
    rstrip: bool = False
    """Its special tokens swallow the white space that follows."""
    tokenizer_class: str = "TokenizersBackend"
    tokenizer_settings: dict = field(default_factory=dict)


def save_family(name: str, folder: Path) -> Path:
    """The family's release in small, in `folder`: config, weights, generation settings, tokenizer, chat template."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    family = _FAMILIES[name]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _save_tokenizer(family, folder)
    id_of = tokenizer.token_to_id
    ids = {
        "bos_token_id": id_of(family.bos) if family.bos else None,
        "eos_token_id": id_of(family.eos),
        "pad_token_id": id_of(family.pad) if family.pad else None,
    }
    torch.manual_seed(0)
    config = family.config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=HIDDEN,
        max_position_embeddings=CONTEXT,
        initializer_range=0.2,
        **ids,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    stops = [id_of(stop) for stop in family.stops]
    model.generation_config = GenerationConfig(
        **{**ids, "eos_token_id": stops if len(stops) > 1 else stops[0]}
    )
    model.save_pretrained(folder)
    return folder


def _save_tokenizer(family: Family, folder: Path):
    from tokenizers import AddedToken

    tokenizer = family.tokenizer()
    strips = {"rstrip": family.rstrip, "normalized": False}
    tokenizer.add_special_tokens([AddedToken(t, special=True, **strips) for t in family.special])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in family.plain])
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"bos": family.bos, "eos": family.eos, "pad": family.pad, "unk": family.unk}
    settings = {
        **{f"{kind}_token": token for kind, token in named.items()},
        "model_max_length": CONTEXT,
        "tokenizer_class": family.tokenizer_class,
        "clean_up_tokenization_spaces": False,
        **family.tokenizer_settings,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    (folder / "chat_template.jinja").write_text(family.template())
    return tokenizer


# Templates ---------------------------------------------------------------------------------------


def _of_trl(name: str) -> Callable[[], str]:
    def read() -> str:
        import trl

        return (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text("utf-8")

    return read


def _ours(name: str) -> Callable[[], str]:
    return lambda: (HERE / f"{name}.jinja").read_text("utf-8")


def _pocket() -> str:
    from agents.models import POCKET

    return (Path(POCKET["pocket-base"]) / "chat_template.jinja").read_text("utf-8")


# Tokenizers --------------------------------------------------------------------------------------


def _byte_level(*splits, normalizer=None, use_regex: bool = False):
    """Byte-level BPE, as all but Gemma and Phi-3.5 have it."""

    @cache
    def learnt() -> str:
        from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
        from tokenizers.models import BPE

        tokenizer = Tokenizer(BPE())
        if normalizer:
            tokenizer.normalizer = normalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split() for split in splits]
            + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)]
        )
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokenizer.train_from_iterator(
            LINES,
            trainers.BpeTrainer(
                vocab_size=len(alphabet) + MERGED, initial_alphabet=alphabet, show_progress=False
            ),
        )
        return tokenizer.to_str()

    return lambda: _from_str(learnt())


def _pattern(regex: str):
    def split():
        from tokenizers import Regex, pre_tokenizers

        return pre_tokenizers.Split(Regex(regex), "isolated", invert=False)

    return split


def _digits():
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Digits(individual_digits=True)


def _nfc():
    from tokenizers import normalizers

    return normalizers.NFC()


def _sentencepiece(specials: tuple[str, ...], prefix: bool):
    """BPE over characters with spaces written as a mark, falling back to bytes; prefix: one space before a text."""

    @cache
    def learnt() -> str:
        from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, trainers
        from tokenizers.models import BPE

        mark, unk = "\u2581", "<unk>"
        bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
        first = [*specials, *bytes_]
        learner = Tokenizer(BPE(unk_token=unk))
        learner.normalizer = normalizers.Replace(" ", mark)
        learner.pre_tokenizer = pre_tokenizers.Split(mark, "merged_with_next")
        learner.train_from_iterator(
            "\n".join(LINES).splitlines(),  # a line break is a token of its own, or a byte
            trainers.BpeTrainer(
                vocab_size=len(first) + MERGED + 80, special_tokens=first, show_progress=False
            ),
        )
        model = json.loads(learner.to_str())["model"]
        tokenizer = Tokenizer(
            BPE(
                vocab=model["vocab"],
                merges=[tuple(merge) for merge in model["merges"]],
                unk_token=unk,
                fuse_unk=True,
                byte_fallback=True,
            )
        )
        decoding = [decoders.Replace(mark, " "), decoders.ByteFallback(), decoders.Fuse()]
        if prefix:
            tokenizer.normalizer = normalizers.Sequence(
                [normalizers.Prepend(mark), normalizers.Replace(" ", mark)]
            )
            decoding.append(decoders.Strip(" ", 1, 0))
        else:
            tokenizer.normalizer = normalizers.Replace(" ", mark)
            tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        tokenizer.decoder = decoders.Sequence(decoding)
        return tokenizer.to_str()

    return lambda: _from_str(learnt())


def _from_str(text: str):
    from tokenizers import Tokenizer

    return Tokenizer.from_str(text)


# Architectures -----------------------------------------------------------------------------------

SMALL = {
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
WIDE_HEADS = {"head_dim": 16}
"""Heads that are together wider than the hidden state, as in the releases that name a head_dim."""


def _config(kind: str, **settings) -> Callable:
    def make(**common):
        import transformers

        return getattr(transformers, kind)(**{**SMALL, **settings, **common})

    return make


def _llama3_rope(factor: float, original: int) -> dict:
    return {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": original,
    }


def _longrope(rotated: int, theta: float = 10_000.0, **more) -> dict:
    """rotated: dimensions of a head that are turned."""
    half = rotated // 2
    return {
        "rope_type": "longrope",
        "rope_theta": theta,
        "short_factor": [1.0 + 0.02 * i for i in range(half)],
        "long_factor": [1.0 + 2.0 * i for i in range(half)],
        **more,
    }


LAYERS = ["sliding_attention", "full_attention"]

# The families ------------------------------------------------------------------------------------

_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_QWEN3 = (
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)
_LLAMA = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
)
_GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
_GEMMA_TEXT = ("\n", "\n\n", "\u2581\u2581", "<code>", "</code>", "<table>", "</table>")
_GEMMA4 = (
    "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>", "<|tool>", "<tool|>",
    "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>', "<|image|>",
)  # fmt: skip
_PHI = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>")

_FAMILIES = {
    "chatml": Family(
        template=_pocket,
        tokenizer=_byte_level(_pattern(QWEN), normalizer=_nfc),
        special=_CHATML,
        config=_config("Qwen2Config", tie_word_embeddings=True),
        end="<|im_end|>",
        eos="<|im_end|>",
        stops=("<|im_end|>",),
        pad="<|endoftext|>",
        tokenizer_class="Qwen2Tokenizer",
    ),
    "qwen2.5": Family(
        template=_of_trl("qwen2_5"),
        tokenizer=_byte_level(_pattern(QWEN), normalizer=_nfc),
        special=_CHATML,
        plain=_QWEN3[:2],
        config=_config(
            "Qwen2Config",
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        ),
        end="<|im_end|>",
        eos="<|im_end|>",
        stops=("<|im_end|>", "<|endoftext|>"),
        pad="<|endoftext|>",
        tokenizer_class="Qwen2Tokenizer",
    ),
    "qwen3": Family(
        template=_of_trl("qwen3"),
        tokenizer=_byte_level(_pattern(QWEN), normalizer=_nfc),
        special=_CHATML,
        plain=_QWEN3,
        config=_config(
            "Qwen3Config",
            **WIDE_HEADS,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        ),
        end="<|im_end|>",
        eos="<|im_end|>",
        stops=("<|im_end|>", "<|endoftext|>"),
        pad="<|endoftext|>",
        tokenizer_class="Qwen2Tokenizer",
    ),
    "llama-3.1": Family(
        template=_of_trl("llama3_1"),
        tokenizer=_byte_level(_pattern(LLAMA)),
        special=_LLAMA,
        config=_config("LlamaConfig", rope_parameters=_llama3_rope(8.0, 1024), rms_norm_eps=1e-5),
        end="<|eot_id|>",
        eos="<|eot_id|>",
        stops=("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
        bos="<|begin_of_text|>",
        tokenizer_settings={"clean_up_tokenization_spaces": True},
    ),
    "llama-3.2": Family(
        template=_of_trl("llama3_2"),
        tokenizer=_byte_level(_pattern(LLAMA)),
        special=_LLAMA,
        config=_config(
            "LlamaConfig",
            tie_word_embeddings=True,
            rope_parameters=_llama3_rope(32.0, 256),
            rms_norm_eps=1e-5,
        ),
        end="<|eot_id|>",
        eos="<|eot_id|>",
        stops=("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
        bos="<|begin_of_text|>",
        tokenizer_settings={"clean_up_tokenization_spaces": True},
    ),
    "gemma-2": Family(
        template=_of_trl("gemma"),
        tokenizer=_sentencepiece(_GEMMA, prefix=False),
        special=(*_GEMMA, "<start_of_turn>", "<end_of_turn>"),
        plain=_GEMMA_TEXT,
        config=_config(
            "Gemma2Config",
            **WIDE_HEADS,
            layer_types=LAYERS,
            sliding_window=64,
            query_pre_attn_scalar=16,
        ),
        end="<end_of_turn>",
        eos="<eos>",
        stops=("<eos>", "<end_of_turn>"),
        pad="<pad>",
        bos="<bos>",
        unk="<unk>",
        tokenizer_class="GemmaTokenizer",
    ),
    "gemma-3": Family(
        template=_of_trl("gemma3"),
        tokenizer=_sentencepiece(_GEMMA, prefix=False),
        special=(*_GEMMA, "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"),
        plain=_GEMMA_TEXT,
        config=_config(
            "Gemma3TextConfig",
            **WIDE_HEADS,
            layer_types=LAYERS,
            sliding_window=64,
            query_pre_attn_scalar=16,
        ),
        end="<end_of_turn>",
        eos="<eos>",
        stops=("<eos>", "<end_of_turn>"),
        pad="<pad>",
        bos="<bos>",
        unk="<unk>",
        tokenizer_class="GemmaTokenizer",
    ),
    "gemma-4": Family(
        template=_of_trl("gemma4_v5"),
        tokenizer=_sentencepiece(_GEMMA, prefix=False),
        special=(*_GEMMA, *_GEMMA4),
        plain=_GEMMA_TEXT,
        config=lambda **common: _config(
            "Gemma4TextConfig",
            **WIDE_HEADS,
            global_head_dim=32,
            num_hidden_layers=4,
            layer_types=LAYERS * 2,
            num_kv_shared_layers=2,
            use_double_wide_mlp=True,
            sliding_window=64,
            final_logit_softcapping=30.0,
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=common["vocab_size"],
        )(**common),
        end="<turn|>",
        eos="<eos>",
        stops=("<eos>", "<turn|>", "<|tool_response>"),
        pad="<pad>",
        bos="<bos>",
        unk="<unk>",
        tokenizer_class="GemmaTokenizer",
    ),
    "phi-3.5": Family(
        template=_of_trl("phi3_5"),
        tokenizer=_sentencepiece(("<unk>", "<s>", "</s>"), prefix=True),
        special=("<unk>", "<s>", *_PHI),
        rstrip=True,
        config=_config(
            "Phi3Config",
            rope_parameters=_longrope(HIDDEN // 4),
            original_max_position_embeddings=CONTEXT // 2,
            num_key_value_heads=4,
            sliding_window=CONTEXT,
        ),
        end="<|end|>",
        eos="<|endoftext|>",
        stops=("<|end|>", "<|assistant|>", "<|endoftext|>"),
        pad="<|endoftext|>",
        bos="<s>",
        unk="<unk>",
        tokenizer_class="LlamaTokenizer",
        tokenizer_settings={"legacy": False, "add_bos_token": False},
    ),
    "phi-4-mini": Family(
        template=_ours("phi_4_mini"),
        tokenizer=_byte_level(_pattern(O200K)),
        special=(
            "<|endoftext|>",
            "<|endofprompt|>",
            "<|assistant|>",
            "<|end|>",
            "<|user|>",
            "<|system|>",
        ),
        plain=("<|tool|>", "<|/tool|>", "<|tool_call|>", "<|/tool_call|>", "<|tool_response|>"),
        config=_config(
            "Phi3Config",
            tie_word_embeddings=True,
            num_attention_heads=2,
            num_key_value_heads=1,
            rope_parameters=_longrope(12, partial_rotary_factor=0.75),
            original_max_position_embeddings=CONTEXT // 2,
        ),
        end="<|end|>",
        eos="<|endoftext|>",
        stops=("<|end|>", "<|endoftext|>"),
        pad="<|endoftext|>",
        bos="<|endoftext|>",
        unk="<|endoftext|>",
        tokenizer_class="GPT2Tokenizer",
    ),
    "smollm2": Family(
        template=_ours("smollm2"),
        tokenizer=_byte_level(_digits, use_regex=True),
        special=(*_CHATML, "<repo_name>", "<file_sep>"),
        config=_config("LlamaConfig", tie_word_embeddings=True, rms_norm_eps=1e-5),
        end="<|im_end|>",
        eos="<|im_end|>",
        stops=("<|im_end|>",),
        pad="<|im_end|>",
        bos="<|im_start|>",
        unk="<|endoftext|>",
        tokenizer_class="GPT2Tokenizer",
    ),
    "smollm3": Family(
        template=_ours("smollm3"),
        tokenizer=_byte_level(_pattern(LLAMA)),
        special=("<|begin_of_text|>", "<|end_of_text|>", *_CHATML[1:]),
        plain=(*_QWEN3, "<code>", "</code>"),
        config=_config("SmolLM3Config", num_hidden_layers=4, no_rope_layer_interval=4),
        end="<|im_end|>",
        eos="<|im_end|>",
        stops=("<|im_end|>",),
        pad="<|im_end|>",
    ),
}

FAMILIES: tuple[str, ...] = tuple(_FAMILIES)
END_OF_TURN = {name: family.end for name, family in _FAMILIES.items()}
