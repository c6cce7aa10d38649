"""The runtime: a question in, a trajectory out. No training, no benchmarks.

from agents import load_model, make_agent, solve
"""

from .agent import make_agent
from .cot import make_thinker
from .models import load_model
from .sandbox import Limits, SandboxError
from .solve import solve, stream
from .trajectory import Message, Step, Trajectory, Usage

__all__ = [
    "Limits",
    "Message",
    "SandboxError",
    "Step",
    "Trajectory",
    "Usage",
    "load_model",
    "make_agent",
    "make_thinker",
    "solve",
    "stream",
]
