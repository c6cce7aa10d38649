"""How much a stranger may use: rules, and the count of who asked when."""

from __future__ import annotations

import ipaddress
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

from ..sandbox import Limits

MINUTE = 60.0  # seconds
MOST_KEYS = 10_000
"""Of whom is counted; then those who asked longest ago are forgotten."""


class RefusedError(ValueError):
    """One sentence to show to the visitor.

    retry_after: seconds after which it may be asked again; None where waiting does not help.
    """

    def __init__(self, sentence: str, retry_after: float | None = None):
        super().__init__(sentence)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Rules:
    runs: int = 4
    """Runs at once, of the whole app."""
    waiting: int = 20
    """Questions that may wait for their turn; one more is refused."""
    runs_each: int = 1
    """Runs at once, of a visitor."""
    per_minute: int = 10
    """Questions of a visitor."""
    per_minute_address: int = 30
    """Questions from an address, whatever visitors they are of."""
    message_chars: int = 4000
    """Characters of a message."""
    upload_bytes: int = 5_000_000
    """Bytes of an uploaded file; Gradio's `max_file_size`."""
    idle_seconds: float = 3600.0
    """Then a visitor's agent, its sandbox and its memory go."""
    visitors: int = 200
    """Kept at a time."""
    visitors_address: int = 50
    """Kept at a time of an address, so that it cannot drive out all others."""
    run_seconds: float = 300.0
    """Of a run, where the agent's own limits say nothing."""
    run_tokens: int = 100_000
    """Of a run, where the agent's own limits say nothing."""

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value <= 10**9:
                raise ValueError(
                    f"The rule {field.name} is above 0 and at most 1,000,000,000, not {value}."
                )

    @classmethod
    def read(cls, text: str, **defaults) -> Self:
        """From "runs=2,per_minute=5". Raises ValueError, naming what there is, for any other text."""
        kinds = {field.name: float if field.type == "float" else int for field in fields(cls)}
        values = dict(defaults)
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            if name not in kinds:
                raise ValueError(f"No rule {name!r}; there are: {', '.join(kinds)}.")
            try:
                values[name] = kinds[name](value)
            except ValueError:
                raise ValueError(f"The rule {name} is a number, not {value!r}.") from None
        return cls(**values)

    def limits(self, limits: Limits) -> Limits:
        """The agent's limits, a run's length and tokens among them in any case."""
        return replace(
            limits,
            run_seconds=limits.run_seconds or self.run_seconds,
            run_tokens=limits.run_tokens or self.run_tokens,
        )


class Rate:
    """So many a minute for each key. Thread-safe; forgets who has not asked for a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic):
        self.per_minute, self.clock = per_minute, clock
        self._asked: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, key: str) -> float:
        """Seconds until the key may ask again; 0 if now."""
        with self._lock:
            return self._wait(key, self.clock())

    def take(self, key: str) -> float:
        """Count a question of the key, if it may ask now: 0. Else the seconds to wait, and nothing counted."""
        with self._lock:
            now = self.clock()
            if seconds := self._wait(key, now):
                return seconds
            self._asked.setdefault(key, deque(maxlen=self.per_minute)).append(now)
            if len(self._asked) > MOST_KEYS:
                self._forget(now)
            return 0.0

    def _wait(self, key: str, now: float) -> float:
        asked = self._asked.get(key)
        if asked is None or len(asked) < self.per_minute:
            return 0.0
        return max(0.0, asked[0] + MINUTE - now)

    def _forget(self, now: float) -> None:
        latest = sorted((times[-1], key) for key, times in self._asked.items())
        for at, key in latest:
            if at > now - MINUTE and len(self._asked) <= MOST_KEYS * 3 // 4:
                break
            del self._asked[key]


def on_space() -> bool:
    """Whether this runs in a Space of the Hub, behind its proxy."""
    return os.environ.get("SYSTEM") == "spaces" and bool(os.environ.get("SPACE_ID"))


def address_of(headers: Mapping[str, str], peer: str | None) -> str:
    """Whom the rate of an address is counted for; the network, of an IPv6 address.

    headers: with names in lower case. peer: the address at the other end of the connection. Only on a Space
    is X-Forwarded-For believed, and of it only what the proxy itself has added: a visitor can write the rest.
    """
    given = peer or ""
    if on_space():
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            try:
                found = ipaddress.ip_address(hop.strip())
            except ValueError:
                break
            if found.is_global:
                given = hop.strip()
                break
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return given or "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
