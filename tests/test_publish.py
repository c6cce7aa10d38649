"""What is published runs by itself, says only what was measured, and takes nothing along that is not its own."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from huggingface_hub import get_token
from smolagents import CodeAgent
from typer.testing import CliRunner

from agents import make_agent, solve
from agents.agent import read_prompt
from agents.chat.published import read
from agents.models import POCKET
from distill.__main__ import app
from distill.parity import Certificate, Check
from distill.parity.certify import write_certificate
from distill.parity.files import digests
from distill.publish import Wanted, publish
from distill.publish.cards import dataset_card
from distill.publish.material import look_up
from distill.publish.rendering import render_app
from distill.results import Benchmark, Result, Row, Study
from distill.rollout import Rollout, read_rollouts, write_rollouts
from distill.run import RunError, write_json
from tools.retrieval import open_index

from .fakehub import FakeHub
from .scripted import ScriptedModel, step

ROOT = Path(__file__).parent.parent
SECRET = "hf" + "_" + "Ab3dEf6hIj9lMn2pQr5tUv8xYz1aBc4eFg"
ASK = """
import json, sys
sys.path.insert(0, ".")
import agents, tools
from agents.chat.published import read
from pathlib import Path
ours = read(Path("."))
toolbox = tools.compose(list(ours.tools), index=ours.index)
agent = agents.make_agent(agents.load_model(ours.model), toolbox, **ours.settings)
print(json.dumps([agents.__file__, agents.solve(agent, ours.examples[0]).answer]))
"""


def run(*words):
    return CliRunner().invoke(app, ["publish", *(str(word) for word in words)])


def text_of(folder: Path) -> str:
    return "\n".join(
        file.read_text(encoding="utf-8", errors="replace")
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The shipped student's folder."""
    out = tmp_path_factory.mktemp("publish") / "page"
    publish(Wanted("pocket", samples=3, limits="seconds=20", title="Mine"), to_folder=out)
    assert not list(out.rglob("__pycache__"))
    return out


@pytest.fixture
def rollouts(tmp_path, problem, tool):
    """A run's folder with two kept rollouts of three."""
    folder = tmp_path / "run"
    folder.mkdir()
    model = ScriptedModel(step("Look.", "print(1)"), step("Oba.", 'final_answer("Oba")'))
    trajectory = solve(make_agent(model, [tool]), problem.question)
    kept = [Rollout(problem=problem, attempt=k, trajectory=trajectory, score=1.0) for k in (0, 1)]
    write_rollouts(kept, folder)
    (folder / "rollouts.jsonl").rename(folder / "kept.jsonl")
    write_rollouts([*kept, kept[0].model_copy(update={"attempt": 2, "score": 0.0})], folder)
    counts = {"kept": 2, "wrong": 1}
    write_json(folder / "filter.json", {"policy": "correct", "rollouts": 3, "counts": counts})
    return folder


@pytest.fixture
def student(tmp_path):
    """A student's folder as training leaves it, its base beside it, with a certificate."""
    folder = tmp_path / "student"
    shutil.copytree(POCKET["pocket-base"], folder)
    for file in POCKET["pocket"].iterdir():
        shutil.copyfile(file, folder / file.name)
    config = json.loads((folder / "adapter_config.json").read_text())
    write_json(folder / "adapter_config.json", config | {"base_model_name_or_path": "."})
    about = {"method": "agent", "prompt": "student", "base": "tiny-base", "tools": []}
    write_json(folder / "student.json", about | {"template": "0", "stops": [1]})
    write_json(folder / "run.json", {"settings": {"epochs": 2, "folders": ["/somewhere/else"]}})
    (folder / "events.out.tfevents.1").write_bytes(b"x")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/optimizer.pt").write_bytes(b"x")
    certified(folder)
    return folder


def certified(folder: Path, passed: bool = True) -> None:
    check = Check(name="tokens", passed=passed, detail="as trained", compared=3)
    certificate = Certificate(
        student=folder.name, passed=passed, date="2026-01-02", source="training", rollouts=2, turns=3, k=3,
        tokens=32, seed=0, checks=(check,), template="0", base=".", digests={"student": digests(folder)},
        versions={}, seconds=1.0,
    )  # fmt: skip
    write_certificate(certificate, folder)


@pytest.fixture
def report(tmp_path):
    """A report with one row of the student, one of another, and places of this machine in it."""
    rows = tuple(
        Row(id=id, label=label, name=name, method="agent", model=f"{tmp_path}/{name}", base="b",
            runs=(f"{tmp_path}/eval",))
        for id, label, name in (("1", "agent", "student"), ("2", "CoT | x", "other"))
    )  # fmt: skip
    results = tuple(
        Result(row=id, benchmark="rivers", method="agent", model="m", n=40, accuracy=share, low=low,
               high=high, answered=40, max_steps=0, failed=0, input_tokens=1, output_tokens=1, seconds=1)
        for id, share, low, high in (("1", 0.75, 0.6, 0.86), ("2", 0.5, 0.35, 0.65))
    )  # fmt: skip
    study = Study(
        title="t", made="now", command=f"report {tmp_path}", rows=rows, results=results,
        benchmarks=(Benchmark(name="rivers", kind="factual", n=40),),
    )  # fmt: skip
    folder = tmp_path / "report"
    folder.mkdir()
    write_json(folder / "report.json", study.model_dump())
    (folder / "report.html").write_text("<!doctype html>\n")
    (folder / "report.png").write_bytes(b"\x89PNG\r\n")
    return folder


def test_the_folder_answers_by_itself(page):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    told = subprocess.run(
        [sys.executable, "-I", "-B", "-c", ASK], cwd=page, env=clean, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    place, answer = json.loads(told.stdout.splitlines()[-1])
    assert Path(place).is_relative_to(page) and answer == str(318 * 45127 - 2204)


def test_its_page_starts_from_there(page):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    told = subprocess.run(
        [sys.executable, "-s", "-B", "app.py", "--help"], cwd=page, env=clean, capture_output=True, text=True
    )  # fmt: skip
    assert told.returncode == 0 and "--model" in told.stdout, told.stderr


def test_smolagents_loads_it_with_its_tools(page, monkeypatch):
    monkeypatch.chdir(page)
    model = ScriptedModel(step("Oba.", 'final_answer("Oba")'))
    agent = CodeAgent.from_folder(page, model=model, verbosity_level=0)
    assert agent.max_steps == 5 and "numpy.*" in agent.additional_authorized_imports
    assert "wiki_search(query)" in agent.system_prompt
    assert "The Crooked Letter" in agent.tools["wiki_search"]("The Crooked Letter")
    assert agent.run("Which river?") == "Oba"


def test_its_settings_are_what_was_asked_for_and_no_path_leads_out(page):
    ours = read(page)
    assert (ours.samples, ours.max_steps, ours.title, ours.limits) == (3, 5, "Mine", "seconds=20")
    assert ours.settings["limits"].seconds == 20 and ours.settings["imports"] == (
        "numpy.*",
        "sympy.*",
    )
    for place in (ours.model, ours.index):
        assert Path(place).is_relative_to(page)


def test_what_is_copied_is_what_ran(page):
    for name in ("app.py", "agents/agent.py", "agents/sandbox/worker.py", "tools/wiki_search.py"):
        assert (page / name).read_bytes() == (ROOT / name).read_bytes()
    for file in POCKET["pocket"].iterdir():
        assert (page / "weights/pocket" / file.name).read_bytes() == file.read_bytes()


def test_no_place_of_this_machine_and_nothing_of_the_training_is_in_it(page, tmp_path):
    text = text_of(page)
    assert str(ROOT) not in text and str(Path.home()) + "/" not in text
    assert not (page / "distill").exists() and not (page / "tests").exists()


def test_its_requirements_are_few_and_exact(page):
    lines = (page / "requirements.txt").read_text().split()
    names = {line.partition("==")[0] for line in lines}
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in lines)
    assert {"gradio", "smolagents", "torch", "transformers", "peft", "bm25s", "sympy"} <= names
    assert not names & {"trl", "datasets", "pytest", "ruff", "faiss-cpu", "openai", "mcp", "scipy"}


def test_its_readme_is_a_spaces_and_says_what_was_not_measured(page):
    text = (page / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["sdk"] == "gradio" and head["app_file"] == "app.py" and head["title"] == "Mine"
    assert f"gradio=={head['sdk_version']}" in (page / "requirements.txt").read_text()
    assert len(head["short_description"]) <= 60 and head["license"] == "apache-2.0"
    assert "Not measured" in text and "Not checked" in text and "miniature" in text
    assert "seconds 20" in text  # the limits it was published with


def test_a_servers_model_takes_no_weights_and_names_its_key(tmp_path):
    m = look_up(Wanted("https://models.example.org/v1#big", tools=""))
    render_app(m, tmp_path)
    assert m.secrets == ("OPENAI_API_KEY",) and "OPENAI_API_KEY" in text_of(tmp_path)
    names = (tmp_path / "requirements.txt").read_text()
    assert "openai==" in names and "torch" not in names and "transformers" not in names
    assert not (tmp_path / "agents/local.py").exists() and not (tmp_path / "weights").exists()
    assert read(tmp_path).model == "https://models.example.org/v1#big"
    assert read(tmp_path).tools == ()  # and not the usual ones


def test_tools_of_ones_own_go_along_and_smolagents_loads_them(tmp_path, monkeypatch):
    (tmp_path / "dice.py").write_text(
        "from smolagents import tool\n\n\n@tool\ndef roll(sides: int) -> int:\n"
        '    """Roll a die.\n\n    Args:\n        sides: how many\n    """\n    return sides\n'
    )
    (tmp_path / "coin.py").write_text(
        "from smolagents import Tool\n\n\nclass Coin(Tool):\n    name = 'coin'\n"
        "    description = 'Toss.'\n    inputs = {}\n    output_type = 'string'\n\n"
        "    def forward(self):\n        return 'heads'\n"
    )
    out = tmp_path / "out"
    out.mkdir()
    m = look_up(Wanted("https://a.example/v1#m", tools=f"{tmp_path}/dice.py,{tmp_path}/coin.py"))
    render_app(m, out)
    import tools

    loaded = tools.compose(list(read(out).tools))
    assert [tool.name for tool in loaded] == ["roll", "coin"] and loaded[0](sides=4) == 4
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    agent = CodeAgent.from_folder(out, model=ScriptedModel("x"))
    assert agent.tools["roll"](sides=4) == 4 and agent.tools["coin"]() == "heads"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pocket"], "Say where to"),
        (["pocket-teacher", "--dry-run"], "cannot be published"),
        (["nope", "--dry-run"], "No model 'nope'"),
        (["pocket", "--space", "me", "--dry-run"], "write OWNER/NAME"),
        (["pocket", "--space", "me/x--y", "--dry-run"], "write OWNER/NAME"),
        (["pocket", "--space", "me/pagé", "--dry-run"], "write OWNER/NAME"),
        (["pocket", "--dry-run", "--tools", "mcp:python server.py"], "serve it by HTTP"),
        (["pocket", "--dry-run", "--tools", "mcp:http://127.0.0.1:9/mcp"], "this machine alone"),
        (
            ["pocket", "--dry-run", "--tools", "mcp:KEY=abcdefgh https://a.example"],
            "not written out",
        ),
        (["pocket", "--dry-run", "--title", "x" * 101], "longer than 100"),
        (
            ["pocket", "--space", "me/x", "--dry-run", "--compare", "http://127.0.0.1:9/v1#m"],
            "a Space needs",
        ),
        (["pocket", "--dry-run", "--tools", "agent:pocket"], "name a model on the Hub"),
        (["pocket", "--dry-run", "--index", "nope"], "No index in nope"),
        (["pocket", "--dry-run", "--report", "nope"], "holds no report.json"),
        (["pocket", "--dry-run", "--static"], "--report"),
        (["pocket", "--dry-run", "--license", "my: own"], "write it as the Hub does"),
        (["pocket", "--dry-run", "--dataset", "me/x"], "--rollouts"),
        (["pocket", "--space", "me/x", "--hardware", "zero-a10g"], "ZeroGPU"),
        (["pocket", "--dry-run", "--compare", "pocket-teacher"], "cannot be published"),
        (["pocket", "--dry-run", "--weights", "hub"], "--weights OWNER/NAME"),
        (["http://127.0.0.1:9/v1#m", "--space", "me/x", "--dry-run"], "a Space needs a server"),
        (["http://127.0.0.1:9/v1#m", "--model", "me/x", "--dry-run"], "no weights on this machine"),
        (["pocket", "--dry-run", "--limits", "nope=1"], "No limit 'nope'"),
        (["pocket", "--space", "me/x"], "HF_HUB_OFFLINE"),
    ],
)
def test_what_cannot_be_published_is_told_in_a_sentence(words, says):
    told = run(*words)
    assert told.exit_code == 2 and told.stderr.startswith("Error: ") and says in told.stderr
    assert told.stderr.strip().count("\n") == 0


def test_keys_of_all_servers_are_named_and_the_title_is_one_line(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "x")
    tool = 'mcp:Authorization="Bearer $MY_TOKEN" https://a.example/mcp'
    wanted = Wanted("pocket", tools=tool, compare=("https://b.example/v1#m",), title="a:\n---\nb")
    m = look_up(wanted)
    assert m.secrets == ("OPENAI_API_KEY", "MY_TOKEN")
    assert m.title == "a: --- b"


@pytest.mark.parametrize(
    "body", ["return open('table.csv').read()", "return NEAR"], ids=["named", "read at import"]
)
def test_a_tool_that_reads_what_lies_beside_it_is_not_published(tmp_path, body):
    (tmp_path / "table.csv").write_text("1")
    top = "NEAR = open(__file__[:-7] + 'table.' + 'csv').read()\n" if "NEAR" in body else ""
    (tmp_path / "mine.py").write_text(
        f"from smolagents import tool\n{top}\n@tool\ndef mine() -> str:\n    'One.'\n    {body}\n"
    )
    with pytest.raises(ValueError, match="only the one file is published"):
        look_up(Wanted("https://a.example/v1#m", tools=f"{tmp_path}/mine.py"))


def test_a_tool_with_a_neighbour_is_not_published(tmp_path):
    (tmp_path / "helper.py").write_text("X = 1\n")
    (tmp_path / "mine.py").write_text(
        "from smolagents import tool\nimport sys\nsys.path.insert(0, __file__[:-7])\n"
        "import helper\n\n@tool\ndef mine() -> int:\n    '''One.'''\n    return helper.X\n"
    )
    told = run("pocket", "--dry-run", "--tools", tmp_path / "mine.py")
    assert told.exit_code == 2 and "imports its neighbour helper" in told.stderr


def test_the_plan_names_files_sizes_secrets_and_what_stays(student, rollouts):
    told = run(student, "--dry-run", "--json", "--model", "me/s", "--dataset", "me/d", "--tools", "",
               "--space", "me/p", "--rollouts", rollouts, "--weights", "hub")  # fmt: skip
    assert told.exit_code == 0, told.output
    plan = json.loads(told.stdout.splitlines()[-1])
    parts = {part["title"]: part for part in plan["parts"]}
    assert parts["page"]["repository"] == "space me/p" and not any(
        name.startswith("weights/") for name in parts["page"]["files"]
    )
    assert parts["model"]["files"]["adapter_model.safetensors"] > 1000
    assert {"rollouts.jsonl", "README.md", "traces/0001.jsonl"} <= set(parts["dataset"]["files"])
    assert {"run.json", "checkpoints", "events.out.tfevents.1"} <= set(plan["left_out"])
    assert plan["parity"] is None and plan["published"] == {}
    assert "adapter_model.safetensors" in told.stdout and "left out:" in told.stdout


def test_a_secret_anywhere_stops_it_with_its_place_and_nothing_is_left(
    student, rollouts, tmp_path, monkeypatch
):
    [first, *rest] = read_rollouts(rollouts)
    said = first.trajectory.model_copy(update={"answer": f"the key is\n{SECRET}"})
    write_rollouts([*rest, first.model_copy(update={"trajectory": said})], rollouts)
    (rollouts / "kept.jsonl").unlink()
    monkeypatch.setenv("MY_SECRET", "what nobody may read")
    out = tmp_path / "out"
    with pytest.raises(RunError) as error:
        publish(
            Wanted(str(student), tools="", rollouts=rollouts, dataset="me/d",
                   model_repository="me/s", title="what nobody may read"),
            to_folder=out,
        )  # fmt: skip
    told = str(error.value)
    assert "dataset/rollouts.jsonl:3: Hugging Face token" in told
    assert "dataset/traces/0003.jsonl:" in told and SECRET not in told
    assert not out.exists() and not list(tmp_path.glob(".out*"))
    with pytest.raises(RunError, match=r"page/agent.json:.*the value of MY_SECRET") as error:
        publish(Wanted(str(student), tools="", title="what nobody may read"), dry_run=True)
    assert "what nobody" not in str(error.value)


def test_cards_tell_what_files_tell(student, rollouts, report, tmp_path):
    out = tmp_path / "out"
    publish(
        Wanted(str(student), tools="", rollouts=rollouts, report=report, dataset="me/d",
               model_repository="me/s", space="me/p", license="mit", sign_in=True),
        to_folder=out,
    )  # fmt: skip
    card = (out / "model/README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "mit" and head["datasets"] == ["me/d"]
    [result] = head["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == 75.0
    assert "| **agent** | student | rivers | 75.0 (60-86) | 40 | 0 |" in card
    assert "CoT \\| x" in card and "1 of 1 checks passed" in card and "2026-01-02" in card
    assert "2 of 3 runs kept by the policy correct (left out: 1 wrong)" in card
    assert "epochs 2" in card and "Teacher: scripted" in card and "Landlock" in card
    assert "app.py --model me/s" in card and "simulated" not in card
    data = (out / "dataset/README.md").read_text()
    assert "2 runs of a tool-using agent" in data and "Not looked for" in data
    assert len(list(read_rollouts(out / "dataset"))) == 2
    session, *messages = map(
        json.loads, (out / "dataset/traces/0001.jsonl").read_text().splitlines()
    )
    assert session["type"] == "session" and {m["type"] for m in messages} == {"message"}
    page = yaml.safe_load((out / "page/README.md").read_text().split("---")[1])
    assert page["hf_oauth"] is True and page["models"] == ["me/s"] and page["datasets"] == ["me/d"]
    shown = json.loads((out / "page/report/report.json").read_text())
    assert shown["rows"][0]["model"] == "student" and not shown["command"]
    assert read(out / "page").report.endswith("report")
    assert str(tmp_path) not in text_of(out) and "/somewhere" not in text_of(out)


def test_what_is_of_another_student_is_not_told_of_this_one(student, rollouts, report, tmp_path):
    """A report with a row of a student called alike, and rollouts that it was not trained on."""
    other = tmp_path / "elsewhere" / "student"
    other.mkdir(parents=True)
    file = report / "report.json"
    file.write_text(file.read_text().replace(f"{tmp_path}/student", str(other)))
    settings = {"data": ["x"], "rollouts": "1 sha256:0", "method": "agent"}
    write_json(student / "run.json", {"settings": settings})
    write_json(
        student / "contamination.json",
        {"rows": [{"training": "t", "benchmark": "hops", "problems": 2, "exact": 0, "near": 1}], "overlaps": []},
    )  # fmt: skip
    wanted = Wanted(str(student), tools="", rollouts=rollouts, report=report, dataset="me/d",
                    model_repository="me/s")  # fmt: skip
    publish(wanted, to_folder=tmp_path / "out")
    card = (tmp_path / "out/model/README.md").read_text()
    assert "model-index" not in card and "None of the rows is of this model." in card
    assert "Teacher: unknown" in card and "not those that it was trained on" in card
    data = (tmp_path / "out/dataset/README.md").read_text()
    assert "was trained on others" in data and "nearly" not in data


def test_contamination_is_told_by_problems(student, rollouts, tmp_path):
    row = {"training": "hops_train", "benchmark": "hops", "problems": 22, "exact": 0, "near": 11}
    write_json(student / "contamination.json", {"rows": [row], "overlaps": [{}] * 32})
    wanted = Wanted(str(student), tools="", rollouts=rollouts, dataset="me/d")
    m = look_up(wanted)
    card = dataset_card(m.facts, "me/d", license="mit", model=None, traces=0)
    assert "hops_train with hops: of 22 problems 0 are the same, 11 nearly" in card


def test_a_published_adapter_finds_its_base_in_its_own_repository(student, tmp_path):
    publish(Wanted(str(student), tools="", model_repository="me/s"), to_folder=tmp_path / "out")
    config = json.loads((tmp_path / "out/model/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "me/s"
    assert (tmp_path / "out/model/model.safetensors").is_file()


def test_a_base_elsewhere_is_copied_and_named_from_the_adapter(tmp_path):
    folder, out = tmp_path / "student", tmp_path / "out"
    shutil.copytree(POCKET["pocket"], folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    base = {"base_model_name_or_path": str(POCKET["pocket-base"])}
    write_json(folder / "adapter_config.json", config | base)
    render_app(look_up(Wanted(str(folder), tools="", compare=("pocket-base",))), out)
    assert (out / "weights/base/model.safetensors").is_file()
    assert json.loads((out / "weights/student/adapter_config.json").read_text()) == config
    assert [Path(name).name for name in read(out).compare] == ["base"]


def test_a_prompt_of_ones_own_goes_along_as_its_text(student, tmp_path):
    prompt = tmp_path / "mine.txt"
    prompt.write_text("Answer in code. {{ tools }}")
    about = json.loads((student / "student.json").read_text())
    write_json(student / "student.json", about | {"prompt": str(prompt)})
    publish(Wanted(str(student), tools=""), to_folder=tmp_path / "out")
    ours = read(tmp_path / "out")
    assert Path(ours.prompt).read_text() == "Answer in code. {{ tools }}\n"
    told = json.loads((Path(ours.model) / "student.json").read_text())["prompt"]
    assert read_prompt(told) == "Answer in code. {{ tools }}"


def test_a_tool_that_a_student_was_trained_with_is_named_and_not_placed(student, tmp_path):
    file = tmp_path / "my tools" / "coin.py"
    file.parent.mkdir()
    file.write_text(
        "from smolagents import tool\n\n@tool\ndef coin() -> str:\n    'Toss.'\n    return 'heads'\n"
    )
    told = json.loads((student / "student.json").read_text())
    write_json(student / "student.json", told | {"tools": [str(file)]})
    publish(Wanted(str(student)), to_folder=tmp_path / "out")
    weights = Path(read(tmp_path / "out").model)
    assert json.loads((weights / "student.json").read_text())["tools"] == ["coin"]
    assert (tmp_path / "out/tools/own/coin.py").is_file() and "my tools" not in text_of(
        tmp_path / "out"
    )


def test_a_student_of_another_method_gets_no_page(student):
    about = json.loads((student / "student.json").read_text())
    write_json(student / "student.json", about | {"method": "cot"})
    told = run(student, "--dry-run")
    assert told.exit_code == 2 and "trained to answer by cot" in told.stderr
    assert run(student, "--dry-run", "--model", "me/s").exit_code == 0


def test_an_index_on_the_hub_is_named_and_told_when_it_cannot_be_had(tmp_path):
    place = "hf://datasets/me/passages"
    render_app(look_up(Wanted("https://a.example/v1#m", index=place)), tmp_path)
    assert read(tmp_path).index == place and not (tmp_path / "index").exists()
    assert (
        "me/passages"
        in yaml.safe_load((tmp_path / "README.md").read_text().split("---")[1])["datasets"]
    )
    with pytest.raises(ValueError, match="cannot be had from the Hub"):
        open_index(place)


def test_a_static_page_is_the_report_alone(student, report, tmp_path):
    publish(Wanted(str(student), report=report, static=True), to_folder=tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"index.html", "README.md"}
    head = yaml.safe_load((tmp_path / "out/README.md").read_text().split("---")[1])
    assert head["sdk"] == "static" and head["app_file"] == "index.html"


def test_a_reports_page_is_looked_into_where_it_is_compressed(student, report, tmp_path):
    def page(text: str) -> None:
        packed = base64.b64encode(gzip.compress(json.dumps({"said": text}).encode())).decode()
        (report / "report.html").write_text(f'<script id="r0">{packed}</script>\n')

    page(f"model {student}, that is all")
    publish(Wanted(str(student), report=report, static=True), to_folder=tmp_path / "out")
    [packed] = re.findall("H4sI[^<]+", (tmp_path / "out/index.html").read_text())
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == {
        "said": "model student, that is all"
    }
    page(f"my key: {SECRET}")
    with pytest.raises(RunError, match=r"page/index.html:1: Hugging Face token, compressed"):
        publish(Wanted(str(student), report=report, static=True), dry_run=True)


def test_weights_without_a_certificate_that_holds_are_not_uploaded(student, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", FakeHub.token)
    with FakeHub() as hub:
        wanted = Wanted(str(student), tools="", model_repository="me/s")
        where = publish(wanted, endpoint=hub.url)[1]
        assert where == {"model me/s": f"{hub.url}/me/s"}
        assert hub.token not in text_of(student)
        (student / "config.json").write_text((student / "config.json").read_text() + "\n")
        with pytest.raises(RunError, match=r"config.json has changed since.*doctor --parity"):
            publish(wanted, endpoint=hub.url)
        certified(student, passed=False)
        with pytest.raises(RunError, match="did not pass: tokens"):
            publish(Wanted(str(student), tools="", space="me/p"), endpoint=hub.url)
        with pytest.raises(RunError, match=r"has no parity.json"):
            publish(Wanted("pocket", space="me/p"), endpoint=hub.url)
        assert hub.commits == ["model me/s"] and "space me/p" not in hub.uploaded
        # A page that loads its weights from elsewhere, or shows a report, carries none.
        publish(Wanted("pocket", space="me/p", weights="me/s"), endpoint=hub.url)
        assert hub.commits == ["model me/s", "space me/p"]
    assert get_token() == hub.token


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        ({"modle": "x"}, "no setting 'modle'; there are: model"),
        ({"model": "../other"}, "which is not in this folder"),
        ({"model": "./../../etc"}, "which is not in this folder"),
        ({"index": "/etc"}, "which is not in this folder"),
        ({"tools": ["./tools/gone.py"]}, "there is no such thing"),
        ({"tools": ["C:\\x.py"]}, "which is not in this folder"),
        ({"tools": ["own/x.py"]}, "which is not in this folder"),
        ({"tools": [" /etc/x.py"]}, "which is not in this folder"),
        ({"tools": ["x=mcp:sh -c 'true' http://a.example"]}, "a command; none is run"),
        ({"prompt": "secret.txt"}, "which is not in this folder"),
        ({"report": "reports"}, "which is not in this folder"),
        ({"index": "./" + "a" * 5000}, "is no path"),
        ({"samples": 0}, "samples: Input should be greater"),
        ({"limits": "x=1"}, "limits: No limit 'x'"),
        ([], "no object of settings"),
    ],
)
def test_an_agent_json_that_is_not_ours_is_refused_in_a_sentence(tmp_path, ours, says):
    (tmp_path / "agent.json").write_text(json.dumps({"class": "CodeAgent", "smoldistill": ours}))
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_one_has_no_settings(tmp_path):
    assert read(tmp_path).settings == {} and read(tmp_path).model is None
    (tmp_path / "agent.json").write_text("[")
    with pytest.raises(ValueError, match="is no JSON object"):
        read(tmp_path)
