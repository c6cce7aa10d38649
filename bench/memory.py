"""How well a student answers a question that follows others it remembers, beside the same questions asked afresh.

    python -m bench.memory

The pocket student is trained on single questions, as all students are here: the page forgets by default.
"""

from __future__ import annotations

import argparse
import random
from concurrent.futures import ThreadPoolExecutor

import tools
from agents import load_model, make_agent
from agents.chat.conversation import Conversation
from distill.benchmarks import load
from distill.scoring import score
from tools.retrieval import LexicalIndex

from .common import write

TURNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--chats", type=int, default=40, help="of three questions each")
    options = parser.parse_args()
    model = load_model(options.model)
    source = load("sums,hops", seed=0, limit=-(-options.chats * TURNS // 2))
    problems = list(source.problems)
    random.Random(0).shuffle(problems)
    search = tools.load("wiki_search", index=LexicalIndex.build(source.passages()))

    def chat(at: int, remembers: bool) -> list[float]:
        talk = Conversation(lambda: make_agent(model, [search]), remembers=remembers)
        scores = []
        for problem in problems[at * TURNS : (at + 1) * TURNS]:
            *_, trajectory = talk.ask(problem.question)
            scores.append(score(problem, trajectory.answer))
        talk.close()
        return scores

    right = {}
    with ThreadPoolExecutor(8) as pool:
        for name, remembers in (("remembered", True), ("afresh", False)):
            chats = list(pool.map(lambda at, r=remembers: chat(at, r), range(options.chats)))
            right[name] = [sum(scores[turn] for scores in chats) for turn in range(TURNS)]
            for turn, n in enumerate(right[name], 1):
                print(f"{name:12} question {turn}: {n:.0f} of {options.chats} right")
    write("memory", {"model": options.model, "chats": options.chats, "right": right})


if __name__ == "__main__":
    main()
