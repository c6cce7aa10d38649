"""A real browser for the tests of pages: Chromium on loopback, which notes what it should not have seen.

A test asks for `visit` and calls it with an address: it gets a Playwright page of a visitor of its own. When
the test ends, no page may have asked anything of another machine, nor have written an error to its console.

    def test_it_says_so(page_url, visit):
        page = visit(page_url)
        expect(page.locator("#usage")).to_contain_text("Ready")

Without a Chromium on the machine these tests skip (`make browser` installs it).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
"""Chromium asks nothing on its own account."""
AT_HOME = ("http://127.0.0.1:", "http://localhost:", "ws://127.0.0.1:", "data:", "blob:")
PHONE = (390, 844)
"""Pixels, width and height."""
PATIENCE = 30_000
"""Milliseconds until a thing waited for is missed; the machine may be busy with other tests."""


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """One browser a module: while Playwright runs, no other event loop can in this thread."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium; `make browser` installs it")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *QUIET])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium) -> Iterator[Callable]:
    """`visit(url, size=(1280, 900), **context)`: the page in a new context, thus a visitor of its own.

    context: Playwright's, as `color_scheme="dark"`. `visit.outside` and `visit.errors` hold what was noted;
    a test that provokes an error takes it out. `visit.tab(page, url)` opens another tab of the same visitor.
    """
    contexts, outside, errors = [], [], []

    def opened(context, url: str):
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    def visit(url: str, size: tuple[int, int] = (1280, 900), **settings):
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, accept_downloads=True, **settings
        )
        contexts.append(context)
        context.on("request", lambda request: note(request.url))
        context.on("page", lambda page: page.on("websocket", lambda socket: note(socket.url)))
        return opened(context, url)

    def note(url: str) -> None:
        if not url.startswith(AT_HOME):
            outside.append(url)

    visit.tab = lambda page, url: opened(page.context, url)
    visit.outside, visit.errors = outside, errors
    yield visit
    for context in contexts:
        context.close()
    assert outside == [], "the page asked another machine"
    assert errors == [], "the page wrote errors to the console"


@contextmanager
def served(blocks, **settings) -> Iterator[str]:
    """The address of Gradio blocks, served as long as the context lasts; settings are those of `launch`."""
    _, url, _ = blocks.launch(
        **{"prevent_thread_lock": True, "quiet": True, "server_name": "127.0.0.1", **settings}
    )
    try:
        yield url
    finally:
        blocks.close()
