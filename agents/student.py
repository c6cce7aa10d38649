"""Self-consistent action generation: per step several candidates, of which the one most agree with is kept.

All candidates are tried, each in its own fork of the run's Python state, and vote with their whole
outcome: the final answer if they give one, else what they printed and returned. Ties go to the candidate
sampled first. If none ran, the first that parsed is kept, and the model reads its error. The winner's
fork becomes the state; nothing is run twice. (Method: arXiv 2505.17612, §3.2.)

smolagents is not touched: for one step the agent has another model, which does all this and returns the
winner's reply, and another executor, which hands over the winner's outcome when smolagents asks for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from smolagents import Model
from smolagents.local_python_executor import CodeOutput, PythonExecutor, fix_final_answer_code
from smolagents.memory import ActionStep
from smolagents.models import ChatMessage, MessageRole
from smolagents.monitoring import TokenUsage
from smolagents.utils import parse_code_blobs

from .agent import DistillAgent
from .answers import same_answer as same_words_or_number
from .sampling import draw
from .sandbox.executor import LOST
from .sandbox.session import Outcome
from .trajectory import Votes
from .vote import fewest_to_decide, grouped, largest

SameAnswer = Callable[[str, str], bool]


class StudentAgent(DistillAgent):
    """A DistillAgent that takes the majority of `samples` candidates in every step; of one, it is its parent."""

    def __init__(
        self,
        *args,
        samples: int = 1,
        sequential: bool = False,
        same_answer: SameAnswer | None = None,
        **kwargs,
    ):
        """Raises ValueError for an executor that cannot fork its state."""
        super().__init__(*args, **kwargs)
        if samples > 1 and not hasattr(self.python_executor, "trials"):
            raise ValueError(
                "Several candidates need the sandbox, which can fork their state; this executor "
                f"({type(self.python_executor).__name__}) cannot. Take one sample, or the sandbox."
            )
        self.samples, self.sequential = samples, sequential
        self.same_answer = same_answer or same_words_or_number

    def _act(self, memory_step: ActionStep) -> Iterator:
        if self.samples == 1:
            yield from super()._act(memory_step)
            return
        model, executor = self.model, self.python_executor
        election = Election(self, memory_step)
        self.model, self.python_executor = election, Winner(election, executor)
        try:
            yield from super()._act(memory_step)
        finally:
            self.model, self.python_executor = model, executor


@dataclass
class Candidate:
    reply: ChatMessage
    code: str | None
    """None: it did not parse."""
    outcome: Outcome | None = None

    @property
    def ran(self) -> bool:
        return self.outcome is not None and self.outcome.error is None


class Election(Model):
    """Stands in for the model during one step: its reply is the winner's."""

    def __init__(self, agent: StudentAgent, step: ActionStep):
        super().__init__(model_id=agent.model.model_id)
        self.agent, self.step = agent, step
        self.model, self.executor = agent.model, agent.python_executor
        self.outcome: Outcome | None = None
        """The winner's; None if nothing parsed."""
        self._compared: dict[tuple[str, str], bool] = {}
        self._comparing = 0.0  # seconds

    def generate(self, messages, stop_sequences=None, **settings) -> ChatMessage:
        candidates: list[Candidate] = []
        while n := self._more(candidates):
            replies = draw(self.model, messages, n, stop_sequences, **settings)
            if not replies:
                raise RuntimeError(f"{self.model_id} gave no reply.")
            candidates += [Candidate(reply, self._parse(reply)) for reply in replies]
            self._try(candidates)
        winner, votes = elect(candidates, self.same_answer)
        self.outcome, self.step.votes = winner.outcome, votes
        usages = [c.reply.token_usage for c in candidates if c.reply.token_usage]
        # Of several replies to one request, the first alone counts what was read.
        self.step.requests = max(1, sum(usage.input_tokens > 0 for usage in usages))
        return ChatMessage(
            MessageRole.ASSISTANT,
            winner.reply.content,
            raw=winner.reply.raw,
            token_usage=TokenUsage(
                sum(usage.input_tokens for usage in usages),
                sum(usage.output_tokens for usage in usages),
            ),
        )

    def _more(self, candidates: list[Candidate]) -> int:
        """How many to sample next; 0: enough. In sequence, the fewest that could decide the vote."""
        left = max(0, self.agent.samples - len(candidates))
        if not self.agent.sequential or not left:
            return left
        groups = grouped([c for c in candidates if c.ran], self._agree)
        return fewest_to_decide([len(group) for group in groups], left)

    def _agree(self, a: Candidate, b: Candidate) -> bool:
        return agree(a.outcome, b.outcome, self.same_answer)

    def same_answer(self, a: str, b: str) -> bool:
        """As the agent compares them, each pair once; by their text when that has taken too long in this step."""
        if a.strip() == b.strip():
            return True
        if (a, b) not in self._compared:
            if self._comparing > self.agent.limits.seconds:
                return False
            start = time.monotonic()
            try:
                self._compared[a, b] = bool(self.agent.same_answer(a, b))
            except Exception:  # what cannot be compared is not the same
                self._compared[a, b] = False
            self._comparing += time.monotonic() - start
        return self._compared[a, b]

    def _parse(self, reply: ChatMessage) -> str | None:
        """The code, as smolagents will take it from the same reply."""
        text, (_, closing) = reply.content or "", self.agent.code_block_tags
        if text and not text.strip().endswith(closing):
            text += closing
        try:
            return sendable(
                fix_final_answer_code(parse_code_blobs(text, self.agent.code_block_tags))
            )
        except Exception:  # whatever smolagents raises of this text, it will again if it is kept
            return None

    def _try(self, candidates: list[Candidate]) -> None:
        """Run what has not been run. The same code from the same state has one outcome, and runs once."""
        known = {c.code: c.outcome for c in candidates if c.outcome is not None}
        codes = list(dict.fromkeys(c.code for c in candidates if c.code is not None))
        new = [code for code in codes if code not in known]
        outcomes = self.executor.trials(new, more=bool(known)) if new else []
        if known and any(
            outcome.error == LOST for outcome in outcomes
        ):  # and what was tried before is lost with it
            known, new, outcomes = {}, codes, self.executor.trials(codes)
        known |= zip(new, outcomes, strict=True)
        for candidate in candidates:
            candidate.outcome = known.get(candidate.code)


def sendable(code: str) -> str:
    """Without lone surrogates, which are sent nowhere."""
    return code.encode("utf-8", "replace").decode()


class Winner(PythonExecutor):
    """Stands in for the executor during one step: the winner has run already."""

    def __init__(self, election: Election, executor):
        self.election, self.executor = election, executor

    @property
    def state(self) -> dict:
        return self.executor.state

    def __call__(self, code_action: str) -> CodeOutput:
        outcome = self.election.outcome
        if outcome is None or outcome.code != sendable(code_action):
            raise AssertionError("smolagents reads another action in the reply than was tried.")
        return self.executor.adopt(outcome).result()

    def send_tools(self, tools) -> None:
        self.executor.send_tools(tools)

    def send_variables(self, variables) -> None:
        self.executor.send_variables(variables)


def elect(candidates: list[Candidate], same_answer: SameAnswer) -> tuple[Candidate, Votes]:
    """The winner and how it came about."""
    groups = grouped(
        [c for c in candidates if c.ran], lambda a, b: agree(a.outcome, b.outcome, same_answer)
    )
    parsed = [c for c in candidates if c.code is not None]
    if groups:
        winner, votes = (most := largest(groups))[0], len(most)
    else:
        winner, votes = (parsed or candidates)[0], 0
    return winner, Votes(
        sampled=len(candidates),
        parsed=len(parsed),
        executed=sum(map(len, groups)),
        votes=votes,
        distinct=len(groups),
        agreement=round(votes / len(candidates), 4),
    )


def agree(a: Outcome, b: Outcome, same_answer: SameAnswer) -> bool:
    """Whether two outcomes are one: never by what was printed alone."""
    if a is b:
        return True
    if a.effect or b.effect:
        return a.effect == b.effect and a.logs == b.logs
    if a.is_final_answer != b.is_final_answer:
        return False
    if a.is_final_answer:
        return same_answer(str(a.output), str(b.output))
    return a.logs.strip() == b.logs.strip() and str(a.output) == str(b.output)
