"""Upload rendered folders to a Hub: each repository's files in one commit, and every refusal told in a sentence.

Repositories are made first, the Space before the others, as that is what a Hub refuses most; files follow in the
order model, dataset, Space, so that nothing names what is not there. Calling again goes on: what is up and
unchanged is not sent twice.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..run import RunError

KINDS = ("model", "dataset", "space")
"""In the order in which they are filled."""
PATIENCE = 60.0
"""Seconds without a byte from the Hub after which it counts as hanging."""
WAIT = 60.0
"""Seconds of a wait that the Hub asks for, at most; a longer one is told to the user."""
RETRIES = 3
OWNED = ("agents/", "tools/", "weights/", "index/", "report/", "prompts/", "traces/")
"""Folders of which files that are no longer published are taken away."""
REPLACED = (".safetensors", "adapter_config.json", "model.safetensors.index.json")
"""Files, of which one that is left over would change what is loaded."""
AGAIN = "Call the same line again to go on."


@dataclass(frozen=True)
class Repository:
    kind: str
    name: str
    folder: Path
    sdk: str | None = None
    """Of a Space: gradio or static."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class RefusalError(RunError):
    """The Hub did not do what was asked, with the reason and what to do."""


def push(
    repositories: Sequence[Repository],
    api,
    *,
    private: bool = False,
    hardware: str | None = None,
    patience: float = PATIENCE,
) -> dict[str, str]:
    """Make and fill them; the addresses by repository. api: a `huggingface_hub.HfApi`.

    Raises RefusalError, saying what is up and what is not.
    """
    ordered = sorted(repositories, key=lambda repository: KINDS.index(repository.kind))
    made: list[Repository] = []
    up: dict[str, str] = {}
    now = None
    try:
        with _patient(api, patience):
            now = "asking who the token is of"
            _may_write(api.whoami())
            for repository in reversed(ordered):
                now = repository
                _make(repository, api, private, hardware)
                made.append(repository)
            for repository in ordered:
                now = repository
                up[str(repository)] = _fill(repository, api)
    except KeyboardInterrupt as error:
        print(_told(error, now, ordered, made, up, api.endpoint), file=sys.stderr)
        raise
    except Exception as error:
        # Of three libraries; whatever it was, the user must be told what is up.
        raise RefusalError(_told(error, now, ordered, made, up, api.endpoint)) from error
    return up


def check_token(endpoint: str | None = None):
    """An `HfApi` with a token. Raises ValueError where there is none, or the machine is told to stay offline."""
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise ValueError(
            "HF_HUB_OFFLINE is set: nothing can be uploaded. Unset it, or use --to-folder."
        )
    address = endpoint or constants.ENDPOINT
    if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/\S*)?", address):
        raise ValueError(f"{address!r} is no address of a Hub; write https://...")
    token = get_token()
    if not token:
        raise ValueError(
            "There is no token for the Hub: set HF_TOKEN, or log in with `hf auth login`; it needs the right to "
            "write. --to-folder needs none."
        )
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError("The token for the Hub holds a space or a letter that no token has.")
    return HfApi(endpoint=endpoint)


def _may_write(who: dict) -> None:
    token = who.get("auth", {}).get("accessToken") or {}
    if token.get("role") == "read":
        raise RefusalError(
            f"the token {token.get('displayName', '')!r} may only read; make one that may write and set HF_TOKEN."
        )


def _make(repository: Repository, api, private: bool, hardware: str | None) -> None:
    """There are repositories that somebody made before; then nothing of them is changed."""
    space = (
        {"space_sdk": repository.sdk, "space_hardware": hardware}
        if repository.kind == "space"
        else {}
    )
    api.create_repo(
        repository.name, repo_type=repository.kind, private=private or None, exist_ok=True, **space
    )


def _fill(repository: Repository, api) -> str:
    """One commit: all of it or nothing."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    ours = {
        file.relative_to(repository.folder).as_posix(): file
        for file in sorted(repository.folder.rglob("*"))
        if file.is_file()
    }
    there = api.list_repo_files(repository.name, repo_type=repository.kind)
    gone = [
        name
        for name in there
        if name not in ours and (name.startswith(OWNED) or name.endswith(REPLACED))
    ]
    commit = api.create_commit(
        repository.name,
        [
            *(CommitOperationAdd(name, str(file)) for name, file in ours.items()),
            *(CommitOperationDelete(name) for name in gone),
        ],
        commit_message="Published with smoldistill",
        repo_type=repository.kind,
    )
    return commit.commit_url.partition("/commit/")[0]


@contextmanager
def _patient(api, patience: float) -> Iterator[None]:
    """The Hub's client with a deadline: its own waits without end, and sleeps as long as it is told."""
    import httpx2
    from huggingface_hub import close_session, constants, set_client_factory
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from huggingface_hub.utils._http import default_client_factory  # no public way back to it

    class Patient(httpx2.Client):
        def send(self, request, **settings):
            for attempt in range(RETRIES + 1):
                try:
                    response = super().send(request, **settings)
                except httpx2.TransportError as error:
                    raise _NoAnswerError(error) from error
                if not _is_busy(response):
                    return response
                wait = _wait(response, attempt, patience)
                if request.method == "PUT" and wait <= WAIT:
                    return (
                        response  # a file's part: the library reads it again, and tries a few times
                    )
                if (
                    attempt == RETRIES
                    or wait > WAIT
                    or not isinstance(
                        request.stream,
                        httpx2.ByteStream,  # else its body is gone
                    )
                ):
                    response.read()
                    raise _BusyError(response, wait)
                response.close()
                time.sleep(wait)
            raise AssertionError("unreachable")

    def factory():
        timeout = httpx2.Timeout(patience, connect=min(patience, 10.0))
        return Patient(timeout=timeout, follow_redirects=True)

    xet = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True  # it has a client of its own, which waits without end
    quiet = not sys.stderr.isatty() and not are_progress_bars_disabled()
    set_client_factory(factory)
    if quiet:
        disable_progress_bars()
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = xet
        set_client_factory(default_client_factory)
        close_session()
        if quiet:
            enable_progress_bars()


class _BusyError(Exception):
    """An answer that asks for patience, after all of it. Not the library's, which would go on trying."""

    def __init__(self, response, wait: float):
        super().__init__(f"{response.status_code}")
        self.response, self.wait = response, wait


class _NoAnswerError(Exception):
    """The network or the Hub does not answer. Not the library's, as above."""


def _is_busy(response) -> bool:
    """Whether it may answer otherwise in a moment."""
    if response.status_code in (429, 500, 502, 503, 504):
        return True
    # The library asks again at once, and without end.
    return response.status_code == 409 and b"another conflicting operation" in response.read()


def _wait(response, attempt: int, patience: float) -> float:
    """Seconds: what the Hub asks for, else a little more each time."""
    told = response.headers.get("retry-after", "").strip()
    if told.isdigit():
        return float(told)
    return min(2.0**attempt, patience / 4)


def _told(error, now, ordered, made, up, endpoint) -> str:
    """What happened, what is up, what is not, how to go on."""
    text = [f"{_where(now)}: {_reason(error, endpoint)}"]
    if up:
        text.append(f"Up: {', '.join(f'{name} ({url})' for name, url in up.items())}.")
    empty = [str(r) for r in made if str(r) not in up]
    if empty:
        text.append(f"There, but without these files: {', '.join(empty)}.")
    rest = [str(r) for r in ordered if str(r) not in up and r not in made]
    if rest:
        text.append(f"Not begun: {', '.join(rest)}.")
    if not up and not empty:
        text.append("Nothing was published.")
    else:
        text.append(AGAIN)
    return " ".join(text)


def _where(now) -> str:
    return str(now) if isinstance(now, Repository) else f"While {now}"


def _reason(error: BaseException, endpoint: str) -> str:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    while type(error) is RuntimeError and error.__cause__:  # of a file that goes up apart
        error = error.__cause__
    if isinstance(error, _BusyError):
        return _refused(error.response, error.wait)
    if isinstance(error, HfHubHTTPError) and getattr(error, "response", None) is not None:
        return _refused(error.response, 0.0)
    if isinstance(error, _NoAnswerError) and isinstance(error.__cause__, httpx2.TimeoutException):
        return f"{endpoint} does not answer; try again later."
    if isinstance(error, _NoAnswerError):
        return f"{endpoint} cannot be reached ({_line(error)}); check the network, or HF_ENDPOINT."
    if isinstance(error, KeyboardInterrupt):
        return "interrupted."
    if isinstance(error, RefusalError):
        return str(error)
    if isinstance(error, KeyError | json.JSONDecodeError):
        return f"{endpoint} answers as no Hub does ({type(error).__name__}: {_line(error)})."
    return f"{type(error).__name__}: {_line(error)}."


def _refused(response, wait: float) -> str:
    """A status in words, with what to do."""
    said = _said(response)
    match response.status_code:
        case 401:
            why = "the Hub does not know the token; make a new one with the right to write and set HF_TOKEN"
        case 402:
            why = (
                "the account's plan does not cover it. Ways out: a paid plan; --static with --report, a page of the "
                "results, which is free; or --to-folder, to run it anywhere. ZeroGPU is none: it needs an app of "
                "another shape"
            )
        case 403:
            why = "the token may not write there; give it that right, or name a repository of your own"
        case 404:
            why = "there is no such place; check the owner's name"
        case 409:
            why = "somebody else changed it at the same time, or another thing has that name"
        case 413:
            why = "it is larger than the Hub takes; for a Space, load the weights from --model with --weights hub"
        case 429:
            why = (
                f"too many requests; wait {wait:.0f} seconds"
                if wait > WAIT
                else "too many requests; wait some minutes"
            )
        case code if code >= 500:
            why = f"the Hub is out of order ({code}); try again later"
        case code:
            why = f"it answered {code}"
    return f"{why}{f' (it said: {said})' if said else ''}."


def _said(response) -> str:
    """The Hub's own words, in short."""
    from agents.secrets import without_keys

    said = response.headers.get("x-error-message")
    if not said:
        try:
            said = json.loads(response.content).get("error")
        except (ValueError, AttributeError):
            said = None
        except Exception:  # its body was streamed and is gone
            said = None
    return without_keys(" ".join(str(said).split())[:200].rstrip(".")) if said else ""


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200].rstrip(".")
