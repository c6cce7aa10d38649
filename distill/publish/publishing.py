"""Publish a student: make the folders, look for what must not leave, say what they are, and then keep or upload them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from ..new_folder import new_folder, room, vacant
from ..run import RunError
from .hub import Repository, check_token, push
from .material import Material, Wanted, look_up
from .plan import Part, Plan, told
from .rendering import render_app, render_dataset, render_model, render_static
from .scan import Known, scan
from .sources import ROOT
from .weights import size

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
ZERO = ("zero-a10g", "zerogpu")


def publish(
    wanted: Wanted,
    *,
    to_folder: Path | None = None,
    private: bool = False,
    endpoint: str | None = None,
    dry_run: bool = False,
    shown: Callable[[Plan], None] = lambda plan: None,
) -> tuple[Plan, dict[str, str]]:
    """The plan, and where what was published is. `shown` is called with the plan before anything leaves.

    to_folder: keep what is made there and upload nothing: the page itself, or of several parts one each in
    `page`, `model` and `dataset`.
    Raises ValueError for a caller's mistake and RunError where a secret was found, parity does not hold, or the Hub
    refuses.
    """
    wanted = replace(wanted, weights=_weights(wanted))
    named = _checked(wanted, to_folder, dry_run)
    uploads = bool(named) and to_folder is None and not dry_run
    api = check_token(endpoint) if uploads else None
    material = look_up(wanted)
    parity = _parity(material, wanted)
    if uploads and parity:
        raise RunError(parity)
    if to_folder is not None and not dry_run:
        room(to_folder, 2 * size(material.weights))  # of the page and of the model
    with ExitStack() as stack:
        out = stack.enter_context(_place(to_folder if not dry_run else None))
        parts = tuple(_parts(material, out, kept=to_folder is not None and not dry_run))
        plan = Plan(
            parts,
            material.secrets,
            material.left_out,
            material.notes,
            tuple(_found(parts, wanted)),
            parity,
        )
        shown(plan)
        if plan.findings:
            raise RunError(told(plan.findings))
        if dry_run:
            return plan, {}
        if to_folder is not None:
            return plan, {"folder": str(to_folder)}
        repositories = [part.repository for part in parts if part.repository]
        return plan, push(repositories, api, private=private, hardware=wanted.hardware)


def _checked(wanted: Wanted, to_folder: Path | None, dry_run: bool) -> list[str]:
    """The repositories named; ValueError where they, or what is asked of them, cannot be."""
    named = [
        name for name in (wanted.space, wanted.model_repository, wanted.dataset) if name is not None
    ]
    if not named and to_folder is None and not dry_run:
        raise ValueError(
            "Say where to: --to-folder DIR, or --space, --model or --dataset with OWNER/NAME; --dry-run says what it "
            "would be."
        )
    for name in (*named, *([wanted.weights] if wanted.weights else [])):
        if (
            not NAME.fullmatch(name)
            or re.search(r"\.\.|--", name)
            or name.endswith((".git", ".", "-"))
        ):
            raise ValueError(f"{name!r} is no repository; write OWNER/NAME.")
    if wanted.hardware and wanted.hardware.lower() in ZERO:
        raise ValueError(
            "ZeroGPU runs functions marked @spaces.GPU in processes of their own; this page's model answers many at "
            "once from one process, so it cannot run there. Name other hardware, or publish a report with --static."
        )
    if wanted.hardware and not wanted.space:
        raise ValueError("--hardware is a Space's: name one with --space.")
    if to_folder is not None:
        vacant(to_folder)
    return named


def _weights(wanted: Wanted) -> str | None:
    """The repository that the page loads weights from; None where they are copied, or named by the model itself."""
    if wanted.weights in (None, "copy"):
        return None
    if wanted.weights != "hub":
        return wanted.weights
    if wanted.model_repository:
        return wanted.model_repository
    if NAME.fullmatch(wanted.model) and not Path(wanted.model).exists():
        return None
    raise ValueError(
        "--weights hub: say which repository, with --weights OWNER/NAME, or publish it with --model."
    )


def _parity(m: Material, wanted: Wanted) -> str | None:
    """Why the weights may not be uploaded; None where they may, or where none are."""
    uploads = wanted.model_repository or (wanted.space and not wanted.static and not wanted.weights)
    if m.weights.folder is None or not uploads or m.facts.why_no_parity is None:
        return None
    return (
        f"{m.weights.name} is not uploaded, as it is not proved that what was trained is what is served. "
        f"{m.facts.why_no_parity}"
    )


@contextmanager
def _place(out: Path | None) -> Iterator[Path]:
    """The folder that is asked for, whole or not at all; else one that goes again."""
    if out is not None:
        with new_folder(out) as work:
            yield work
        return
    with tempfile.TemporaryDirectory(prefix="publish-") as work:
        yield Path(work)


def _parts(m: Material, out: Path, *, kept: bool) -> Iterator[Part]:
    w = m.wanted
    several = w.model_repository or w.dataset
    if w.page:
        folder = out if kept and not several else out / "page"
        folder.mkdir(exist_ok=True)
        (render_static if w.static else render_app)(m, folder, link=not kept)
        sdk = "static" if w.static else "gradio"
        repository = Repository("space", w.space, folder, sdk) if w.space else None
        yield Part.of("page", folder, repository)
    for kind, name, render in (
        ("model", w.model_repository, render_model),
        ("dataset", w.dataset, render_dataset),
    ):
        if name:
            folder = out / kind
            folder.mkdir()
            render(m, folder, link=not kept)
            yield Part.of(kind, folder, Repository(kind, name, folder))


def _found(parts: tuple[Part, ...], w: Wanted) -> Iterator:
    named = (w.model, w.report, w.rollouts, w.index, w.prompt, w.tools_dir)
    given = (Path(name) for name in named if name and "\n" not in str(name))
    known = Known.here([ROOT, Path.cwd(), *(place for place in given if place.exists())])
    for part in parts:
        yield from ((part.title, finding) for finding in scan(part.folder, known))
