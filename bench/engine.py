"""The student engine beside what a user would pick instead: transformers' `generate`, smolagents' own model.

    python -m bench.engine            two or three minutes; --quick: a smaller one

Random weights of a Qwen2 with 27 million parameters, float32, one thread, processor seconds. Eight samples
of a long prompt; an agent of five steps whose prompt grows; many short agents at once. Every reply is
compared: the same ids, or the bench fails.
"""

from __future__ import annotations

import argparse
import string
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from smolagents import TransformersModel
from smolagents.models import ChatMessage, MessageRole

from agents.local import LocalModel
from agents.models import POCKET

from .common import write

SAMPLES = 8
STEPS = 5
AGENTS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the tokens")
    part = 4 if parser.parse_args().quick else 1
    import torch
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    torch.set_num_threads(1)
    disable_progress_bar()
    set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        made = make_model(Path(folder))
        scenes = {
            f"{SAMPLES} samples of {64 // part} tokens, prompt {2000 // part}": lambda: samples(
                folder, 2000 // part, 64 // part
            ),
            f"an agent of {STEPS} steps, prompt {2000 // part}": lambda: agent(
                folder, 2000 // part, 64 // part, 150 // part
            ),
            f"{AGENTS} agents of 2 steps, prompt {240 // part}": lambda: agents(
                folder, 240 // part, 32 // part, 60 // part
            ),
        }
        measured: dict = {"parameters": made, "dtype": "float32", "threads": 1}
        print(
            f"{'processor seconds (wall)':42}{'engine':>16}{'instead':>16}{'ratio':>8}  instead of"
        )
        for name, scene in scenes.items():
            rival, ours, theirs = scene()
            ratio = theirs[0] / ours[0]
            measured[name] = {
                "engine": {"cpu_s": round(ours[0], 2), "wall_s": round(ours[1], 2)},
                rival: {"cpu_s": round(theirs[0], 2), "wall_s": round(theirs[1], 2)},
                "ratio": round(ratio, 2),
                "same ids": True,
            }
            shown = (f"{cpu:8.2f} ({wall:5.1f})" for cpu, wall in (ours, theirs))
            print(f"{name:42}{''.join(f'{s:>16}' for s in shown)}{ratio:8.2f}  {rival}")
    print(f"written to {write('engine', measured)}")


def make_model(folder: Path) -> int:
    """Random weights and a tokenizer of 8,192 tokens; how many parameters."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = make_tokenizer(8192)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=8192, hidden_size=512, intermediate_size=1408, num_hidden_layers=8,
        num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=8192,
        tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.05,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.num_parameters()


def make_tokenizer(size: int):
    """Byte-level BPE of words like "Qab": any text of them reads back as the tokens that wrote it."""
    from transformers import Qwen2Tokenizer

    newline = "\u010a"  # its byte, as byte-level tokenizers write it
    begin = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", newline]
    upper, lower = string.ascii_uppercase, string.ascii_lowercase
    pairs = [a + b for a in upper for b in lower]
    left = size - len(begin) - len(upper) - len(lower) - len(pairs)
    triples = [a + b for a in pairs for b in lower][:left]
    vocabulary = {t: i for i, t in enumerate([*begin, *upper, *lower, *pairs, *triples])}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[(t[:-1], t[-1]) for t in (*pairs, *triples)],
        unk_token=begin[0],
        pad_token=begin[0],
        eos_token=begin[2],
        additional_special_tokens=begin[1:3],
    )
    template = POCKET["pocket-base"] / "chat_template.jinja"
    tokenizer.chat_template = template.read_text(encoding="utf-8")
    return tokenizer


def samples(folder: str, prompt: int, tokens: int):
    """Several replies to one prompt, which is as long as a CodeAgent's."""
    ours = LocalModel(folder, max_tokens=tokens)
    chat = [said(MessageRole.USER, words(prompt, 0))]
    replies, spent = timed(lambda: ours.sample(chat, SAMPLES))
    # Of the one likeliest token, so that the replies are comparable; `generate` refuses to be greedy here.
    settings = {"do_sample": True, "top_k": 1, "num_return_sequences": SAMPLES}
    written, other = timed(
        lambda: plain(ours.model, replies[0].raw["prompt_ids"], tokens, **settings)
    )
    for reply, ids in zip(replies, written, strict=True):
        same(reply.raw["token_ids"], ids)
    return f"generate(num_return_sequences={SAMPLES})", spent, other


def agent(folder: str, prompt: int, tokens: int, observed: int):
    """One run, whose prompt grows by each reply and what was observed after it."""
    ours = LocalModel(folder, max_tokens=tokens)
    theirs = TransformersModel(folder, max_new_tokens=tokens, device_map="cpu")

    def run(model) -> list[str]:
        chat = [said(MessageRole.SYSTEM, words(prompt, 0))]
        chat += [said(MessageRole.USER, words(1, 1))]
        texts = []
        for step in range(STEPS):
            texts.append(model.generate(chat, stop_sequences=["Observation:", "</code>"]).content)
            chat += [said(MessageRole.ASSISTANT, texts[-1])]
            chat += [said(MessageRole.USER, words(observed, step + 1))]
        return texts

    found, spent = timed(lambda: run(ours))
    expected, other = timed(lambda: run(theirs))
    for a, b in zip(found, expected, strict=True):
        same(ours.tokenizer(a).input_ids, ours.tokenizer(b).input_ids)
    return "smolagents' TransformersModel", spent, other


def agents(folder: str, prompt: int, tokens: int, observed: int):
    """Many runs at once with the same system prompt; beside them, one call of `generate` after the other."""
    ours = LocalModel(folder, max_tokens=tokens)

    def run(number: int) -> list:
        chat = [said(MessageRole.SYSTEM, words(prompt, 0))]
        chat += [said(MessageRole.USER, words(20, 1000 + number))]
        replies = []
        for step in range(2):
            replies.append(ours.generate(chat))
            chat += [said(MessageRole.ASSISTANT, replies[-1].content)]
            chat += [said(MessageRole.USER, words(observed, 100 * number + step))]
        return replies

    with ThreadPoolExecutor(AGENTS) as pool:
        runs, spent = timed(lambda: list(pool.map(run, range(AGENTS))))
    replies = [reply for replies in runs for reply in replies]
    prompts = [reply.raw["prompt_ids"] for reply in replies]
    written, other = timed(lambda: [plain(ours.model, ids, tokens)[0] for ids in prompts])
    for reply, ids in zip(replies, written, strict=True):
        same(reply.raw["token_ids"], ids)
    return "a loop of generate", spent, other


def plain(model, ids: list[int], tokens: int, **settings) -> list[list[int]]:
    import torch

    prompt = torch.tensor([ids])
    out = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=tokens,
        **({"do_sample": False} | settings),
    )
    ends = {model.generation_config.eos_token_id, model.generation_config.pad_token_id}
    return [[i for i in row if i not in ends] for row in out[:, len(ids) :].tolist()]


def timed(work: Callable[[], object]) -> tuple[object, tuple[float, float]]:
    """What it returns, and its processor and wall seconds; all threads of this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return found, (time.process_time() - cpu, time.perf_counter() - wall)


def words(tokens: int, seed: int) -> str:
    """Text of so many tokens."""
    draw = Random(seed)
    upper, lower = string.ascii_uppercase[:10], string.ascii_lowercase
    return "".join(draw.choice(upper) + "".join(draw.choices(lower, k=2)) for _ in range(tokens))


def said(role: MessageRole, text: str) -> ChatMessage:
    return ChatMessage(role, [{"type": "text", "text": text}])


def same(ours: list[int], theirs: list[int]) -> None:
    if ours != theirs:
        at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), -1)
        raise AssertionError(f"The engine wrote other ids, from token {at} on: {ours} {theirs}.")


if __name__ == "__main__":
    main()
