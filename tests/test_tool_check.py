"""What `tool new` writes works, and `tool check` says what would break, by line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill.__main__ import app
from distill.tool.check import check, read
from distill.tool.new import new_tool

ROOT = Path(__file__).parent.parent
FUNCTION = '''from smolagents import tool
{head}
@tool
def look_up(word: str) -> str:
    """Look a word up.

    Args:
        word: the word
    """
    {body}
'''
CLASS = """from smolagents import Tool

class LookUp(Tool):
    name = "look_up"
    description = "Look a word up."
    inputs = {{"word": {{"type": "string", "description": "the word"}}}}
    output_type = "string"
    {more}
    def forward(self, word: str) -> str:
        {body}
"""


@pytest.fixture
def found(tmp_path):
    """What reading a text finds, as "line breaks|remark" and the sentence."""

    def read_text(text: str, name: str = "look_up") -> list:
        file = tmp_path / f"{name}.py"
        file.write_text(text, encoding="utf-8")
        return read(file)[0]

    return read_text


def function(body: str = "return word", head: str = "") -> str:
    return FUNCTION.format(body=body, head=head)


def of_class(body: str = "return word", more: str = "") -> str:
    return CLASS.format(body=body, more=more)


def test_new_tools_are_without_fault_and_their_tests_pass(tmp_path):
    plain, test = new_tool("ho_ho", tmp_path)
    opened, other = new_tool("he_he", tmp_path, of_class=True)
    assert check(plain) == check(opened) == []
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", tmp_path, test, other],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },  # they take longer than the tests
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout


def test_a_new_tool_overwrites_nothing(tmp_path):
    new_tool("ho_ho", tmp_path)
    with pytest.raises(ValueError, match="there already"):
        new_tool("ho_ho", tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "print",
        "final_answer",
        "json",
        "smolagents",
        "ho-ho",
        "class",
        "wiki_search",
        "test_it",
        "höhe",
    ],
)
def test_a_name_that_no_tool_can_have_is_refused(tmp_path, name):
    with pytest.raises(ValueError):
        new_tool(name, tmp_path / "tools")
    assert not (tmp_path / "tools").exists()


def test_the_command_line_says_each_finding_and_its_exit_code(tmp_path):
    run = CliRunner().invoke(app, ["tool", "new", "ho_ho", "--dir", str(tmp_path)])
    assert run.exit_code == 0 and "test_ho_ho.py" in run.output
    file = tmp_path / "bad.py"
    file.write_text(function("print(word)\n    return word", head="from . import more"))
    run = CliRunner().invoke(app, ["tool", "check", str(file)])
    assert run.exit_code == 1
    assert f"{file}:2: breaks: a relative import" in run.output
    assert f"{file}:10: remark: what a tool prints" in run.output
    assert CliRunner().invoke(app, ["tool", "check", str(tmp_path / "none.py")]).exit_code == 2
    file.write_text(function("print(word)\n    return word"))  # remarks alone are no failure
    run = CliRunner().invoke(app, ["tool", "check", str(file), "--json"])
    assert run.exit_code == 0 and '"breaks": 0' in run.output


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("word: str)", "word)", 4, "has no type"),
        (" -> str", "", 4, "no type says what it returns"),
        ("word: str", "word: Path", 4, "cannot hand over"),
        ("word: str", "word: 'list[datetime.date]'", 4, "cannot hand over"),
        ("word: str", "*words: str", 4, "cannot be described"),
        ("        word: the word\n", "", 4, "does not say what word is"),
        ("def look_up", "def final_answer", 4, "every agent ends"),
        ("def look_up", "def sorted", 4, "Python's own"),
        ("def look_up", "def sqrt", 4, "uses already"),
        ("def look_up", "async def look_up", 4, "awaits"),
        ("return word", "yield word", 4, "generator"),
        ("@tool", "", 1, "defines no tool"),
        ("return word", "return (", 10, "no Python"),
    ],
)
def test_what_is_stated_wrongly_is_found(found, old, new, line, said):
    text = function()
    assert old in text
    hits = [one for one in found(text.replace(old, new, 1)) if said in one.what]
    assert hits and all(one.breaks for one in hits)
    assert hits[0].line == line


def test_a_missing_docstring_is_found(found):
    text = "from smolagents import tool\n@tool\ndef look_up(word: str) -> str:\n    return word\n"
    assert any(one.breaks and one.line == 3 and "no docstring" in one.what for one in found(text))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('    description = "Look a word up."\n', "", "no description"),
        ('"type": "string"', '"type": "text"', "no type of an input"),
        (', "description": "the word"', "", "has no description"),
        ("self, word: str", "self, term: str", "which forward takes"),
        ("def forward", "def forwards", "has no forward"),
    ],
)
def test_what_a_class_lacks_is_found(found, old, new, said):
    text = of_class()
    assert old in text
    assert any(one.breaks and said in one.what for one in found(text.replace(old, new, 1)))


def test_a_class_may_have_its_parts_from_another_of_the_file(found):
    base = of_class().replace("class LookUp", "class Base").replace('    name = "look_up"\n', "")
    assert found(base + 'class LookUp(Base):\n    name = "look_up"\n') == []
    second = of_class().replace("class LookUp", "class Other").partition("class")[2]
    assert any("tool number two" in one.what for one in found(of_class() + "class" + second))


@pytest.mark.parametrize(
    ("init", "said"),
    [
        ("def __init__(self, key):\n        super().__init__()", "cannot be made without key"),
        ("def __init__(self, at=print()):\n        super().__init__()", "cannot be published"),
        ("def __init__(self):\n        self.x = 1", "leaves out the base's"),
    ],
)
def test_a_constructor_that_cannot_be_called_alone_is_found(found, init, said):
    assert any(one.breaks and said in one.what for one in found(of_class(more=init)))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("SEEN = []", "SEEN.append(word)\n    return word"),
        ("COUNT = {}", "COUNT[word] = 1\n    return word"),
        ("LAST = None", "global LAST\n    LAST = word\n    return word"),
        ("SEEN = []\ndef note(w):\n    SEEN.append(w)", "note(word)\n    return word"),
    ],
)
def test_state_that_runs_would_share_is_found(found, head, body):
    assert any(
        one.breaks and "kept between calls" in one.what for one in found(function(body, head))
    )


def test_state_of_an_object_is_found_and_setup_may_make_it(found):
    assert any(
        "self.last" in one.what for one in found(of_class("self.last = word\n        return word"))
    )
    ready = "def setup(self):\n        self.index = {}\n        super().setup()"
    assert not [one for one in found(of_class(more=ready)) if one.breaks]


def test_what_is_the_calls_own_is_no_state(found):
    own = "seen = []\n    seen.append(word)\n    return ' '.join(seen)"
    assert found(function(own)) == []
    assert found(function(own, head="seen = [1]")) == []


def test_state_behind_a_lock_is_a_remark(found):
    head = "import threading\nLOCK = threading.Lock()\nSEEN = []"
    [one] = found(function("with LOCK:\n        SEEN.append(word)\n    return word", head))
    assert not one.breaks


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import subprocess\n    return subprocess.run([word]).stdout", "processes"),
        ("open(word, 'w').write(word)\n    return word", "changes files"),
        ("from pathlib import Path\n    Path(word).unlink()\n    return word", "changes files"),
        ("import httpx as h\n    return h.post(word, timeout=3).text", "sends something"),
        ("from requests import get\n    return get(word).text", "may wait for ever"),
        ("import os\n    os.chdir(word)\n    return word", "whole process"),
        ("import os\n    os.environ['A'] = word\n    return word", "whole process"),
    ],
)
def test_effects_are_remarked(found, body, said):
    hits = [one for one in found(function(body)) if said in one.what]
    assert hits and not hits[0].breaks


def test_a_tool_that_says_so_may_have_effects(found):
    text = (
        function("open(word, 'w').write(word)\n    return word") + "\nlook_up.side_effects = True\n"
    )
    assert found(text) == []


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("import beside", "lies beside"),
        ("from agents import solve", "published folder"),
        ("import no_such_package_here", "no package"),
        ('PLACE = "/home/somebody/data.csv"', "home folder"),
        ('API_KEY = "correct horse battery"', "written out"),
        ("TOKEN = 'hf_" + "a1B2" * 8 + "'", "a secret stands here"),
    ],
)
def test_what_would_fail_elsewhere_is_found(found, tmp_path, head, said):
    (tmp_path / "beside.py").write_text("")
    hits = [one for one in found(function(head=head)) if said in one.what]
    assert hits and hits[0].breaks and hits[0].line == 2
    assert "a1B2" not in str(hits[0]) and "horse" not in str(hits[0])


def test_a_file_that_loops_at_import_is_found_with_its_line(tmp_path):
    file = tmp_path / "look_up.py"
    file.write_text(function(head="while True:\n    pass"))
    hits = [one for one in check(file, seconds=0.5) if "still being imported" in one.what]
    assert hits and hits[0].breaks and hits[0].line in (2, 3)


def test_a_file_that_raises_at_import_is_found_and_sees_no_secret(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "MY_SERVICE_KEY", "not to be seen")
    file = tmp_path / "look_up.py"
    file.write_text(function(head='import os\nSEEN = os.environ["MY_SERVICE_KEY"]'))
    [one] = check(file)
    assert one.breaks and one.line == 3 and "KeyError" in one.what


def test_a_file_that_changes_files_at_import_is_found_and_not_imported(tmp_path):
    file, precious = tmp_path / "look_up.py", tmp_path / "precious"
    precious.write_text("kept")
    head = f"from pathlib import Path\ndef clear():\n    Path({str(precious)!r}).unlink()\nclear()"
    file.write_text(function(head=head))
    assert any(one.breaks and "whoever imports" in one.what for one in check(file))
    assert precious.exists()
    file.write_text(function(head="import shutil\nGIT = shutil.which('git')"))
    assert check(file) == []


def test_a_byte_order_mark_is_no_fault(tmp_path):
    file = tmp_path / "look_up.py"
    file.write_text(function(), encoding="utf-8-sig")
    assert check(file) == []


def test_smolagents_own_rules_are_asked_too(tmp_path):
    file = tmp_path / "look_up.py"
    file.write_text(function().replace("word: str", "word: tuple[int, ...]"))
    assert any(one.breaks and "TypeHintParsing" in one.what for one in check(file))


@pytest.mark.parametrize(
    "hint", ["list[str] | None", "dict[str, float]", "Literal['a', 'b']", "Any"]
)
def test_types_that_a_model_understands_are_no_finding(found, hint):
    assert found(function().replace("word: str", f"word: {hint}")) == []


def test_a_type_that_is_told_as_an_object_is_a_remark(found):
    for old in ("word: str", "-> str"):
        [one] = found(function().replace(old, old.replace("str", "Fraction")))
        assert not one.breaks


def test_our_own_tools_pass():
    for name in ("wiki_search", "web_search"):
        assert not [one for one in read(ROOT / "tools" / f"{name}.py")[0] if one.breaks]
