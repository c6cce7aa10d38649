"""Run a solver over problems and keep every run: one line each, appended as it ends.

Stop it in any way and call it again: finished rollouts stay, failed ones are tried again, and the line
of a rollout that was being written is cut off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from pydantic import Field, ValidationError

from agents import Trajectory, solve
from agents.trajectory import Record

from .problems import Problem
from .progress import progress
from .scoring import score

FILE = "rollouts.jsonl"
EXACT = "exact"


class Rollout(Record):
    problem: Problem
    attempt: int = Field(ge=0)
    trajectory: Trajectory
    score: float | None
    """0.0 to 1.0; 0.0 for a run that failed or has no answer."""
    scorer: str = EXACT
    """What decided: "exact" (mathematics by value, words by exact match) or "judge: MODEL"."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from the other rollouts of a folder: benchmark, problem id, attempt."""
        return *self.problem.key, self.attempt


def run_rollouts(
    problems: Sequence[Problem],
    make_solver: Callable[[Problem], object],
    out: Path,
    *,
    attempts: int = 1,
    workers: int = 32,
    title: str = "rollouts",
) -> Counter:
    """Bring `out/rollouts.jsonl` to `attempts` rollouts per problem; returns how the new ones ended.

    `make_solver` builds what `agents.solve` takes, fresh for each rollout. Scores and lines are made in
    the calling thread alone.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out / FILE
    _cut_half_line(file)
    before = read_lines(file).values() if file.is_file() else ()
    done = {r.key: r.problem for r in before if r.trajectory.stop != "failed"}
    todo = [(p, k) for k in range(attempts) for p in problems if done.get((*p.key, k)) != p]
    ended: Counter = Counter()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="rollout")
    try:
        with file.open("a", encoding="utf-8") as lines, progress(title, len(todo)) as advance:
            running: set[Future] = set()
            waiting = iter(todo)
            for problem, k in waiting:
                running.add(pool.submit(attempt, problem, k, make_solver))
                # A few more than there are workers: enough to keep them busy, little to lose at a stop.
                if len(running) >= 2 * workers:
                    running = _write(running, lines, ended, advance)
            while running:
                running = _write(running, lines, ended, advance)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return ended


def attempt(
    problem: Problem, k: int, make_solver: Callable[[Problem], object]
) -> tuple[Problem, int, Trajectory]:
    """One fresh solver, one question."""
    return problem, k, solve(make_solver(problem), problem.question)


def read_rollouts(folder: str | Path) -> Iterator[Rollout]:
    """The rollouts of a run's folder, in their order; of a retried one, the last. A half line is passed over.

    Raises ValueError where the folder has none or a line is no rollout.
    """
    file = Path(folder) / FILE
    if not file.is_file():
        raise ValueError(f"No {FILE} in {folder}; collect or evaluate makes one.")
    return iter(read_lines(file).values())


def read_lines(file: Path) -> dict[tuple, Rollout]:
    """The rollouts of a file by (benchmark, problem id, attempt)."""
    found = {}
    with file.open(encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            try:
                rollout = Rollout.model_validate_json(line)
            except ValidationError as error:
                if not line.endswith("\n"):
                    break  # a killed run's last
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"]))
                raise ValueError(
                    f"{file}, line {number} is no rollout: {place} {first['msg']}."
                ) from None
            found[rollout.key] = rollout
    return found


def _write(running: set[Future], lines, ended: Counter, advance) -> set[Future]:
    """Wait for some to end, append their lines; returns those that still run."""
    over, running = wait(running, return_when=FIRST_COMPLETED)
    for future in over:
        problem, k, trajectory = future.result()
        rollout = Rollout(
            problem=problem,
            attempt=k,
            trajectory=trajectory,
            score=score(problem, trajectory.answer) if trajectory.stop == "answered" else 0.0,
        )
        lines.write(rollout.model_dump_json() + "\n")
        ended[trajectory.stop] += 1
        ended["correct"] += rollout.score == 1.0
        advance()
    lines.flush()
    return running


def write_rollouts(rollouts: Iterable[Rollout], folder: Path) -> None:
    """All of a folder's anew: whole or not at all."""
    new = folder / f"{FILE}.new"
    with new.open("w", encoding="utf-8") as lines:
        lines.writelines(rollout.model_dump_json() + "\n" for rollout in rollouts)
    new.replace(folder / FILE)


def _cut_half_line(file: Path) -> None:
    """Drop what a killed run left unfinished, so that the next line does not continue it."""
    if not file.is_file():
        return
    with file.open("rb+") as lines:
        content = lines.read()
        lines.truncate(content.rfind(b"\n") + 1)
