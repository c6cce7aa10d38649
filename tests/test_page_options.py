"""What `python app.py` takes, and what it refuses at the door."""

from __future__ import annotations

import argparse
import json

import pytest

from agents.chat.options import COMPARE, offered, read_options
from agents.chat.published import Published

from .loopback import ChatServer


def options(*given: str, told: Published = Published()) -> argparse.Namespace:  # noqa: B008 - frozen
    return read_options(argparse.ArgumentParser(), told, given)


@pytest.mark.parametrize(
    "given",
    [
        ("--samples", "0"),
        ("--max-steps", "0"),
        ("--temperature", "nan"),
        ("--temperature", "9"),
        ("--port", "99999"),
        ("--port", "x"),
        ("--report", "nowhere"),
        ("--runs", "nowhere"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_by_name(given, capsys):
    with pytest.raises(SystemExit) as ended:
        options(*given)
    assert ended.value.code == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert given[0] in told and given[1] in told


def test_the_page_offers_what_its_command_line_says(tool, server: ChatServer):
    offer = offered(options("--model", server.name, "--limits", "run_tokens=9"), [tool])
    assert offer.models == (server.name,) and offer.toolbox == (tool,)
    assert offer.settings["limits"].run_tokens == 9 and not offer.compare and not offer.examples
    assert offered(options(), []).compare == COMPARE
    with pytest.raises(ValueError, match="No model 'nix'"):
        offered(options("--model", "nix"), [])
    with pytest.raises(ValueError, match="at least one --model"):
        offered(options("--model", ","), [])
    with pytest.raises(ValueError, match="Thumbs cannot be written"):
        offered(options("--feedback", __file__), [])


def test_runs_and_reports_that_lie_about_are_shown_on_this_machine_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/demo").mkdir(parents=True)
    (tmp_path / "runs/demo/report.json").write_text(json.dumps({}))
    assert str(options().runs) == "runs" and str(options().report) == "runs/demo"
    for seen in (options("--host", "0.0.0.0"), options(told=Published(model="pocket"))):
        assert seen.runs is None and seen.report is None
