"""Training speed on a CPU: this project's trainer beside TRL's, as it comes and as it is best set.

    python -m bench.train

One model of random weights (a Qwen2 of six million parameters, 8,192 tokens), the same 48 conversations whose
lengths spread log-normally, LoRA of rank 16, float32, one thread: tokens per CPU-second and the loss of every
step, which must be the same for all. TRL as it comes pads eight samples to the longest; set best it reads
one sample at a time and accumulates eight. Two sets: conversations with nothing in common, and ones that
begin with the same 160 tokens, as an agent's do with its system prompt.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import warnings

import torch
from datasets import Dataset
from huggingface_hub import constants
from peft import LoraConfig
from transformers import AutoTokenizer, PrinterCallback, Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from agents.models import POCKET
from distill.trainer import StudentTrainer

from .common import write

VOCABULARY, LABELLED = 8192, 0.33
MEDIAN, SPREAD, MOST = 450, 0.7, 2048
"""Of the lengths, in tokens: half of what agents' conversations with a subword vocabulary have."""


def conversations(n: int, shared: int, seed: int = 0) -> list[dict]:
    """Random tokens in turns, a third of them trained on, after `shared` tokens that all begin with."""
    rng = random.Random(seed)
    start = [rng.randrange(10, VOCABULARY) for _ in range(shared)]
    rows = []
    for _ in range(n):
        length = min(MOST, max(shared + 64, round(rng.lognormvariate(0, SPREAD) * MEDIAN)))
        ids, labels = list(start), [-100] * len(start)
        while len(ids) < length:
            seen = [rng.randrange(10, VOCABULARY) for _ in range(rng.randint(20, 120))]
            said = [
                rng.randrange(10, 500) for _ in range(round(len(seen) * LABELLED / (1 - LABELLED)))
            ]
            ids += seen + said
            labels += [-100] * len(seen) + said
        rows.append({"input_ids": ids, "labels": labels})
    return rows


def model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=VOCABULARY, hidden_size=256, intermediate_size=768, num_hidden_layers=5,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        )
    )  # fmt: skip


def settings(out: str, batch: int, accumulate: int) -> SFTConfig:
    return SFTConfig(
        output_dir=out, num_train_epochs=1, per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulate, learning_rate=2e-4, max_length=None, use_cpu=True, bf16=False,
        gradient_checkpointing=False, logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True,
        seed=0, dataloader_pin_memory=False,
    )  # fmt: skip


def padded(rows: list[dict], out: str):
    return SFTTrainer(**parts(rows), args=settings(out, 8, 1))


def best(rows: list[dict], out: str):
    return SFTTrainer(**parts(rows), args=settings(out, 1, 8))


def ours(rows: list[dict], out: str):
    args = settings(out, 8, 1)
    args.remove_unused_columns, args.dataset_kwargs = False, {"skip_prepare_dataset": True}
    longest = max(len(row["input_ids"]) for row in rows)
    return StudentTrainer(**parts(rows), args=args, together=True, longest=longest)


def parts(rows: list[dict]) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(POCKET["pocket-base"])  # its words are not looked at
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    return {
        "model": model(),
        "processing_class": tokenizer,
        "train_dataset": Dataset.from_list(rows),
        "peft_config": lora,
    }


def run(make, rows: list[dict]) -> tuple[float, list[float]]:
    """CPU-seconds of one epoch, and the loss of every step."""
    with tempfile.TemporaryDirectory() as out:
        torch.manual_seed(0)
        trainer = make(rows, out)
        trainer.remove_callback(PrinterCallback)
        start = time.process_time()
        trainer.train()
        seconds = time.process_time() - start
    return seconds, [line["loss"] for line in trainer.state.log_history if "loss" in line]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=2, help="repetitions; the best of each counts")
    parser.add_argument("--samples", type=int, default=48)
    options = parser.parse_args()
    constants.HF_HUB_DISABLE_TELEMETRY = True  # TRL reports its use otherwise
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    measured: dict = {}
    ways = {"TRL, padded": padded, "TRL, set best": best, "ours": ours}
    for scene, shared in (("nothing in common", 0), ("a shared system prompt", 160)):
        rows = conversations(options.samples, shared)
        tokens = sum(len(row["input_ids"]) for row in rows)
        found: dict[str, list] = {name: [] for name in ways}
        for _ in range(options.times):
            for name, make in ways.items():
                found[name].append(run(make, rows))
        speed = {name: tokens / min(s for s, _ in runs) for name, runs in found.items()}
        losses = {name: runs[0][1] for name, runs in found.items()}
        apart = max(
            abs(a - b) for name in ways for a, b in zip(losses[name], losses["ours"], strict=True)
        )
        print(f"\n{scene}: {len(rows)} conversations, {tokens} tokens, {len(losses['ours'])} steps")
        for name in ways:
            print(
                f"{name:16}{speed[name]:8.0f} tokens a CPU-second{speed['ours'] / speed[name]:8.2f}"
            )
        print(f"the losses of a step differ by at most {apart:.1e} of {losses['ours'][-1]:.3f}")
        if apart > 2e-3:
            raise SystemExit("The losses differ: the ways do not train on the same.")
        measured[scene] = {
            "tokens": tokens,
            "tokens a CPU-second": {name: round(value) for name, value in speed.items()},
            "ratio": {name: round(speed["ours"] / value, 3) for name, value in speed.items()},
            "losses": losses,
            "apart": apart,
        }
    print(f"\nwritten to {write('train', measured)}")


if __name__ == "__main__":
    main()
