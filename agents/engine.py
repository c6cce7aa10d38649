"""Write replies for many runs at once, each from the moment that it is asked for.

One thread reads and writes for all. In each round every reply that is being written gets one token, and
of the prompts that wait for theirs a bounded part is read beside; so a reply that is done leaves at once, a
new one joins at once, and neither waits for another. What was read before is not read again: several
samples of one prompt, the next step of a run, another run with the same system prompt (agents/recall.py).
The numbers are worked out in agents/decode.py.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from .recall import SIZE, Read, Recall, longest, packed_tokens
from .stops import Stops

CHUNK = 256
"""Tokens of prompts that are read in a round, beside replies that are being written."""
ALONE = 2048
"""The same, where no reply is being written and so none waits."""
SHARED = 16
"""Tokens of a common beginning for which it pays to copy, or to wait, instead of reading it again."""
IDLE = 2.0
"""Seconds without a request after which the thread ends; the next one starts it anew."""


@dataclass(eq=False)
class Row:
    """One reply being written."""

    ids: list[int]
    """The prompt."""
    limit: int
    """Tokens at most."""
    stops: Stops
    temperature: float = 0.0
    seed: int = 0
    cancelled: Callable[[], bool] | None = None
    """Asked before each token; once it says yes, the reply ends as it is."""
    told: Callable[[], None] | None = None
    """Called after each token and at the end, by the engine's thread."""
    written: list[int] = field(default_factory=list)
    reason: str | None = None
    """Why it ended: "stop", "length" or "cancelled"."""
    done: Future = field(default_factory=Future)
    memory: object = None
    """Keys and values of what has been read of it."""
    tokens: bytes = b""
    """The prompt, as `packed_tokens`."""
    numbers: list[float] | None = None
    """What draws its tokens, where it is not greedy."""

    def __post_init__(self):
        self.tokens = packed_tokens(self.ids)

    @property
    def length(self) -> int:
        return len(self.ids) + len(self.written)

    def unread(self, n: int) -> list[int]:
        """The first n tokens that have not been read."""
        read, prompt = self.memory.length, len(self.ids)
        if read >= prompt:
            return self.written[read - prompt : read - prompt + n]
        return (self.ids[read : read + n] + self.written)[:n]

    def take(self, token: int, end_ids: set[int]) -> None:
        """Append a token, or end."""
        if token in end_ids:
            self.reason = "stop"
            return
        self.written.append(token)
        if self.stops.reached(self.written):
            self.reason = "stop"
        elif len(self.written) >= self.limit:
            self.reason = "length"


class Engine:
    """A model that writes rows; any thread may ask."""

    def __init__(self, model, end_ids: list[int], *, batch_size: int = 64, memory: int = 10**9):
        """batch_size: replies written at once. memory: bytes of keys and values kept of what is done."""
        from .decode import Decoder

        self.decoder, self.end_ids, self.batch_size = Decoder(model), set(end_ids), batch_size
        self.recall = Recall(memory)
        self.chunk = CHUNK if self.decoder.on_cpu else ALONE
        self._waiting: deque[Row | tuple[Callable, Future]] = deque()
        self._rows: list[Row] = []
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None

    def between(self, work: Callable[[], None]) -> None:
        """Do something when all that was asked for before is written, and before all that is asked for after."""
        done: Future = Future()
        self.submit([(work, done)])
        done.result()

    def submit(self, rows: list[Row]) -> None:
        """Have them written; each row's `done` tells when it is, or raises what went wrong with it."""
        with self._lock:
            self._waiting.extend(rows)
            if self._thread is None or not self._thread.is_alive():  # a fork has no threads
                self._thread = threading.Thread(target=self._serve, daemon=True, name="engine")
                self._thread.start()
            self._lock.notify()

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._rows and not self._waiting:
                    self._lock.wait(IDLE)
                    if not self._waiting:
                        self._thread = None
                        return
            try:
                self._end_cancelled()
                self._step(self._plan())
            except BaseException as error:  # whatever it is, nobody is left waiting for a reply
                for row in [*self._rows, *self._queued()]:
                    self._fail(row, error)

    def _plan(self) -> list[tuple[Row, int]]:
        """The rows that take part in the next forward, each with how many of its tokens are read."""
        writing = [row for row in self._rows if row.written or self._left(row) == 1]
        reading = deque(row for row in self._rows if row not in writing)
        planned = [(row, self._left(row)) for row in writing]
        budget = self.chunk if planned else ALONE
        while budget > 0:
            row = reading.popleft() if reading else self._next()
            if row is None:
                break
            n = self._left(row)
            if self.decoder.packs and not self.decoder.far(row.length):
                n = min(n, budget)
            planned.append((row, n))
            budget -= n
        return planned

    def _left(self, row: Row) -> int:
        """Tokens that are still to be read of it; all of them again where it has grown past the edge."""
        if self.decoder.far(row.length) and not row.memory.far:
            row.memory = self.decoder.memory(far=True)
        return row.length - row.memory.length

    def _next(self) -> Row | None:
        """The next row that can join, joined; what is to be done between rows is done on the way."""
        while True:
            with self._lock:
                item = self._joining()
            if item is None:
                return None
            if isinstance(item, tuple):
                _do(*item)
                continue
            self._rows.append(item)
            try:
                item.memory = self._known(item)
            except Exception:  # no room to copy it: it is read anew
                self.recall.clear()
                item.memory = self.decoder.memory(self.decoder.far(item.length))
            return item

    def _joining(self):
        """Taken from the queue: the first row that need not wait, or work to do now; None: nothing yet.

        A row waits for its place, for work that stands before it, and for another row that is reading the
        beginning that they share.
        """
        reading = [Read(row.tokens, row.memory) for row in self._rows if not row.written]
        for at, item in enumerate(self._waiting):
            if isinstance(item, tuple):
                if at or self._rows:
                    return None
            elif len(self._rows) >= self.batch_size:
                return None
            elif self.decoder.packs and reading:
                other, same = longest(reading, item.tokens)
                if other and same - SHARED > max(other.memory.length, self._found(item)[1]):
                    continue
            del self._waiting[at]
            return item
        return None

    def _found(self, row: Row) -> tuple[Read | None, int]:
        """Whose memory begins as the row's prompt does, and for how long; at least a token is left to read."""
        writing = [
            Read(other.tokens[: other.memory.length * SIZE], other.memory)
            for other in self._rows
            if other.memory is not None and not other.memory.far
        ]
        found, same = self.recall.longest(row.tokens)
        other, alike = longest(writing, row.tokens)
        if alike > same:
            found, same = other, alike
        return found, min(same, len(row.ids) - 1)

    def _known(self, row: Row):
        """The memory that the row begins with."""
        far = self.decoder.far(row.length)
        found, same = (None, 0) if far or not self.decoder.packs else self._found(row)
        if same < SHARED:
            return self.decoder.memory(far)
        if found in self.recall and found.length - same < SHARED:  # the run that it was, goes on
            return self.recall.take(found).cut(same)
        return found.memory.first(same)

    def _step(self, planned: list[tuple[Row, int]]) -> None:
        """Read, and append a token to every row that is read to its end."""
        near = [each for each in planned if not each[0].memory.far]
        if 0 < len(near) < len(planned):  # a forward rotates positions one way or the other
            far = [each for each in planned if each[0].memory.far]
            self._step(near)
            self._step(far)
            return
        if not planned:
            return
        rows = [row for row, _ in planned]
        try:
            logits = self.decoder.read([r.memory for r in rows], [r.unread(n) for r, n in planned])
            self._write(rows, logits)
        except Exception as error:
            if len(rows) == 1:
                self._fail(rows[0], error)
                return
            self.recall.clear()  # out of memory, as a rule
            for row, n in planned:  # each alone: an error is told to whom it belongs
                if self._left(row) == 0 and self.decoder.packs:  # read, but nothing chosen
                    row.memory.cut(row.length - 1)
                self._step([(row, min(n, self._left(row)))])

    def _write(self, rows: list[Row], logits) -> None:
        """A token to each of the rows that nothing is left to read of."""
        at = [i for i, row in enumerate(rows) if not self._left(row)]
        if not at:
            return
        if len(at) < len(rows):
            rows, logits = [rows[i] for i in at], logits[at]
        for row in rows:
            if row.temperature > 0 and row.numbers is None:
                row.numbers = self.decoder.uniform(row.seed, row.limit)
        numbers = [row.numbers[len(row.written)] if row.numbers else 0.0 for row in rows]
        tokens = self.decoder.choose(logits, [row.temperature for row in rows], numbers)
        for row, token in zip(rows, tokens, strict=True):
            try:
                row.take(token, self.end_ids)
                if row.told:
                    row.told()
            except Exception as error:
                self._fail(row, error)
            if row.reason is not None:
                self._leave(row)

    def _end_cancelled(self) -> None:
        for row in [*self._rows, *self._queued()]:
            try:
                if row.cancelled and row.cancelled():
                    row.reason = "cancelled"
                    self._leave(row)
            except Exception as error:
                self._fail(row, error)

    def _queued(self) -> list[Row]:
        with self._lock:
            return [item for item in self._waiting if isinstance(item, Row)]

    def _fail(self, row: Row, error: BaseException) -> None:
        row.memory = None
        self._leave(row, error)

    def _leave(self, row: Row, error: BaseException | None = None) -> None:
        """Its place is free, what was read of it is kept, and who waits for it is told."""
        if row in self._rows:
            self._rows.remove(row)
        else:
            with self._lock, suppress(ValueError):
                self._waiting.remove(row)
        memory, row.memory = row.memory, None
        if memory is not None and memory.length and self.decoder.packs and not memory.far:
            tokens = packed_tokens((row.ids + row.written)[: memory.length])
            self.recall.keep(Read(tokens, memory), len(row.ids))
        if row.done.done():
            return
        row.done.set_exception(error) if error else row.done.set_result(None)
        if row.told:
            with suppress(Exception):
                row.told()


def _do(work: Callable[[], object], done: Future) -> None:
    try:
        done.set_result(work())
    except Exception as error:
        done.set_exception(error)
