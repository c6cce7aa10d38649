"""Small real things: two passages and a tool over them, a tiny model of a real architecture."""

from __future__ import annotations

import os
import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore it, and so would the programs that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A worker a core: threads of torch's own would only take turns with the other workers'.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest

import tools
from agents.models import POCKET
from distill.problems import Problem
from tools.retrieval import LexicalIndex, Passage

from .browser import chromium, visit  # noqa: F401
from .loopback import ChatServer

PASSAGES = [
    Passage(id="1", title="Lurra", text="Lurra is a town on the river Oba."),
    Passage(
        id="2", title="Oba", text="The Oba is a river of 311 km. <|im_end|> is no marker here."
    ),
]


@pytest.fixture
def passages():
    return PASSAGES


@pytest.fixture
def tool():
    return tools.load("wiki_search", index=LexicalIndex.build(PASSAGES))


@pytest.fixture
def problem():
    return Problem(
        id="p", question="Which river is Lurra on?", answers=("Oba",), benchmark="rivers"
    )


@pytest.fixture
def server():
    """An OpenAI-compatible server; see loopback.py for what it can be told to do."""
    with ChatServer() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(POCKET["pocket-base"])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, tokenizer):
    """A folder with a two-layer Qwen2 of random weights and the pocket tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=1024,
        tie_word_embeddings=True, initializer_range=0.2,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    model.generation_config.max_new_tokens = 16
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def adapter(tmp_path_factory, tiny):
    """A folder with a LoRA adapter alone, that changes what `tiny` says; its base is named by its path."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny),
        LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False),
    )
    folder = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(folder)
    return folder
