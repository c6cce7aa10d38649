"""Problems from files and by name; a bad file is told in one sentence."""

from __future__ import annotations

import json

import pytest

from distill import benchmarks
from distill.problems import Problem, read_problems, write_problems

GOOD = {"id": "1", "question": "q", "answers": ["a"]}


def written(tmp_path, *rows, name="problems.jsonl"):
    file = tmp_path / name
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def test_problems_survive_their_file(tmp_path):
    problems = [Problem(id="1", question="q?", answers=("a", "b"), benchmark="x", kind="math")]
    write_problems(problems, tmp_path / "p.jsonl")
    assert list(read_problems(tmp_path / "p.jsonl")) == problems


def test_a_published_file_is_read_and_an_example_without_answer_left_out_aloud(tmp_path, capsys):
    rows = [
        {"id": 7, "question": "q", "answer": 5.0, "dataset_name": "GSM-hard", "level": "x"},
        {"id": "8", "question": "r", "answer": ["a", "b"], "dataset_name": "elsewhere"},
        {"id": "9", "question": "s", "answer": ""},
    ]
    file = tmp_path / "set.json"
    file.write_text(json.dumps({"metadata": {}, "examples": rows}, indent=1))
    first, second = read_problems(file)
    assert (first.id, first.answers, first.kind, first.benchmark) == (
        "7", ("5.0",), "math", "gsm_hard"
    )  # fmt: skip
    assert (second.answers, second.kind, second.benchmark) == (("a", "b"), "factual", "set")
    assert "example 2 has an empty answer" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "text"), [(0.0, "0.0"), (13138980.0, "13138980.0"), (0, "0")])
def test_a_number_is_an_answer_as_python_writes_it(tmp_path, number, text):
    row = {"id": 1, "question": "q", "answer": number}
    file = written(tmp_path, {"examples": [row]}, name="set.json")
    assert next(read_problems(file)).answers == (text,)


@pytest.mark.parametrize(
    "answer", [True, False, float("nan"), float("inf"), ["a", None], [[1]], [" "]]
)
def test_what_is_no_answer_is_told_with_its_place(tmp_path, answer):
    row = {"id": 1, "question": "q", "answer": answer}
    with pytest.raises(ValueError, match="example 0: answers"):
        list(read_problems(written(tmp_path, {"examples": [row]}, name="set.json")))


def test_a_number_is_an_id_too(tmp_path):
    assert next(read_problems(written(tmp_path, {**GOOD, "id": 7}))).id == "7"


def test_a_line_ends_where_json_lines_end(tmp_path):
    file = written(tmp_path, json.dumps({**GOOD, "question": "a\u2028b\x85c"}, ensure_ascii=False))
    assert next(read_problems(file)).question == "a\u2028b\x85c"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "holds no problem"),
        (["", "  "], "holds no problem"),
        (["not json"], "line 1 is not JSON"),
        ([GOOD, "[1]"], "line 2 is list"),
        ([{"id": "1", "answers": ["a"]}], "line 1: question"),
        ([{"question": "q", "answers": ["a"]}], "line 1: id"),
        ([{"id": "1", "question": "q"}], "line 1: answers"),
        ([{**GOOD, "answers": []}], "line 1: answers"),
        ([{**GOOD, "answers": [" "]}], "line 1: answers"),
        ([{**GOOD, "answers": "a"}], "line 1: answers"),
        ([{**GOOD, "question": ""}], "line 1: question"),
        ([{**GOOD, "quesiton": ""}], "line 1: quesiton"),
        ([{"id": "1", "question": "q", "answer": None}], "line 1: answers"),
        ([{"id": "1", "question": "q", "answer": [["a"]]}], "line 1: answers"),
        ([{"id": "1", "question": "q", "answer": float("nan")}], "line 1: answers"),
        ([{**GOOD, "answers": ["\ud83d"]}], "line 1: answers"),
        ([{"id": 1, "question": "q", "answer": True}], "line 1: answers"),
        ([{"id": [1], "question": "q", "answer": "a"}], "line 1: id"),
        (["[" * 100000], "line 1 is not JSON"),
        (["9" * 5000], "line 1 is not JSON"),
        ([GOOD, GOOD], "line 2: the id '1' stands twice"),
        (['{"metadata": {}, "examples": []}'], "holds no problem"),
    ],
)
def test_a_bad_file_is_told_with_its_place(tmp_path, rows, says):
    with pytest.raises(ValueError, match=says):
        list(read_problems(written(tmp_path, *rows)))


def test_a_missing_or_binary_file_is_told(tmp_path):
    with pytest.raises(ValueError, match="No problems file"):
        list(read_problems(tmp_path / "none.jsonl"))
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        list(read_problems(tmp_path / "b"))


def test_a_misspelt_benchmark_is_answered_with_the_right_one():
    with pytest.raises(ValueError, match="Did you mean 'hops_ood'"):
        benchmarks.load("hops_odd")


def test_benchmarks_come_by_name_and_in_lists():
    source = benchmarks.load("sums,hops", limit=3)
    assert [p.benchmark for p in source.problems] == ["sums"] * 3 + ["hops"] * 3
    assert source.passages()
    with pytest.raises(ValueError, match="different encyclopedias"):
        benchmarks.load("hops,hops_train")
