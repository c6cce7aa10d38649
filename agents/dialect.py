"""How a model marks its code, and how it is shown what came of it: the dialects that agents speak.

code: between `<code>` and `</code>`, as smolagents does now.
markdown: in a ```` ```python ```` block, as models write that were trained on nothing else.
paper: as the students of arXiv 2505.17612 were trained: "Code:", a ```` ```py ```` block, `<end_code>`; an
    observation opens with the id of its call, and the task ends with a reminder of the form.

A dialect is smolagents' `code_block_tags` and a model that ends its replies as the dialect does, so that
smolagents parses a reply and keeps it without adding anything of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from smolagents import Model
from smolagents.memory import MemoryStep
from smolagents.models import ChatMessage, MessageRole

from .sampling import draw


class Tag(str):
    """A tag of which smolagents knows only the pattern to search for.

    As a string it is empty: smolagents then neither stops at it nor adds it to a reply, which the dialect
    does. `str` of it is what a prompt shows, and formatted into a regular expression it is the pattern.
    """

    def __new__(cls, shown: str, pattern: str):
        tag = super().__new__(cls)
        tag.shown, tag.pattern = shown, pattern
        return tag

    def __str__(self) -> str:
        return self.shown

    def __format__(self, spec: str) -> str:
        return self.pattern


class Dialect:
    """smolagents' own: `<code>` and `</code>`. It needs nothing of what the others change."""

    name = "code"
    tags: tuple[str, str] | None = None
    """For smolagents' `code_block_tags`; None: its default."""
    stops: tuple[str, ...] = ()
    """Stop strings beside those of smolagents."""
    prompt = "student"
    """The system prompt of its students."""
    between = "\n"
    """What stands between two messages of one role that are sent as one."""

    @property
    def pair(self) -> tuple[str, str]:
        """What opens and closes code, as a prompt shows it."""
        return tuple(map(str, self.tags)) if self.tags else ("<code>", "</code>")

    def speaking(self, model: Model) -> Model:
        """The model, its replies ended in this dialect."""
        return InDialect(model, self) if self.tags else model

    def ended(self, reply: str) -> str:
        """A reply as the next request shows it, if it was cut at a stop string."""
        if reply.count("<code>") <= reply.count("</code>"):
            return reply
        return reply.rstrip("\n") + "\n</code>"

    def ask(self, question: str) -> str:
        """The task as it is put to the model."""
        return question

    def asked(self, task: str) -> str:
        """The question of a task: what `ask` was given."""
        return task.removeprefix("New task:\n")

    def shows(self, step: MemoryStep) -> list[ChatMessage]:
        """The messages of a step of the past, without smolagents' repetition of the code."""
        return [m for m in step.to_messages() if m.role != MessageRole.TOOL_CALL]

    def explained(self, error: str) -> str:
        """smolagents' message on a reply without code, its example written with the dialect's tags."""
        for tag in self.tags or ():
            line = re.compile(rf"^( *){re.escape(f'{tag}')}$", re.MULTILINE)
            error = line.sub(lambda found, tag=tag: _indented(str(tag), found[1]), error)
        return error


class Markdown(Dialect):
    """A fence opens and closes; the closing one alone on its line, so that it can be a stop string."""

    name = "markdown"
    tags = (Tag("```python", r"```(?:python|py)\n"), Tag("```", r"\n```"))
    stops = ("\n```\n",)

    def ended(self, reply: str) -> str:
        fences = re.findall(r"^```", reply, re.MULTILINE)
        return reply.rstrip("\n") + "\n```" if len(fences) % 2 else reply


class Paper(Dialect):
    """What the code at github.com/Nardien/agent-distillation sends and trains on (its smolagents is 1.13).

    Of that code, Apache-2.0, REMINDER and agents/prompts/paper.txt are taken over word for word: they are
    part of what the published students were trained on.
    """

    name = "paper"
    tags = (Tag("Code:\n```py", r"```(?:py|python)?\n"), Tag("```<end_code>", r"\n```"))
    stops = ("<end_code>",)
    prompt = "paper"
    between = ""
    REMINDER = (
        "\n\nIMPORTANT: Always provide a 'Thought:' sequence, and a 'Code:\n```py' sequence ending with "
        "'```<end_code>' sequence, else you will fail. For math problems that are not multiple-choice, always "
        "output the final answer using LaTeX \\boxed{} format. Provide the exact value (e.g., "
        "\\boxed{\\frac{9}{14}}), not a decimal approximation (e.g., \\boxed{0.642857})."
    )

    def ended(self, reply: str) -> str:
        return reply + "<end_code>" if reply.strip().endswith("```") else reply

    def ask(self, question: str) -> str:
        return question + self.REMINDER

    def asked(self, task: str) -> str:
        return super().asked(task).partition("\n\nIMPORTANT: Always provide a 'Thought:'")[0]

    def shows(self, step: MemoryStep) -> list[ChatMessage]:
        """What came of a call names it, and is one text without a break between output and error."""
        messages = super().shows(step)
        told = [m for m in messages if m.role == MessageRole.TOOL_RESPONSE]
        if not told:
            return messages
        calls = getattr(step, "tool_calls", None)
        texts = [message.content[0]["text"] for message in told]
        if calls and texts[0].startswith("Observation:"):
            texts[0] = f"Call id: {calls[0].id}\n{texts[0]}"
        text = [{"type": "text", "text": self.between.join(texts)}]
        rest = [m for m in messages if m.role != MessageRole.TOOL_RESPONSE]
        return [*rest, ChatMessage(MessageRole.TOOL_RESPONSE, text)]


class InDialect(Model):
    """The same model; its replies stop where the dialect stops and end as it ends."""

    def __init__(self, inner: Model, dialect: Dialect):
        super().__init__(model_id=inner.model_id)
        self.inner, self.dialect = inner, dialect

    def generate(self, messages, stop_sequences=None, **settings) -> ChatMessage:
        stops = [*self.dialect.stops, *(stop_sequences or ())]
        return self._ended(self.inner.generate(messages, stop_sequences=stops, **settings))

    def sample(self, messages, n, stop_sequences=None, **settings) -> list[ChatMessage]:
        stops = [*self.dialect.stops, *(stop_sequences or ())]
        return [self._ended(r) for r in draw(self.inner, messages, n, stops, **settings)]

    def _ended(self, reply: ChatMessage) -> ChatMessage:
        if not reply.content:
            return reply
        return replace(reply, content=self.dialect.ended(reply.content))


DIALECTS = {dialect.name: dialect for dialect in (Dialect(), Markdown(), Paper())}


def dialect(name: str | Sequence[str]) -> Dialect:
    """A dialect by its name, or by its two tags; ValueError where there is none of it."""
    for one in DIALECTS.values():
        if name == one.name or list(name) == list(one.pair):
            return one
    raise ValueError(f"No tags {name!r}; there are: {', '.join(DIALECTS)}.")


def dialect_of(text: str) -> str | None:
    """The name of the dialect that a reply is written in, by the block that opens first; None without code."""
    fence = re.search(r"^```(?:py|python)[ \t]*\n", text, re.MULTILINE)
    tag = text.find("<code>")
    if "<end_code>" in text or (fence and text[: fence.start()].rstrip().endswith("Code:")):
        return "paper"
    if fence and not 0 <= tag < fence.start():
        return "markdown"
    return "code" if tag >= 0 else None


def dialects_of(replies: Iterable[str]) -> set[str]:
    """The names of the dialects of a conversation's replies.

    A fenced block without `<end_code>` is one of the paper's too, beside one that has it.
    """
    found = {name for reply in replies if (name := dialect_of(reply))}
    return found - {"markdown"} if "paper" in found else found


def _indented(text: str, margin: str) -> str:
    return "\n".join(margin + line for line in text.split("\n"))
