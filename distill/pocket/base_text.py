"""Plain text for the tiny base model: short chats that teach reading, copying, writing and calling.

Every task is an ordinary one ("Repeat: …", "Write Python code for this: …", a question about a few
articles). There is no agent turn, no `<code>` block inside a thought, no tool conversation: a base model
brings skills, and how to be an agent is what distillation adds. All names and questions are drawn from
the training side of the split.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from . import hops, sums

Chat = list[tuple[str, str]]
SYSTEM = ("system", "You are a helpful assistant.")
TAGS = ["code", "answer", "note", "b", "i", "result", "thought", "list", "final", "step"]
FUNCTIONS = [
    "final_answer",
    "wiki_search",
    "print",
    "search",
    "len",
    "abs",
    "str",
    "open",
    "call",
    "run",
]
LINES = (
    "Execution logs:",
    "Last output from code snippet:",
    "Observation:",
    "Thought:",
    "New task:",
    "Error:",
    "None",
    "Document not found.",
    "You solve tasks step by step by writing Python code.",
    "Give your final answer between tags.",
    "Now let's retry: take care not to repeat previous errors!",
    "Code execution failed at line 'print(x)' due to: InterpreterError: The variable `x` is not defined.",
    "Error in code parsing: Your code snippet is invalid, because the regex pattern was not found in it.",
    "def search(query: str) -> str: look up articles by name",
    "Args: query: the name to look up; answer: the final answer to the question",
    "Passages that may help:",
    "Think step by step, then answer.",
    "State variables stay between steps. Use print() to see a value.",
)


def base_chat(rng: random.Random) -> Chat:
    """One training conversation, as (role, content) pairs."""
    task = rng.choices([t for t, _ in _TASKS], [w for _, w in _TASKS])[0]
    return [SYSTEM, *task(rng)] if rng.random() < 0.5 else task(rng)


def skill_chat(rng: random.Random, skill: str, test: bool = True) -> Chat:
    """A conversation of one skill, on names and questions never trained on: what `make_base` watches."""
    return SKILLS[skill](rng, test)


def repeat(rng: random.Random, test: bool = False) -> Chat:
    def piece() -> str:
        kind = rng.random()
        if kind < 0.5:
            return str(sums.number(rng, 12))
        if kind < 0.8:
            return _thing(rng, test)
        return rng.choice(LINES)

    text = " ".join(piece() for _ in range(rng.randint(1, 4)))
    return [("user", f"Repeat: {text}"), ("assistant", text)]


def read(rng: random.Random, test: bool = False) -> Chat:
    """Several questions about the same one to three articles."""
    articles, _ = _articles(rng, test)
    chat = []
    for turn in range(1 if test else rng.randint(2, 5)):
        entry = rng.choice(articles)
        relation = rng.choice(hops.OF_KIND[entry.kind])
        question = hops.ask(entry.title, (relation,))
        chat.append(("user", f"{_show(articles, rng)}\n{question}" if turn == 0 else question))
        chat.append(("assistant", hops.state(relation, entry.title, entry.facts[relation])))
    return chat


def reduce_(rng: random.Random, test: bool = False) -> Chat:
    """Put a fact into a question: what is left to ask, or the answer."""
    hop = hops.make_hop(rng, _encyclopedia(rng, test), rng.randint(1, 3))
    fact = hops.state(hop.relations[0], hop.entity, hop.values[0])
    if len(hop.relations) > 1:
        reply = f"So: {hops.ask(hop.values[0], hop.relations[1:])}"
    else:
        reply = f"The answer is {hop.answer}."
    return [("user", f"Question: {hop.question}\nFact: {fact}"), ("assistant", reply)]


def read_and_reduce(rng: random.Random, test: bool = False) -> Chat:
    """A nested question and articles that hold its first step: say the step and what is left to ask."""
    articles, encyclopedia = _articles(rng, test)
    while True:
        hop = hops.make_hop(rng, encyclopedia, rng.randint(1, 3))
        if hop.entity in {entry.title for entry in articles}:
            break
    reply = hops.state(hop.relations[0], hop.entity, hop.values[0])
    if len(hop.relations) > 1:
        reply += f" So: {hops.ask(hop.values[0], hop.relations[1:])}"
    if rng.random() < 0.5:
        return [("user", f"Question: {hop.question}\n{_show(articles, rng)}"), ("assistant", reply)]
    return [("user", f"{_show(articles, rng)}\nQuestion: {hop.question}"), ("assistant", reply)]


def plan(rng: random.Random, test: bool = False) -> Chat:
    if rng.random() < 0.5:
        problem = hops.make_hop(rng, _encyclopedia(rng, test), rng.randint(1, 3))
    else:
        problem = sums.make_sum(rng, rng.randint(1, 3), test)
    return [("user", f"How would you go about it? {problem.question}"), ("assistant", problem.plan)]


def write_code(rng: random.Random, test: bool = False) -> Chat:
    problem = sums.make_sum(rng, rng.randint(1, 3), test)
    return [
        ("user", f"Write Python code for this: {problem.question}"),
        ("assistant", f"```py\n{problem.code}\n```"),
    ]


def tag(rng: random.Random, test: bool = False) -> Chat:
    name, x = rng.choice(TAGS), _value(rng, test)
    return [("user", f"Put {x} into the tag {name}."), ("assistant", f"<{name}>\n{x}\n</{name}>")]


def call(rng: random.Random, test: bool = False) -> Chat:
    name, x = rng.choice(FUNCTIONS), _value(rng, test)
    argument = x if x.isdigit() else f'"{x}"'
    if rng.random() < 0.5:
        return [("user", f"Call {name} with {x}."), ("assistant", f"{name}({argument})")]
    return [
        ("user", f"Print the result of {name} called with {x}."),
        ("assistant", f"print({name}({argument}))"),
    ]


def logs(rng: random.Random, test: bool = False) -> Chat:
    x = str(sums.number(rng, 12))
    text = f"Execution logs:\n{x}\nLast output from code snippet:\nNone\nWhat was printed?"
    return [("user", text), ("assistant", f"The result is {x}.")]


def small_sum(rng: random.Random, test: bool = False) -> Chat:
    a, b = sums.number(rng, 2), sums.number(rng, 2)
    sign = rng.choice("+-*") if max(a, b) < 10 else rng.choice("+-")
    a, b = max(a, b), min(a, b)
    value = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return [("user", f"What is {a} {sign} {b}?"), ("assistant", f"{a} {sign} {b} = {value}.")]


def greet(rng: random.Random, test: bool = False) -> Chat:
    hello = rng.choice(["Hello!", "Hi there.", "Good morning.", "Thanks!", "Who are you?"])
    reply = (
        "I am a small language model." if hello == "Who are you?" else "Hello! How can I help you?"
    )
    return [("user", hello), ("assistant", reply)]


SKILLS: dict[str, Callable[..., Chat]] = {
    "repeat": repeat,
    "read": read,
    "reduce": reduce_,
    "read_and_reduce": read_and_reduce,
    "plan": plan,
    "write_code": write_code,
    "tag": tag,
    "call": call,
    "logs": logs,
}
_TASKS = (
    (repeat, 10),
    (read, 26),
    (reduce_, 10),
    (read_and_reduce, 20),
    (plan, 6),
    (write_code, 10),
    (tag, 4),
    (call, 6),
    (logs, 4),
    (small_sum, 3),
    (greet, 1),
)


def _encyclopedia(rng: random.Random, test: bool) -> list[hops.Entry]:
    return hops.make_entries(rng, test, people=5, towns=3, books=3)


def _articles(rng: random.Random, test: bool) -> tuple[list[hops.Entry], list[hops.Entry]]:
    """One to three articles of a small encyclopedia, and all of it."""
    encyclopedia = _encyclopedia(rng, test)
    return rng.sample(encyclopedia, rng.choice([1, 2, 3, 3])), encyclopedia


def _show(articles: list[hops.Entry], rng: random.Random) -> str:
    if rng.random() < 0.3:
        return "\n".join(entry.text for entry in articles)
    text = "\n".join(f"[{i}] {entry.title}: {entry.text}" for i, entry in enumerate(articles, 1))
    if rng.random() < 0.5:
        return f"Execution logs:\n{text}\nLast output from code snippet:\nNone"
    return text


def _thing(rng: random.Random, test: bool) -> str:
    entry = rng.choice(_encyclopedia(rng, test))
    return rng.choice([entry.title, *entry.facts.values()])


def _value(rng: random.Random, test: bool) -> str:
    return str(sums.number(rng, 12)) if rng.random() < 0.4 else _thing(rng, test)
