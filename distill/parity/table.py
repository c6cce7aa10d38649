"""Print a certificate: a line per check, and under a failed one the place of its first difference."""

from __future__ import annotations

from .records import Certificate, Check

WORDS = {True: "passed", False: "FAILED", None: "not tried"}


def print_certificate(certificate: Certificate) -> None:
    """To the terminal; the certificate itself is in its file."""
    c = certificate
    samples = "as trained" if c.source == "training" else "encoded now"
    print(
        f"Parity of {c.student}: {c.turns} turns of {c.rollouts} rollouts ({samples}), {c.k} prompts "
        f"answered with up to {c.tokens} tokens, {c.seconds:.1f} s"
    )
    width = max(len(check.name) for check in c.checks)
    for check in c.checks:
        print("\n".join(_lines(check, width)))
    failed = sum(check.passed is False for check in c.checks)
    print(
        "What was trained is what is served."
        if c.passed
        else f"{failed} checks failed: what was trained is NOT what is served."
    )


def _lines(check: Check, width: int) -> list[str]:
    count = f"{check.compared:>5}" if check.compared else " " * 5
    lines = [f"{check.name.ljust(width)}  {WORDS[check.passed]:9} {count}  {check.detail}"]
    if place := check.place:
        lines += [
            f"    {place.rollout}, message {place.turn}, token {place.token}",
            f"      recorded: {place.recorded}",
            f"      now:      {place.found}",
        ]
    return lines
