"""Ask a judge model whether factual answers are right that say it in other words than the gold answers.

It is not a scorer of mathematics, and not proof against a hostile prediction: that is given as data, inside
a JSON string that it cannot end, and the judge is told so, but a model reads it all the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from pydantic import ValidationError
from smolagents import Model
from smolagents.models import ChatMessage, MessageRole

from agents import load_model
from agents.answers import same_words
from agents.secrets import without_keys
from agents.trajectory import Record, Text, Usage

from .problems import Problem

FILE = "verdicts.jsonl"
PROMPTS = Path(__file__).parent / "prompts"
LONGEST = 1000
"""Characters of a prediction that the judge is shown."""
REPLIES = 3
"""Replies that the judge may take for a verdict that can be read."""
WAITS = (1.0, 4.0, 16.0)
"""Seconds to wait before a request is tried again that the server failed."""
TIMEOUT = 120
"""Seconds for a reply."""
HOPELESS = 16
"""Predictions in a row that the server failed on, after which it is not asked for the rest."""
PASSING = (408, 409, 425, 429)
"""Of the statuses that blame the request (400 to 499), those that another try may change."""

FIELD = re.compile(r"""["'](correct|reason)["']\s*:""")
"""In a reply, a verdict's; inside a JSON string its quotes would be escaped."""
ESCAPE = re.compile(r"""\\(["\\/bfnrt]|u[0-9a-fA-F]{4})|\\""")
"""A backslash in JSON; with a group where JSON allows it, which it does not in LaTeX."""
THOUGHT = re.compile(r"^.*?</think>|^\s*<think>.*", re.DOTALL)
"""What a reasoning model writes first; all there is, where it was cut off."""
AGAIN = (
    "That is not the JSON object that was asked for. Reply with it alone, and with true or false: "
    '{"reason": "<one short sentence>", "correct": <true or false>}'
)


class Verdict(Record):
    """Whether one prediction is right, and who said so. A line of `verdicts.jsonl` where a judge did."""

    benchmark: str | None
    id: str
    """The problem's; in the file, of problems with an equal question and prediction, the first one's."""
    question: Text
    answers: tuple[Text, ...]
    prediction: Text | None
    """As the judge was shown it: no more than its first LONGEST characters."""
    cut: bool = False
    judge: str
    """The model's name."""
    prompt: str
    """Digest of the judge's instructions."""
    correct: bool | None
    """None: undecided, because the server failed or the judge's reply could not be read. Never in the file."""
    reason: Text
    asked: bool
    """False where no model was needed (no answer, or a gold answer's words) or the server was given up."""
    usage: Usage = Usage()
    """Tokens and requests; of equal predictions, the first alone has them."""

    @property
    def score(self) -> float:
        """As `scoring.score`: what is undecided counts as wrong until it is judged."""
        return float(self.correct is True)

    @property
    def key(self) -> tuple:
        """What was judged, and by whom: the same again is not asked again."""
        return self.judge, self.prompt, self.question, self.answers, self.prediction, self.cut


class Judge:
    """A model and its instructions. Shared by threads; keeps nothing of what it judged."""

    def __init__(
        self,
        model: str | Model,
        *,
        workers: int = 8,
        prompt: str | Path = "judge",
        waits: Sequence[float] = WAITS,
    ):
        """model: as `agents.load_model` takes it, or a model. workers: requests at a time.

        prompt: names a file of `distill/prompts`, or is a path to one.
        """
        if workers < 1:
            raise ValueError(f"workers starts at 1, not {workers}.")
        self.instructions = read_prompt(prompt)
        # A verdict is short, and what fails is asked for again here.
        settings = {"timeout": TIMEOUT, "retries": 0} if str(model).startswith("http") else {}
        self.model = load_model(model, **settings) if isinstance(model, str) else model
        name = model if isinstance(model, str) else str(model.model_id)
        self.name = re.sub(r"\?[^#]*", "", name)  # what follows a ? in an address may be a key
        self.prompt = hashlib.sha256(self.instructions.encode()).hexdigest()[:16]
        self.workers, self.waits = workers, tuple(waits)

    def without_asking(self, problem: Problem, prediction: str | None) -> Verdict | None:
        """The verdict where none is needed of a model: no answer is wrong, a gold answer is right."""
        if prediction is None or not prediction.strip():
            return self._verdict(problem, prediction, False, "there is no answer")
        if any(same_words(answer, prediction) for answer in problem.answers):
            return self._verdict(problem, prediction, True, "the same words as a gold answer")
        return None

    def ask(
        self, problem: Problem, prediction: str, stop: threading.Event | None = None
    ) -> Verdict:
        """The model's verdict; undecided, with the reason, where the server fails or writes none.

        stop: once set, nothing more is asked, and a failing server not waited for.
        """
        stop = stop or threading.Event()
        if stop.is_set():
            reason = f"not asked: the judge's server failed on the {HOPELESS} before"
            return self._verdict(problem, prediction, None, reason)
        messages, usage, text = self.messages(problem, prediction), Usage(), ""
        for _ in range(REPLIES):
            try:
                reply = self._generate(messages, stop)
            except Exception as error:
                # Whatever broke, it is not the prediction's fault, and the other ones go on.
                reason = f"{type(error).__name__}: {error}"
                return self._verdict(problem, prediction, None, reason, usage)
            text = reply.content or ""
            usage = _and(usage, reply)
            if found := read_verdict(text):
                return self._verdict(problem, prediction, *found, usage)
            # A greedy model would write the same to the same messages.
            messages = [*messages, _said("assistant", text), _said("user", AGAIN)]
        reason = f"no verdict could be read in {REPLIES} replies, the last of them: {text[:200]!r}"
        return self._verdict(problem, prediction, None, reason, usage)

    def messages(self, problem: Problem, prediction: str) -> list[ChatMessage]:
        """What the judge is sent: its instructions, and the rest as one JSON object."""
        shown, cut = _shown(prediction)
        data = {
            "question": problem.question,
            "gold_answers": list(problem.answers),
            "prediction": shown,
            "prediction_was_cut": cut,
        }
        # The sign is escaped so that a server does not take an <|im_end|> in it for the end of the turn.
        text = json.dumps(data, ensure_ascii=False, indent=1).replace("<", "\\u003c")
        return [_said("system", self.instructions), _said("user", text)]

    def key(self, problem: Problem, prediction: str) -> tuple:
        """That of the verdict on it."""
        return self._verdict(problem, prediction, None, "").key

    def _generate(self, messages: list[ChatMessage], stop: threading.Event) -> ChatMessage:
        for seconds in self.waits:
            try:
                return self.model.generate(messages)
            except Exception as error:
                status = getattr(error, "status_code", None)
                asked_wrongly = status in range(400, 500) and status not in PASSING
                if asked_wrongly or stop.wait(seconds):
                    raise
        return self.model.generate(messages)

    def _verdict(
        self,
        problem: Problem,
        prediction: str | None,
        correct: bool | None,
        reason: str,
        usage: Usage | None = None,
    ) -> Verdict:
        shown, cut = _shown(prediction)
        return Verdict(
            benchmark=problem.benchmark,
            id=problem.id,
            question=problem.question,
            answers=problem.answers,
            prediction=shown,
            cut=cut,
            judge=self.name,
            prompt=self.prompt,
            correct=correct,
            reason=without_keys(reason)[:LONGEST],
            asked=usage is not None,
            usage=usage or Usage(),
        )


def judge_all(
    items: Iterable[tuple[Problem, str | None]],
    judge: Judge,
    file: Path,
    advance: Callable[[], None] = lambda: None,
) -> list[Verdict]:
    """A verdict per problem and prediction, in their order; what the model decided is kept in `file`.

    What the file holds is not asked again, so that a scoring that was stopped in any way goes on where it
    was; what comes back undecided is not kept. One process at a time may work on a file. `advance` is
    called once per item. Raises ValueError for mathematics, or where the file holds something else.
    """
    items = list(items)
    if wrong := next((p for p, _ in items if p.kind != "factual"), None):
        raise ValueError(f"The judge is for factual answers; problem {wrong.id!r} is {wrong.kind}.")
    known = {verdict.key: verdict for verdict in read_verdicts(file)}
    verdicts: list[Verdict | None] = [None] * len(items)
    equal: dict[tuple, list[int]] = {}
    for i, (problem, prediction) in enumerate(items):
        if verdict := judge.without_asking(problem, prediction):
            verdicts[i] = verdict
            advance()
        else:
            equal.setdefault(judge.key(problem, prediction), []).append(i)

    def settle(places: list[int], verdict: Verdict) -> None:
        for i in places:
            update = {"id": items[i][0].id, "benchmark": items[i][0].benchmark}
            verdicts[i] = verdict.model_copy(update=update)
            verdict = verdict.model_copy(update={"usage": Usage()})
            advance()

    for key in known.keys() & equal.keys():
        settle(equal.pop(key), known[key])
    if equal:
        places = list(equal.values())
        with closing(_ask_all(judge, [items[same[0]] for same in places], file)) as asked:
            for i, verdict in asked:
                settle(places[i], verdict)
    return verdicts


def read_verdicts(file: Path) -> Iterator[Verdict]:
    """The verdicts of a file, none where it is not there. A half line is passed over."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            try:
                yield Verdict.model_validate_json(line)
            except ValidationError as error:
                raise ValueError(
                    f"{file}, line {number} is no verdict: {error.errors()[0]['msg']}."
                ) from None


def read_verdict(text: str) -> tuple[bool, str] | None:
    """Whether a judge's reply says right or wrong, and why; None where it does not say it plainly.

    A JSON object is looked for, in a fence, after thoughts or in prose; "true" in quotes is taken. A bare
    yes or no is no verdict, nor are two that disagree, nor one that has another beside it in quotes.
    """
    text = THOUGHT.sub("", text)
    objects = [value for value in _objects(text) if _correct(value) is not None]
    # All fields that are there must be theirs: a verdict inside a verdict that cannot be read is a
    # prediction's, quoted.
    fields = sum(field in value for value in objects for field in ("correct", "reason"))
    if len({_correct(value) for value in objects}) != 1 or len(FIELD.findall(text)) != fields:
        return None
    return _correct(objects[-1]), str(objects[-1].get("reason", "")).strip()


def read_prompt(name: str | Path) -> str:
    """The text of a prompt, by the name of a file in `distill/prompts` or by path."""
    path = PROMPTS / f"{name}.txt"
    path = path if path.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROMPTS.glob("*.txt")))
        raise ValueError(f"No prompt named {str(name)!r}; there are: {known}, or give a file.")
    return path.read_text(encoding="utf-8").strip()


def counts(verdicts: Iterable[Verdict]) -> Counter:
    """How many are right, wrong and undecided, how many a model was asked for, and its tokens."""
    found: Counter = Counter(right=0, wrong=0, undecided=0, asked=0)
    for verdict in verdicts:
        found[{True: "right", False: "wrong", None: "undecided"}[verdict.correct]] += 1
        found["asked"] += verdict.asked
        found.update(verdict.usage.model_dump())
    return found


def _ask_all(judge: Judge, items: list, file: Path) -> Iterator[tuple[int, Verdict]]:
    """The verdicts as they come, with their places in `items`; each is in the file before it is given."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(judge.workers, thread_name_prefix="judge")
    try:
        with _appended(file) as lines:
            waiting, running, failures = iter(enumerate(items)), {}, 0
            while True:
                # No more than keep the workers busy: little to lose at a stop.
                for i, item in islice(waiting, 2 * judge.workers - len(running)):
                    running[pool.submit(judge.ask, *item, stop)] = i
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    verdict = future.result()
                    if verdict.correct is not None:
                        lines.write(verdict.model_dump_json() + "\n")
                        lines.flush()
                    unanswered = verdict.correct is None and not verdict.usage.requests
                    failures = failures + 1 if unanswered else 0
                    if failures >= HOPELESS:
                        stop.set()
                    yield running.pop(future), verdict
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _appended(file: Path):
    """The file, open for more lines, without the half line that a kill left."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as content:
        content.seek(0)
        content.truncate(content.read().rfind(b"\n") + 1)
    with file.open("a", encoding="utf-8") as lines:
        yield lines


def _objects(text: str) -> Iterator[object]:
    """The JSON objects in a text, from left to right."""
    text = ESCAPE.sub(lambda match: match[0] if match[1] else r"\\", text)
    decoder, at = json.JSONDecoder(strict=False), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
            yield value
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)


def _correct(value) -> bool | None:
    correct = value.get("correct") if isinstance(value, dict) else None
    if isinstance(correct, str):
        correct = {"true": True, "false": False}.get(correct.strip().lower())
    return correct if isinstance(correct, bool) else None


def _shown(prediction: str | None) -> tuple[str | None, bool]:
    """The prediction as the judge sees it, and whether more of it is not shown."""
    if prediction is None:
        return None, False
    text = prediction.encode("utf-8", "replace").decode("utf-8")
    return text[:LONGEST], len(text) > LONGEST


def _and(usage: Usage, reply: ChatMessage) -> Usage:
    tokens = reply.token_usage
    return Usage(
        input_tokens=usage.input_tokens + (tokens.input_tokens if tokens else 0),
        output_tokens=usage.output_tokens + (tokens.output_tokens if tokens else 0),
        requests=usage.requests + 1,
    )


def _said(role: str, text: str) -> ChatMessage:
    return ChatMessage(MessageRole(role), [{"type": "text", "text": text}])
