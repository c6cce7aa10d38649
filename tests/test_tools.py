"""One file is one tool: what a file must hold, and that a bad one costs one sentence."""

from __future__ import annotations

import pytest

import tools
from distill.solvers import with_folder
from tools.compose import tool_files
from tools.files import ImportFault, read_tool, try_import

GREET = '''from smolagents import tool

@tool
def {name}(who: str) -> str:
    """Greet somebody.

    Args:
        who: whom
    """
    return "Hello " + who
'''


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "greet"):
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_function_in_a_file_is_a_tool(file):
    path = file("print('noise on standard output')\n" + GREET.format(name="greet"))
    assert tools.load(str(path))("Ada") == "Hello Ada"


def test_a_file_that_ends_the_process_ends_only_its_trial(file):
    with pytest.raises(ValueError, match="ends the process"):
        tools.load(str(file("import os; os._exit(0)")))


def test_a_file_that_loops_at_import_is_told_with_its_line(file):
    with pytest.raises(ImportFault, match=r"still being imported after 0.3 seconds in line [23]"):
        try_import(file("x = 1\nwhile True:\n    x += 1\n"), 0.3)


def test_a_file_that_raises_at_import_is_told_with_its_line(file):
    with pytest.raises(ImportFault, match="in line 2: ZeroDivisionError"):
        try_import(file("x = 0\n1 / x\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "defines no tool"),
        ("from smolagents import Tool\n", "defines no tool"),
        (GREET.format(name="a") + GREET.format(name="b"), "2 tools, a, b"),
        (GREET.format(name="greet").replace('"""', '""; """', 1), "docstring"),
        ("raise SystemExit\n", "SystemExit"),
        ("def broken(:\n", "SyntaxError"),
        (
            "from smolagents import Tool\nclass T(Tool):\n    name = 't'\n    description = ' '\n    inputs = {}\n"
            "    output_type = 'string'\n    def forward(self):\n        return ''\n",
            "no description",
        ),
        (
            "from smolagents import Tool\nclass T(Tool):\n    name = 't'\n    description = 'd'\n    inputs = {}\n"
            "    output_type = 'string'\n    def __init__(self, key):\n        super().__init__()\n"
            "    def forward(self):\n        return ''\n",
            "cannot be made with no settings",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_tool_is_refused_with_a_sentence(file, text, said):
    path = file(text)
    with pytest.raises(ValueError, match=said) as raised:
        read_tool(path, trusted=True)
    assert "greet" in str(raised.value)


def test_a_base_class_beside_the_tool_is_no_second_one(file):
    path = file(
        "from smolagents import Tool\n"
        "class Base(Tool):\n    inputs = {}\n    output_type = 'string'\n"
        "    def forward(self):\n        return self.name\n"
        "class T(Base):\n    name = 't'\n    description = 'd'\n"
    )
    assert read_tool(path, trusted=True)() == "t"


def test_a_folder_gives_its_tools_and_not_their_tests(file, tmp_path):
    for name in ("greet", "wave"):
        file(GREET.format(name=name), name)
    for name in ("test_greet", "_shared", "conftest"):
        file("raise SystemExit\n", name)
    assert [path.name for path in tool_files(tmp_path)] == ["greet.py", "wave.py"]
    found = tools.compose("wiki_search", folders=[tmp_path])
    assert [tool.name for tool in found] == ["wiki_search", "greet", "wave"]


def test_a_folder_without_tools_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no tool"):
        tools.compose("", folders=[tmp_path])
    with pytest.raises(ValueError, match="No folder"):
        tools.compose("", folders=[tmp_path / "none"])


def test_the_command_lines_folder_stands_in_the_runs_record_file_by_file(file, tmp_path):
    path = file(GREET.format(name="greet"))
    assert with_folder("wiki_search", tmp_path) == f"wiki_search,{path}"
    assert with_folder("", tmp_path) == str(path)
    assert with_folder("wiki_search", None) == "wiki_search"
    file(GREET.format(name="b"), "a,b")
    with pytest.raises(ValueError, match="comma"):
        with_folder("", tmp_path)
