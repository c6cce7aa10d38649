"""Run code that a model wrote, confined, and fork its state to try several actions at once.

    app (models, tools, secrets)
     |- starts, with an empty environment --> fork server: Python, numpy, sympy, smolagents' interpreter, ready
     |                                          `- fork per run: limits, Landlock, seccomp --> holds the run's state
     `- a socket to each process; JSON <----------------------------------------------------  `- fork per candidate

An action always runs in a fork of the state. If it is kept, its process is the state from then on; if
not, or if it is killed at its limit, the state is what it was. Tools run in the app and are called by JSON.

What it does not claim: protection from a flaw in the kernel, or from what the tools themselves do. To
serve strangers, put a virtual machine or gVisor around the whole app as well.
"""

from .executor import SandboxExecutor
from .forkserver import SandboxError
from .limits import Limits
from .session import Outcome

__all__ = ["Limits", "Outcome", "SandboxError", "SandboxExecutor"]
