"""What a training would do, before anything is made: settings, tokens, steps, memory."""

from __future__ import annotations

from .memory import context, memory, read_config
from .rollout import Rollout
from .settings import Settings
from .training_data import encode_rollouts


def plan(rollouts: list[Rollout], base: str, student: str, settings: Settings) -> dict:
    """The resolved settings, and what they come to; of the base model only tokenizer and shapes are read."""
    from agents.weights import load_tokenizer

    from .train import trainer_steps

    data = encode_rollouts(load_tokenizer(base), rollouts, settings, context(read_config(base)))
    lengths = sorted(len(sample.input_ids) for sample in data.train)
    longest = max(data.train, key=lambda sample: len(sample.input_ids))
    trained = sum(end - start for start, end in longest.spans())
    steps = trainer_steps(len(data.train), settings)
    return {
        "settings": {
            **settings.as_dict(),
            "student": student,
            "method": rollouts[0].trajectory.method,
        },
        "rollouts": len(rollouts),
        "samples": len(data.train),
        "validation_samples": len(data.validation),
        "too_long": data.too_long,
        "shortened": data.shortened,
        "tokens": data.tokens,
        "trained_tokens": data.trained_tokens,
        "median_length": lengths[len(lengths) // 2],
        "longest": data.longest,
        "steps": steps,
        "memory": memory(base, settings, len(longest.input_ids), trained),
    }


def print_plan(found: dict) -> None:
    for name, value in found["settings"].items():
        if value not in (None, ""):
            print(f"{name:18} {value}")
    print(
        f"\n{found['samples']} samples of {found['rollouts']} rollouts"
        + (f", {found['validation_samples']} more held out" if found["validation_samples"] else "")
        + (f"; {found['too_long']} left out, too long" if found["too_long"] else "")
        + (f"; {found['shortened']} shortened" if found["shortened"] else "")
    )
    print(
        f"{found['tokens']:,} tokens an epoch, {found['trained_tokens']:,} trained on; median length "
        f"{found['median_length']}, longest {found['longest']}"
    )
    print(f"{found['steps']} steps")
    needed = found["memory"]
    print(
        f"about {_size(needed['total'])} of memory: weights {_size(needed['weights'])}, {needed['trainable']:,} "
        f"trained numbers with their optimizer {_size(needed['trained'])}, activations {_size(needed['activations'])}"
    )


def _size(n: float) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"
