"""Trajectories from elsewhere: every row becomes a rollout, or is counted with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from distill.adopt import GIVEN, UNKNOWN, adopt
from distill.conversations import read_conversation
from distill.encode import check, encode
from distill.filter import filter_rollouts
from distill.problems import Problem, read_problems, write_problems
from distill.rollout import read_rollouts
from distill.runs import read_run
from distill.sources import open_source, training_files

from .fakehub import FakeHub

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))
RUNS = {run["name"]: run for run in PUBLISHED["runs"]}
SYSTEM = {"role": "system", "content": "Use Python."}
USER = {"role": "user", "content": "New task:\nWhich river is Lurra on?"}
LOOK = "Thought: I look.\n<code>\nprint(wiki_search('Lurra'))\n</code>"
DONE = "Thought: It is the Oba.\n<code>\nfinal_answer('Oba')\n</code>"
ECHO = "\nCalling tools:\n[{'id': 'call_1', 'type': 'function', 'function': {'name': 'python_interpreter'}}]"
SAW = "Observation:\nExecution logs:\nLurra is a town on the river Oba."


def said(*texts: str) -> list[dict]:
    roles = ["user", "assistant"] * len(texts)
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


def row(**fields) -> dict:
    return {"messages": [SYSTEM, USER, *said("", LOOK, SAW, DONE)[1:]], **fields}


def stringified(value):
    """As the authors' code writes a row that holds what JSON cannot."""
    if isinstance(value, dict):
        found = {key: stringified(one) for key, one in value.items()}
        if "role" in value:
            found["role"] = f"MessageRole.{value['role'].upper().replace('-', '_')}"
        return found
    return [stringified(one) for one in value] if isinstance(value, list) else str(value)


def imported(tmp_path, rows, name="rows.jsonl", **settings):
    file = tmp_path / name
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in rows]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    adopted = adopt(str(file), tmp_path / "out", **settings)
    return adopted, list(read_rollouts(tmp_path / "out"))


def content(conversation) -> list[str]:
    return [m.content for m in conversation.messages]


# The published trajectories.


@pytest.mark.parametrize("form", [dict, json.dumps, stringified], ids=["row", "hub", "stringified"])
@pytest.mark.parametrize("name", RUNS)
def test_a_published_row_is_what_its_students_are_trained_on(name, form):
    row = RUNS[name]["row"]
    row = stringified(row) if form is stringified else row | {"log_data": form(row["log_data"])}
    conversation = read_conversation(row)
    system, *said = [m.model_dump() for m in conversation.messages]
    assert said == RUNS[name]["trained"] and system["role"] == "system"
    assert (conversation.method, conversation.tags) == ("agent", "paper")
    assert conversation.tools == ("web_search",)
    assert conversation.question == row["question"]
    assert (conversation.answered, conversation.answer) == (True, str(row["generated_answer"]))


def test_scores_of_any_type_are_read_and_the_missing_ones_made(tmp_path):
    scores = {"search": 1, "errors": True, "no code": "0.5", "odd ends": ""}
    rows = [run["row"] | {"score": scores[name]} for name, run in RUNS.items()]
    rows.append(rows[0] | {"question": "Another?", "score": None, "true_answer": "312 km"})
    adopted, rollouts = imported(tmp_path, rows, "set_prefix.jsonl")
    assert [r.score for r in rollouts] == [1.0, 1.0, 0.5, 1.0, 0.0]
    assert [r.scorer for r in rollouts] == [GIVEN, GIVEN, GIVEN, "exact", "exact"]
    assert (adopted.given, adopted.scored, adopted.unscored) == (3, 2, 0)
    assert {r.trajectory.first_thought for r in rollouts} == {"prefix"}
    assert {r.trajectory.model for r in rollouts} == {"Qwen/Qwen2.5-32B-Instruct"}
    assert [r.problem.kind for r in rollouts][:2] == ["factual", "math"]
    errors = [[step.error for step in r.trajectory.steps] for r in rollouts]
    assert errors[1] == ["execution", "execution", None]
    assert errors[2] == ["parsing", "parsing", None, None]
    assert filter_rollouts(tmp_path / "out") == {"kept": 3, "not parsed": 1, "wrong": 1}


def test_an_episode_that_ran_out_of_steps_has_no_answer(tmp_path):
    run = json.loads(json.dumps(RUNS["search"]["row"]))
    log = run["log_data"]["messages"]
    del log[-3:]  # the step that answered
    _, (rollout,) = imported(tmp_path, [run | {"score": 1}])
    trajectory = rollout.trajectory
    assert (trajectory.stop, trajectory.answer, rollout.score) == ("max_steps", None, 0.0)
    assert trajectory.messages[-1].role == "assistant"
    assert filter_rollouts(tmp_path / "out")["no answer"] == 1


def test_a_run_that_failed_there_is_left_out(tmp_path):
    failed = {"question": "q", "error": "context", "log_data": None}
    adopted, rollouts = imported(tmp_path, [failed, RUNS["search"]["row"]])
    assert adopted.left_out == {"its log_data is empty: the run failed": ["rows.jsonl, line 1"]}
    assert len(rollouts) == 1


def test_a_reference_solution_is_not_shown_to_the_student():
    run = json.loads(json.dumps(RUNS["search"]["row"]))
    task = run["log_data"]["messages"][1]["content"][0]
    task["text"] = task["text"].replace("?", "?<reference>\n311 km.</reference>", 1)
    said = [m.model_dump() for m in read_conversation(run).messages[1:]]
    assert said == RUNS["search"]["trained"]


def test_published_chains_of_thought_are_read_too():
    row = {"question": "2 + 2?", "messages": [SYSTEM, USER], "response": "So <answer>4</answer>"}
    conversation = read_conversation(row)
    assert (conversation.method, conversation.answer) == ("cot", "4")
    assert content(conversation)[-1] == "So <answer>4</answer>"


# Messages and ShareGPT.


def test_a_conversation_becomes_a_rollout(tmp_path):
    _, (rollout,) = imported(tmp_path, [row(id=7, answer="Oba", model="teacher-32B")])
    trajectory = rollout.trajectory
    assert content(trajectory) == ["Use Python.", USER["content"], LOOK, SAW, DONE]
    assert (trajectory.question, trajectory.answer) == ("Which river is Lurra on?", "Oba")
    assert (trajectory.tags, trajectory.tools, trajectory.model) == (
        "code", ("wiki_search",), "teacher-32B",
    )  # fmt: skip
    assert [step.message for step in trajectory.steps] == [2, 4]
    assert (rollout.problem.id, rollout.problem.answers, rollout.score) == ("7", ("Oba",), 1.0)
    assert read_run(tmp_path / "out").asked == [rollout.problem]
    assert json.loads((tmp_path / "out/run.json").read_text())["settings"]["verb"] == "import"


def test_what_is_imported_can_be_trained_on(tmp_path, tokenizer):
    _, (rollout,) = imported(tmp_path, [row(answer="Oba")])
    assert filter_rollouts(tmp_path / "out")["kept"] == 1
    messages = rollout.trajectory.messages
    check(tokenizer, messages, encode(tokenizer, messages))


@pytest.mark.parametrize(
    "roles",
    [
        ("system", "human", "gpt", "observation"),
        ("System", "USER", "Assistant", "tool_response"),
        ("MessageRole.SYSTEM", "MessageRole.USER", "MessageRole.ASSISTANT", "MessageRole.TOOL_RESPONSE"),
        ("developer", "user", "model", "tool"),
    ],
)  # fmt: skip
def test_roles_of_any_spelling_are_ours(roles):
    system, user, assistant, tool = roles
    texts = zip(
        (system, user, assistant, tool, assistant),
        ("Use Python.", USER["content"], LOOK, SAW, DONE),
        strict=True,
    )
    conversations = [{"from": role, "value": text} for role, text in texts]
    conversation = read_conversation({"conversations": conversations})
    assert conversation.messages == read_conversation(row()).messages


def test_a_system_prompt_may_stand_beside_what_was_said():
    conversation = read_conversation(
        {"system": "Use Python.", "conversations": row()["messages"][1:]}
    )
    assert conversation.messages == read_conversation(row()).messages


def test_parts_are_joined_and_turns_of_one_role_merged_as_they_are_sent():
    parts = [{"type": "text", "text": "Use"}, {"type": "text", "text": "Python."}]
    messages = [
        {"role": "system", "content": parts},
        USER,
        {"role": "assistant", "content": f"\n{LOOK}\n"},
        {"role": "tool-call", "content": [{"type": "text", "text": ECHO}]},
        {"role": "tool", "content": SAW},
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": DONE + ECHO},
        {"role": "tool", "content": "Observation:\nLast output from code snippet:\nOba"},
    ]
    assert content(read_conversation({"messages": messages})) == [
        "Use\nPython.", USER["content"], LOOK, f"{SAW}\nGo on.", DONE,
    ]  # fmt: skip


def test_a_reply_that_was_cut_at_its_closing_tag_gets_it_back():
    conversation = read_conversation(
        {"messages": said("q", LOOK.removesuffix("</code>"), SAW, DONE)}
    )
    assert content(conversation) == ["q", LOOK, SAW, DONE]


@pytest.mark.parametrize(
    ("code", "after", "answer"),
    [
        ("final_answer('Oba')", None, "Oba"),
        ("final_answer(answer=311)", None, "311"),
        ("final_answer([1, 2])", None, "[1, 2]"),
        ("x = 'Oba'\nfinal_answer(x)", None, None),
        ("x = 'Oba'\nfinal_answer(x)", "Observation:\nLast output from code snippet:\nOba", "Oba"),
        ("final_answer(", None, None),
    ],
)
def test_the_answer_is_found_in_the_last_code_or_in_what_came_of_it(code, after, answer):
    messages = said("q", f"<code>\n{code}\n</code>", *[after] * bool(after))
    conversation = read_conversation({"messages": messages})
    assert (conversation.answered, conversation.answer) == (True, answer)


def test_the_last_code_without_an_answer_is_none(tmp_path):
    conversation = read_conversation({"messages": said("q", LOOK)})
    assert not conversation.answered


def test_tools_are_those_listed_or_those_called_with_success():
    listed = "Tools:\nwiki_search(query): Look up.\nfinal_answer(answer): Answers."
    assert read_conversation({"messages": said("q", DONE), "system": listed}).tools == (
        "wiki_search",
    )
    assert read_conversation(row(tools=["a", "b"])).tools == ("a", "b")
    failed = said("q", "<code>\nmade_up(1)\n</code>", "Error:\nno such tool", LOOK, SAW)
    own = "<code>\nimport math\ndef f(x): return x\nfinal_answer(f(len('abc')))\n</code>"
    assert read_conversation({"messages": [*failed, {"role": "assistant", "content": own}]}).tools == (
        "wiki_search",
    )  # fmt: skip


def test_the_same_question_is_one_problem_and_another_under_its_id_is_not(tmp_path):
    other = row(id="1", answer="x")
    other["messages"] = said("Another?", DONE)
    _, rollouts = imported(tmp_path, [row(id="1"), row(id="2", answer="Oba"), other])
    assert [r.attempt for r in rollouts] == [0, 1, 0]
    assert rollouts[0].problem == rollouts[1].problem
    assert rollouts[0].score == 1.0  # its gold answer stands in the other row
    assert len(list(read_problems(tmp_path / "out/problems.jsonl"))) == 2


def test_rows_without_a_gold_answer_are_kept_by_the_other_policy(tmp_path):
    adopted, (rollout,) = imported(tmp_path, [row()])
    assert rollout.score is None and rollout.problem.answers == (UNKNOWN,)
    assert "filter --policy answered" in " ".join(adopted.sentences())
    assert filter_rollouts(tmp_path / "out") == {"kept": 0, "wrong": 1}
    assert filter_rollouts(tmp_path / "out", policy="answered")["kept"] == 1


def test_gold_answers_may_come_from_a_problems_file(tmp_path):
    known = Problem(id="lurra", question="Which  river is Lurra on?", answers=("the Oba",))
    write_problems([known], tmp_path / "problems.jsonl")
    _, (rollout,) = imported(tmp_path, [row(id=7)], problems=str(tmp_path / "problems.jsonl"))
    assert rollout.problem == known and rollout.score == 1.0


# Bad input.


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{broken", "not JSON"),
        ('"a text"', "it is str, not an object"),
        ("[" * 100_000, "not JSON: too deep"),
        ({"text": "x"}, "it has none of log_data, conversations, messages"),
        ({"messages": []}, "no list of messages"),
        ({"messages": "hello"}, "no list of messages"),
        ({"messages": ["x"]}, "a message is no object"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "the role 'narrator' is unknown"),
        ({"messages": said("q")}, "nobody replies"),
        ({"messages": said("q", DONE)[1:]}, "begins with a reply"),
        ({"messages": [*said("q", LOOK), SYSTEM, *said("q", DONE)]}, "a system message stands"),
        ({"messages": said("q", LOOK, SAW, "", "x", DONE)}, "a message is empty"),
        ({"messages": said("q", "Hello.", "And?", "Bye.")}, "several replies and no code"),
        ({"messages": said("q", LOOK, SAW, "```python\nfinal_answer(1)\n```")}, "mix tags: code, markdown"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "url": "x"}]}]},
            "something that is no text",
        ),
        (
            {"messages": [*said("q"), {"role": "assistant", "tool_calls": [{"id": "1"}]}]},
            "tools by JSON",
        ),
        ({"conversations": [{"from": "function_call", "value": "{}"}]}, "tools by JSON"),
        ({"question": "q", "log_data": "None"}, "the run failed"),
    ],
)  # fmt: skip
def test_a_row_of_no_use_is_left_out_with_its_reason_and_place(tmp_path, bad, reason):
    adopted, rollouts = imported(tmp_path, [row(), bad])
    assert len(rollouts) == 1
    ((told, places),) = adopted.left_out.items()
    assert reason in told and places == ["rows.jsonl, line 2"]
    assert "1 left out: " in " ".join(adopted.sentences())
    assert json.loads((tmp_path / "out/import.json").read_text())["left_out"] == {told: places}


def test_a_question_that_is_no_text_is_counted(tmp_path):
    adopted, rollouts = imported(tmp_path, [row(), json.dumps(row(question="\ud800"))])
    ((reason, places),) = adopted.left_out.items()
    assert len(rollouts) == 1 and "it is no problem: question" in reason
    assert places == ["rows.jsonl, line 2"]


def test_rows_that_are_all_of_no_use_are_an_error_and_leave_no_folder(tmp_path):
    with pytest.raises(ValueError, match=r"0 of 1 rows .* left out: it has none of"):
        imported(tmp_path, [{"x": 1}])
    assert not (tmp_path / "out").exists()


def test_rows_of_two_dialects_are_refused_until_one_is_chosen(tmp_path):
    rows = [row(), row(), RUNS["search"]["row"]]
    with pytest.raises(
        ValueError, match=r"2 rows with <code> tags and 1 rows with ```py tags; .*--tags code"
    ):
        imported(tmp_path, rows)
    adopted, rollouts = imported(tmp_path, rows, tags="paper")
    assert len(rollouts) == 1 and adopted.tags == "paper"
    assert adopted.left_out == {"it is written with <code> tags": ["rows.jsonl, line 1", "rows.jsonl, line 2"]}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"format": "csv"}, "No format 'csv'; there are: auto, paper, sharegpt, messages"),
        ({"tags": "xml"}, "No tags 'xml'"),
        ({"limit": 0}, "limit starts at 1"),
        ({"problems": "none.jsonl"}, "No problems file"),
    ],
)
def test_a_callers_mistake_is_told_first(tmp_path, settings, told):
    with pytest.raises(ValueError, match=told):
        imported(tmp_path, [row()], **settings)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere.jsonl", "No .*nowhere.jsonl: give a file, a folder or a dataset"),
        ("../x/y", "give a file"),
        ("rows.pkl", "is none of .jsonl"),
        ("empty", "holds no file of"),
    ],
)
def test_a_source_that_cannot_be_read_is_told(tmp_path, name, told):
    (tmp_path / "rows.pkl").write_bytes(b"\x80")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=told):
        open_source(name if name.startswith("..") else str(tmp_path / name))


# Files of every kind.


def test_bytes_that_are_no_text_cost_their_line_alone(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(json.dumps(row()).encode() + b'\n{"messages": "\xff"}\n')
    adopted = adopt(str(tmp_path / "rows.jsonl"), tmp_path / "out")
    assert adopted.rollouts == 1 and adopted.left_out == {"not UTF-8": ["rows.jsonl, line 2"]}


@pytest.mark.parametrize("shape", [list, lambda r: {"data": r}, lambda r: r[0]])
def test_a_json_file_may_be_a_list_an_object_or_one_row(tmp_path, shape):
    (tmp_path / "rows.json").write_text(json.dumps(shape([row(answer="Oba")])))
    assert adopt(str(tmp_path / "rows.json"), tmp_path / "out").rollouts == 1


def test_json_lines_may_be_called_json(tmp_path):
    _, rollouts = imported(tmp_path, [row(id=1), row(id=2)], "rows.json")
    assert len(rollouts) == 2


def parquet(file: Path, rows: list[dict]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), file)
    return file


def test_parquet_is_read_and_a_broken_one_told(tmp_path):
    hub = RUNS["search"]["row"] | {"log_data": json.dumps(RUNS["search"]["row"]["log_data"])}
    file = parquet(tmp_path / "rows.parquet", [hub])
    assert adopt(str(file), tmp_path / "out").rollouts == 1
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="left out: not Parquet"):
        adopt(str(file), tmp_path / "other")


def test_of_several_splits_that_for_training_is_read():
    names = ["README.md", "data/train-0.parquet", "data/test-0.parquet", "data/loader.py"]
    assert training_files(names) == ["data/train-0.parquet"]
    assert training_files(["a.jsonl", "b.pkl"]) == ["a.jsonl"]


def test_a_folder_is_written_anew_by_the_same_import_and_refused_to_another(tmp_path):
    imported(tmp_path, [row(id=1)])
    _, rollouts = imported(tmp_path, [row(id=1)])
    assert len(rollouts) == 1
    with pytest.raises(ValueError, match="was made with"):
        imported(tmp_path, [row(id=1), row(id=2)])


def test_a_dataset_on_the_hub_is_read_and_kept(tmp_path):
    hub_row = RUNS["search"]["row"] | {"log_data": json.dumps(RUNS["search"]["row"]["log_data"])}
    file = parquet(tmp_path / "train.parquet", [hub_row | {"score": "1"}])
    files = {
        "data/train-00000.parquet": file.read_bytes(),
        "data/test-00000.parquet": b"",
        "rows.py": b"raise SystemExit('no script is run')",
    }
    program = (
        "import sys; from pathlib import Path; from distill.adopt import adopt\n"
        "for name, out in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    try: print(*adopt(name, Path(out)).sentences(), sep='\\n')\n"
        "    except ValueError as error: print('Error:', error)"
    )

    def run(out: str, environment) -> str:
        names = ["me/trajectories_prefix", str(tmp_path / out), "me/none", str(tmp_path / "none")]
        return subprocess.run(
            [sys.executable, "-c", program, *names],
            env=environment, text=True, capture_output=True, cwd=Path(__file__).parent.parent,
        ).stdout  # fmt: skip

    with FakeHub({"me/trajectories_prefix": files}) as hub:
        environment = hub.environment(tmp_path / "home")
        told = run("out", environment)
        assert "1 of 1 rows of me/trajectories_prefix@" in told
        assert "as of other splits: data/test-00000.parquet" in told
        assert "does not give me/none" in told
        assert not any("rows.py" in asked or "test-0" in asked for asked in hub.asked)
    (rollout,) = read_rollouts(tmp_path / "out")
    assert rollout.trajectory.first_thought == "prefix" and rollout.score == 1.0
    told = run("again", environment | {"HF_HUB_OFFLINE": "1"})
    assert "1 of 1 rows" in told and "me/none is not in the cache" in told
    assert "me/none cannot be fetched from" in run("gone", environment)
