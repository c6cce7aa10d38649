"""Run the model's code in this process, in smolagents' restricted interpreter: only where it was asked for.

For machines that have no sandbox (`--unsafe-local`), and no security boundary: smolagents' maintainers
say so of their interpreter, and this adds none. It keeps a run alive: a loop without end stops at the
deadline (the stock timeout waits for the code to finish), and `raise SystemExit` is the model's error,
not the end of the program. One long call into C still runs to its end.
"""

from __future__ import annotations

import threading
import time

from smolagents.local_python_executor import CodeOutput, InterpreterError, LocalPythonExecutor

from .cancelled import Cancelled
from .sandbox.limits import Limits


class UnconfinedExecutor(LocalPythonExecutor):
    """`LocalPythonExecutor` that keeps two of the limits: seconds per action, and printed output."""

    def __init__(self, additional_authorized_imports, logger=None, *, limits: Limits = Limits()):
        super().__init__(
            list(additional_authorized_imports),
            max_print_outputs_length=limits.output_chars,
            timeout_seconds=None,
        )
        # A set upstream: its order, and so the text of import errors, would differ from process to process.
        self.authorized_imports = sorted(self.authorized_imports)
        self.seconds = limits.seconds
        self.state = _State(self.state)
        self.cancelled: threading.Event | None = None
        """Once it is set, running code ends at its next step, and `Cancelled` is raised."""

    def __call__(self, code_action: str) -> CodeOutput:
        self.state.deadline = time.monotonic() + self.seconds
        self.state.cancelled = self.cancelled
        try:
            result = super().__call__(code_action)
            # Shown here, inside the guard: `__str__` may be the model's code too, and is asked only once.
            shown = None if result.output is None else str(result.output)
            return CodeOutput(
                output=shown, logs=result.logs, is_final_answer=result.is_final_answer
            )
        except _DeadlinePassedError:
            raise InterpreterError(
                f"The code ran for more than {self.seconds:g} seconds."
            ) from None
        except RecursionError:
            raise InterpreterError("The code recursed too deeply.") from None
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            # Ctrl-C reaches the main thread; agents run in others, so this one was raised by the code.
            raise InterpreterError(f"The code raised {type(error).__name__}.") from None
        except InterpreterError:
            raise
        except Exception as error:
            raise InterpreterError(
                f"The result cannot be shown: {type(error).__name__}: {error}"
            ) from None


class _DeadlinePassedError(BaseException):
    """Not an Exception, so that the model's `except Exception` cannot swallow it."""


class _Counter(dict):
    """smolagents' operation count, read at every node of the code: the place to look at the clock."""

    def __init__(self, deadline: float, cancelled: threading.Event | None):
        super().__init__(counter=0)
        self.deadline, self.cancelled = deadline, cancelled

    def __getitem__(self, key):
        value = super().__getitem__(key)
        if value % 64 == 0:
            if self.cancelled is not None and self.cancelled.is_set():
                raise Cancelled
            if time.monotonic() > self.deadline:
                raise _DeadlinePassedError
        return value


class _State(dict):
    """The interpreter's variables; a fresh count at each action gets that action's deadline."""

    deadline = float("inf")
    cancelled = None

    def __setitem__(self, key, value):
        super().__setitem__(
            key, _Counter(self.deadline, self.cancelled) if key == "_operations_count" else value
        )
