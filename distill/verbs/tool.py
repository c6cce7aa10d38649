"""Tools of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Config, Json
from . import app, fail, last, verb

own = typer.Typer(
    no_args_is_help=True, help="Write a tool of your own, and check it.", rich_markup_mode=None
)
app.add_typer(own, name="tool")


@verb("new", "tool new unit_price --dir my_tools", on=own)
def new(
    name: Annotated[str, typer.Argument(help="What the model will call; a Python name.")],
    dir: Annotated[Path, typer.Option("--dir", help="The folder that gets it.")] = Path("my_tools"),
    of_class: Annotated[
        bool, typer.Option("--class", help="A class, for what is opened once; else a function.")
    ] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Write a commented start of a tool, and its test."""
    from ..tool.new import new_tool

    file, test = new_tool(name, dir, of_class=of_class)
    print(f"{file} and {test} are written. Try: python -m pytest {test}")
    print(f"Use it with --tools wiki_search,{file} or --tools-dir {dir}")
    last(json, {"tool": str(file), "test": str(test)})


@verb("check", "tool check my_tools/unit_price.py", on=own)
def check(
    file: Annotated[Path, typer.Argument(help="A tool's .py file.")],
    seconds: Annotated[float, typer.Option(help="That its import may take.")] = 20.0,
    json: Json = False,
    config: Config = None,
) -> None:
    """Say what would break, a line each; exit code 1 if anything would."""
    from dataclasses import asdict

    from ..tool.check import check

    if seconds <= 0:
        raise ValueError("--seconds is more than 0.")
    found = check(file, seconds=seconds)
    for one in found:
        print(f"{file}:{one}")
    broken = sum(one.breaks for one in found)
    remarks = len(found) - broken
    if not broken:
        print(f"{file} can be used" + (f"; {remarks} remarks." if remarks else "."))
    last(json, {"file": str(file), "breaks": broken, "findings": [asdict(one) for one in found]})
    if broken:
        fail(f"{broken} of {len(found)} findings would break.")
