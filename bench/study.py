"""Write a made-up study as the folders of its runs, so that a report of the paper's extent can be tried.

    python -m bench.study --out runs/simulated

SIMULATED: outcomes come from a random generator, whose rates are invented; no model was run, and nothing
here says anything about one. Questions are invented too. What the report reads is as `evaluate` leaves it.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

from agents.agent import read_prompt
from agents.trajectory import Message, Step, Trajectory, Usage, Votes
from distill.problems import Problem, write_problems
from distill.rollout import Rollout, write_rollouts
from distill.run import run_folder

COUNTS = {
    "hotpotqa": 500, "bamboogle": 125, "musique": 500, "2wiki": 500,
    "math_500": 500, "gsm_hard": 500, "aime": 90, "olymmath": 200,
}  # fmt: skip
"""Problems of each benchmark."""
FACTUAL = ("hotpotqa", "bamboogle", "musique", "2wiki")
SIZES = {"0.5B": 494_032_768, "1.5B": 1_543_714_304, "3B": 3_085_938_688}
TEACHER = "32B", 32_763_876_352

# Invented rates: the share right of the largest student's agent, and what is added to its logit.
RIGHT = {
    "hotpotqa": 0.46, "bamboogle": 0.42, "musique": 0.20, "2wiki": 0.40,
    "math_500": 0.48, "gsm_hard": 0.52, "aime": 0.07, "olymmath": 0.10,
}  # fmt: skip
BY_SIZE = {"0.5B": -0.9, "1.5B": -0.4, "3B": 0.0, "32B": 0.9}
BY_METHOD = {"factual": {"cot": -0.9, "cot_rag": -0.2}, "math": {"cot": -0.4, "cot_rag": -0.5}}
BY_VOTE = 0.15
SHARED = 0.6
"""How much of a row's luck with a problem is the problem's difficulty, which all rows share (a correlation)."""

UNANSWERED = {
    "agent": {"none": 0.03, "parsing": 0.08, "execution": 0.07, "limit": 0.02, "steps": 0.08},
    "cot": {"none": 0.02, "steps": 0.08},
}
"""Of the wrong ones, the share that has no answer, by how that came."""
FAILED, MISSING = 0.002, 0.001
MAX_STEPS = 5


@dataclass(frozen=True)
class Way:
    """A row of the study; a folder."""

    size: str
    method: str
    samples: int = 1
    temperature: float | None = None

    @property
    def teacher(self) -> bool:
        return self.size == TEACHER[0]

    @property
    def model(self) -> str:
        return f"simulated-{self.size}" + ("" if self.teacher else f"-{self.method}")

    @property
    def folder(self) -> str:
        return self.model + ("-sag" if self.samples > 1 else "")


def write_study(
    out: Path,
    *,
    seed: int = 0,
    limit: int | None = None,
    counts: Mapping[str, int] = COUNTS,
    sizes: Iterable[str] = tuple(SIZES),
) -> list[Path]:
    """A folder for each row, the teacher's last; `limit` is the most problems of a benchmark.

    The first problem of the first row with an agent failed and its second was never run, whatever the seed.
    """
    problems = [
        make_problem(benchmark, i, seed)
        for benchmark, n in counts.items()
        for i in range(min(n, limit or n))
    ]
    ways = [way for size in sizes for way in _ways(size)]
    folders = []
    for way in [*ways, Way(TEACHER[0], "agent")]:
        marked = way == next(way for way in ways if way.method == "agent")
        folders.append(_write(out / way.folder, way, problems, seed, marked))
    return folders


def _ways(size: str) -> list[Way]:
    return [Way(size, "cot"), Way(size, "cot_rag"), Way(size, "agent"), Way(size, "agent", 8, 0.4)]


def _write(folder: Path, way: Way, problems: list[Problem], seed: int, marked: bool) -> Path:
    settings = {
        "problems": ",".join(dict.fromkeys(problem.benchmark for problem in problems)),
        "model": way.model,
        "method": way.method,
        "first_thought": None,
        "samples": way.samples,
        "sequential": False,
        "temperature": way.temperature,
        "max_tokens": None,
        "max_steps": MAX_STEPS,
        "tools": "wiki_search" if way.method == "agent" else None,
        "index": None,
        "prompt": "teacher" if way.teacher else None,
        "imports": "numpy.*,sympy.*",
        "limits": "",
        "unsafe_local": False,
        "seed": seed,
    }
    name = f"simulated {way.size}"
    about = {
        "name": name,
        "base": name,
        "parameters": TEACHER[1] if way.teacher else SIZES[way.size],
        "distilled": not way.teacher,
        "simulated": True,
    }
    notes = {"about": about, "asked": {"attempts": 1}}
    with run_folder(folder, "collect" if way.teacher else "evaluate", settings, notes=notes):
        write_problems(problems, folder / "problems.jsonl")
        write_rollouts(_rollouts(way, problems, seed, marked), folder)
    return folder


def _rollouts(way: Way, problems: list[Problem], seed: int, marked: bool) -> Iterator[Rollout]:
    for place, problem in enumerate(problems):
        rng = random.Random(f"{seed} {way.folder} {problem.id}")
        outcome = draw(way, problem, rng, seed)
        if marked and place < 2:
            outcome = ("failed", "missing")[place]
        if outcome != "missing":
            trajectory = make_trajectory(way, problem, outcome, rng)
            yield Rollout(
                problem=problem,
                attempt=0,
                trajectory=trajectory,
                score=float(outcome == "right"),
            )


def draw(way: Way, problem: Problem, rng: random.Random, seed: int) -> str:
    """How a rollout ends, as `distill.results.Outcome` names it."""
    chance = rng.random()
    if chance < FAILED + MISSING:
        return "failed" if chance < FAILED else "missing"
    difficulty = random.Random(f"{seed} difficulty {problem.id}").gauss()
    luck = math.sqrt(SHARED) * difficulty + math.sqrt(1 - SHARED) * rng.gauss()
    if luck < NormalDist().inv_cdf(share(way, problem)):
        return "right"
    chance = rng.random()
    for outcome, part in UNANSWERED["agent" if way.method == "agent" else "cot"].items():
        # Broken code is what smaller models write more of, and what a vote throws out.
        broken = outcome in ("parsing", "execution")
        part *= (1 - BY_SIZE[way.size]) * (0.4 if way.samples > 1 else 1.0) if broken else 1.0
        chance -= part
        if chance < 0:
            return outcome
    return "wrong"


def share(way: Way, problem: Problem) -> float:
    """The share right, of such problems, in the long run."""
    right = RIGHT[problem.benchmark]
    logit = math.log(right / (1 - right)) + BY_SIZE[way.size]
    logit += BY_METHOD[problem.kind].get(way.method, 0.0) + (BY_VOTE if way.samples > 1 else 0.0)
    return 1 / (1 + math.exp(-logit))


# Problems

SYLLABLES = (
    "ba bre cal dor el fen gar hul is jor kes lam mir nov or pel quen ras sul tam ul ven wor yl zan"
)
WORKS = ("the {} Bridge", "the {} Almanac", "the opera {}", "the {} Mill", "the {} Library")
DEEDS = ("founded", "designed", "restored", "first described")


def make_problem(benchmark: str, number: int, seed: int = 0) -> Problem:
    """An invented question in the manner of the benchmark, with its answer."""
    rng = random.Random(f"{seed} {benchmark} {number}")
    factual = benchmark in FACTUAL
    make = _fact if factual else _story if benchmark == "gsm_hard" else _count_pairs
    if benchmark == "math_500":
        make = _sum_of_remainders
    question, answer = make(rng)
    return Problem(
        id=f"{benchmark}-{number}",
        question=question,
        answers=(answer,),
        benchmark=benchmark,
        kind="factual" if factual else "math",
    )


def _name(rng: random.Random, syllables: int = 2) -> str:
    return "".join(rng.choice(SYLLABLES.split()) for _ in range(syllables)).capitalize()


def _person(rng: random.Random) -> str:
    return f"{_name(rng)} {_name(rng, 3)}"


def _fact(rng: random.Random) -> tuple[str, str]:
    work, deed = rng.choice(WORKS).format(_name(rng, 3)), rng.choice(DEEDS)
    if rng.random() < 0.5:
        return f"In which town was the person who {deed} {work} born?", f"{_name(rng, 3)} Harbour"
    return f"Who taught the person who {deed} {work}?", _person(rng)


def _story(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randrange(10**4, 10**7), rng.randrange(12, 900)
    c = rng.randrange(10**4, 10**5)
    question = (
        f"{_name(rng)} keeps {a} crates with {b} tiles in each, and {c} of all tiles break. "
        "How many tiles are whole?"
    )
    return question, str(a * b - c)


def _sum_of_remainders(rng: random.Random) -> tuple[str, str]:
    n, m = rng.randrange(200, 5000), rng.randrange(5, 40)
    r = rng.randrange(1, m)
    question = f"Add up all whole numbers from 1 to {n} that leave {r} when divided by {m}."
    return question, str(sum(range(r, n + 1, m)))


def _count_pairs(rng: random.Random) -> tuple[str, str]:
    n, m = rng.randrange(300, 3000), rng.randrange(7, 60)
    with_rest = [len(range(r or m, n + 1, m)) for r in range(m)]
    # (x, y) and (y, x) are both counted, and x = y where 2x is divisible.
    ordered = sum(with_rest[r] * with_rest[-r % m] for r in range(m))
    doubled = sum(with_rest[r] for r in range(m) if 2 * r % m == 0)
    question = f"How many pairs 1 ≤ x < y ≤ {n} of whole numbers have a sum that {m} divides?"
    return question, str((ordered - doubled) // 2)


def _wrong(problem: Problem, rng: random.Random) -> str:
    """Another answer; of names often one that shares a word with the right one."""
    [gold] = problem.answers
    if problem.kind == "math":
        return str(int(gold) + rng.choice((-1, 1)) * rng.choice((1, 2, 10, 36, 1000)))
    first, last = gold.split()
    return f"{first} {_name(rng, 4)}" if rng.random() < 0.3 else f"{_name(rng, 4)} {last}"


# Trajectories

SENTENCES = (
    "{0} is first mentioned in {2}, in a letter of {1} that was found long after.",
    "What is known of {0} goes back to {1}, who lived nearby until {2}.",
    "In {2} a fire destroyed part of it, and {1} paid for what had to be built anew.",
    "A painting by {1} shows {0} as it was in {2}.",
    "It was described by {1} in a book of {2} that is still read.",
    "After {2} it belonged to the heirs of {1}.",
)
ASIDES = {
    "factual": (
        "The question has two parts.",
        "I need the first name before I can ask for the second.",
        "What is asked for is a name, so I look for one.",
        "Other articles may be called alike, so I read closely.",
    ),
    "math": (
        "The numbers are large, so I am careful.",
        "A small case would show the pattern, but here I can go through all of them.",
        "What is asked for is one number.",
        "I let Python do this part.",
    ),
}
SYSTEM = (
    "Solve the task with Python code. In each step write a thought, then code between <code> and </code>. "
    "You are then shown what it printed.\nTools:\n"
    "wiki_search(query): Look up articles of an encyclopedia; shows the passages that fit best."
)
UNCLOSED = "Thought: I write it out.\n<code>\nprint((1 + 2\n</code>"
PARSING = (
    "Error:\nCode parsing failed on line 1 due to: SyntaxError: '(' was never closed\nNow let's retry: take "
    "care not to repeat previous errors!"
)
UNKNOWN = "Thought: I take the total.\n<code>\nprint(total)\n</code>"
EXECUTION = "Error:\nInterpreterError: The variable `total` is not defined."
ENDLESS = "Thought: I try them all.\n<code>\nwhile True:\n    n += 1\n</code>"
LIMIT = "Error:\nThe limit of 30 seconds for an action is reached."
BROKEN = {
    "parsing": (UNCLOSED, PARSING),
    "execution": (UNKNOWN, EXECUTION),
    "limit": (ENDLESS, LIMIT),
}


def make_trajectory(way: Way, problem: Problem, outcome: str, rng: random.Random) -> Trajectory:
    """What a run that ended so might have looked like."""
    answer = {"right": problem.answers[0], "none": ""}.get(outcome)
    if outcome == "wrong":
        answer = _wrong(problem, rng)
    write = _agent if way.method == "agent" else _thinker
    messages, steps = write(way, problem, outcome, answer, rng)
    turns = len(steps)
    written = sum(len(m.content) for m in messages if m.role == "assistant") / 4
    sampled = [step.votes.sampled for step in steps if step.votes]
    candidates = sum(sampled) / len(sampled) if sampled else 1
    output = round(written * candidates * rng.lognormvariate(0.4, 0.3))
    shown = sum(len(m.content) for m in messages) / 4
    return Trajectory(
        question=problem.question,
        messages=messages,
        answer=answer,
        stop="failed" if outcome == "failed" else "max_steps" if answer is None else "answered",
        error="ConnectionError: the simulated server is gone" if outcome == "failed" else None,
        model=way.model,
        method=way.method,
        samples=way.samples,
        temperature=way.temperature,
        tools=("wiki_search",) if way.method == "agent" else (),
        usage=Usage(
            input_tokens=round(shown * max(1, turns) * 0.7),
            output_tokens=output,
            requests=turns,
        ),
        seconds=round(0.3 + output / 60, 3),
        steps=steps,
    )


def _thinker(way: Way, problem: Problem, outcome: str, answer: str | None, rng: random.Random):
    text = problem.question
    if way.method == "cot_rag":
        text += f"\nPassages that may help:\n{_passages(problem, rng)}"
    messages = [
        Message(role="system", content=read_prompt("cot")),
        Message(role="user", content=text),
    ]
    if outcome == "failed":
        return tuple(messages), ()
    thought = f"I take the parts one after the other. {_aside(problem, rng)}\n\n"
    if answer is None:
        thought += "That gives " + ", and that gives ".join(_name(rng) for _ in range(60))
    else:
        thought += f"So it is {answer or 'not known'}.\n<answer>{answer}</answer>"
    messages.append(Message(role="assistant", content=thought))
    end = "length" if answer is None else "stop"
    return tuple(messages), (
        Step(message=2, finish_reason=end, seconds=round(rng.uniform(1, 4), 3)),
    )


def _agent(way: Way, problem: Problem, outcome: str, answer: str | None, rng: random.Random):
    """Look-ups or sums, perhaps a mistake on the way, and the answer, or steps until there are no more."""
    messages = [
        Message(role="system", content=SYSTEM),
        Message(role="user", content=f"New task:\n{problem.question}"),
    ]
    if outcome == "failed":
        return tuple(messages), ()
    work = 2 if problem.kind == "factual" else 1
    turns = [_work(problem, i, answer, rng) for i in range(work)]
    if rng.random() < 0.15:
        kind = rng.choice(("parsing", "execution"))
        turns.insert(rng.randrange(work + 1), (*BROKEN[kind], kind))
    if answer is None:
        last = (*BROKEN[outcome], outcome) if outcome in BROKEN else None
        while len(turns) < MAX_STEPS:
            turns.append(_work(problem, len(turns), None, rng))
        turns = [*turns[: MAX_STEPS - 1], last or turns[-1]]
    else:
        value = answer if problem.kind == "math" and answer else repr(answer)
        final = f"Thought: That answers it.\n<code>\nfinal_answer({value})\n</code>"
        turns.append((final, "", None))
    steps = []
    for written, observed, mistake in turns:
        messages.append(Message(role="assistant", content=written))
        error = "execution" if mistake == "limit" else mistake
        steps.append(
            Step(
                message=len(messages) - 1,
                finish_reason="stop",
                error=error,
                seconds=30.0 if mistake == "limit" else round(rng.uniform(0.4, 2.5), 3),
                limit="seconds" if mistake == "limit" else None,
                votes=_votes(way, outcome, error, rng) if way.samples > 1 else None,
            )
        )
        messages.append(Message(role="user", content=observed))
    return tuple(messages[:-1]), tuple(steps)  # nothing is shown after the last


def _work(problem: Problem, turn: int, answer: str | None, rng: random.Random):
    """A step that runs: what is written, what is shown, and no mistake."""
    if problem.kind == "factual":
        query = _asked(problem) + (", birth and teachers" if turn else "")
        written = f"Thought: {_aside(problem, rng)} I look it up.\n<code>\nprint(wiki_search({query!r}))\n</code>"
        printed = _passages(problem, rng, answer)
    else:
        # What it computes is not the problem: only the number at the end counts here.
        value = int(answer) if answer else rng.randrange(10**6)
        part = rng.randrange(2, 10**4)
        code = f"part = {part}\nprint(part + {value - part})"
        written = f"Thought: {_aside(problem, rng)} I compute it.\n<code>\n{code}\n</code>"
        printed = str(value)
    observed = f"Observation:\nExecution logs:\n{printed}\nLast output from code snippet:\nNone"
    return written, observed, None


def _votes(way: Way, outcome: str, error: str | None, rng: random.Random) -> Votes:
    """Surer where the run ends well; sampling stops where the vote is decided."""
    sure = 0.85 if outcome == "right" else 0.55
    agree = 1 + sum(rng.random() < sure for _ in range(way.samples - 1))
    sampled = way.samples if agree < way.samples - 1 else way.samples // 2
    agree = min(agree, sampled)
    if error:
        parsed = 0 if error == "parsing" else sampled
        return Votes(sampled=sampled, parsed=parsed, executed=0, votes=0, distinct=0)
    executed = rng.randint(agree, sampled)
    distinct = 1 + (rng.randint(1, executed - agree) if executed > agree else 0)
    return Votes(
        sampled=sampled,
        parsed=rng.randint(executed, sampled),
        executed=executed,
        votes=agree,
        distinct=distinct,
        agreement=round(agree / sampled, 4),
    )


def _passages(problem: Problem, rng: random.Random, answer: str | None = None) -> str:
    """Three invented articles: of what is asked about, one that names the answer where it is given, another."""
    titles = [_subject(problem) or _name(rng, 3), _name(rng, 3), _name(rng, 3)]
    lines = []
    for number, title in enumerate(titles, 1):
        sentences = [
            rng.choice(SENTENCES).format(title, _person(rng), rng.randrange(1700, 1990))
            for _ in range(4)
        ]
        if number == 2 and answer:
            sentences.insert(2, f"Of those born or taught there, {answer} is best known.")
        lines.append(f"[{number}] {title}: {' '.join(sentences)}")
    return "\n".join(lines)


def _asked(problem: Problem) -> str:
    """ "founded the Venmir Mill": of a factual question, the part that is looked up first."""
    return problem.question.rstrip("?").removesuffix(" born").rpartition(" who ")[2]


def _subject(problem: Problem) -> str | None:
    if problem.kind == "math":
        return None
    asked = _asked(problem)
    return next(asked.removeprefix(deed).strip() for deed in DEEDS if asked.startswith(deed))


def _aside(problem: Problem, rng: random.Random) -> str:
    return " ".join(rng.sample(ASIDES[problem.kind], 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/simulated"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="problems of a benchmark, at most")
    options = parser.parse_args()
    folders = write_study(options.out, seed=options.seed, limit=options.limit)
    *students, teacher = folders
    print(
        "python -m distill report", *students, "--teacher", teacher, "--out", options.out / "report"
    )


if __name__ == "__main__":
    main()
