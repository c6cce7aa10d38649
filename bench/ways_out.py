"""The same student as an adapter, merged, and as GGUF behind llama.cpp: the same answers to the same problems.

    python -m bench.ways_out

llama.cpp's own Python binding serves the file where it is installed (`pip install llama-cpp-python[server]`);
elsewhere the file is read back by transformers. Each way is compared with the adapter in our engine: answers, every
word of every turn, and the tokens of every prompt.
"""

from __future__ import annotations

import argparse
import importlib.util
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.models import load_model, resolve
from agents.template import prompt_ids
from agents.weights import load_weights
from distill.evaluate import evaluate
from distill.export import QUANTIZATIONS, export, read_back
from distill.merge import merge
from distill.rollout import read_rollouts

from .common import write

BENCHMARKS = "sums,hops"
TOKENS = 112
"""Of a reply at most: as in the demo."""
CONTEXT = 4096
PLAIN = {"extra_body": {"repeat_penalty": 1.0}}
"""llama.cpp's server in Python makes tokens that were there before less likely, unless told not to."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", default="pocket")
    parser.add_argument("--problems", type=int, default=50, help="of each benchmark")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        adapter = _run(options.student, options, work / "adapter")
        measured = {"adapter": _compared(adapter, adapter)}
        merged = merge(options.student, work / "merged-weights")
        measured["merged"] = _compared(adapter, _run(str(merged), options, work / "merged"))
        for quantization in QUANTIZATIONS:
            file = export(options.student, work / f"gguf-{quantization}", quantization=quantization)
            found = _as_gguf(file, options, work / quantization)
            measured[f"gguf {quantization}"] = _compared(adapter, found)
            measured[f"gguf {quantization}"] |= _tokens(file, options.student, adapter)
    _print(measured)
    write("ways_out", {"student": options.student, "reader": reader(), "ways": measured})


def reader() -> str:
    return "llama.cpp" if importlib.util.find_spec("llama_cpp") else "transformers"


def _run(model: str, options, out: Path) -> list:
    started = time.monotonic()
    loaded = load_model(model, max_tokens=TOKENS, **(PLAIN if model.startswith("http") else {}))
    evaluate(BENCHMARKS, model, out, limit=options.problems, loaded=loaded)
    print(f"{out.name}: {time.monotonic() - started:.0f} s", flush=True)
    return sorted(read_rollouts(out), key=lambda rollout: rollout.problem.id)


def _as_gguf(file: Path, options, out: Path) -> list:
    if reader() == "llama.cpp":
        with served(file) as address:
            return _run(address, options, out)
    model, tokenizer = read_back(file)
    folder = file.parent / "read"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return _run(str(folder), options, out)


@contextmanager
def served(file: Path) -> Iterator[str]:
    """The file behind llama.cpp's OpenAI-compatible server on this machine; yields how to name the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--model", str(file), "--model_alias", "student", "--host", "127.0.0.1"]
    words += ["--port", str(port), "--n_ctx", str(CONTEXT), "--seed", "0"]
    server = subprocess.Popen(
        [sys.executable, "-m", "llama_cpp.server", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/v1"
        _await(f"{address}/models", server)
        yield f"{address}#student"
    finally:
        server.terminate()
        server.wait()


def _await(address: str, server: subprocess.Popen, patience: float = 60) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise ValueError(
        "llama_cpp.server did not start; `python -m llama_cpp.server --help` tells why."
    )


def _compared(ours: list, theirs: list) -> dict:
    """How many problems have the same answer, and how many the same words in every turn."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "problems": len(pairs),
        "same answers": sum(a.trajectory.answer == b.trajectory.answer for a, b in pairs),
        "same words": sum(a.trajectory.messages == b.trajectory.messages for a, b in pairs),
        "correct": sum(b.score == 1.0 for _, b in pairs),
        "failed": sum(b.trajectory.stop == "failed" for _, b in pairs),
    }


def _tokens(file: Path, student: str, rollouts: list) -> dict:
    """Of all prompts of the rollouts, how many are other tokens for the file's reader."""
    _, tokenizer = load_weights(resolve(student))
    reads = _reading(file)
    prompts = [
        [message.model_dump(include={"role", "content"}) for message in messages[:turn]]
        for messages in (rollout.trajectory.messages for rollout in rollouts)
        for turn, message in enumerate(messages)
        if message.role == "assistant"
    ]
    texts = [
        tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        for chat in prompts
    ]
    other = sum(
        reads(text) != list(prompt_ids(tokenizer, chat))
        for chat, text in zip(prompts, texts, strict=True)
    )
    return {"prompts": len(prompts), "other tokens": other}


def _reading(file: Path):
    if reader() == "transformers":
        _, tokenizer = read_back(file)
        return lambda text: tokenizer(text, add_special_tokens=False).input_ids
    from llama_cpp import Llama

    vocabulary = Llama(str(file), vocab_only=True, verbose=False)
    return lambda text: vocabulary.tokenize(text.encode(), add_bos=False, special=True)


def _print(measured: dict) -> None:
    names = list(next(reversed(measured.values())))
    print(f"\n{'':<12}" + "".join(f"{name:>14}" for name in names))
    for way, found in measured.items():
        print(f"{way:<12}" + "".join(f"{found.get(name, ''):>14}" for name in names))


if __name__ == "__main__":
    main()
