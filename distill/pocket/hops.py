"""An encyclopedia of invented people, towns and books, and questions that take several look-ups in it.

"In which town was the author of The Silver Lantern born?" takes two: the book, then its author. Every
name belongs to one side of the train/test split, so no fact of the test encyclopedia is ever trained on.
"""

from __future__ import annotations

import random
import re
import zlib
from dataclasses import dataclass, field

SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ter",
    "van",
    "dro",
    "sel",
    "pu",
    "ri",
    "na",
    "gor",
    "ben",
    "tal",
    "mu",
    "fi",
    "ran",
    "cor",
    "de",
    "shi",
    "wen",
    "bal",
    "tor",
    "ve",
    "lin",
    "ha",
    "zu",
    "per",
    "gan",
    "os",
    "ki",
    "ster",
    "mo",
    "lan",
    "ba",
    "rek",
    "du",
    "jin",
    "sa",
    "vor",
    "ne",
]
GIVEN = [
    "Ada",
    "Boris",
    "Celia",
    "Dario",
    "Edda",
    "Farid",
    "Gilda",
    "Hanno",
    "Ilse",
    "Jaro",
    "Karim",
    "Lotte",
    "Milan",
    "Nadia",
    "Orson",
    "Paula",
    "Quinn",
    "Remy",
    "Selma",
    "Tibor",
    "Ursa",
    "Viktor",
    "Wanda",
    "Xenia",
    "Yorick",
    "Zelda",
    "Alma",
    "Bruno",
    "Cora",
    "Dimitri",
    "Elif",
    "Fritz",
]
TOWN_ENDINGS = ["ford", "stad", "mont", "burg", "dale", "haven"]
ADJECTIVES = [
    "Silver",
    "Crooked",
    "Hidden",
    "Amber",
    "Frozen",
    "Burning",
    "Quiet",
    "Broken",
    "Golden",
    "Distant",
    "Empty",
    "Scarlet",
    "Secret",
    "Wooden",
    "Bitter",
    "Gentle",
    "Hollow",
    "Ivory",
    "Jagged",
    "Lonely",
    "Mellow",
    "Narrow",
    "Painted",
    "Rusty",
    "Sleeping",
    "Tender",
    "Velvet",
    "Wild",
]
NOUNS = [
    "Lantern",
    "Harbor",
    "Mirror",
    "Garden",
    "Bridge",
    "Winter",
    "Letter",
    "Orchard",
    "Tower",
    "Compass",
    "Island",
    "Feather",
    "Kettle",
    "Ladder",
    "Meadow",
    "Needle",
    "Anchor",
    "Basket",
    "Candle",
    "Desert",
    "Engine",
    "Forest",
    "Glacier",
    "Hammer",
    "Jungle",
    "Kingdom",
    "Library",
    "Mountain",
    "Notebook",
    "Ocean",
    "Palace",
    "Quarry",
    "River",
    "Shadow",
    "Temple",
    "Umbrella",
    "Valley",
    "Window",
    "Arrow",
    "Barrel",
]
PROFESSIONS = [
    "painter",
    "sailor",
    "doctor",
    "baker",
    "lawyer",
    "weaver",
    "farmer",
    "singer",
    "mason",
    "pilot",
    "tailor",
    "judge",
    "poet",
    "miller",
]
GENRES = ["novel", "poem", "play", "diary", "fable"]

# relation: (what a fact calls it, how a question nests it or None, how a question ends with it)
RELATIONS = {
    "author": ("author", "the author of {x}", "Who wrote {x}?"),
    "written": ("year", None, "In which year was {x} written?"),
    "birthplace": ("birthplace", "the birthplace of {x}", "In which town was {x} born?"),
    "teacher": ("teacher", "the teacher of {x}", "Who taught {x}?"),
    "profession": ("profession", None, "What was the profession of {x}?"),
    "born": ("birth year", None, "In which year was {x} born?"),
    "river": ("river", None, "Which river flows through {x}?"),
    "founder": ("founder", "the founder of {x}", "Who founded {x}?"),
    "founded": ("founding year", None, "In which year was {x} founded?"),
}
KIND_OF = {"author": "person", "teacher": "person", "founder": "person", "birthplace": "town"}
TEXTS = {
    "book": (
        "{x} is a {genre} by {author}, written in {written}.",
        "{author} wrote the {genre} {x} in {written}.",
        "The {genre} {x} was written in {written} by {author}.",
    ),
    "person": (
        "{x} was a {profession} born in {birthplace} in {born}. The teacher of {x} was {teacher}.",
        "Born in {born} in {birthplace}, {x} became a {profession} and a pupil of {teacher}.",
        "{x}, a pupil of {teacher}, was a {profession}. {x} was born in {birthplace} in {born}.",
    ),
    "town": (
        "{x} is a town on the river {river}, founded by {founder} in {founded}.",
        "{founder} founded {x} in {founded}. The river {river} flows through {x}.",
        "The town of {x} was founded in {founded} by {founder}. It lies on the river {river}.",
    ),
}
OF_KIND = {
    "book": ("author", "written"),
    "person": ("birthplace", "teacher", "profession", "born"),
    "town": ("river", "founder", "founded"),
}


@dataclass(frozen=True)
class Entry:
    """One article: a title, a sentence or two, and the facts they state."""

    title: str
    kind: str
    text: str
    facts: dict[str, str] = field(hash=False)


@dataclass(frozen=True)
class Hop:
    """A question as a chain: start at `entity`, follow `relations`; `values[i]` is what relation i leads to."""

    entity: str
    relations: tuple[str, ...]
    values: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        return ask(self.entity, self.relations)

    @property
    def answer(self) -> str:
        return self.values[-1]

    @property
    def plan(self) -> str:
        """The question with what must be known first marked, and where to look: the teacher's first thought."""
        return f"{ask(self.entity, self.relations, mark=True)} I look up {self.entity}."


def ask(entity: str, relations: tuple[str, ...], mark: bool = False) -> str:
    """The question in words: `relations` nested around `entity`, the last one asked for.

    mark: put the innermost phrase, which must be looked up first, in parentheses.
    """
    for i, relation in enumerate(relations[:-1]):
        entity = RELATIONS[relation][1].format(x=entity)
        if mark and i == 0:
            entity = f"({entity})"
    return RELATIONS[relations[-1]][2].format(x=entity)


def state(relation: str, entity: str, value: str) -> str:
    """The fact in words."""
    return f"The {RELATIONS[relation][0]} of {entity} is {value}."


def parse(question: str) -> Hop | None:
    """Read a question back into its chain (without values); None if it is not one of ours."""
    question = question.strip().replace("(", "").replace(")", "")
    for last, pattern in _ENDS.items():
        if match := pattern.fullmatch(question):
            x, relations = match["x"], [last]
            while nested := _NESTED.match(x):
                relations.insert(0, nested["relation"])
                x = nested["x"]
            return Hop(x, tuple(relations))
    return None


def read(entry_text: str, title: str, relation: str) -> str | None:
    """The value of a relation in an article's text; None where it states none."""
    for kind, relations in OF_KIND.items():
        if relation in relations:
            for pattern in _reading(kind, title):
                if match := pattern.fullmatch(entry_text.strip()):
                    return match[relation]
    return None


def is_test(name: str) -> bool:
    """Which side of the train/test split a name falls on: a property of the name, whatever the seed."""
    return zlib.crc32(name.encode()) % 4 == 0


def make_entries(
    rng: random.Random, test: bool, people: int, towns: int, books: int
) -> list[Entry]:
    """An encyclopedia whose every title lies on the asked side of the split."""
    persons = _unique(rng, people, test, lambda: f"{rng.choice(GIVEN)} {_word(rng, 2, 3)}")
    places = _unique(rng, towns, test, lambda: _word(rng, 1, 2) + rng.choice(TOWN_ENDINGS))
    titles = _unique(rng, books, test, lambda: f"The {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}")
    make = {
        "person": lambda title: {
            "birthplace": rng.choice(places),
            "teacher": rng.choice([p for p in persons if p != title]),
            "profession": rng.choice(PROFESSIONS),
            "born": str(rng.randint(1500, 1999)),
        },
        "town": lambda _: {
            "river": _word(rng, 2, 2),
            "founder": rng.choice(persons),
            "founded": str(rng.randint(1000, 1999)),
        },
        "book": lambda _: {"author": rng.choice(persons), "written": str(rng.randint(1500, 1999))},
    }
    entries = []
    for kind, names in (("person", persons), ("town", places), ("book", titles)):
        for title in names:
            facts = make[kind](title)
            text = rng.choice(TEXTS[kind]).format(x=title, genre=rng.choice(GENRES), **facts)
            entries.append(Entry(title, kind, text, facts))
    return entries


def make_hop(rng: random.Random, entries: list[Entry], length: int) -> Hop:
    """A chain of `length` look-ups through the encyclopedia that visits no article twice."""
    by_title = {entry.title: entry for entry in entries}
    while True:
        entry = start = rng.choice(entries)
        relations, values, seen = [], [], {start.title}
        for step in range(length):
            last = step == length - 1
            options = [r for r in OF_KIND[entry.kind] if last or r in KIND_OF]
            relations.append(rng.choice(options))
            values.append(entry.facts[relations[-1]])
            if values[-1] in seen:
                break
            seen.add(values[-1])
            entry = by_title.get(values[-1], entry)
        else:
            return Hop(start.title, tuple(relations), tuple(values))


def _word(rng: random.Random, shortest: int, longest: int) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(shortest, longest))).title()


def _unique(rng: random.Random, n: int, test: bool, draw) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < n:
        name = draw()
        if is_test(name) == test:
            names[name] = None
    return list(names)


def _reading(kind: str, title: str) -> list[re.Pattern]:
    patterns = []
    for text in TEXTS[kind]:
        seen: set[str] = set()

        def group(match: re.Match, seen: set[str] = seen) -> str:
            if match[1] == "x" or match[1] in seen:
                return re.escape(title)
            seen.add(match[1])
            return f"(?P<{match[1]}>[\\w ]+)"

        patterns.append(re.compile(re.sub(r"\\\{(\w+)\\\}", group, re.escape(text))))
    return patterns


_ENDS = {
    name: re.compile(re.escape(end).replace(r"\{x\}", "(?P<x>.+)"))
    for name, (_, _, end) in RELATIONS.items()
}
_NESTED = re.compile(r"the (?P<relation>author|birthplace|teacher|founder) of (?P<x>.+)")
