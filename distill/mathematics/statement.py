"""Find the answer in what may be prose: what the last box holds, or what "the answer is" introduces.

A statement that takes back what it says ("it is not 12", "half of it is 12"), or goes on after its box
("\\boxed{5} or 6"), holds no answer.
"""

from __future__ import annotations

import re
import unicodedata

from .numbers import WORDS, rational, spelled

INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0xFE63: 0x2D}
"""Full-width forms, as East Asian keyboards give them."""

TAKEN_BACK = re.compile(
    r"n't\b|n\u2019t\b|\b(?:not|no|never|cannot|nor|neither|either|false|wrong|incorrect|doubt|nobody|none|half|twice"
    r"|double|third|quarter|square|negative|opposite|reciprocal|one of|some of|part of|unless|if|first|previous"
    r"|earlier|initial|instead|rather|almost|nearly|about|roughly|approximately|more|less|at least|at most)\b",
    re.IGNORECASE,
)
"""In front of a value: it is not said to be the answer."""
LABEL = re.compile(
    r"\b(?:answer|ans|result|solution|total|output)s?\s*(?:\([^()]*\)\s*)?(?:(?:is|was|are|be|equals)\b\s*:?|:|=)\s*",
    re.IGNORECASE,
)
VERB = re.compile(
    r"\b(?:is|are|was|equals|equal to|gets?|gives?|have|has|obtain|costs?|be)\s*:?\s+"
    r"(?=[-+$\d\\(\[{.]|[A-Za-z]\w*\s*=|[A-Za-z]\s*[\^+*/-]|(?:"
    + "|".join(word for word in WORDS if word != "zero")
    + r")\b)"
)
LEAD = re.compile(
    r"^(?:(?:=(?![=>])|so|therefore|thus|hence|then|finally|=>|\\(?:Rightarrow|implies|therefore|Longrightarrow)(?![A-Za-z])"
    r"|\u2234|\u21d2|\u2192|:|a(?=:))[\s,:]*)+",
    re.IGNORECASE,
)
EMPHASIS = re.compile(
    r"^(?:definitely|exactly|simply|just|clearly|indeed|precisely|equal to|now|always)\s+",
    re.IGNORECASE,
)
BEHIND = re.compile(
    r"^(?P<answer>.+?),?\s+(?:is|are) (?:the|our|my) (?:final |correct |right |required )?(?:answer|result|solution)s?$",
    re.IGNORECASE | re.DOTALL,
)
SENTENCE = re.compile(r"\\text\s*\{([^{}]*\b(?:is|are)\b[^{}]*)\}")
IN_ALL = re.compile(r"\s+(?:in total|altogether|in all|overall)\W*$", re.IGNORECASE)
WORD = re.compile(
    r"^(?:it|this|that|the(?: \w+){1,3}) (?:is|are) (?:(?:an?|the) )?([A-Za-z]+)$", re.IGNORECASE
)
WISH = re.compile(r"[.,;]?\s*I hope (?:it|this|that) is correct\W*$", re.IGNORECASE)
CORRECTION = re.compile(r",?\s+(?:and )?not\s.*$", re.IGNORECASE | re.DOTALL)
BOX = re.compile(r"\\f?boxed\s*|\\fbox\s*")
UNIT_BEHIND = re.compile(
    r"\s*(?:\$|\\\)|\\\])?\s*(\\?%|per\s?cent\b|\^\s*\{?\s*\\circ\s*\}?|\u00b0"
    r"|\\(?:text|mathrm)\s*\{[^{}]*\}(?:\^\{?\d\}?)?"
    r"|(?:square |cubic )?(?:cm|mm|km|m|kg|g|ft|feet|inches|in|meters|miles|dollars|cents|degrees|hours|minutes"
    r"|seconds|days|units)\b(?:\^\{?\d\}?)?)"
)
MORE_BEHIND = re.compile(
    r"\s*(?:\$|\\\)|\\\])?\s*(?:[-+*/^_\d=<>!]|\\(?:times|cdot|sqrt|pi|frac|pm|cup|le|ge)(?![A-Za-z])"
    r"|,\s*(?:\$|\\)?[-\d]|(?:,\s*)?\bor\b|\bto\b|\bis (?:not|wrong|incorrect|false)\b|\bisn't\b"
    r"|\b(?:hundred|thousand|million|billion|trillion|dozen)s?\b|\bif\b|\bplus\b|\bminus\b|\btimes\b)",
    re.IGNORECASE,
)
PAIRS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("```", "```"), ("`", "`"), ("***", "***"),
         ("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ('"', '"'), ("'", "'"))  # fmt: skip
"""What may stand around an answer and says nothing."""


def statement(text: str) -> str:
    """The answer as the text states it; the text itself where it is no prose; "" where it states none."""
    text = INVISIBLE.sub("", unicodedata.normalize("NFC", text)).translate(WIDE)
    text = WISH.sub("", bare(text))
    if tagged := re.fullmatch(r"<(\w+)>(.*)</\1>", text, re.DOTALL):
        text = bare(tagged[2])
    if BOX.search(text):
        return in_box(text)
    if called := re.fullmatch(r"(?:final_answer|print)\((.*)\)", text, re.DOTALL):
        return bare(called[1])
    if said := re.fullmatch(
        r"\{\s*[\"'](?:\w+\s)*(?:answer|result)[\"']\s*:\s*(.*)\}", text, re.DOTALL
    ):
        return bare(said[1])
    text = IN_ALL.sub("", SENTENCE.sub(r"\1 ", text))
    labels = list(LABEL.finditer(text))
    if labels:
        return introduced(text[: labels[-1].start()], text[labels[-1].end() :])
    if behind := BEHIND.match(text):
        return "" if TAKEN_BACK.search(behind["answer"]) else bare(behind["answer"])
    text = bare(LEAD.sub("", text))
    if word := WORD.match(text):
        return word[1]
    lead, rest = predicate(text)
    return introduced(lead, rest) if lead else explained(text)


def predicate(text: str) -> tuple[str, str]:
    """Subject and value of a sentence such as "The area is 12 cm"; no subject where it is none."""
    verb = VERB.search(text)
    if not verb or re.search(r"[\\=+*/^<>{}\[\]]|\d\s*[-,]", text[: verb.start()]):
        return "", text
    return text[: verb.start()].strip() or "it", text[verb.end() :]


def introduced(lead: str, rest: str) -> str:
    """What is said after "… is"; "" where what stands before takes it back."""
    sentence = re.split(r"(?<=[.!?\n])\s+", lead)[-1]
    if TAKEN_BACK.search(sentence):
        return ""
    rest = bare(CORRECTION.sub("", EMPHASIS.sub("", bare(rest))))
    lead, value = predicate(rest)
    if lead and lead != "it":
        return introduced(lead, value)
    return explained(rest)


def explained(text: str) -> str:
    """Without the number in words that may stand behind a number: "5 (five)"."""
    twice = re.fullmatch(r"(.*\S)\s*\(([A-Za-z -]+)\)", text)
    if twice and spelled(twice[2]) is not None and spelled(twice[2]) == rational(twice[1]):
        return twice[1]
    twice = re.fullmatch(r"([A-Za-z -]+\S)\s*\(([-+\d.,]+)\)", text)
    if twice and spelled(twice[1]) is not None and spelled(twice[1]) == rational(twice[2]):
        return twice[2]
    return text


def in_box(text: str) -> str:
    """What the last box holds, with the unit behind it; of boxes side by side, all, as a list."""
    boxes = []
    for found in BOX.finditer(text):
        if boxes and found.start() < boxes[-1][1]:
            if found.start() >= boxes[-1][2]:  # a box in the box
                boxes[-1] = (found.start(), boxes[-1][1], found.end(), boxes[-1][3])
            continue
        if found.end() < len(text) and text[found.end()] == "{":
            end = closing(text, found.end())
            if end is None:
                return ""  # never closed: cut off
            boxes.append((found.start(), end + 1, found.end(), text[found.end() + 1 : end]))
        else:
            word = re.match(r"[-+]?[\w.]+", text[found.end() :])
            if word:
                end = found.end() + word.end()
                boxes.append((found.start(), end, end, word[0]))
    if not boxes:
        return ""
    last = len(boxes) - 1
    while last and re.fullmatch(
        r"[\s$,;]*(?:and|or)?[\s$]*", text[boxes[last - 1][1] : boxes[last][0]]
    ):
        last -= 1
    contents = [box[3] for box in boxes[last:]]
    before, after = text[: boxes[last][0]], text[boxes[-1][1] :]
    if re.search(r"\b(?:not|isn't|cannot be|never)\s*[\s$:]*$", before, re.IGNORECASE):
        return ""
    if len(set(contents)) > 1:
        return ", ".join(map(statement, contents))
    if unit := UNIT_BEHIND.match(after):
        contents[0] += f" {unit[1]}"
    elif MORE_BEHIND.match(after):
        return ""
    return statement(contents[0])


def closing(text: str, start: int) -> int | None:
    """Where the brace that opens at `start` closes."""
    depth = 0
    for i in range(start, len(text)):
        if text[i - 1 : i] != "\\":
            depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i
    return None


def trimmed(text: str) -> str:
    """Without spaces around, and full stops, commas and LaTeX's spaces behind."""
    text = re.sub(r"^(?:\\[,;:! ]|\s)+", "", text)
    while True:
        before = text
        text = re.sub(r"(?:(?<!\\)\\[,;:! ]|\s)+$", "", text.rstrip())
        text = re.sub(r"(?<![.\\])[.,;]$|\\+$", "", text)
        if text == before:
            return text


def bare(text: str) -> str:
    """Without headings, fences, emphasis, quotes and dollars around all of it."""
    text = re.sub(r"^\s*(?:#+\s+)+", "", text.strip())
    text = re.sub(r"^```[a-z]*\n", "```", text)
    text = re.sub(r"(?<![\w*)])\*\*(?=\S)([^*]*[^*\s])\*\*(?![\w*(])", r"\1", text)
    text = trimmed(text)
    if text.count("$") == 1 and text.endswith("$"):
        text = trimmed(text[:-1])
    while True:
        before = text
        for left, right in PAIRS:
            inner = text[len(left) : len(text) - len(right)]
            if (
                (
                    text.startswith(left)
                    and text.endswith(right)
                    and len(text) > len(left) + len(right)
                )
                and left not in inner.replace("\\$", "")
                and not inner.endswith("\\")
            ):
                text = trimmed(inner)
        if text == before:
            return text
