"""A simulated teacher: a program behind smolagents' `Model` that solves the pocket world's problems.

It stands in for the large model of a real run. It parses the question, so it needs no list of solutions;
as an agent it reads what the search really returned; asked to think without tools it recalls the facts of
its world, as a large model would. It takes a first thought, and makes mistakes at stated rates, so that
filtering has work to do. Nothing measured on it says anything about a real teacher.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from smolagents import Model
from smolagents.models import ChatMessage, MessageRole
from smolagents.monitoring import TokenUsage

from agents.template import plain

from . import hops, sums, world

MISTAKES = {"wrong": 0.06, "broken": 0.04, "no_code": 0.03, "cut": 0.02, "detour": 0.08}
"""Share of runs with: a wrong turn, code that raises, a reply without code, one cut off, a search too many."""
PASSAGE = re.compile(r"^\[\d+\] (.+?): (.+)$", re.MULTILINE)
TASK = "New task:\n"


@dataclass(frozen=True)
class Turn:
    """A conversation as the teacher sees it."""

    question: str
    said: list[str]
    seen: str
    """What the last observation showed."""


class PocketTeacher(Model):
    """seed: which world's facts it knows. mistakes: multiplies the rates of MISTAKES; 0 for none."""

    def __init__(self, seed: int = 0, mistakes: float = 1.0, temperature: float = 0.0, **_):
        super().__init__(model_id="pocket-teacher (simulated)", flatten_messages_as_text=True)
        self.seed, self.mistakes, self.temperature, self._asked = seed, mistakes, temperature, 0

    def generate(
        self,
        messages,
        stop_sequences=None,
        *,
        prefix: str = "",
        temperature: float | None = None,
        **_,
    ) -> ChatMessage:
        sent = plain(messages)
        clean = _newest(sent)
        said = [m["content"] for m in clean if m["role"] == "assistant"]
        users = [m["content"] for m in clean if m["role"] == "user"]
        question = users[0].rpartition(TASK)[2].partition("\n")[0]
        luck = self._luck(question, self.temperature if temperature is None else temperature)
        turn = Turn(question, said, users[-1])
        # Agents stop at the closing tag of their code; a chain of thought runs to its end.
        text = self._act(turn, luck, prefix) if stop_sequences else self._think(turn, luck)
        reason = "stop"
        if luck == "cut" and not said:
            text, reason = text[: len(text) * 2 // 3], "length"
        return ChatMessage(
            MessageRole.ASSISTANT,
            text,
            raw={"finish_reason": reason},
            token_usage=TokenUsage(sum(len(m["content"].split()) for m in sent), len(text.split())),
        )

    def _luck(self, question: str, temperature: float) -> str | None:
        """The mistake of this run, if any: one per question when greedy, drawn anew when sampling."""
        if temperature > 0:
            self._asked += 1
        draw = random.Random(
            f"{self.seed} {question} {self._asked if temperature > 0 else ''}"
        ).random()
        for name, rate in MISTAKES.items():
            draw -= rate * self.mistakes
            if draw < 0:
                return name
        return None

    # As an agent.

    def _act(self, turn: Turn, luck: str | None, prefix: str) -> str:
        if luck == "no_code" and not turn.said:
            return f"{prefix or 'Thought: '}I will think about it first."
        if problem := sums.parse(turn.question):
            return self._calculate(problem, turn, luck, prefix)
        if problem := hops.parse(turn.question):
            return self._look_up(problem, turn, luck, prefix)
        return _action("I do not know how to solve this.", 'final_answer("unknown")', prefix)

    def _calculate(self, problem: sums.Sum, turn: Turn, luck: str | None, prefix: str) -> str:
        printed = re.search(r"Execution logs:\n(-?\d+)\n", turn.seen) if turn.said else None
        if printed:
            return _action(f"The result is {printed[1]}.", f"final_answer({printed[1]})")
        code = problem.code
        if luck == "wrong":
            code = (
                code.replace(" - ", " + ")
                if " - " in code
                else code.replace(" * ", " + ").replace(" // ", " % ")
            )
        if luck == "broken" and not turn.said:
            code = code.replace("print(n)", "print(m)")
        return _action(problem.plan, code, prefix)

    def _look_up(self, problem: hops.Hop, turn: Turn, luck: str | None, prefix: str) -> str:
        if not turn.said:
            if luck == "detour":
                return _search(problem.plan, turn.question, prefix)
            call = "wiki_serch" if luck == "broken" else "wiki_search"
            return _search(problem.plan, problem.entity, prefix, call)
        left = re.findall(r"So: (.+\?)", "\n".join(turn.said))
        chain = hops.parse(left[-1]) if left else problem
        relation = chain.relations[0]
        texts = dict(PASSAGE.findall(turn.seen))
        value = (
            hops.read(texts[chain.entity], chain.entity, relation)
            if chain.entity in texts
            else None
        )
        if value is None:
            if len(turn.said) > 3:
                return _action("I cannot find it.", 'final_answer("unknown")')
            return _search(f"I look up {chain.entity}.", chain.entity)
        if luck == "wrong" and len(chain.relations) == 1:
            value = next(title for title in texts if title != value)
        fact = hops.state(relation, chain.entity, value)
        if len(chain.relations) > 1:
            return _search(f"{fact} So: {hops.ask(value, chain.relations[1:], mark=True)}", value)
        return _action(fact, f'final_answer("{value}")')

    # As a chain of thought.

    def _think(self, turn: Turn, luck: str | None) -> str:
        if problem := sums.parse(turn.question):
            n, lines = 0, []
            for (expression, _), value in zip(problem.steps, problem.values, strict=True):
                lines.append(
                    f"{expression.replace('n', str(n))} = {value}."
                    if " " in expression
                    else f"{value}."
                )
                n = value
            answer, body = str(n + 10 if luck == "wrong" else n), " ".join(lines)
        elif problem := hops.parse(turn.question):
            chain = self._recall(problem)
            if chain is None:
                return "I do not know this."
            entities = (chain.entity, *chain.values)
            facts = [
                hops.state(r, e, v)
                for r, e, v in zip(chain.relations, entities, chain.values, strict=False)
            ]
            answer, body = (entities[-2] if luck == "wrong" else chain.answer), " ".join(facts)
        else:
            return "I do not know how to solve this."
        return f"{problem.plan}\n\n{body}\n<answer>{answer}</answer>"

    def _recall(self, problem: hops.Hop) -> hops.Hop | None:
        facts = {
            entry.title: entry.facts
            for side in ("train", "test")
            for entry in world.entries(side, self.seed)
        }
        values, x = [], problem.entity
        for relation in problem.relations:
            x = facts.get(x, {}).get(relation)
            if x is None:
                return None
            values.append(x)
        return hops.Hop(problem.entity, problem.relations, tuple(values))


def _newest(messages: list[dict]) -> list[dict]:
    """From the newest task on: of a conversation, the turn that is being answered."""
    asked = [i for i, m in enumerate(messages) if m["role"] == "user" and TASK in m["content"]]
    return messages[asked[-1] :] if asked else messages


def _action(thought: str, code: str, prefix: str = "") -> str:
    """A step as smolagents reads it. A given first thought stands in the place of the teacher's own."""
    start = prefix.rstrip() if prefix else f"Thought: {thought}"
    return f"{start}\n<code>\n{code}\n</code>"


def _search(thought: str, query: str, prefix: str = "", call: str = "wiki_search") -> str:
    return _action(thought, f'print({call}("{query}"))', prefix)
