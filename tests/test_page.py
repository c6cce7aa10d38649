"""The report's page: one file, whole, at rest; and what a model wrote stays text in it."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from agents.trajectory import Message, Step, Trajectory, Usage, Votes
from distill.page import BLOCK, write_page
from distill.problems import Problem
from distill.results import Benchmark, Comparison, Curve, Result, Row, Study
from distill.rollout import Rollout

HOSTILE = (
    "</script><script>document.title='owned'</script><!--<script>"
    "<img src=x onerror=\"document.body.id='owned'\"><b id=owned>&lt;\u2028{{chunks}}{{data}}</textarea>"
)
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def rollout(id: str, *, right: bool = True, text: str = "", benchmark: str = "sums") -> Rollout:
    """An agent's two steps; `text` wherever a model or a tool could have put it."""
    problem = Problem(id=id, question=f"What is {id}? {text}", answers=(id,), benchmark=benchmark)
    messages = (
        Message(role="system", content=f"Solve it. {text}"),
        Message(role="user", content=f"New task:\n{problem.question}"),
        Message(role="assistant", content=f"Thought: {text}\n<code>\nprint({text!r})\n</code>"),
        Message(role="user", content=f"Observation:\n{text}\nError:\n{text}"),
        Message(role="assistant", content=f"<answer>{text}"),
    )
    votes = Votes(sampled=8, parsed=7, executed=6, votes=5, distinct=2, agreement=0.625)
    return Rollout(
        problem=problem,
        attempt=0,
        score=1.0 if right else 0.0,
        trajectory=Trajectory(
            question=problem.question,
            messages=messages,
            answer=id if right else text or "-",
            stop="answered",
            model="m",
            method="agent",
            samples=8,
            temperature=0.4,
            tools=("wiki_search",),
            usage=Usage(input_tokens=20, output_tokens=10, requests=2),
            seconds=1.5,
            steps=(
                Step(message=2, error="execution", seconds=1.0, limit="seconds", votes=votes),
                Step(message=4, finish_reason="length"),
            ),
        ),
    )


def result(row: str, benchmark: str, **more) -> Result:
    counts = {"answered": 2, "max_steps": 0, "failed": 0, "input_tokens": 40, "output_tokens": 20}
    shares = {
        "n": 2,
        "accuracy": 0.5,
        "low": 0.1,
        "high": 0.9,
        "outcomes": {"right": 1, "wrong": 1},
    }
    known = {"method": "agent", "model": "m", "seconds": 3.0}
    return Result(row=row, benchmark=benchmark, **{**counts, **shares, **known, **more})


def curve(label: str, **more) -> Curve:
    points = ((10, 2.5), (20, 1.0), (30, 0.125))
    fields = {
        "label": label,
        "rows": ("a",),
        "unit": "tokens",
        "steps": 3,
        "loss": points,
        "smooth": points,
    }
    marks = {"validation": ((20, 1.5),), "skipped": (10,), "early": 20}
    return Curve(**(fields | marks | more))


def study(text: str = "", **more) -> Study:
    """A teacher and two students on two benchmarks, one compared as (first, second) only."""
    rows = [
        Row(id="t", label="agent", name=f"big{text}", method="agent", model="big", base="big", teacher=True),
        Row(id="a", label=f"agent{text}", name="small", method="agent", model="a", base="small", parameters=10**9),
        Row(id="c", label="CoT", name="small", method="cot", model="c", base="small", simulated=True),
    ]  # fmt: skip
    pair = {"first": "a", "second": "c", "n": 4, "first_only": 2, "second_only": 1}
    test = {
        "difference": -0.25,
        "low": -0.5,
        "high": 0.1,
        "p": 0.5,
        "p_holm": 1.0,
        "verdict": "tie",
    }
    fields = {
        "title": f"A study{text}",
        "made": "2025-11-20",
        "command": f"distill report {text}",
        "benchmarks": [Benchmark(name=b, kind="math", n=2) for b in ("sums", "hops")],
        "rows": rows,
        "results": [result(row.id, b) for row in rows for b in ("sums", "hops")],
        "comparisons": [
            Comparison(**pair, **test, benchmark=b, detectable=None) for b in ("sums", "hops", None)
        ],
        "curves": [curve(f"agent{text}"), curve("CoT", rows=("c",), validation=(), early=None)],
        "notes": [f"Read this. {text}"],
    }
    return Study(**(fields | more))


class Elements(HTMLParser):
    """What an HTML parser finds: every tag with its attributes, and the text of elements with an id."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: dict[str, str] = {}
        self._open = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") if tag == "script" else None

    def handle_data(self, data):
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag):
        self._open = None

    @property
    def data(self) -> dict:
        return json.loads(self.texts["data"])

    def chunk(self, name: str):
        return json.loads(gzip.decompress(base64.b64decode(self.texts[name], validate=True)))


def read(file) -> Elements:
    return Elements(file.read_text(encoding="utf-8"))


def test_one_file_that_asks_the_network_for_nothing(tmp_path):
    file = write_page(study(), {("a", "sums"): [rollout("1")]}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    page = file.read_text(encoding="utf-8")
    assert "://" not in page
    assert not re.search(r"@import|url\((?!#)", page)
    for tag, attributes in read(file).tags:
        assert tag not in ("img", "iframe", "object", "embed")
        assert "src" not in attributes
        if tag == "link":
            assert attributes == {"rel": "icon", "href": "data:,"}
    [policy] = [a["content"] for t, a in read(file).tags if t == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_every_row_and_benchmark_is_in_it(tmp_path):
    data = read(write_page(study(), {}, tmp_path)).data
    assert Study.model_validate(data["study"]) == study()
    assert data["rollouts"] == [[0, 0, 0], [0, 0, 0]]


def test_rollouts_come_back_as_they_went_in(tmp_path):
    given = [rollout(str(i), right=i % 3 == 0, text="Ünï ✓ </script>") for i in range(BLOCK + 20)]
    page = read(write_page(study(), {("a", "sums"): given, ("c", "sums"): given[:1]}, tmp_path))
    index, prompts = page.chunk("index-0"), page.chunk("prompts")
    assert len(prompts) == 1
    column = index["rows"][1]
    found = page.chunk("trajectories-0-1-0") + page.chunk("trajectories-0-1-1")
    assert len(found) == len(given)
    for i, (r, packed) in enumerate(zip(given, found, strict=True)):
        place = column["problem"][i]
        question = index["questions"][place]
        assert (index["ids"][place], question) == (r.problem.id, r.problem.question)
        assert tuple(index["answers"][place]) == r.problem.answers
        assert (column["score"][i], column["answer"][i]) == (r.score, r.trajectory.answer)
        assert (column["input"][i], column["output"][i]) == (20, 10)
        messages = [
            Message(role=role, content=_content(role, rest, question, prompts))
            for role, *rest in packed["messages"]
        ]
        assert tuple(messages) == r.trajectory.messages
        assert tuple(Step.model_validate(step) for step in packed["steps"]) == r.trajectory.steps
    assert len(page.chunk("trajectories-0-2-0")) == 1
    assert index["rows"][0]["problem"] == []


def _content(role: str, rest: list, question: str, prompts: list[str]) -> str:
    if role == "system":
        return prompts[rest[0]]
    return question.join(rest)


def test_hostile_text_is_no_markup_in_the_file(tmp_path):
    file = write_page(study(HOSTILE), {("a", "sums"): [rollout("1", text=HOSTILE)]}, tmp_path)
    harmless = write_page(study(), {("a", "sums"): [rollout("1")]}, tmp_path / "harmless")
    assert [tag for tag, _ in read(file).tags] == [tag for tag, _ in read(harmless).tags]
    assert read(file).data["study"]["rows"][1]["label"] == f"agent{HOSTILE}"
    assert "\u2028" not in read(file).texts["data"]


def test_what_is_no_number_becomes_null(tmp_path):
    numbers = result("a", "sums", low=math.nan, high=math.inf, spread=math.nan, accuracy=math.nan)
    strange = rollout("1").model_copy(update={"score": math.nan})
    page = read(write_page(study(results=[numbers]), {("a", "sums"): [strange]}, tmp_path))
    [found] = page.data["study"]["results"]
    assert (found["low"], found["accuracy"], found["spread"], found["f1"]) == (None,) * 4
    assert page.chunk("index-0")["rows"][1]["score"] == [None]


def test_what_is_over_the_cap_is_left_out_of_all_rows_and_said(tmp_path):
    given = [rollout(str(i)) for i in range(BLOCK + 1)]
    rollouts = {("a", "sums"): given, ("c", "sums"): given}
    page = read(write_page(study(), rollouts, tmp_path))
    assert page.data["kept"] == [BLOCK + 1, 0]
    first = [name for name in page.texts if re.fullmatch(r"trajectories-0-\d-0", name)]
    cap = sum(len(base64.b64decode(page.texts[name])) for name in first)

    page = read(write_page(study(), rollouts, tmp_path, cap=cap))
    assert page.data["kept"] == [BLOCK, 0]
    assert [name for name in page.texts if name.startswith("trajectories-")] == first
    assert len(page.chunk("index-0")["ids"]) == BLOCK + 1


def test_rollouts_of_a_row_that_the_study_lacks_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"row 'b', which the study lacks; there are: t, a, c"):
        write_page(study(), {("b", "sums"): []}, tmp_path)
    with pytest.raises(ValueError, match="benchmark 'x'"):
        write_page(study(), {("a", "x"): []}, tmp_path)


def test_the_same_study_makes_the_same_file(tmp_path):
    rollouts = {("a", "sums"): [rollout("1")]}
    [one, two] = [write_page(study(), rollouts, tmp_path / name).read_bytes() for name in "ab"]
    assert one == two


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_a_browser_shows_hostile_text_as_text(tmp_path):
    texts = [rollout("1", text=HOSTILE), rollout("2", right=False, text=HOSTILE)]
    file = write_page(study(HOSTILE), {("a", "sums"): texts, ("c", "sums"): texts}, tmp_path, cap=0)
    kept = write_page(
        study(HOSTILE), {("a", "sums"): texts, ("c", "sums"): texts}, tmp_path / "all"
    )
    for page, where in ((file, "trajectories?row=a"), (kept, "trajectories?row=a&vs=c&open=2")):
        shown = _opened(page, where, tmp_path)
        found = Elements(shown)
        assert not [tag for tag, _ in found.tags if tag in ("img", "textarea")]
        assert not [a for _, a in found.tags if a.get("id") == "owned"]
        assert "all benchmarks (average)" in shown
        assert "&lt;img src=x onerror=" in shown
        assert ("capped at 0 MB" in shown) is (page is file)
    assert "Step 1" in shown
    assert "5 of 8 agree" in shown
    assert "from 2.5 to 0.125 in 3 steps and 30 tokens, on validation problems 1.5 at best" in shown
    assert len(paths(found, "loss")) == 2 + 2  # the chart's, and the legend's
    assert len(paths(found, "held")) == 2 and len(paths(found, "skipped")) == 2 + 1


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_a_study_without_curves_has_no_section_for_them(tmp_path):
    shown = Elements(_opened(write_page(study(curves=()), {}, tmp_path), "table", tmp_path))
    assert not [a for _, a in shown.tags if "training" in (a.get("id"), a.get("href", "")[1:])]


def paths(page: Elements, name: str) -> list[dict]:
    return [a for tag, a in page.tags if tag == "path" and name in (a.get("class") or "").split()]


def _opened(page, where: str, folder) -> str:
    """The document after its scripts have run; fails where the console has an error."""
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += " --disable-background-networking --disable-component-update --disable-dev-shm-usage"
    ran = subprocess.run(
        [
            CHROMIUM,
            *flags.split(),
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            "--window-size=1200,900",
            "--dump-dom",
            f"{page.as_uri()}#{where}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    assert not said, said
    assert "data-ready" in ran.stdout, ran.stderr[-2000:]
    return ran.stdout
