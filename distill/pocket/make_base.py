"""Train the tiny base model of the pocket world from plain text, and write it with its card.

    python -m distill.pocket.make_base --minutes 60

A real Qwen2 with its own tokenizer (single digits, no space glued to a capital letter, ChatML). It is
made once and shipped; nothing in the pipeline calls this. Skills are watched while it trains, on names
and questions that it never trains on.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

from .base_text import SKILLS, base_chat, skill_chat

FOLDER = Path(__file__).parent / "base"
REPLY = 160
"""Tokens of a reply at most: the longest right one of the pocket world takes 142."""
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer(rng: random.Random, vocabulary: int = 1000):
    """Byte-level BPE in which a number is its digits and a name reads the same after a space or a quote."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    words = Regex(r"\d| ?[a-z]+|[A-Z][a-z]*|\n| ?[^\w\s]+|\s")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (f"{role}\n{content}" for _ in range(6000) for role, content in base_chat(rng))
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        model_max_length=4096,
    )


def make_model(tokenizer, hidden: int, layers: int):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    heads = hidden // 32
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


def encode(tokenizer, chat) -> tuple[list[int], list[int]]:
    """Ids and labels; loss on what the assistant says and on the end of its turn."""
    ids, labels = [], []
    for role, content in chat:
        head = tokenizer(f"<|im_start|>{role}\n").input_ids
        body = tokenizer(f"{content}<|im_end|>").input_ids
        ids += head + body
        labels += [-100] * len(head) + (body if role == "assistant" else [-100] * len(body))
        ids += (newline := tokenizer("\n").input_ids)
        labels += [-100] * len(newline)
    return ids, labels


def batches(tokenizer, rng: random.Random, tokens: int):
    """Endless batches of about that many tokens, of conversations of like length."""
    import torch

    while True:
        pool = sorted(
            (encode(tokenizer, base_chat(rng)) for _ in range(2000)), key=lambda x: len(x[0])
        )
        rows, groups = [], []
        for example in pool:
            rows.append(example)
            if len(rows) * len(example[0]) >= tokens:
                groups.append(rows)
                rows = []
        rng.shuffle(groups)
        for rows in groups:
            width = max(len(ids) for ids, _ in rows)
            pad = tokenizer.pad_token_id
            ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
            labels = torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in rows])
            yield (
                ids,
                labels,
            )  # (batch, tokens); padding is on the right, so causal attention needs no mask


def skills(model, tokenizer, n: int, seed: int = 1) -> dict[str, float]:
    """Share of held-out replies that are exactly right, per skill."""
    import torch

    model.eval()
    tokenizer.padding_side = "left"
    scores = {}
    for skill in SKILLS:
        rng = random.Random(f"{seed} {skill}")
        chats = [skill_chat(rng, skill) for _ in range(n)]
        prompts = [
            tokenizer.apply_chat_template(
                [{"role": r, "content": c} for r, c in chat[:-1]],
                add_generation_prompt=True,
                tokenize=False,
            )
            for chat in chats
        ]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
        with torch.no_grad():
            out = model.generate(**inputs, max_new_tokens=110, do_sample=False)
        replies = tokenizer.batch_decode(
            out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True
        )
        scores[skill] = sum(r == chat[-1][1] for r, chat in zip(replies, chats, strict=True)) / n
    model.train()
    return scores


def train(
    out: Path = FOLDER,
    *,
    minutes: float = 60,
    hidden: int = 192,
    layers: int = 4,
    tokens: int = 6000,
    rate: float = 3e-3,
    muon: bool = False,
    seed: int = 0,
    threads: int = 2,
    start: Path | None = None,
) -> None:
    """Train for that long (the rate follows the clock), then write weights, tokenizer and measured skills.

    start: a folder made by this script, to go on from.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    rng = random.Random(seed)
    if start:
        tokenizer, model = (
            AutoTokenizer.from_pretrained(start),
            AutoModelForCausalLM.from_pretrained(start),
        )
    else:
        tokenizer = make_tokenizer(rng)
        model = make_model(tokenizer, hidden, layers)
    size = sum(p.numel() for p in model.parameters())
    print(f"{size / 1e6:.2f} M parameters, {len(tokenizer)} tokens", flush=True)
    if muon:
        matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
        rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
        optimizers = [
            torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.01),
        ]
    else:
        optimizers = [
            torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
        ]
    began, seen, mean, watched = time.time(), 0, None, 0.0
    for step, (ids, labels) in enumerate(batches(tokenizer, rng, tokens), 1):
        done = (time.time() - began) / (60 * minutes)
        if done >= 1:
            break
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = (
                    rate * min(1, step / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
                )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        seen += ids.numel()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 0:
            elapsed = time.time() - began
            print(
                f"step {step} loss {mean:.4f} {seen / 1e6:.2f} M tokens {elapsed:.0f} s", flush=True
            )
        if time.time() - began - watched > max(60, 60 * minutes / 15):
            watched = time.time() - began
            print("  ", skills(model, tokenizer, 40), flush=True)
            save(model, tokenizer, out)
    save(model, tokenizer, out)
    measured = skills(model, tokenizer, 200)
    stages = (
        json.loads((start / "card.json").read_text(encoding="utf-8"))["stages"] if start else []
    )
    stage = {
        "steps": step,
        "tokens": seen,
        "minutes": minutes,
        "rate": rate,
        "muon": muon,
        "seed": seed,
    }
    card = {"parameters": size, "stages": [*stages, stage], "skills": measured}
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(json.dumps(card, indent=1))


def save(model, tokenizer, out: Path) -> None:
    model.generation_config.do_sample = False
    model.generation_config.max_new_tokens = REPLY
    model.save_pretrained(out)
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--muon", action="store_true")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    train(**vars(parser.parse_args()))
