"""A self-consistent step: forked candidates and a vote on outcomes, beside the procedure of the paper's code.

    python -m bench.sag

The other procedure (bench/shared_state.py) runs the candidates one after the other in one live
interpreter, votes on printed text, and runs the winner again. Measured in turn in one run: the time of a
step of eight candidates, and of 300 steps whose majority is known, how many each decides rightly.
"""

from __future__ import annotations

import argparse
import random
import time

from smolagents import FinalAnswerTool
from smolagents.local_python_executor import LocalPythonExecutor
from smolagents.models import ChatMessage, MessageRole

from agents.answers import same_answer
from agents.sandbox import Limits, SandboxExecutor
from agents.student import Candidate, elect

from . import shared_state
from .common import in_turn, write

LOOP = "s = 0\nfor k in range(3000):\n    s += k * 2\nprint(s + {n} // 6)"
SEARCH_SECONDS = 0.02


def search(query: str) -> str:
    """A tool that takes as long as a small index does."""
    time.sleep(SEARCH_SECONDS)
    return f"what is known of {query}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=30, help="repetitions of each measurement")
    parser.add_argument("--steps", type=int, default=300, help="steps whose decision is known")
    options = parser.parse_args()
    tools = {"search": search, "final_answer": FinalAnswerTool()}
    sandbox = SandboxExecutor([], limits=Limits(run_calls=10**9))
    local = LocalPythonExecutor([])
    for executor in (sandbox, local):
        executor.send_tools(tools)
    steps = {
        "eight short candidates": [f"n = {n} // 6\nprint(n)" for n in range(8)],
        "eight loops of 3000": [LOOP.format(n=n) for n in range(8)],
        "eight that search alike": [f"n = {n} // 6\nprint(search('x'), n)" for n in range(8)],
    }
    measured: dict = {}
    print(f"{'a step, milliseconds, median':30}{'forked':>10}{'shared':>10}{'forked/shared':>15}")
    for name, codes in steps.items():
        found = in_turn(
            {"forked": lambda c=codes: forked(sandbox, c), "shared": lambda c=codes: shared_state.step(local, c)},
            options.times,
        )  # fmt: skip
        ratio = found["forked"] / found["shared"]
        measured[name] = {**{k: round(v, 3) for k, v in found.items()}, "ratio": round(ratio, 3)}
        print(f"{name:30}{found['forked']:10.1f}{found['shared']:10.1f}{ratio:15.2f}")
    measured["decided rightly"] = rightly = decisions(options.steps)
    print(f"of {options.steps} steps with a known majority, decided rightly: {rightly}")
    print(f"written to {write('sag', measured)}")


def forked(executor: SandboxExecutor, codes: list[str]):
    """One step: try all, elect, adopt."""
    distinct = list(dict.fromkeys(codes))
    known = dict(zip(distinct, executor.trials(distinct), strict=True))
    reply = ChatMessage(MessageRole.ASSISTANT, "")
    winner, _ = elect([Candidate(reply, code, known[code]) for code in codes], same_answer)
    return executor.adopt(winner.outcome)


def decisions(steps: int) -> dict[str, int]:
    """Five candidates say one thing and three another; a step is right if the five's is kept, with its effects."""
    rng = random.Random(0)
    right = {"forked": 0, "shared": 0}
    for _ in range(steps):
        start, good, bad = rng.randrange(100), rng.randrange(100), rng.randrange(100, 200)
        kind = rng.choice(("answer", "effect", "value"))
        codes = {
            "answer": lambda x: f"final_answer({x})",
            "effect": lambda x: f"n += {x}\nprint(n)",
            "value": lambda x: f"m = n + {x}",
        }[kind]
        # Spelt differently, as samples are.
        five = [f"{'pass' + chr(10) if i % 2 else ''}{codes(good)}  # {i}" for i in range(5)]
        three = [f"{codes(bad)}  # {i}" for i in range(3)]
        candidates = five + three
        rng.shuffle(candidates)
        wanted = {"answer": good, "effect": start + good, "value": start + good}[kind]
        for name, executor, decide in (
            ("forked", SandboxExecutor([]), forked),
            ("shared", LocalPythonExecutor([]), shared_state.step),
        ):
            executor.send_tools({"final_answer": FinalAnswerTool()})
            executor(f"n = {start}")
            result = decide(executor, candidates)
            got = executor("n").output if kind == "effect" else result.output
            right[name] += got == wanted
            if name == "forked":
                executor.cleanup()
    return right


if __name__ == "__main__":
    main()
