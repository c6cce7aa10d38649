"""What a report holds: ways of answering, what each scored on each benchmark, and how any two compare.

Records only; `distill/study.py` makes them from runs' folders, `distill/report.py` shows them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agents.trajectory import Record

Outcome = Literal[
    "right",
    "wrong",
    "none",
    "parsing",
    "execution",
    "limit",
    "steps",
    "undecided",
    "failed",
    "missing",
]
OUTCOMES: dict[Outcome, str] = {
    "right": "right",
    "wrong": "answered, wrong",
    "none": "answered with nothing",
    "parsing": "no answer: the last code did not parse",
    "execution": "no answer: the last code raised",
    "limit": "no answer: a limit was reached",
    "steps": "no answer: none was given, or steps ran out",
    "undecided": "not scored: the judge could not decide",
    "failed": "the system failed",
    "missing": "never run",
}
"""How a rollout ended, of which all but the first are wrong; the first that fits, from below."""

Verdict = Literal["better", "tie", "worse"]


class Row(Record):
    """A way of answering: a model, a method, and how it is sampled. A line of the table, over all benchmarks."""

    id: str
    label: str
    """The method, and how it chooses among candidates: "agent + sag (N=8, T=0.4)"."""
    name: str
    """The model, as short as it can be told from the others."""
    method: str
    model: str
    base: str
    """What the model was distilled from, or itself: rows of one base are of one size."""
    parameters: int | None = None
    samples: int = 1
    temperature: float | None = None
    settings: dict[str, str] = Field(default_factory=dict)
    """What else tells it apart from a row of the same label and name."""
    runs: tuple[str, ...] = ()
    """The folders it comes from; more than one on one benchmark are repetitions (seeds)."""
    teacher: bool = False
    simulated: bool = False
    """Outcomes drawn from a random generator, for trying the report; no model was run."""


class Result(Record):
    """One row on one benchmark. All shares are 0 to 1."""

    row: str
    benchmark: str
    method: str
    model: str
    samples: int = 1
    temperature: float | None = None
    scorer: str = "exact"
    """What decided right or wrong: "exact" (math or exact match) or "judge: NAME"."""
    n: int
    """Problems of the benchmark that were asked for: the denominator."""
    attempts: int = 1
    """Rollouts per problem and run; `accuracy` is their mean."""
    accuracy: float
    low: float
    """95% interval after Wilson, with `high`, over problems."""
    high: float
    outcomes: dict[Outcome, int] = Field(default_factory=dict)
    """How many rollouts ended in each way; they add up to n x attempts x runs."""
    answered: int
    max_steps: int
    failed: int
    missing: int = 0
    exact_match: float | None = None
    """Of factual problems, with `f1`: HotpotQA's two scores, the better over all answers that count."""
    f1: float | None = None
    pass_at: dict[int, float] = Field(default_factory=dict)
    """By k: the chance that one of k attempts is right (Chen et al. 2021, unbiased)."""
    majority_at: dict[int, float] = Field(default_factory=dict)
    """By k: how often the majority of k attempts is right, over all choices of k (or many)."""
    accuracies: tuple[float, ...] = ()
    """Of each run (seed), where there are several."""
    spread: float | None = None
    """Standard deviation of them."""
    input_tokens: int
    output_tokens: int
    seconds: float
    """Of all rollouts together; they run at the same time, so this is more than the clock showed."""
    limits: dict[str, int] = Field(default_factory=dict)
    """How many rollouts reached a limit, by its name."""
    agreement: float | None = None
    """Of self-consistent steps, on average, the winner's share of the candidates."""
    sampled: float | None = None
    """Of them, on average, the candidates; fewer than `samples` where sampling stops at a decided vote."""


class Comparison(Record):
    """Two rows on the problems that both were run on; the difference is the second's minus the first's."""

    first: str
    second: str
    benchmark: str | None
    """None: all their benchmarks together."""
    n: int
    first_only: float
    """Problems right by the first alone; whole unless attempts or runs were averaged."""
    second_only: float
    difference: float
    low: float
    """95% interval of the difference, with `high`: paired bootstrap over problems."""
    high: float
    p: float
    """Two-sided: McNemar's exact test; a sign-flip permutation test where scores are averages."""
    p_holm: float
    """The same after Holm's correction over the benchmarks of this pair."""
    detectable: float | None
    """The smallest true difference that such a comparison finds four times out of five."""
    verdict: Verdict
    """Of the second, at 5% of `p_holm`."""


class Benchmark(Record):
    name: str
    kind: Literal["math", "factual"]
    n: int
    """Problems, of the row that has most."""


class Curve(Record):
    """A student's loss while it was trained. Points are pairs of where and how much."""

    label: str
    """The labels of its rows, and its name where another student has the same."""
    rows: tuple[str, ...]
    """Ids of the rows that it answers in, itself or as it was early on."""
    unit: Literal["tokens", "steps"]
    """Of where: tokens trained on so far, or steps where a file of the study lacks tokens."""
    steps: int
    loss: tuple[tuple[float, float], ...]
    """Of each step, per trained token; of very many, the lowest and the highest of each few."""
    smooth: tuple[tuple[float, float], ...]
    """Its mean over the steps around."""
    validation: tuple[tuple[float, float], ...] = ()
    skipped: tuple[float, ...] = ()
    """Where steps were left out, their gradient not being finite."""
    early: float | None = None
    """Where the early checkpoint was taken, if a row answers with it."""


class Study(Record):
    """Everything that a report shows, but for the rollouts."""

    title: str
    made: str
    """When, in UTC."""
    command: str
    benchmarks: tuple[Benchmark, ...]
    rows: tuple[Row, ...]
    results: tuple[Result, ...]
    comparisons: tuple[Comparison, ...] = ()
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know: simulated outcomes, missing rollouts, rows on different problems."""
