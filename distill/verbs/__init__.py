"""The command line's verbs. Options only; each calls the function of its name."""

from __future__ import annotations

import errno
import functools
import json as json_
import os
import sys
import warnings
from pathlib import Path

import typer

# What libraries say to their developers is nothing that a user can act on.
warnings.filterwarnings("ignore", category=FutureWarning)
warnings.filterwarnings("ignore", category=DeprecationWarning)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Distil a tool-using agent into a small one. Begin with `python -m distill demo`.",
    rich_markup_mode=None,
)


def verb(name: str, example: str, *, on: typer.Typer = app):
    """A command whose mistakes end in one sentence and its exit code: 2 the caller's, 130 Ctrl-C.

    on: the commands that it is one of.
    """

    def decorate(function):
        @functools.wraps(function)
        def guarded(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except BrokenPipeError:
                os._exit(141)  # whoever read the output has gone, as `head` does
            except ValueError as error:
                print(f"Error: {error}", file=sys.stderr)
                raise typer.Exit(2) from None
            except RuntimeError as error:
                from agents.sandbox import SandboxError

                from ..run import RunError

                if not isinstance(error, SandboxError | RunError):
                    raise
                print(f"Error: {error}", file=sys.stderr)
                raise typer.Exit(1) from None
            except OSError as error:
                # A path that cannot be is the caller's mistake; a full or broken disk is not.
                where = f" {error.filename}" if error.filename else ""
                print(f"Error: {error.strerror or error}{where}", file=sys.stderr)
                broken = error.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG)
                raise typer.Exit(1 if broken else 2) from None
            except KeyboardInterrupt:
                print(
                    "Interrupted. What is finished is kept; call it again to go on.",
                    file=sys.stderr,
                )
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(
                    130
                )  # runs in flight hang on their model; the interpreter would wait for them

        return on.command(name, epilog=f"Example: python -m distill {example}")(guarded)

    return decorate


def listed(counts) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda item: -item[1]))


def last(json: bool, value: dict) -> None:
    if json:
        print(json_.dumps(value, ensure_ascii=False))


def all_failed(counts, out: Path) -> None:
    if counts["failed"] and counts["failed"] == sum(
        counts[stop] for stop in ("answered", "max_steps", "failed")
    ):
        fail(f"Every rollout failed{reason(out)}; the reasons are in {out / 'rollouts.jsonl'}.")


def reason(out: Path) -> str:
    """The commonest error of a run."""
    from collections import Counter

    from ..rollout import read_rollouts

    errors = Counter((r.trajectory.error or "").split("\n")[0][:200] for r in read_rollouts(out))
    return f", most often with {errors.most_common(1)[0][0]!r}" if errors else ""


def fail(message: str) -> None:
    print(message, file=sys.stderr)
    raise typer.Exit(1)
