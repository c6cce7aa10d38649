"""The command line: mistakes end in one sentence and exit code 2, and write nothing."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill.__main__ import app

ROOT = Path(__file__).parent.parent
VERBS = ("demo", "collect", "filter", "train", "evaluate", "report", "index", "search", "doctor")


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(verb):
    shown = run(verb, "--help")
    assert shown.exit_code == 0 and f"python -m distill {verb}" in " ".join(shown.output.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["collect", "--problems", "nope", "--model", "pocket-teacher"], "there are: sums"),
        (["collect", "--problems", "sums", "--model", "nope"], "No model 'nope'"),
        (
            ["collect", "--problems", "sums", "--model", "pocket-teacher", "--tools", "nope"],
            "No tool named 'nope'",
        ),
        (
            ["collect", "--problems", "sums", "--model", "pocket-teacher", "--index", "nope"],
            "No index in nope",
        ),
        (
            ["collect", "--problems", "sums", "--model", "pocket-teacher", "--method", "nope"],
            "No method 'nope'",
        ),
        (
            ["collect", "--problems", "sums", "--model", "pocket-teacher", "--prompt", "nope"],
            "No prompt named",
        ),
        (
            ["collect", "--problems", "sums", "--model", "pocket-teacher", "--attempts", "0"],
            "start at 1",
        ),
        (
            [
                "collect",
                "--problems",
                "sums",
                "--model",
                "pocket-teacher",
                "--method",
                "cot",
                "--first-thought",
            ],
            "first-thought",
        ),
        (
            [
                "collect",
                "--problems",
                "sums",
                "--model",
                "pocket-teacher",
                "--method",
                "cot",
                "--prompt",
                "nope",
            ],
            "No prompt named",
        ),
        (
            [
                "collect",
                "--problems",
                "sums",
                "--model",
                "pocket-teacher",
                "--tools",
                "wiki_search,wiki_search",
            ],
            "Two tools",
        ),
        (
            ["collect", "--problems", "sums", "--model", "pocket-teacher", "--temperature", "-1"],
            "temperature",
        ),
        (
            ["collect", "--problems", "sums", "--model", "pocket-teacher", "--max-tokens", "0"],
            "max_tokens",
        ),
        (["collect", "--problems", "sums,sums", "--model", "pocket-teacher"], "twice"),
        (["evaluate", "--benchmark", "", "--model", "pocket-teacher"], "No benchmark"),
        (["evaluate", "--model", "pocket-teacher"], "--benchmark"),
        (
            ["train", "nope", "--student", "pocket-base", "--batch-size", "0"],
            "batch_size starts at 1",
        ),
        (["train", "nope", "--student", "pocket-base", "--dropout", "5"], "dropout"),
        (["train", "nope", "--student", "pocket-base"], "No kept.jsonl"),
        (["train", "nope", "--student", "nope"], "No model 'nope'"),
        (["index", "nope"], "No corpus nope"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(tmp_path, words, says):
    out = tmp_path / "out"
    done = run(*words, "--out", out)
    assert done.exit_code == 2
    assert says in done.output and len(done.output.strip().splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "words", [["filter", "nope"], ["report", "nope", "--out", "r"], ["search", "nope", "q"]]
)
def test_a_folder_that_is_not_there_is_said(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == 2 and "nope" in done.output and not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("mine")
    done = run(
        "collect",
        "--problems",
        "sums",
        "--model",
        "pocket-teacher",
        "--out",
        tmp_path / "file" / "r",
    )
    assert done.exit_code == 2 and len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "code", ["raise RuntimeError('no')", "def", "import nonesuch", "raise SystemExit(3)"]
)
def test_a_tool_file_that_breaks_is_told_with_its_name(tmp_path, code):
    (tmp_path / "mine.py").write_text(code)
    words = ["collect", "--problems", "sums", "--model", "pocket-teacher", "--out", tmp_path / "r"]
    done = run(*words, "--tools", tmp_path / "mine.py")
    assert (
        done.exit_code == 2
        and "mine.py cannot be imported" in done.output
        and not (tmp_path / "r").exists()
    )


def test_an_evaluation_counts_what_was_asked_for(tmp_path):
    words = [
        "evaluate",
        "--benchmark",
        "sums",
        "--model",
        "pocket-teacher",
        "--out",
        tmp_path / "r",
        "--json",
    ]
    for limit in (6, 4):
        done = run(*words, "--limit", limit)
        assert json.loads(done.output.splitlines()[-1])["results"][0]["n"] == limit


def test_collect_filter_and_resume(tmp_path):
    words = [
        "collect",
        "--problems",
        "sums_train",
        "--model",
        "pocket-teacher",
        "--out",
        tmp_path / "r",
        "--limit",
        "12",
    ]
    done = run(*words, "--json")
    assert done.exit_code == 0
    assert json.loads(done.output.splitlines()[-1])["new"]["answered"] == 12
    assert "nothing left" in run(*words).output
    assert run(*words[:-1], "15").exit_code == 0  # more of the same goes on
    other = run(*words, "--max-steps", "3")
    assert other.exit_code == 2 and "max_steps = 5, now it is 3" in other.output
    assert "kept" in run("filter", tmp_path / "r").output
    assert len((tmp_path / "r" / "rollouts.jsonl").read_text().splitlines()) == 15


def test_first_thoughts_are_collected_once_and_begin_the_runs(tmp_path):
    words = [
        "collect",
        "--problems",
        "hops_train",
        "--model",
        "pocket-teacher",
        "--out",
        tmp_path / "r",
        "--first-thought",
    ]
    assert run(*words, "--limit", "4").exit_code == 0
    thoughts = (tmp_path / "r" / "first_thoughts" / "rollouts.jsonl").read_text().splitlines()
    rollouts = (tmp_path / "r" / "rollouts.jsonl").read_text().splitlines()
    assert len(thoughts) == len(rollouts) == 4
    begun = {}
    for line in thoughts:
        row = json.loads(line)
        begun[row["problem"]["id"]] = row["trajectory"]["messages"][-1]["content"].split("\n\n")[0]
    for line in rollouts:
        row = json.loads(line)
        assert row["trajectory"]["messages"][2]["content"].startswith(
            "Thought: " + begun[row["problem"]["id"]]
        )


def test_options_come_from_a_file_and_flags_win(tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(
        f"problems: sums\nmodel: pocket-teacher\nout: {tmp_path / 'r'}\nlimit: 3\nmax-steps: 4\n"
    )
    assert run("collect", "-c", config, "--limit", "2").exit_code == 0
    assert len((tmp_path / "r" / "rollouts.jsonl").read_text().splitlines()) == 2
    assert json.loads((tmp_path / "r" / "run.json").read_text())["settings"]["max_steps"] == 4


@pytest.mark.parametrize("text", ["colour: red\n", "- a list\n", "{", None])
def test_a_bad_config_is_told(tmp_path, text):
    config = tmp_path / "run.yaml"
    if text is not None:
        config.write_text(text)
    done = run(
        "collect",
        "-c",
        config,
        "--problems",
        "sums",
        "--model",
        "pocket-teacher",
        "--out",
        tmp_path / "r",
    )
    assert (
        done.exit_code == 2
        and str(config.name) in "".join(done.output.split())
        and not (tmp_path / "r").exists()
    )


def test_when_every_rollout_fails_so_does_the_run(tmp_path):
    words = [
        "collect",
        "--problems",
        "sums",
        "--model",
        "http://127.0.0.1:9/v1#m",
        "--out",
        tmp_path / "r",
        "--limit",
        "2",
    ]
    done = run(*words)
    assert done.exit_code == 1 and "Every rollout failed" in done.output


def test_an_index_is_made_and_asked(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"id": "1", "title": "Lurra", "text": "A town."}\n')
    assert run("index", tmp_path / "c.jsonl", "--out", tmp_path / "i").exit_code == 0
    assert "[1] Lurra: A town." in run("search", tmp_path / "i", "town").output
    assert "No passage found" in run("search", tmp_path / "i", "zzz").output


def test_doctor_says_what_there_is():
    done = run("doctor", "--json")
    found = json.loads(done.output.splitlines()[-1])
    assert done.exit_code == 0 and found["pocket-base"] == "here" and "sandbox" in found


def test_ctrl_c_ends_at_once_with_130(tmp_path):
    """Even while a server keeps a run waiting."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        model = f"http://127.0.0.1:{silent.getsockname()[1]}/v1#m"
        words = [
            "collect",
            "--problems",
            "sums",
            "--model",
            model,
            "--out",
            str(tmp_path / "r"),
            "--limit",
            "3",
        ]
        child = subprocess.Popen(
            [sys.executable, "-m", "distill", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        silent.accept()  # a run is under way
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130 and "Interrupted" in said and "Traceback" not in said
    assert json.loads((tmp_path / "r" / "run.json").read_text())["ended"] is None
