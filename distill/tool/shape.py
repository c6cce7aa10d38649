"""Read how a tool's file states its tool: name, arguments, types, words. Nothing of it is run."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .findings import Finding

LONG = 1500
"""Characters of a description; it stands in every request."""
PLAIN = ("str", "int", "float", "bool", "list", "dict", "tuple", "None", "Any")
"""Types that a model is told by their names; others it is told are objects."""
WRITTEN = (
    "typing",
    "Union",
    "Optional",
    "Literal",
    "List",
    "Dict",
    "Tuple",
    "object",
    "Image",
    "AgentImage",
    "AgentAudio",
)
SENT = ("set", "frozenset", "bytes", "complex", "ndarray")
"""Types that sandboxed code can hand over all the same."""
KEPT = (
    "Path",
    "datetime",
    "date",
    "time",
    "timedelta",
    "Decimal",
    "Callable",
    "bytearray",
    "IO",
    "TextIO",
)
"""Types whose values code can make and not hand over; of others, it can give what a tool returned."""


@dataclass(frozen=True)
class Stated:
    """A tool as the file states it."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    name: str | None
    """What the model will call; None where it is not written out."""
    works: ast.FunctionDef | ast.AsyncFunctionDef | None
    """What is run at a call: the function, or `forward`."""

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)


def stated(tree: ast.Module) -> list[Stated]:
    """The tools of a file, in order."""
    found = []
    for node in tree.body:
        marked = [_called(one) for one in getattr(node, "decorator_list", [])]
        if "tool" in marked and not isinstance(node, ast.ClassDef):
            found.append(Stated(node, node.name, node))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    bases = {_called(base) for node in classes.values() for base in node.bases}
    for name, node in classes.items():
        whole = _with_bases(node, classes)
        if name in bases or whole is None:
            continue
        given = attributes(whole).get("name")
        value = given.value if isinstance(given, ast.Constant) else None
        found.append(
            Stated(whole, value if isinstance(value, str) else None, method(whole, "forward"))
        )
    return sorted(found, key=lambda one: one.node.lineno)


def _with_bases(node: ast.ClassDef, classes: dict, depth: int = 0) -> ast.ClassDef | None:
    """The class with what it has from others of the file, theirs first; None if it is no tool."""
    names = [_called(base) for base in node.bases]
    if "Tool" in names or depth > 10:
        return node if depth <= 10 else None
    for name in names:
        base = _with_bases(classes[name], classes, depth + 1) if name in classes else None
        if base is not None:
            merged = ast.ClassDef(
                node.name, node.bases, node.keywords, [*base.body, *node.body], []
            )
            return ast.copy_location(merged, node)
    return None


def shape(tree: ast.Module, path: Path) -> Iterator[Finding]:
    """What is wrong with the tool as it is stated."""
    found = stated(tree)
    if not found:
        yield Finding(
            1, True, "the file defines no tool",
            "put @tool above a function, or derive a class from smolagents' Tool",
        )  # fmt: skip
        return
    for other in found[1:]:
        yield Finding(
            other.node.lineno, True, f"this is tool number two, after {found[0].name}",
            "give each tool a file of its own",
        )  # fmt: skip
    for one in found:
        yield from _name(one, path)
        yield from (_class(one.node) if one.is_class else _function(one.node))
        if one.works is not None:
            yield from _signature(one)


def method(node: ast.ClassDef, name: str):
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return next((m for m in reversed(node.body) if isinstance(m, kinds) and m.name == name), None)


def attributes(node: ast.ClassDef) -> dict[str, ast.expr]:
    """What is assigned in the class's body."""
    found = {}
    for part in node.body:
        if isinstance(part, ast.Assign):
            found |= {
                target.id: part.value for target in part.targets if isinstance(target, ast.Name)
            }
        elif isinstance(part, ast.AnnAssign) and part.value and isinstance(part.target, ast.Name):
            found[part.target.id] = part.value
    return found


def _called(node: ast.expr) -> str | None:
    """The last part of a name: of `smolagents.tool`, tool."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)


def _name(tool: Stated, path: Path) -> Iterator[Finding]:
    import tools

    line, name = tool.node.lineno, tool.name
    if name is None:
        return
    if name == "final_answer":
        yield Finding(line, True, "final_answer is how every agent ends", "name the tool otherwise")
    elif not name.isidentifier():
        yield Finding(line, True, f"no code can call {name!r}", "use letters, digits and _")
    elif hasattr(builtins, name):
        yield Finding(
            line, True, f"{name} is Python's own and would be hidden", "name it otherwise"
        )
    elif name in _interpreter():
        yield Finding(
            line,
            True,
            f"{name} is a function or module that code uses already",
            "name it otherwise",
        )
    elif name in tools.available() and path.parent.resolve() != tools.FOLDER.resolve():
        yield Finding(
            line, False, f"there is a tool {name} already, and both cannot be used together",
            "name it otherwise",
        )  # fmt: skip
    elif name != path.stem:
        yield Finding(
            line,
            False,
            f"the tool {name} is in {path.name}",
            f"call the file {name}.py, to find it",
        )


def _interpreter() -> set[str]:
    from smolagents.local_python_executor import BASE_PYTHON_TOOLS
    from smolagents.utils import BASE_BUILTIN_MODULES

    return {*BASE_PYTHON_TOOLS, *BASE_BUILTIN_MODULES, "numpy", "sympy"}


def _function(node) -> Iterator[Finding]:
    words = ast.get_docstring(node)
    if not words:
        yield Finding(
            node.lineno, True, f"{node.name} has no docstring, which is all that a model knows of it",
            "say what it does, and each argument under Args:",
        )  # fmt: skip
    else:
        said, told = _documented(words)
        names = [arg.arg for arg in _arguments(node)]
        if not said.strip():
            yield Finding(
                node.lineno, True, "the docstring does not say what it does", "say it first"
            )
        if len(words) > LONG:
            yield Finding(
                node.lineno, False, f"the docstring has {len(words)} characters", "shorten it"
            )
        for name in names:
            if not told.get(name, "").strip():
                yield Finding(
                    node.lineno, True, f"the docstring does not say what {name} is",
                    f"add a line `{name}: …` under Args:",
                )  # fmt: skip
        for name in set(told) - set(names):
            yield Finding(
                node.lineno, False, f"the docstring tells of {name}, no argument", "take it out"
            )
    if node.returns is None:
        yield Finding(
            node.lineno, True, "no type says what it returns", "write -> str, say, before the colon"
        )


def _class(node: ast.ClassDef) -> Iterator[Finding]:
    given = attributes(node)
    for name in ("name", "description", "inputs", "output_type"):
        if name not in given:
            yield Finding(
                node.lineno, True, f"the class has no {name}", f"write {name} = … in its body"
            )
    for name in ("name", "description"):
        value = given.get(name)
        if isinstance(value, ast.Constant) and not (
            isinstance(value.value, str) and value.value.strip()
        ):
            yield Finding(value.lineno, True, f"the {name} is empty or no text", "write it out")
    work = method(node, "forward")
    if work is None:
        yield Finding(
            node.lineno, True, "the class has no forward", "write what a call does in def forward"
        )
    elif isinstance(inputs := given.get("inputs"), ast.Dict):
        yield from _inputs(inputs, work)
    start = method(node, "__init__")
    if start is not None:
        yield from _constructor(start)
    ready = method(node, "setup")
    if (
        ready is not None
        and not _calls_super(ready, "setup")
        and "is_initialized" not in ast.dump(ready)
    ):
        yield Finding(
            ready.lineno, False, "setup runs anew at every call", "end it with super().setup()"
        )


def _inputs(inputs: ast.Dict, work) -> Iterator[Finding]:
    from smolagents.tools import AUTHORIZED_TYPES

    names = [arg.arg for arg in _arguments(work)]
    stated = {}
    for key, value in zip(inputs.keys, inputs.values, strict=True):
        if isinstance(key, ast.Constant):
            stated[key.value] = value
    for name in names:
        if name not in stated:
            yield Finding(
                inputs.lineno, True, f"inputs does not have {name}, which forward takes",
                f'add "{name}": {{"type": …, "description": …}}',
            )  # fmt: skip
    optional = {a.arg for a in work.args.args[len(work.args.args) - len(work.args.defaults) :]}
    for name, value in stated.items():
        if name not in names:
            yield Finding(
                value.lineno, True, f"forward does not take {name} of inputs", "give it there too"
            )
        if not isinstance(value, ast.Dict):
            continue
        parts = {
            k.value: v
            for k, v in zip(value.keys, value.values, strict=True)
            if isinstance(k, ast.Constant)
        }
        for part in ("type", "description"):
            if part not in parts:
                yield Finding(value.lineno, True, f"the input {name} has no {part}", "add it")
        kind = parts.get("type")
        if isinstance(kind, ast.Constant) and kind.value not in AUTHORIZED_TYPES:
            yield Finding(
                kind.lineno, True, f"{kind.value!r} is no type of an input",
                f"use one of {', '.join(AUTHORIZED_TYPES)}",
            )  # fmt: skip
        if name in optional and "nullable" not in parts:
            yield Finding(
                value.lineno, False, f"{name} may be left out, and inputs does not say so",
                'add "nullable": True',
            )  # fmt: skip


def _constructor(start) -> Iterator[Finding]:
    if not _calls_super(start, "__init__"):
        yield Finding(
            start.lineno, True, "__init__ leaves out the base's", "call super().__init__()"
        )
    arguments = start.args.args[1:]
    missing = len(arguments) - len(start.args.defaults)
    for argument in arguments[: max(0, missing)]:
        yield Finding(
            argument.lineno, True, f"the tool cannot be made without {argument.arg}",
            "give it a default, a plain value",
        )  # fmt: skip
    for default in start.args.defaults + [d for d in start.args.kw_defaults if d]:
        try:
            ast.literal_eval(default)
        except ValueError:
            yield Finding(
                default.lineno, True, "a default that is not written out cannot be published",
                "write a plain value, or None and decide within",
            )  # fmt: skip


def _signature(tool: Stated) -> Iterator[Finding]:
    node = tool.works
    if isinstance(node, ast.AsyncFunctionDef):
        yield Finding(
            node.lineno,
            True,
            "nothing awaits an async function",
            "write def, and asyncio.run within",
        )
    if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node)):
        yield Finding(node.lineno, True, "a generator is no plain data", "return a list or a text")
    if node.args.vararg or node.args.kwarg:
        yield Finding(
            node.lineno, True, "* and ** arguments cannot be described", "name each argument"
        )
    if node.args.posonlyargs:
        yield Finding(
            node.lineno, True, "arguments before / cannot be given by name", "take the / out"
        )
    for argument in _arguments(node):
        if argument.annotation is None:
            if not tool.is_class:
                yield Finding(
                    argument.lineno, True, f"the argument {argument.arg} has no type",
                    f"write {argument.arg}: str, say",
                )  # fmt: skip
            continue
        yield from _type(argument.annotation, f"the argument {argument.arg}", True)
    if node.returns is not None:
        yield from _type(node.returns, "what is returned", False)


def _type(annotation: ast.expr, of: str, given: bool) -> Iterator[Finding]:
    """given: by the model's code, as an argument; else returned to it."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        with suppress(SyntaxError):  # a type in quotes
            annotation = ast.copy_location(
                ast.parse(annotation.value, mode="eval").body, annotation
            )
    # Of a dotted name the last part, and of Literal its choices left out.
    names = {_called(p) for p in ast.walk(annotation) if isinstance(p, ast.Name | ast.Attribute)}
    names -= {_called(p.value) for p in ast.walk(annotation) if isinstance(p, ast.Attribute)}
    line, plain = annotation.lineno, ", ".join(PLAIN[:-1])
    for name in sorted(names - {*PLAIN, *WRITTEN, None}):
        if given and name in KEPT:
            yield Finding(
                line, True, f"{of} is a {name}, which code cannot hand over", f"use {plain}"
            )
        elif given:
            only = "" if name in SENT else ", one that another tool returned"
            yield Finding(
                line, False, f"of {of} a model is told that it is an object{only}",
                f"use {plain}, or say in its words what it is",
            )  # fmt: skip
        elif name not in SENT:
            yield Finding(
                line, False, f"{of} is a {name}: code can print it and give it to a tool, no more",
                f"return {plain}, if it is to be worked with",
            )  # fmt: skip


def _arguments(node) -> list[ast.arg]:
    return [
        a
        for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if a.arg != "self"
    ]


def _documented(words: str) -> tuple[str, dict[str, str]]:
    """What comes before Args:, and under it each argument's words, as smolagents reads them."""
    from smolagents._function_type_hints_utils import _parse_google_format_docstring

    said, told, _ = _parse_google_format_docstring(inspect.cleandoc(words))
    return said or "", told or {}


def _calls_super(node, name: str) -> bool:
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr == name
        ):
            return True
    return False
