"""What the sandbox costs, beside smolagents' LocalPythonExecutor in this process.

    python -m bench.sandbox --runs 10000

Measured in turn in one run; prints medians and ratios, writes runs/bench/sandbox.json. With `--runs`, that
many runs of three actions each are made after one another, and what is left of them is counted.
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from pathlib import Path

from smolagents.local_python_executor import LocalPythonExecutor

from agents.sandbox import Limits, SandboxExecutor

from .common import in_turn, write

PACKAGES = ["numpy.*", "sympy.*"]
LOOP = "s = 0\nfor k in range(3000):\n    s += k * 2\ns"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=50, help="repetitions of each measurement")
    parser.add_argument("--runs", type=int, default=1000, help="runs made to look for leftovers")
    options = parser.parse_args()
    measured = {
        "without packages": measure([], options.times),
        "numpy and sympy loaded": measure(PACKAGES, options.times),
    }
    measured["leftovers"] = leftovers(options.runs)
    print(f"after {options.runs} runs: {measured['leftovers']}")
    print(f"written to {write('sandbox', measured)}")


def measure(imports: list[str], times: int) -> dict:
    """Everything that takes time, in a fork server of its own."""
    start = time.perf_counter()
    sandbox = SandboxExecutor(imports, limits=Limits(run_calls=10**9))
    local = LocalPythonExecutor(imports)
    sandbox("1 + 1")
    found: dict = {"fork server up, once, seconds": round(time.perf_counter() - start, 2)}
    for executor in (sandbox, local):
        executor.send_tools({"echo": lambda x: x})
    eight = [f"n = {n}\nn" for n in range(8)]
    loops = [f"m = {n}\n{LOOP}" for n in range(8)]
    calls = "for i in range(40):\n    echo(i)"

    def step(codes: list[str]) -> None:
        sandbox.adopt(sandbox.trials(codes)[0])

    rows = {
        "start a run, one action": (
            lambda: fresh("1 + 1", imports),
            lambda: stock("1 + 1", imports),
        ),
        "one trivial action": (lambda: sandbox("n = 1"), lambda: local("n = 1")),
        "eight candidates, one kept": (lambda: step(eight), lambda: [local(c) for c in eight]),
        "the same, loops of 3000": (lambda: step(loops), lambda: [local(c) for c in loops]),
        "forty tool calls": (lambda: sandbox(calls), lambda: local(calls)),
    }
    name = ", ".join(imports) or "no packages"
    print(f"{f'milliseconds, median; {name}':44}{'sandbox':>10}{'local':>10}{'local/sandbox':>15}")
    for name, (ours, theirs) in rows.items():
        medians = in_turn({"sandbox": ours, "local": theirs}, times)
        ratio = medians["local"] / medians["sandbox"]
        found[name] = {
            **{k: round(v, 3) for k, v in medians.items()},
            "local/sandbox": round(ratio, 3),
        }
        print(f"{name:44}{medians['sandbox']:10.2f}{medians['local']:10.2f}{ratio:15.2f}")
    empty = in_turn({"loop": lambda: sandbox("for i in range(40):\n    i")}, times)["loop"]
    found["a tool call, there and back, ms"] = round(
        (found["forty tool calls"]["sandbox"] - empty) / 40, 3
    )
    found["private memory of a candidate, MB"] = candidate_memory(sandbox)
    for name in ("a tool call, there and back, ms", "private memory of a candidate, MB"):
        print(f"{name:44}{found[name]:10.2f}")
    sandbox.cleanup()
    return found


def fresh(code: str, imports: list[str]) -> None:
    executor = SandboxExecutor(imports)
    executor.send_tools({})
    executor(code)
    executor.cleanup()


def stock(code: str, imports: list[str]) -> None:
    executor = LocalPythonExecutor(imports)
    executor.send_tools({})
    executor(code)


def candidate_memory(executor: SandboxExecutor) -> float:
    """Megabytes that a candidate has for itself after a trivial action; the rest it shares with the server."""
    executor.trials([f"n = {n}" for n in range(8)])
    kilobytes = []
    for candidate in executor._session.candidates:
        with suppress(OSError):
            lines = Path(f"/proc/{candidate.pid}/smaps_rollup").read_text().splitlines()
            kilobytes.append(
                sum(
                    int(line.split()[1])
                    for line in lines
                    if line.startswith(("Private_Dirty", "Private_Clean"))
                )
            )
    return round(sum(kilobytes) / len(kilobytes) / 1024, 2) if kilobytes else float("nan")


def leftovers(runs: int) -> dict:
    """Processes, descriptors and memory of the fork server before and after so many runs of four actions."""
    server = SandboxExecutor(PACKAGES)._server.pid

    def look() -> dict:
        status = Path(f"/proc/{server}/status").read_text().splitlines()
        memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        mine = Path("/proc/self/status").read_text().splitlines()
        return {
            "processes": processes_below(server),
            "server's descriptors": len(list(Path(f"/proc/{server}/fd").iterdir())),
            "own descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "server's memory, MB": round(memory / 1024, 1),
            "own memory, MB": round(
                next(int(line.split()[1]) for line in mine if line.startswith("VmRSS")) / 1024, 1
            ),
        }

    fresh("1", PACKAGES)
    time.sleep(0.2)
    before, start = look(), time.perf_counter()
    for _ in range(runs):
        executor = SandboxExecutor(PACKAGES)
        executor.send_tools({})
        executor("n = 1")
        executor.adopt(executor.trials(["n += 1", "n += 2"])[1])
        executor("n")
        executor.cleanup()
    seconds = time.perf_counter() - start
    time.sleep(0.5)
    return {
        "runs": runs,
        "runs per second": round(runs / seconds, 1),
        "before": before,
        "after": look(),
    }


def processes_below(pid: int) -> int:
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found += 1 + processes_below(int(folder.name))
    return found


if __name__ == "__main__":
    main()
