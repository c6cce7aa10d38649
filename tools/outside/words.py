"""What stands behind `mcp:` and `space:`: values from the environment, by name, and then a target."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from urllib.parse import urlsplit

GIVEN = re.compile(r"([A-Za-z][\w-]*)=(.*)", re.DOTALL)
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
SHORTEST = 8
"""Characters of a value that is kept out of what is written down; shorter ones stand in ordinary text."""
SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "AUTHORIZATION")


@dataclass(frozen=True)
class Words:
    target: list[str]
    given: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values that came from the environment."""

    def masked(self, value):
        """The text, or plain data, without the secrets that were given; servers repeat what they are told."""
        if isinstance(value, str):
            for secret in self.secrets:
                value = value.replace(secret, "***")
        elif isinstance(value, list):
            return [self.masked(one) for one in value]
        elif isinstance(value, dict):
            return {self.masked(key): self.masked(one) for key, one in value.items()}
        return value


def read(text: str) -> Words:
    """`NAME=$VARIABLE … target words`, split as a shell splits them.

    Raises ValueError for a variable that is not set, for a secret written out, and where no target is.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r} cannot be split into words: {error}.") from None
    given, secrets = {}, []

    def value(match: re.Match) -> str:
        variable = match[1] or match[2]
        if variable not in os.environ:
            raise ValueError(f"The environment has no variable {variable}.")
        if len(os.environ[variable]) >= SHORTEST:
            secrets.append(os.environ[variable])
        return os.environ[variable]

    while words and (match := GIVEN.fullmatch(words[0])):
        name, said = match.groups()
        if "$" not in said and name.upper().endswith(SECRET):
            # It would be written into run.json, and into a published folder.
            raise ValueError(
                f"Give {name} by the name of a variable, {name}=$MY_VARIABLE, not written out."
            )
        given[name] = VARIABLE.sub(value, said)
        words.pop(0)
    if not words:
        raise ValueError(f"{text!r} names nothing to connect to.")
    try:
        password = "://" in words[0] and "@" in urlsplit(words[0]).netloc
    except ValueError as error:
        raise ValueError(f"{words[0]!r} is no address: {error}.") from None
    if password:
        raise ValueError(
            "Give no password within an address; name a variable: Authorization=$MY_VARIABLE http://…"
        )
    return Words(words, given, tuple(secrets))
