"""Take over trajectories that were collected elsewhere, as a run's folder that `filter` and `train` work on."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from agents import Trajectory, Usage
from agents.answers import as_number
from agents.dialect import dialect

from .conversations import FORMATS, Conversation, UnusableError, read_conversation
from .identity import identity
from .problems import PUBLISHED, Problem, explain, read_problems, write_problems
from .progress import progress
from .rollout import EXACT, Rollout, write_rollouts
from .run import digest, run_folder, write_json
from .runs import PROBLEMS
from .scoring import score
from .sources import Source, open_source, rows

GIVEN = "given"
"""The scorer of a row that came with its score."""
UNKNOWN = "(no gold answer was given)"
"""The answer of a problem that came with none: nothing is right by it."""
SHOWN = 3
"""Places that are named per reason."""


@dataclass
class Adopted:
    """What came of an import."""

    source: str
    rows: int = 0
    rollouts: int = 0
    problems: int = 0
    tags: str | None = None
    methods: dict[str, int] = field(default_factory=dict)
    scored: int = 0
    """By the scorer here."""
    given: int = 0
    """Scores that came with the rows."""
    unscored: int = 0
    unanswered: int = 0
    """Answered, but with what cannot be told from the row."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Places per reason."""
    passed_over: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """What a caller should know, one thing a line."""
        told = [
            f"{self.rollouts} of {self.rows} rows of {self.source} are rollouts now, of {self.problems} problems."
        ]
        if self.tags:
            told.append(f"They mark code with {_opening(self.tags)} (--tags {self.tags}).")
        for reason, places in sorted(self.left_out.items(), key=lambda item: -len(item[1])):
            more = ", …" if len(places) > SHOWN else ""
            told.append(f"{len(places)} left out: {reason} ({'; '.join(places[:SHOWN])}{more}).")
        if self.unscored:
            told.append(
                f"{self.unscored} have neither a score nor a gold answer to score by: `filter --policy answered` "
                "keeps them, or give the gold answers with --problems."
            )
        if self.unanswered:
            told.append(f"{self.unanswered} do not tell what they answered; filter drops them.")
        if self.passed_over:
            told.append(f"Not read, as of other splits: {', '.join(self.passed_over)}.")
        return told


def adopt(
    source: str,
    out: Path,
    *,
    format: str = "auto",
    problems: str | None = None,
    tags: str | None = None,
    limit: int | None = None,
    force: bool = False,
) -> Adopted:
    """Write the conversations of a file, folder or Hub dataset into `out` as rollouts; the folder is written anew.

    format: "messages", "sharegpt" or "paper" (distill/conversations.py); "auto" tells by each row's keys.
    problems: a problems file with the gold answers, found by the question. tags: only rows written in this
    dialect. Rows that are no conversation to learn from are left out and counted by reason in `import.json`.
    Raises ValueError for a caller's mistake, where no row is of use, and where rows of several tags are mixed.
    """
    if format not in ("auto", *FORMATS):
        raise ValueError(f"No format {format!r}; there are: auto, {', '.join(FORMATS)}.")
    if tags:
        dialect(tags)
    if limit is not None and limit < 1:
        raise ValueError("limit starts at 1.")
    known = _by_question(problems) if problems else {}
    found = open_source(source)
    settings = {
        "source": digest(source) if Path(source).is_file() else found.name,
        "format": format,
        "problems": digest(problems) if problems else None,
        "tags": tags,
        "limit": limit,
    }
    adopted = Adopted(found.name, passed_over=found.passed_over)
    conversations = _read(found, format, tags, limit, adopted)
    rollouts = _rollouts(conversations, known, found, adopted)
    if not rollouts:
        raise ValueError(" ".join(adopted.sentences()))
    asked = list(dict.fromkeys(r.problem for r in rollouts))
    attempts = max(r.attempt for r in rollouts) + 1
    models = Counter(r.trajectory.model for r in rollouts)
    notes = {
        "about": identity(models.most_common(1)[0][0]),
        "asked": {"attempts": attempts, "problems": len(asked)},
    }
    adopted.rollouts, adopted.problems = len(rollouts), len(asked)
    adopted.methods = dict(Counter(r.trajectory.method for r in rollouts))
    adopted.tags = next(
        (r.trajectory.tags for r in rollouts if r.trajectory.method == "agent"), None
    )
    with run_folder(out, "import", settings, force=force, notes=notes):
        write_problems(asked, out / PROBLEMS)
        write_rollouts(rollouts, out)
        write_json(out / "import.json", vars(adopted))
    return adopted


def _read(
    source: Source, format: str, tags: str | None, limit: int | None, adopted: Adopted
) -> list[tuple[str, Conversation]]:
    """The conversations with their places; of one dialect, or ValueError."""
    left_out: dict[str, list[str]] = defaultdict(list)
    read = []
    for place, row in islice(rows(source), limit):
        adopted.rows += 1
        try:
            if isinstance(row, ValueError):
                raise UnusableError(str(row))
            conversation = read_conversation(row, format)
            if tags and conversation.method == "agent" and conversation.tags != tags:
                raise UnusableError(f"it is written with {_opening(conversation.tags)} tags")
        except UnusableError as error:
            left_out[str(error)].append(place)
        except RecursionError:
            left_out["it is nested too deeply"].append(place)
        else:
            read.append((place, conversation))
    adopted.left_out = left_out
    counts = Counter(c.tags for _, c in read if c.method == "agent")
    if len(counts) > 1:
        told = " and ".join(
            f"{n} rows with {_opening(name)} tags" for name, n in counts.most_common()
        )
        raise ValueError(
            f"{source.name} holds {told}; a student learns one kind: take --tags {counts.most_common(1)[0][0]}, and the "
            "others into a folder of their own."
        )
    return read


def _rollouts(
    read: list[tuple[str, Conversation]],
    known: dict[str, Problem],
    source: Source,
    adopted: Adopted,
) -> list[Rollout]:
    problems = _problems(read, known, adopted)
    attempts: Counter = Counter()
    made = []
    with progress("import", len(read)) as advance:
        for _, conversation in read:
            advance()
            problem = problems.get(_key(conversation))
            if problem is None:
                continue
            right, scorer = _scored(conversation, problem, adopted)
            made.append(
                Rollout(
                    problem=problem,
                    attempt=attempts[problem.key],
                    trajectory=_trajectory(conversation, source),
                    score=right,
                    scorer=scorer,
                )
            )
            attempts[problem.key] += 1
    return made


def _problems(
    read: list[tuple[str, Conversation]], known: dict[str, Problem], adopted: Adopted
) -> dict[tuple, Problem]:
    """The problem of every conversation; one for those of one question, which are attempts at it."""
    problems: dict[tuple, Problem] = {}
    taken: set[tuple[str, str]] = set()
    # Those first that tell what is right.
    for place, conversation in sorted(read, key=lambda item: not item[1].gold):
        key = _key(conversation)
        if key in problems:
            continue
        try:
            problem = known.get(_plain(conversation.question)) or _problem(conversation, taken)
        except ValidationError as error:
            adopted.left_out.setdefault(f"it is no problem: {explain(error)}", []).append(place)
            continue
        problems[key] = problem
        taken.add(problem.key)
    return problems


def _key(conversation: Conversation) -> tuple:
    return conversation.benchmark, _plain(conversation.question)


def _scored(
    conversation: Conversation, problem: Problem, adopted: Adopted
) -> tuple[float | None, str]:
    """The score that came with it, else the scorer's; None where there is nothing to score by."""
    if not conversation.answered:
        return 0.0, EXACT
    adopted.unanswered += conversation.answer is None
    if conversation.score is not None:
        adopted.given += 1
        return conversation.score, GIVEN
    if UNKNOWN in problem.answers:
        adopted.unscored += 1
        return None, EXACT
    adopted.scored += 1
    return score(problem, conversation.answer), EXACT


def _trajectory(conversation: Conversation, source: Source) -> Trajectory:
    named = source.name.partition("@")[0].removesuffix(Path(source.name).suffix)
    first = conversation.first_thought
    if first is None and conversation.method == "agent" and named.endswith("_prefix"):
        first = "prefix"  # as the published set's name says; its rows do not
    return Trajectory(
        question=conversation.question,
        messages=conversation.messages,
        steps=conversation.steps,
        answer=conversation.answer,
        stop="answered" if conversation.answered else "max_steps",
        model=conversation.model or Path(named).name,
        method=conversation.method,
        tags=conversation.tags,
        tools=conversation.tools,
        first_thought=first,
        usage=Usage(requests=len(conversation.steps)),
    )


def _problem(conversation: Conversation, taken: set[tuple[str, str]]) -> Problem:
    """A problem that is made of its row."""
    named = conversation.benchmark
    benchmark, kind = PUBLISHED.get((named or "").lower(), (named, None))
    gold = conversation.gold
    if not gold and conversation.score == 1.0 and conversation.answer:
        gold = (conversation.answer,)  # it is right, the row says
    own = "q" + hashlib.sha256(conversation.question.encode("utf-8", "replace")).hexdigest()[:12]
    problem = Problem(
        id=conversation.id or own,
        question=conversation.question,
        answers=gold or (UNKNOWN,),
        benchmark=benchmark,
        kind=conversation.kind or kind or _kind(named, gold, conversation.answer),
    )
    if problem.key in taken:  # the id stands for another question
        problem = problem.model_copy(update={"id": f"{problem.id}-{own}"})
    return problem


def _kind(named: str | None, gold: tuple[str, ...], answer: str | None) -> str:
    """Mathematics by the data set's name, else by what its answers look like."""
    if named and any(word in named.lower() for word in ("math", "gsm", "aime")):
        return "math"
    looks = any("\\" in one or as_number(one) is not None for one in gold)
    return "math" if looks or "\\boxed" in (answer or "") else "factual"


def _by_question(file: str) -> dict[str, Problem]:
    return {_plain(problem.question): problem for problem in read_problems(file)}


def _plain(question: str) -> str:
    return " ".join(question.split())


def _opening(tags: str) -> str:
    return dialect(tags).pair[0].split("\n")[-1]
