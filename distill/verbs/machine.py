"""What this machine can do, and whether a student is served as it was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Config, Json
from . import fail, last, verb


@verb("doctor", "doctor --parity runs/demo/student-agent")
def doctor(
    parity: Annotated[
        str | None, typer.Option(help="A student's folder: certify that it is served as trained.")
    ] = None,
    served: Annotated[
        str | None, typer.Option(help="With --parity: an endpoint that serves it, too.")
    ] = None,
    rollouts: Annotated[
        Path | None,
        typer.Option(help="With --parity: rollouts to encode, if the student has no samples."),
    ] = None,
    merged: Annotated[
        str | None, typer.Option(help="With --parity: a folder it was merged into, too.")
    ] = None,
    exported: Annotated[
        str | None, typer.Option(help="With --parity: a folder it was exported into, too.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="With --parity: prompts to answer.")] = 8,
    json: Json = False,
    config: Config = None,
) -> None:
    """Say what this machine can do; or certify a student."""
    if parity is None:
        if served or rollouts or merged or exported:
            raise ValueError(
                "--served, --rollouts, --merged and --exported go with --parity STUDENT."
            )
        from ..doctor import doctor

        found = doctor()
        for name, value in found.items():
            print(f"{name:24} {value}")
        last(json, found)
        return
    from ..parity import certify, print_certificate

    certificate = certify(
        parity, served=served, rollouts=rollouts, merged=merged, exported=exported, k=k
    )
    print_certificate(certificate)
    last(json, certificate.model_dump(mode="json"))
    if not certificate.passed:
        fail("What is served is not what was trained.")
