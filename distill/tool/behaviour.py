"""Read what a call of a tool does beside returning: state it keeps, effects it has. Nothing of it is run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from .findings import Finding
from .shape import Stated, method, stated

CHANGES = {
    "append", "extend", "insert", "remove", "pop", "clear", "add", "discard", "update", "setdefault",
    "popitem", "appendleft",
}  # fmt: skip
"""Methods that change what they are called on."""
CONTAINERS = ("list", "dict", "set", "defaultdict", "Counter", "deque", "OrderedDict")
NETWORK = (
    "requests",
    "httpx",
    "urllib.request",
    "aiohttp",
    "socket",
    "http.client",
    "ftplib",
    "websockets",
)
SENDS = (
    "post",
    "put",
    "patch",
    "delete",
    "sendmail",
    "send_message",
    "send",
    "upload_file",
    "upload_folder",
)
PROCESS = (
    "subprocess",
    "os.system",
    "os.popen",
    "os.exec",
    "os.spawn",
    "os.kill",
    "multiprocessing",
)
FILES = (
    "os.remove", "os.unlink", "os.rename", "os.replace", "os.mkdir", "os.makedirs", "os.rmdir", "shutil",
    "smtplib", "sqlite3", "tempfile",
)  # fmt: skip
WRITES = (
    "write_text",
    "write_bytes",
    "unlink",
    "mkdir",
    "rmdir",
    "touch",
    "rename",
    "to_csv",
    "to_sql",
)
WHOLE_PROCESS = {
    "os.chdir": "the working folder", "os.umask": "the umask", "os.putenv": "the environment",
    "random.seed": "everybody's random numbers", "numpy.random.seed": "everybody's random numbers",
    "np.random.seed": "everybody's random numbers", "locale.setlocale": "the locale",
    "signal.signal": "signals, which threads cannot", "signal.alarm": "signals, which threads cannot",
    "warnings.catch_warnings": "warnings", "contextlib.redirect_stdout": "everybody's output",
    "socket.setdefaulttimeout": "everybody's sockets", "sys.setrecursionlimit": "the recursion limit",
}  # fmt: skip


def behaviour(tree: ast.Module) -> Iterator[Finding]:
    """State that outlives a call, effects on the world, and what the whole process shares."""
    aliases = _aliases(tree)
    yield from _at_import(tree, aliases)
    shared = _module_containers(tree)
    for tool in stated(tree):
        if tool.works is None:
            continue
        for node in _reached(tree, tool):
            locked = _within_lock(node)
            yield from _state(node, shared, locked)
        yield from _effects(tree, tool, aliases)
        yield from _defaults(tool.works)


AT_IMPORT = "whoever imports the file"
HARMLESS = ("shutil.which", "shutil.disk_usage", "tempfile", "sqlite3", "multiprocessing")
"""What a file may well do as it is imported."""


def harms_at_import(found: Iterable[Finding]) -> bool:
    """Whether the file is better not imported to try it."""
    return any(AT_IMPORT in one.what for one in found)


def _at_import(tree: ast.Module, aliases: dict[str, str]) -> Iterator[Finding]:
    """Effects of the import itself, functions of the file that it calls among them."""
    for part in _run_at_import(tree):
        name = _full(part.func, aliases)
        effect = _effect(name, name.rpartition(".")[2], part)
        if effect and effect != "asks the network" and not _begins(name, HARMLESS):
            yield Finding(
                part.lineno, True, f"{AT_IMPORT} {effect}, before anything is called",
                "do it in the tool's function; the file was not tried",
            )  # fmt: skip


def _run_at_import(tree: ast.Module) -> Iterator[ast.Call]:
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    left, seen = list(tree.body), set()
    while left:
        node = left.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            left += [*getattr(node, "decorator_list", []), *node.args.defaults]
            continue
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            left += node.orelse
            continue
        if isinstance(node, ast.Call):
            yield node
            called = getattr(node.func, "id", None)
            if called in functions and called not in seen:
                seen.add(called)
                left += functions[called].body
        left += ast.iter_child_nodes(node)


def _reached(tree: ast.Module, tool: Stated) -> list:
    """What a call may run of this file: the function, and those it names; of a class all but its making."""
    functions = {
        n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    if tool.is_class:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef
        functions |= {
            m.name: m
            for m in tool.node.body
            if isinstance(m, kinds) and m.name not in ("__init__", "setup")
        }
    found, left = [], [tool.works]
    while left:
        node = left.pop()
        if node in found:
            continue
        found.append(node)
        for part in ast.walk(node):
            name = part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", None)
            if name in functions:
                left.append(functions[name])
    return found


def _state(node, shared: set[str], locked: set[int]) -> Iterator[Finding]:
    own = _bound(node)
    globals_ = {
        name for part in ast.walk(node) if isinstance(part, ast.Global) for name in part.names
    }
    for part in ast.walk(node):
        changed = None
        if isinstance(part, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            for target in _targets(part):
                changed = changed or _changed(target, own, globals_, shared)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            mutates = part.func.attr in CHANGES
            changed = _root(part.func.value, own, shared | globals_) if mutates else None
        if changed is None:
            continue
        if part.lineno in locked:
            yield Finding(
                part.lineno, False, f"{changed} is kept between calls, of all runs and visitors",
                "be sure that one may see what another left",
            )  # fmt: skip
        else:
            yield Finding(
                part.lineno, True, f"{changed} is kept between calls, and runs at the same time share it",
                "return what a call makes; open once what may be shared, in setup()",
            )  # fmt: skip


def _targets(part) -> list[ast.expr]:
    targets = part.targets if isinstance(part, ast.Assign | ast.Delete) else [part.target]
    flat = []
    for target in targets:
        flat += target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return flat


def _changed(target: ast.expr, own: set[str], globals_: set[str], shared: set[str]) -> str | None:
    if isinstance(target, ast.Name):
        return target.id if target.id in globals_ else None
    if isinstance(target, ast.Attribute | ast.Subscript):
        return _root(target, own, shared | globals_)
    return None


def _root(node: ast.expr, own: set[str], shared: set[str]) -> str | None:
    """What outlives the call, if that is changed here: self's attribute, or a name of the module."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        inner = node.value
        if isinstance(node, ast.Attribute) and isinstance(inner, ast.Name) and inner.id == "self":
            return f"self.{node.attr}"
        node = inner
    if isinstance(node, ast.Name) and node.id in shared and node.id not in own - {"self"}:
        return node.id
    return None


def _bound(node) -> set[str]:
    """Names that are the function's own."""
    arguments = node.args
    own = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    globals_ = {
        name for part in ast.walk(node) if isinstance(part, ast.Global) for name in part.names
    }
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            own.add(part.id)
    return own - globals_


def _module_containers(tree: ast.Module) -> set[str]:
    """Names of the module that hold something that can be changed."""
    found = set()
    for part in tree.body:
        if isinstance(part, ast.Assign | ast.AnnAssign) and part.value is not None:
            value, name = part.value, None
            if isinstance(value, ast.Call):
                name = (
                    value.func.attr
                    if isinstance(value.func, ast.Attribute)
                    else getattr(value.func, "id", "")
                )
            kinds = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
            if isinstance(value, kinds) or name in CONTAINERS:
                found |= {target.id for target in _targets(part) if isinstance(target, ast.Name)}
    return found


def _within_lock(node) -> set[int]:
    """The lines of `with …lock…:` blocks."""
    lines: set[int] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.With) and any(
            "lock" in ast.unparse(i.context_expr).lower() for i in part.items
        ):
            lines |= set(range(part.lineno, (part.end_lineno or part.lineno) + 1))
    return lines


def _defaults(node) -> Iterator[Finding]:
    for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
        if isinstance(default, ast.List | ast.Dict | ast.Set):
            yield Finding(
                default.lineno, False, "a default that can be changed is the same one at every call",
                "write None, and make it within",
            )  # fmt: skip


def _effects(tree: ast.Module, tool: Stated, aliases: dict[str, str]) -> Iterator[Finding]:
    marked = _is_marked(tree, tool)
    told = set()
    for node in _reached(tree, tool):
        for part in ast.walk(node):
            if isinstance(part, ast.Assign) and any(
                "os.environ[" in ast.unparse(t) for t in part.targets
            ):
                yield _whole(part.lineno, "the environment")
            if not isinstance(part, ast.Call):
                continue
            name = _full(part.func, aliases)
            last = name.rpartition(".")[2]
            if what := WHOLE_PROCESS.get(name):
                yield _whole(part.lineno, what)
            if name in ("input", "breakpoint"):
                yield Finding(
                    part.lineno, True, f"{name}() waits for a person", "take an argument instead"
                )
            elif name in ("os._exit", "os.abort", "exit", "quit", "sys.exit"):
                yield Finding(
                    part.lineno, True, f"{name} ends the whole app", "raise an error instead"
                )
            elif name == "print":
                yield Finding(
                    part.lineno, False, "what a tool prints the model does not see", "return it"
                )
            waits = name.startswith("requests.") or name.endswith("urlopen")
            if waits and "timeout" not in {k.arg for k in part.keywords}:
                yield Finding(part.lineno, False, "it may wait for ever", "give it a timeout=")
            effect = _effect(name, last, part)
            if effect and not marked and effect not in told:
                told.add(effect)
                how = f"`{tool.name}.side_effects = True` below it"
                how = "`side_effects = True` in its body" if tool.is_class else how
                if effect == "asks the network":
                    do = f"if that changes anything there, write {how}"
                else:
                    do = f"write {how}, so that of several candidates only the winner runs it"
                yield Finding(part.lineno, False, f"{tool.name} {effect}", do)


def _effect(name: str, last: str, call: ast.Call) -> str | None:
    if _begins(name, PROCESS):
        return "starts or ends processes"
    if _begins(name, FILES) or last in WRITES or (last == "open" and _opens_to_write(call)):
        return "changes files or sends mail" if name.startswith("smtplib") else "changes files"
    if _begins(name, NETWORK):
        return "sends something to the network" if last in SENDS else "asks the network"
    return None


def _opens_to_write(call: ast.Call) -> bool:
    mode = next((k.value for k in call.keywords if k.arg == "mode"), None)
    position = 1 if isinstance(call.func, ast.Name) else 0
    if mode is None and len(call.args) > position:
        mode = call.args[position]
    return (
        isinstance(mode, ast.Constant)
        and isinstance(mode.value, str)
        and bool(set(mode.value) & set("wax+"))
    )


def _whole(line: int, what: str) -> Finding:
    return Finding(
        line, False, f"this changes {what} for the whole process, other runs too", "do without it"
    )


def _is_marked(tree: ast.Module, tool: Stated) -> bool:
    """Whether it says something of side effects, in its class or after its function."""
    within = tool.node.body if tool.is_class else tree.body
    for part in within:
        if isinstance(part, ast.Assign | ast.AnnAssign):
            names = {ast.unparse(target) for target in _targets(part)}
            if {"side_effects", f"{tool.name}.side_effects"} & names:
                return True
    start = method(tool.node, "__init__") if tool.is_class else None
    return start is not None and "self.side_effects" in ast.unparse(start)


def _aliases(tree: ast.Module) -> dict[str, str]:
    """What an imported name stands for, anywhere in the file: post is requests.post."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                if one.asname:
                    found[one.asname] = one.name
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


def _full(node: ast.expr, aliases: dict[str, str]) -> str:
    """The dotted name that is called; of `Path(x).unlink`, unlink."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(aliases.get(node.id, node.id))
    return ".".join(reversed(parts))


def _begins(name: str, prefixes) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes) or any(
        name.startswith(prefix)
        for prefix in prefixes
        if prefix.startswith("os.") and prefix in PROCESS
    )
