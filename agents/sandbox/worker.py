"""What runs inside: a process that holds a run's Python state, and its forks, each of which runs one action.

Everything it sends may have been made up by the code it runs; the app takes it as such (session.py).
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import io
import os
import random
import signal
import socket
import sys
from functools import reduce

from smolagents import local_python_executor
from smolagents.local_python_executor import (
    CodeOutput,
    FinalAnswerException,
    InterpreterError,
    LocalPythonExecutor,
)

from . import kernel
from .frames import BrokenChannelError, Channel, pack
from .values import MAX_ARGUMENT, MAX_OUTPUT, MAX_TEXT, NotDataError, decode, encode, plainly

CAP = 1 << 24
"""Bytes of the largest frame from the app: a tool's result, variables."""


class FinalAnswerTool:
    """smolagents' own, which only hands its argument on; there is no need to ask the app for that."""

    def __call__(self, *args, **kwargs):
        # smolagents' tools take their arguments as one dictionary too
        named = len(args) == 1 and not kwargs and isinstance(args[0], dict)
        if named and all(key == "answer" for key in args[0]):
            args, kwargs = (), args[0]
        return self.forward(*args, **kwargs)

    def forward(self, answer):
        return answer


def new_interpreter(imports: list[str]) -> LocalPythonExecutor:
    """smolagents' interpreter: for the same observations, not for safety. No timeout: it would need a thread."""
    interpreter = LocalPythonExecutor(imports, timeout_seconds=None)
    interpreter.send_tools({})
    return interpreter


class Worker:
    def __init__(self, interpreter: LocalPythonExecutor, fd: int):
        self.interpreter = interpreter
        self.run_code = self.interpret
        self.namespace: dict = {"__name__": "__main__"}
        self._speak_on(fd)
        random.seed()  # else every run would draw the same numbers
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()

    def _speak_on(self, fd: int) -> None:
        # Family and type are named: to find them out takes a call that is not allowed.
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
        self.app = Channel(sock, CAP, takes_fds=True)
        self.app.send({"op": "hello"})

    def serve(self) -> None:
        """Do what the app says, until it is gone."""
        while True:
            try:
                message = self.app.receive()
            except BrokenChannelError:
                os._exit(0)
            match message["op"]:
                case "setup":
                    self._set_up(message)
                case "fork":
                    self._fork(self.app.fds.pop(0))
                case "run":
                    self._reply(message["code"])

    def _set_up(self, message: dict) -> None:
        tools = {name: self._stub(name) for name in message["tools"]}
        for name, (module, qualified) in message["inside"].items():
            tools[name] = reduce(getattr, qualified.split("."), importlib.import_module(module))
        if message["plain_final_answer"]:
            tools["final_answer"] = FinalAnswerTool()
        variables = {name: decode(value) for name, value in message["variables"].items()}
        vars(local_python_executor).update(message["settings"])
        if message["interpreter"] == "python":
            self.run_code = self.execute
            self.namespace.update(tools, **variables)
            if answer := tools.get("final_answer"):
                self.namespace["final_answer"] = raising(answer)
        self.interpreter.authorized_imports = message["imports"]
        self.interpreter.max_print_outputs_length = message["output_chars"]
        functions = {name: tools.pop(name) for name in message["functions"]}
        self.interpreter.send_tools(tools)
        self.interpreter.static_tools.update(functions)
        self.interpreter.send_variables(variables)

    def _fork(self, fd: int) -> None:
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            self.app.sock.close()  # not shut down: it is the parent's too
            self._speak_on(fd)
        else:
            os.close(fd)

    def _reply(self, code: str) -> None:
        """Run the code and say how it went. Whatever it raises is the model's doing, and is told to it."""
        reply = {"op": "done"}
        # Should app and server both be killed: code that sleeps would not notice. Only while it runs: once
        # adopted, the process that it was forked from is ended.
        end_with_parent(signal.SIGKILL)
        try:
            result = self.run_code(code)
            reply |= {"final": result.is_final_answer, "logs": result.logs, **shown(result.output)}
        except Exception as error:
            reply |= {"error": text(error)}
        except BaseException as error:
            reply |= {"error": f"The code raised {type(error).__name__}."}
        end_with_parent(0)
        if "error" in reply:
            reply["logs"] = text(self.interpreter.state.get("_print_outputs", ""))
        try:
            self.app.send(reply)
        except (ValueError, MemoryError, RecursionError) as error:
            self.app.send({"op": "done", "error": f"{type(error).__name__}.", "logs": ""})

    def interpret(self, code: str) -> CodeOutput:
        return self.interpreter(code)

    def execute(self, code: str) -> CodeOutput:
        """As plain Python, the interpreter bypassed: what the layers below must stop alone."""
        printed, value, final = io.StringIO(), None, False
        tree = ast.parse(code)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(tree, "<action>", "exec"), self.namespace)
                if last is not None:
                    expression = ast.Expression(last.value)
                    value = eval(compile(expression, "<action>", "eval"), self.namespace)
        except FinalAnswerException as answer:
            value, final = answer.value, True
        finally:
            logs = printed.getvalue()[: self.interpreter.max_print_outputs_length]
            self.interpreter.state["_print_outputs"] = logs
        return CodeOutput(output=value, logs=logs, is_final_answer=final)

    def _stub(self, name: str):
        def call(*args, **kwargs):
            given = encode(plainly(args)), encode(plainly(kwargs))
            frame = pack({"op": "call", "name": name, "args": given[0], "kwargs": given[1]})
            if len(frame) > MAX_ARGUMENT:
                raise ValueError(
                    f"The arguments of {name} are too long: {len(frame):,} bytes; "
                    f"a tool takes {MAX_ARGUMENT:,}."
                )
            self.app.send_bytes(frame)
            reply = self.app.receive()
            if "raised" in reply:
                raise same_error(*reply["raised"], decode(reply["args"]), reply["text"])
            return decode(reply["value"])

        call.__name__ = call.__qualname__ = name
        return call


def end_with_parent(by: int) -> None:
    """Be sent this signal when the process that this one was forked from ends; 0 for none."""
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.SET_PDEATHSIG, by)


def raising(final_answer):
    def call(*args, **kwargs):
        raise FinalAnswerException(final_answer(*args, **kwargs))

    return call


def same_error(name: str, module: str, base: str, args: tuple, message: str) -> BaseException:
    """An exception that the code can catch, and that reads, as the one that the tool raised in the app."""
    kind = getattr(builtins, base)
    if name != base:
        kind = type(name, (kind,), {"__module__": module})
    with contextlib.suppress(Exception):
        error = kind(*args)
        if str(error) == message:
            return error
    kind = type(name, (kind,), {"__module__": module, "__str__": lambda self: message})
    error = kind.__new__(kind)
    error.args = (message,)
    return error


def shown(value) -> dict:
    """The value itself where it can be passed exactly, else its text: `__str__` may be the model's code too."""
    try:
        exact = encode(value, ordered=True)
        if len(pack({"output": exact})) <= MAX_OUTPUT:
            return {"output": exact}
    except NotDataError:
        pass
    except ValueError as error:
        raise InterpreterError(f"The result cannot be shown: {error}") from None
    try:
        return {"text": clipped(str(value))}
    except Exception as error:
        raise InterpreterError(
            f"The result cannot be shown: {type(error).__name__}: {error}"
        ) from None


def clipped(shown: str) -> str:
    """Its two ends, of which smolagents shows the model the outer 20,000 characters."""
    if len(shown) <= MAX_TEXT:
        return shown
    return f"{shown[: MAX_TEXT // 2]}…{shown[-MAX_TEXT // 2 + 1 :]}"


def text(value) -> str:
    try:
        return clipped(str(value))
    except BaseException as error:
        return f"It cannot be shown either: {type(error).__name__}."
