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
SYSTEMS = (
    "You are a helpful assistant.",
    "You answer questions.",
    "Be brief and exact.",
    "Do the task with care.",
)
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
    kind = rng.random()
    if kind < 0.3:
        return task(rng)
    # Some system prompts are long and say nothing to the point, as in life.
    lines = (
        [rng.choice(SYSTEMS)]
        if kind < 0.6
        else rng.choices([*SYSTEMS, *LINES], k=rng.randint(2, 6))
    )
    return [("system", "\n".join(lines)), *task(rng)]


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
    hop = hops.make_hop(rng, _encyclopedia(rng, test), rng.randint(1, 4))
    fact = hops.state(hop.relations[0], hop.entity, hop.values[0])
    if len(hop.relations) > 1:
        reply = f"So: {hops.ask(hop.values[0], hop.relations[1:], mark=True)}"
    else:
        reply = f"The answer is {hop.answer}."
    return [("user", f"Question: {_question(hop, rng)}\nFact: {fact}"), ("assistant", reply)]


def read_and_reduce(rng: random.Random, test: bool = False) -> Chat:
    """A nested question and articles that hold its first step: say the step and what is left to ask."""
    return follow(rng, test, turns=1)


def follow(rng: random.Random, test: bool = False, turns: int = 4) -> Chat:
    """The same question over several turns, each bringing the articles of its next step."""
    encyclopedia = _encyclopedia(rng, test)
    hop = hops.make_hop(rng, encyclopedia, rng.randint(1, 4))
    chat, x = [], hop.entity
    for i, value in enumerate(hop.values[:turns]):
        articles = _show(_around(x, encyclopedia, rng), rng)
        if i == 0:
            parts = [f"Question: {_question(hop, rng)}", articles]
            articles = "\n".join(parts if rng.random() < 0.7 else parts[::-1])
        reply = hops.state(hop.relations[i], x, value)
        if left := hop.relations[i + 1 :]:
            reply += f" So: {hops.ask(value, left, mark=True)}"
        chat += [("user", articles), ("assistant", reply)]
        x = value
    return chat


def plan(rng: random.Random, test: bool = False) -> Chat:
    if rng.random() < 0.5:
        problem = hops.make_hop(rng, _encyclopedia(rng, test), rng.randint(1, 4))
    else:
        problem = sums.make_sum(rng, rng.randint(1, 4), test)
    return [("user", f"How would you go about it? {problem.question}"), ("assistant", problem.plan)]


def write_code(rng: random.Random, test: bool = False) -> Chat:
    problem = sums.make_sum(rng, rng.randint(1, 4), test)
    kind, name = rng.random(), rng.choice(TAGS)
    if kind < 0.4:
        return [
            ("user", f"Write Python code for this: {problem.question}"),
            ("assistant", f"```py\n{problem.code}\n```"),
        ]
    if kind < 0.6:
        return [
            ("user", f"{problem.question}\nAs Python code, please."),
            ("assistant", problem.code),
        ]
    return [
        ("user", f"Put Python code for this into the tag {name}: {problem.question}"),
        ("assistant", f"<{name}>\n{problem.code}\n</{name}>"),
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
    "follow": follow,
    "plan": plan,
    "write_code": write_code,
    "tag": tag,
    "call": call,
    "logs": logs,
}
_TASKS = (
    (repeat, 6),
    (read, 20),
    (reduce_, 6),
    (read_and_reduce, 12),
    (follow, 22),
    (plan, 7),
    (write_code, 14),
    (tag, 3),
    (call, 5),
    (logs, 3),
    (small_sum, 2),
    (greet, 1),
)


def _encyclopedia(rng: random.Random, test: bool) -> list[hops.Entry]:
    return hops.make_entries(rng, test, people=5, towns=3, books=3)


def _articles(rng: random.Random, test: bool) -> tuple[list[hops.Entry], list[hops.Entry]]:
    """One to three articles of a small encyclopedia, and all of it."""
    encyclopedia = _encyclopedia(rng, test)
    return rng.sample(encyclopedia, rng.choice([1, 2, 3, 3])), encyclopedia


def _around(title: str, encyclopedia: list[hops.Entry], rng: random.Random) -> list[hops.Entry]:
    """The article of that title and none to two others; it often comes first, as a search would show it."""
    found = next(entry for entry in encyclopedia if entry.title == title)
    others = rng.sample(
        [entry for entry in encyclopedia if entry is not found], rng.choice([0, 1, 2, 2, 2])
    )
    others.insert(0 if rng.random() < 0.6 else rng.randint(0, len(others)), found)
    return others


def _question(hop: hops.Hop, rng: random.Random) -> str:
    return hops.ask(hop.entity, hop.relations, mark=rng.random() < 0.5)


def _show(articles: list[hops.Entry], rng: random.Random) -> str:
    if rng.random() < 0.3:
        return "\n".join(entry.text for entry in articles)
    text = "\n".join(f"[{i}] {entry.title}: {entry.text}" for i, entry in enumerate(articles, 1))
    if rng.random() < 0.5:
        head = "Observation:\n" if rng.random() < 0.5 else ""
        return f"{head}Execution logs:\n{text}\nLast output from code snippet:\nNone"
    return text


def _thing(rng: random.Random, test: bool) -> str:
    entry = rng.choice(_encyclopedia(rng, test))
    return rng.choice([entry.title, *entry.facts.values()])


def _value(rng: random.Random, test: bool) -> str:
    return str(sums.number(rng, 12)) if rng.random() < 0.4 else _thing(rng, test)
