"""What is really sent: smolagents' messages as plain text, and that text as a chat template's tokens.

Training and inference both come through here, which is what makes their tokens the same. `settle` does its
part beforehand: after it the saved tokenizer alone says what a chat looks like, to whatever serves it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from threading import RLock
from weakref import WeakKeyDictionary

from smolagents.models import get_clean_message_list, tool_role_conversions

WRITTEN = ("<code>", "</code>")
"""Tags that the agent itself writes: never control tokens, even where a template speaks of them."""
KEPT = 4_000_000
"""Characters of chats whose tokens are remembered, per tokenizer: some 50 MB of memory."""

FOLD = (
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- if messages | length > 1 and messages[1]['role'] == 'user' %}"
    "{%- set messages = [{'role': 'user', 'content': messages[0]['content'] + '\\n\\n' + "
    "messages[1]['content']}] + messages[2:] %}"
    "{%- else %}"
    "{%- set messages = [{'role': 'user', 'content': messages[0]['content']}] + messages[1:] %}"
    "{%- endif %}{%- endif %}"
)
"""Put before a template: a system message becomes the start of the first user message."""
DATE = '{%- set date_string = "26 Jul 2024" %}'
CLOCK = (
    "{%- macro strftime_now(format) %}{{ format | replace('%d', '26') | replace('%B', 'July') "
    "| replace('%b', 'Jul') | replace('%m', '07') | replace('%Y', '2024') }}{% endmacro %}"
)
"""Put before a template: the day that it writes is always the same, by the variable it asks or by its clock."""

PROBE = (
    {"role": "system", "content": "SystemSaid"},
    {"role": "user", "content": "UserAsked"},
    {"role": "assistant", "content": "AssistantDid"},
    {"role": "user", "content": "UserSaw"},
)


def plain(messages) -> list[dict[str, str]]:
    """smolagents' messages as role and text, the way a chat template takes them."""
    clean = get_clean_message_list(
        messages, role_conversions=tool_role_conversions, flatten_messages_as_text=True
    )
    return [{"role": m["role"].value, "content": m["content"]} for m in clean]


def prompt_ids(tokenizer, messages: list[dict[str, str]]) -> list[int]:
    """What the model is sent: the chat, and the opening of its turn.

    A marker of the template inside a message (a web page that says `<|im_end|>`) stays text. The tokens are
    those of `apply_chat_template(…, sanitize_control_tokens=True)`; what has been seen before is not encoded
    again, so that a growing chat costs what it grows by.
    """
    chat = _chat(tokenizer)
    if chat.cuts is None:
        with chat.lock:
            return _sanitized(tokenizer, messages)
    text = render(tokenizer, chat.marked(messages))
    return [token for piece in chat.pieces(text) for token in chat.encoded(tokenizer, piece)]


def reply_ids(tokenizer, text: str) -> list[int]:
    """What the model would have written: no control token, whatever the text says."""
    chat = _chat(tokenizer)
    return list(chat.encoded(tokenizer, chat.mark(text)))


def end_of_turn_id(tokenizer) -> int:
    """The token that closes a turn of the assistant: read off a rendered chat, not guessed."""
    return _chat(tokenizer).end


def control_ids(tokenizer) -> frozenset[int]:
    """The tokens that control a chat, and that nobody's words become."""
    return _chat(tokenizer).control_ids


def holds_control(tokenizer, messages: list[dict[str, str]]) -> bool:
    """Whether a message says a control token, which a server may take for one; ours never does.

    Or one of the two private characters with which transformers marks such a token, and which it drops.
    """
    control, marks = _chat(tokenizer).control, _marks()
    texts = [message["content"] for message in messages]
    return any(control.search(text) or any(mark in text for mark in marks) for text in texts)


def served_ids(tokenizer, messages: list[dict[str, str]]) -> list[int]:
    """What a server sends that renders the template and encodes the text: `prompt_ids`, unless `holds_control`."""
    text = render(tokenizer, messages)
    return tokenizer(text, add_special_tokens=False, verbose=False).input_ids


def whole_ids(tokenizer, messages: list[dict[str, str]]) -> list[int]:
    """`prompt_ids` without anything remembered: transformers' own rendering, encoded at once."""
    if holds_control(tokenizer, messages):
        return _sanitized(tokenizer, messages)
    return served_ids(tokenizer, messages)


def _sanitized(tokenizer, messages) -> list[int]:
    return tokenizer.apply_chat_template(
        messages,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
        sanitize_control_tokens=True,
    )


def render(tokenizer, messages, *, opening: bool = True, **settings) -> str:
    """The chat as text; opening: with the start of the assistant's next turn."""
    return tokenizer.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=opening, **settings
    )


# What is known of a tokenizer's chats --------------------------------------------------------------


@dataclass
class _Chat:
    key: tuple
    """What it was read from; with another template or other special tokens it is read again."""
    control: re.Pattern
    control_ids: frozenset[int]
    cuts: re.Pattern | None
    """Where a rendered chat can be cut without changing its tokens; None: nowhere."""
    end: int
    known: dict[tuple[str, str], str | list[int]] = field(default_factory=dict)
    kept: int = 0
    """Characters in `known`."""
    lock: RLock = field(default_factory=RLock)

    def mark(self, text: str) -> str:
        """The text, its control tokens marked as text in transformers' way."""
        from transformers.utils.chat_template_utils import mark_control_tokens

        return self._remembered("mark", text, lambda: mark_control_tokens(text, self.control))

    def marked(self, messages) -> list[dict[str, str]]:
        return [{**message, "content": self.mark(message["content"])} for message in messages]

    def pieces(self, text: str) -> list[str]:
        """The text, cut before every control token that the template wrote."""
        starts = [found.start() for found in self.cuts.finditer(text) if found[1]]
        edges = [0, *(start for start in starts if start), len(text)]
        return [text[a:b] for a, b in pairwise(edges)]

    def encoded(self, tokenizer, piece: str) -> list[int]:
        return self._remembered("encode", piece, lambda: _encode(tokenizer, piece))

    def _remembered(self, what: str, text: str, make):
        with (
            self.lock
        ):  # also for the tokenizer, which changes settings of its own while it encodes
            made = self.known.pop((what, text), None)
            if made is None:
                made = make()
                self.kept += len(text)
                while self.kept > KEPT and self.known:
                    oldest = next(iter(self.known))
                    del self.known[oldest]
                    self.kept -= len(oldest[1])
            self.known[what, text] = made  # at the end: what is used stays
        return made


_CHATS: WeakKeyDictionary = WeakKeyDictionary()
_READING = RLock()


def _chat(tokenizer) -> _Chat:
    named = tokenizer.chat_control_tokens
    special = tuple(tokenizer.special_tokens_map.values())
    key = (tokenizer.chat_template, None if named is None else tuple(named), special)
    with _READING:
        chat = _CHATS.get(tokenizer)
        if chat is None or chat.key != key:
            _CHATS[tokenizer] = chat = _read(tokenizer, key)
        return chat


def _read(tokenizer, key: tuple) -> _Chat:
    decoder, named = tokenizer.added_tokens_decoder, _control(tokenizer)
    added = decoder.values()
    ids = {at: t.content for at, t in decoder.items() if t.special or t.content in named}
    control = list(ids.values())
    chat = _Chat(key, re.compile(_any_of(control)), frozenset(ids), None, _end(tokenizer))
    written = render(tokenizer, PROBE[1:])
    cuts = [t.content for t in added if t.special and not t.normalized and t.content in written]
    nested = any(cut in text and cut != text for cut in cuts for text in control)
    if cuts and not nested and not any(t.lstrip for t in added):
        start, end = _marks()
        chat.cuts = re.compile(f"{start}(?:{_any_of(cuts)}){end}|({_any_of(cuts)})")
        if not _cuts_well(tokenizer, chat, control):
            chat.cuts = None
    return chat


def _control(tokenizer) -> set[str]:
    """Added tokens that are not special, and control the chat all the same."""
    if tokenizer.chat_control_tokens is not None:
        return set(tokenizer.chat_control_tokens)
    return _mentioned(tokenizer)


def _mentioned(tokenizer) -> set[str]:
    """Added tokens that the template's text mentions, as transformers takes them for control tokens."""
    added = [t.content for t in tokenizer.added_tokens_decoder.values() if not t.special]
    template = tokenizer.chat_template
    return {text for text in added if text in template and not text.isspace()}


def _any_of(texts) -> str:
    """As a regular expression, the longest first."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)"


def _marks() -> tuple[str, str]:
    """What transformers puts around a control token that is text."""
    from transformers.utils.chat_template_utils import mark_control_tokens

    start, end = mark_control_tokens("x", re.compile("x")).split("x")
    return start, end


def _encode(tokenizer, piece: str) -> list[int]:
    from transformers.utils.chat_template_utils import encode_marked_chat

    if any(mark in piece for mark in _marks()):
        return encode_marked_chat(tokenizer, piece)
    return tokenizer(piece, add_special_tokens=False, verbose=False).input_ids


def _cuts_well(tokenizer, chat: _Chat, control: list[str]) -> bool:
    """Whether the pieces' tokens are the whole's, in a chat that says every control token."""
    nasty = " \n".join([" a", *control[:16], "b\n "])
    messages = [{**m, "content": f"{m['content']} {nasty}{m['content']}"} for m in PROBE]
    for end in (2, 4):
        try:
            whole = _sanitized(tokenizer, messages[:end])
        except Exception:  # a template that refuses the probe is told of by `settle`
            return False
        text = render(tokenizer, chat.marked(messages[:end]))
        if [i for piece in chat.pieces(text) for i in _encode(tokenizer, piece)] != whole:
            return False
    return True


def _end(tokenizer) -> int:
    """The first control token after an assistant's words, or else the token that ends a text.

    Raises ValueError where there is neither.
    """
    for chat in (PROBE[1:], PROBE[1:3]):  # as it is remembered, else as it stands last
        _, _, after = render(tokenizer, chat, opening=False).rpartition("AssistantDid")
        after, *_ = after.split("UserSaw")
        if after:
            break
    added = tokenizer.added_tokens_decoder
    for token in tokenizer(after, add_special_tokens=False).input_ids:
        if token in added and not added[token].content.isspace():
            return token
    if tokenizer.eos_token_id is None:
        raise ValueError(f"{_name(tokenizer)}: no token ends a turn of the assistant, or a text.")
    return tokenizer.eos_token_id


# Making a template say the same everywhere ---------------------------------------------------------


def settle(tokenizer):
    """Make the chat template total and the same every day; returns the tokenizer, changed in place.

    A system message that the template refuses or drops is folded into the first user message, a date it writes
    is fixed, and added tokens that control a chat are named. Each only where rendering shows the need, so that
    a second time changes nothing. Saved with the tokenizer, all of it holds for every server that renders the
    template. Raises ValueError for a template that is missing, or that cannot render an agent's chat.
    """
    if isinstance(tokenizer.chat_template, dict):
        tokenizer.chat_template = tokenizer.chat_template.get("default")
    if not tokenizer.chat_template:
        raise ValueError(
            f"{_name(tokenizer)} has no chat template; take an instruction-tuned model."
        )
    if _refusal(tokenizer):
        _prepend(tokenizer, FOLD)
        if refusal := _refusal(tokenizer):
            raise ValueError(
                f"{_name(tokenizer)}: its chat template cannot render an agent's chat: {refusal}"
            )
    if _tells_the_day(tokenizer):
        _prepend(tokenizer, DATE)
        if _tells_the_day(tokenizer):
            tokenizer.chat_template = tokenizer.chat_template.removeprefix(DATE)
            _prepend(tokenizer, CLOCK)
    if _tells_the_day(tokenizer) or render(tokenizer, PROBE) != render(tokenizer, PROBE):
        raise ValueError(
            f"{_name(tokenizer)}: its chat template renders the same chat in different ways."
        )
    _name_control_tokens(tokenizer)
    return tokenizer


def _prepend(tokenizer, preamble: str) -> None:
    tokenizer.chat_template = preamble + tokenizer.chat_template


def _refusal(tokenizer) -> str | None:
    """Why the template cannot render a system message, a question, an action and an observation; None: it can."""
    try:
        text = render(tokenizer, PROBE)
    except Exception as error:  # whatever a template raises, of Jinja or of its own
        return next(iter(str(error).splitlines()), type(error).__name__)
    heard = [m for m in PROBE if m["role"] != "assistant"]  # whose old words some templates drop
    lost = [m["role"] for m in heard if m["content"] not in text]
    return f"it leaves out what the {lost[0]} says." if lost else None


def _tells_the_day(tokenizer) -> bool:
    """Whether another clock changes the chat."""
    clocks = [f"{{%- macro strftime_now(format) %}}{day}{{% endmacro %}}" for day in ("1", "2")]
    first, second = (
        render(tokenizer, PROBE, chat_template=clock + tokenizer.chat_template) for clock in clocks
    )
    return first != second


def _name_control_tokens(tokenizer) -> None:
    """Name those that transformers would miss, as they are not in the template, and not those the agent writes."""
    if tokenizer.chat_control_tokens is not None:
        return
    added = [t.content for t in tokenizer.added_tokens_decoder.values() if not t.special]
    mentioned = _mentioned(tokenizer)
    control = (mentioned | {t for t in added if re.fullmatch(r"<\|.+\|>", t)}) - set(WRITTEN)
    if control != mentioned:
        tokenizer.chat_control_tokens = sorted(control)


def _name(tokenizer) -> str:
    return tokenizer.name_or_path or "The tokenizer"
