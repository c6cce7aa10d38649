"""Self-consistent generation the way the paper's published code does it, to compare with and to test against.

Candidates run one after the other in the one live interpreter; they vote with what they printed alone; the
winner's code is then run again. Written from a description of that procedure (arXiv 2505.17612's
repository, `check_code_integrity` and `get_most_common_output_code`), not from its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from smolagents.local_python_executor import CodeOutput, LocalPythonExecutor


def vote(executor: LocalPythonExecutor, codes: Sequence[str]) -> str:
    """The code whose printed text most share; the first code if none runs."""
    printed: dict[int, str] = {}
    for at, code in enumerate(codes):
        try:
            printed[at] = executor(code).logs
        except Exception:  # a candidate that fails has no vote, however it fails
            continue
    if not printed:
        return codes[0]
    most, _ = Counter(printed.values()).most_common(1)[0]
    return next(codes[at] for at, logs in printed.items() if logs == most)


def step(executor: LocalPythonExecutor, codes: Sequence[str]) -> CodeOutput:
    """Vote, then run the winner once more, for its effects and its observation."""
    return executor(vote(executor, codes))
