"""Who may come in: this machine alone by default; others with a password, or signed in at the Hub.

The password is read from SMOLDISTILL_PASSWORD (any user name, or that in SMOLDISTILL_USER); it is compared in
constant time, written nowhere, and may be tried a few times a minute. On a Space whose README says
`hf_oauth: true`, visitors sign in with their account of the Hub.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Callable, Mapping

from .rules import Rate, RefusedError, address_of, on_space
from .security import refuse

PASSWORD, USER, KEY = "SMOLDISTILL_PASSWORD", "SMOLDISTILL_USER", "SMOLDISTILL_API_KEY"
SHORTEST = {PASSWORD: 8, KEY: 16}
"""Characters; tries of a key are not slowed."""
TRIES = 5
"""Wrong passwords a minute, from an address."""
TRIES_OF_ALL = 60
"""And from all addresses together."""
SIGN_IN = "Please sign in first."


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_host(host: str, *, secret: str = PASSWORD, open_to_all: bool = False) -> None:
    """Refuse to serve other machines without a guard.

    A warning would scroll by, and a page that runs code for whoever reaches it has no good excuse to be open
    by accident. On a Space the Hub is the guard: its owner has made it public or private.
    secret: the environment variable that would guard it.
    Raises ValueError, with the ways out.
    """
    if not host.strip():
        raise ValueError("The host is empty; 127.0.0.1 is this machine alone.")
    guarded = os.environ.get(secret) or open_to_all or on_space()
    if not is_loopback(host) and not guarded:
        raise ValueError(
            f"{host} is reached from other machines, and whoever reaches it runs code here: set {secret}, or say "
            "--open-to-all if something else keeps strangers out."
        )
    shortest = SHORTEST[secret]
    if (value := os.environ.get(secret)) and len(value) < shortest:
        raise ValueError(f"{secret} is shorter than {shortest} characters; take a longer one.")


def password_check() -> Callable[[str, str], bool] | None:
    """For Gradio's `launch(auth=…)`; None where no password is set."""
    password, user = os.environ.get(PASSWORD), os.environ.get(USER)
    if not password:
        return None

    def check(given_user: str, given: str) -> bool:
        # Both are always compared: how long it takes tells nothing.
        right = same(given, password)
        return same(given_user, user) & right if user else right

    return check


def sign_in_message() -> str | None:
    """What the sign-in page says over its fields; None where there is nothing to say."""
    open_name = os.environ.get(PASSWORD) and not os.environ.get(USER)
    return "Type the password; any user name will do." if open_name else None


def same(given: str, secret: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode("utf-8", "replace"))


class SlowTries:
    """ASGI middleware: wrong passwords are taken a few times a minute, per address and in all."""

    def __init__(self, app, *, path: str = "/login"):
        self.app, self.path = app, path
        self.each, self.all = Rate(TRIES), Rate(TRIES_OF_ALL)

    async def __call__(self, scope, receive, send) -> None:
        asks = scope["type"] == "http" and scope["method"] == "POST"
        if not asks or scope["path"].rstrip("/") != self.path:
            return await self.app(scope, receive, send)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        address = address_of(headers, (scope.get("client") or ("",))[0])
        # Counted before it is answered, so that many at once are not all let through.
        if wait := self.each.take(address) or self.all.take(""):
            after = [(b"retry-after", str(int(wait) + 1).encode())]
            return await refuse(send, 429, "Too many tries; please wait a minute.", after)
        return await self.app(scope, receive, send)


def oauth() -> bool:
    """Whether visitors sign in at the Hub: a Space with `hf_oauth: true`, which then has an OAuth client.

    The page shows `gr.LoginButton()` then, and asks `signed_in(request)` before it runs anything.
    """
    return on_space() and bool(os.environ.get("OAUTH_CLIENT_ID"))


def signed_in(request) -> str | None:
    """The Hub name of who sends a request (`gr.Request` or Starlette's); None where nobody is signed in."""
    from gradio.oauth import _get_valid_oauth_info_from_session

    inner = getattr(request, "request", request)
    try:
        session = inner.session
    except (AssertionError, AttributeError):  # no session is kept where nobody can sign in
        return None
    info = _get_valid_oauth_info_from_session(session)
    return ((info or {}).get("userinfo") or {}).get("preferred_username")


def who(request) -> str:
    """Whom the rate of questions is counted for: the name signed in with, else the address.

    Raises RefusedError where visitors have to sign in and this one has not.
    """
    name = signed_in(request) if oauth() else None
    if name:
        return f"@{name}"
    if oauth():
        raise RefusedError(SIGN_IN)
    headers: Mapping = getattr(request, "headers", None) or {}
    client = getattr(request, "client", None)
    lower = {str(key).lower(): str(value) for key, value in dict(headers).items()}
    return address_of(lower, getattr(client, "host", None))
