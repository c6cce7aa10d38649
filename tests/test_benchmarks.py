"""Benchmarks by name: the rules that take them from the Hub, played on miniature datasets; what goes wrong is told."""

from __future__ import annotations

import io
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill import benchmarks
from distill.benchmarks import BENCHMARKS, boxed
from distill.problems import PUBLISHED, read_problems

from .fakehub import FakeHub

ROOT = Path(__file__).parent.parent
ON_THE_HUB = [name for name, benchmark in BENCHMARKS.items() if benchmark.repo]
REVISIONS = {benchmark.repo: benchmark.revision for benchmark in BENCHMARKS.values()}

CHILD = """
import json, sys
from distill import benchmarks
for name in sys.argv[1:]:
    try:
        print(json.dumps([p.model_dump() for p in benchmarks.load(name).problems]))
    except ValueError as error:
        print(json.dumps(str(error)))
"""


def loaded(env: dict[str, str], *names: str) -> list[list[dict] | str]:
    """What each benchmark's problems are in a process of its own, or the error: a process has one Hub."""
    command = [sys.executable, "-c", CHILD, *names]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def parquet(rows: list[dict]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def hotpot(n: int, *levels: str) -> bytes:
    context = {"title": ["t"], "sentences": [["a", "b"]]}
    return parquet(
        [
            {"id": f"h{i}", "question": f"Which {i}?", "answer": f"a{i}", "type": "bridge",
             "level": levels[i % len(levels)], "context": context}
            for i in range(n)
        ]
    )  # fmt: skip


def musique(n: int) -> bytes:
    hops = [2] * 1179 + [3] * 600 + [4] * n
    return jsonl(
        [
            {"id": f"{hop}hop__{i}", "question": f"Who {i}?", "answer": f"a{i}",
             "answer_aliases": [f"A{i}", f"a{i}", ""] if i % 2 else [],
             "question_decomposition": [{"id": k, "question": "q", "answer": "a"} for k in range(hop)],
             "paragraphs": [{"idx": 0, "title": "t", "paragraph_text": "p", "is_supporting": True}],
             "answerable": True}
            for i, hop in enumerate(hops[:n])
        ]
    )  # fmt: skip


def competition(n: int) -> list[dict]:
    return [
        {"problem": f"Solve {i}.", "level": f"Level {i % 5 + 1}", "type": "Algebra",
         "solution": f"First \\boxed{{0}}, so $\\boxed{{\\frac{{{i}}}{{7}}}}$."}
        for i in range(n)
    ]  # fmt: skip


def olympiad(level: str) -> bytes:
    return jsonl(
        [
            {"problem": f"{level} {i}", "answer": f"{i}", "subject": "Algebra", "unique_id": "u"}
            for i in range(100)
        ]
    )


def sources() -> dict[str, dict[str, bytes]]:
    """Invented rows, in the files and with the columns of the real datasets."""
    return {
        "hotpotqa/hotpot_qa": {
            "README.md": b"---\nconfigs:\n- config_name: distractor\n---\n",
            "distractor/validation-00000-of-00001.parquet": hotpot(7405, "hard"),
            "distractor/train-00000-of-00002.parquet": hotpot(45224, "medium", "easy", "hard"),
            "distractor/train-00001-of-00002.parquet": b"not to be fetched",
        },
        "chiayewken/bamboogle": {
            "data/test-00000-of-00001-fd9def31e0acf72c.parquet": parquet(
                [{"Question": f"Where {i}?", "Answer": f"a{i}"} for i in range(125)]
            )
        },
        "dgslibisey/MuSiQue": {
            "musique_ans_v1.0_dev.jsonl": musique(2417),
            "musique_ans_v1.0_train.jsonl": b"not to be fetched",
        },
        "framolfese/2WikiMultihopQA": {
            "data/validation-00000-of-00001.parquet": parquet(
                [{"id": f"x{i}", "question": f"When {i}?", "answer": f"a{i}"} for i in range(12576)]
            )
        },
        "HuggingFaceH4/MATH-500": {
            "test.jsonl": jsonl(
                [
                    {
                        "problem": f"m{i}",
                        "solution": "s",
                        "answer": f"\\frac{{{i}}}{{3}}",
                        "level": 2,
                    }
                    for i in range(500)
                ]
            )
        },
        "reasoning-machines/gsm-hard": {
            "gsmhardv2.jsonl": jsonl(
                [{"input": f"g{i}", "code": "c", "target": i * 10000.0} for i in range(1319)]
            )
        },
        "AI-MO/aimo-validation-aime": {
            "data/train-00000-of-00001.parquet": parquet(
                [{"id": 60 + i, "problem": f"p{i}", "answer": f"{i:03}"} for i in range(90)]
            )
        },
        "RUC-AIBOX/OlymMATH": {
            "data/OlymMATH-EN-EASY.jsonl": olympiad("easy"),
            "data/OlymMATH-EN-HARD.jsonl": olympiad("hard"),
        },
        "DigitalLearningGmbH/MATH-lighteval": {
            "data/train-00000-of-00001.parquet": parquet(competition(7500))
        },
    }


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """Every benchmark as read from the Hub, what was asked of it, and as read again with the Hub gone."""
    with FakeHub(sources(), REVISIONS) as hub:
        env = hub.environment(tmp_path_factory.mktemp("hub"))
        first = dict(zip(ON_THE_HUB, loaded(env, *ON_THE_HUB), strict=True))
        asked = [line for line in hub.asked if line.startswith("GET /datasets/")]
    return first, asked, dict(zip(ON_THE_HUB, loaded(env, *ON_THE_HUB), strict=True))


@pytest.mark.parametrize("name", ON_THE_HUB)
def test_a_benchmark_comes_whole_from_the_hub(fetched, name):
    problems, benchmark = fetched[0][name], BENCHMARKS[name]
    assert isinstance(problems, list), problems
    assert len(problems) == len({problem["id"] for problem in problems}) == benchmark.size
    assert {(problem["benchmark"], problem["kind"]) for problem in problems} == {
        (name, benchmark.kind)
    }


def test_once_read_it_is_read_without_the_hub(fetched):
    first, _, again = fetched
    assert again == first


def test_only_the_files_that_hold_it_are_fetched(fetched):
    files = {(b.repo, file) for b in BENCHMARKS.values() for file in b.files}
    assert sorted(line.split("/resolve/")[1].partition("/")[2] for line in fetched[1]) == sorted(
        file for _, file in files
    )


def test_rows_are_taken_by_the_rules(fetched):
    ids = {name: [problem["id"] for problem in found] for name, found in fetched[0].items()}
    assert ids["hotpotqa"] == [f"h{i}" for i in range(100, 600)]
    assert ids["hotpotqa_train"] == [f"h{3 * k + 2}" for k in range(1000)]
    assert ids["musique"] == [f"3hop__{i}" for i in range(1179, 1679)]
    draw = random.Random(42).sample
    assert ids["2wiki"] == [str(i) for i in draw(range(12576), 1000)[:500]]
    draw = random.Random(42).sample
    assert ids["gsm_hard"] == [str(i) for i in draw(range(1319), 500)]
    for name in ("bamboogle", "math_500", "aime", "olymmath"):
        assert ids[name] == [str(i) for i in range(BENCHMARKS[name].size)]
    assert {int(i) % 5 + 1 for i in ids["math_train"]} == {4, 5}
    assert {int(i) % 5 + 1 for i in ids["math_medium_train"]} == {2, 3}
    draw = random.Random(42).sample
    assert ids["math_train"] == [str(i // 2 * 5 + 3 + i % 2) for i in draw(range(3000), 1000)]


def test_the_answers_are_the_ones_of_the_source(fetched):
    found = fetched[0]
    assert found["musique"][0]["answers"] == ["a1179", "A1179"]  # an alias once, a blank one never
    assert found["musique"][1]["answers"] == ["a1180"]
    assert found["gsm_hard"][0]["answers"] == [str(int(found["gsm_hard"][0]["id"]) * 10000.0)]
    assert found["aime"][7]["answers"] == ["007"]
    assert found["math_500"][1]["answers"] == ["\\frac{1}{3}"]
    assert found["math_train"][0]["answers"] == [f"\\frac{{{found['math_train'][0]['id']}}}{{7}}"]
    assert [found["olymmath"][i]["question"] for i in (0, 100)] == ["easy 0", "hard 0"]


def test_a_source_that_is_not_what_it_was_is_told_in_a_sentence(tmp_path):
    repos = sources()
    gsm = [{"question": "q", "target": 1.0}] * 1319
    repos["reasoning-machines/gsm-hard"]["gsmhardv2.jsonl"] = jsonl(gsm)
    del repos["chiayewken/bamboogle"]
    del repos["AI-MO/aimo-validation-aime"]["data/train-00000-of-00001.parquet"]
    twowiki = {
        "data/validation-00000-of-00001.parquet": parquet([{"question": "q", "answer": "a"}])
    }
    repos["framolfese/2WikiMultihopQA"] = twowiki
    blank = [{"problem": "p", "answer": "a"}] * 3 + [{"problem": "p", "answer": " "}] * 497
    repos["HuggingFaceH4/MATH-500"]["test.jsonl"] = jsonl(blank)
    same = [{"id": "1", "question": "q", "answer": "a"}] * 7405
    repos["hotpotqa/hotpot_qa"]["distractor/validation-00000-of-00001.parquet"] = parquet(same)
    repos["dgslibisey/MuSiQue"]["musique_ans_v1.0_dev.jsonl"] = b"<html>"
    math = [row | {"solution": "no box"} for row in competition(7500)]
    few = {"data/train-00000-of-00001.parquet": parquet(math)}
    repos["DigitalLearningGmbH/MATH-lighteval"] = few
    says = {
        "gsm_hard": r"has no 'input' in gsmhardv2.jsonl; there are: question, target\.",
        "bamboogle": r"no dataset chiayewken/bamboogle .*--problems",
        "aime": r"no data/train-00000-of-00001.parquet in AI-MO",
        "2wiki": r"has 1 rows, not 12576",
        "math_500": r"row 3: answers: .*an answer is empty",
        "hotpotqa": r"row 101: the id '1' stands twice",
        "musique": r"musique_ans_v1.0_dev.jsonl cannot be read",
        "math_train": r"gives 0 problems of math_train, not 1000",
        "olymmath": r"no such version of RUC-AIBOX/OlymMATH",
    }
    revisions = REVISIONS | {"RUC-AIBOX/OlymMATH": "f" * 40}
    with FakeHub(repos, revisions) as hub:
        told = loaded(hub.environment(tmp_path), *says)
    for (name, words), sentence in zip(says.items(), told, strict=True):
        assert isinstance(sentence, str), name
        assert re.search(words, sentence) and "\n" not in sentence, sentence


def test_without_the_hub_and_a_cache_it_is_told_soon_what_to_do(tmp_path):
    with FakeHub({}) as hub:
        env = hub.environment(tmp_path)
    started = time.monotonic()
    for offline in ("0", "1"):
        (told,) = loaded(env | {"HF_HUB_OFFLINE": offline}, "gsm_hard")
        assert all(word in told for word in ("--problems", "HF_ENDPOINT", "HF_HOME")), told
        assert "\n" not in told
    assert time.monotonic() - started < 20  # the Hub's own client alone would try for longer


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"so $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"\boxed{1} and then \boxed{ 2 }", "2"),
        (r"which is $\boxed 7$.", "7"),
        (r"\fbox{3}", "3"),
    ],
)
def test_the_answer_of_a_written_solution_is_in_its_last_box(solution, answer):
    assert boxed(solution) == (answer,)


@pytest.mark.parametrize("solution", ["none", r"\boxed{1", r"$\boxed{ }$", r"\boxed"])
def test_a_solution_with_nothing_in_its_last_box_has_no_answer(solution):
    assert boxed(solution) == ()


def test_the_table_says_where_everything_comes_from():
    rows = benchmarks.describe()
    assert [row["name"] for row in rows] == benchmarks.names() == list(BENCHMARKS)
    assert all(row["source"] and row["rule"].endswith(".") for row in rows)
    for name in ON_THE_HUB:
        assert re.fullmatch("[0-9a-f]{40}", BENCHMARKS[name].revision)
    assert set(benchmarks.training_names()) == {name for name in BENCHMARKS if "train" in name}
    assert not set(benchmarks.test_names()) & set(benchmarks.training_names())
    for name, kind in PUBLISHED.values():
        assert BENCHMARKS[name].kind == kind


def published(tmp_path, stem: str, *rows: dict) -> Path:
    file = tmp_path / f"{stem}.json"
    file.write_text(json.dumps({"metadata": {}, "examples": list(rows)}))
    return file


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("hotpotqa", {"dataset_name": "hotpotqa/hotpot_qa", "split": "test", "level": "hard"}),
        ("hotpotqa_train", {"dataset_name": "hotpotqa/hotpot_qa", "split": "train"}),
        ("bamboogle", {"dataset_name": "chiayewken/bamboogle", "split": "test"}),
        ("musique", {"dataset_name": "dgslibisey/MuSiQue", "split": "validation"}),
        ("2wiki", {"dataset_name": "2wikimultihopqa", "split": "test"}),
        ("math_500", {"dataset_name": "MATH", "split": "test", "level": 2}),
        ("math_train", {"dataset_name": "MATH", "split": "train", "level": "Level 5"}),
        ("math_medium_train", {"dataset_name": "MATH", "split": "train", "level": "Level 2"}),
        ("gsm_hard", {"dataset_name": "GSM-hard", "split": "test"}),
        ("aime", {"dataset_name": "AIME", "split": "test"}),
        ("olymmath", {"dataset_name": "OlymMATH", "split": "test"}),
    ],
)
def test_a_published_file_is_the_benchmark_that_it_holds(tmp_path, name, fields):
    file = published(tmp_path, "renamed", {"id": 1, "question": "q", "answer": "a"} | fields)
    (problem,) = read_problems(file)
    assert (problem.benchmark, problem.kind) == (name, BENCHMARKS[name].kind)


def test_a_file_is_taken_for_the_one_benchmark_named(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"id": "1", "question": "q", "answers": ["2"]}\n')
    source = benchmarks.load("gsm_hard", file=file)
    assert [(p.benchmark, p.kind) for p in source.problems] == [("gsm_hard", "math")]
    assert source.passages() is None
    assert benchmarks.load("2wikimultihopqa", file=file).problems[0].benchmark == "2wiki"
    with pytest.raises(ValueError, match="one benchmark's"):
        benchmarks.load("gsm_hard,aime", file=file)
    with pytest.raises(ValueError, match="Did you mean 'gsm_hard'"):
        benchmarks.load("gsm-hard", file=file)
    with pytest.raises(ValueError, match="No problems file"):
        benchmarks.load("gsm_hard", file=tmp_path / "none.jsonl")


def test_several_files_are_one_run_and_the_limit_counts_in_each(tmp_path):
    rows = [{"id": i, "question": "q", "answer": 1.0, "dataset_name": "AIME"} for i in range(3)]
    aime = published(tmp_path, "a", *rows)
    gsm = published(tmp_path, "b", *(row | {"dataset_name": "GSM-hard"} for row in rows))
    source = benchmarks.load(f"{aime},{gsm}", limit=2)
    assert [(p.benchmark, p.id) for p in source.problems] == [
        ("aime", "0"), ("aime", "1"), ("gsm_hard", "0"), ("gsm_hard", "1")
    ]  # fmt: skip
    with pytest.raises(ValueError, match="two problems of aime with the id '0'"):
        benchmarks.load(f"{aime},{published(tmp_path, 'c', *rows)}")
    with pytest.raises(ValueError, match="twice"):
        benchmarks.load(f"{aime},{aime}")
    with pytest.raises(ValueError, match="pocket world"):
        benchmarks.load(f"sums,{aime}")


def test_an_alias_of_a_name_is_the_same_benchmark():
    with pytest.raises(ValueError, match="twice"):
        benchmarks.load("2wiki,2wikimultihopqa")
    with pytest.raises(ValueError, match="Did you mean 'bamboogle'"):
        benchmarks.load("bambogle")
