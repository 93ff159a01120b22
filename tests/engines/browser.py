"""A browser for tests: Debian's Chromium, headless, driven by Playwright.

A test asks for `new_page`: each call gives a page of a profile of its own. Whatever goes wrong in a
page, the test fails for it at its end: see `Faults`.

The browser lives as long as a test module. Playwright's calls leave its event loop running in this
thread, and in a module that comes after, `asyncio.run` would be refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.engines import packages
from tests.engines.daemons import new_directory

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Chromium is to be quiet: no look-ups, no updates, none of Google's services."""

WAIT_MS = 30_000
LOCAL = ("127.0.0.1", "localhost")

VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} refused ${event.blockedURI}`);
});
"""

NewPage = Callable[..., "Page"]
"""Takes what Playwright's `new_context` takes: `viewport`, `color_scheme`, …"""


class Faults:
    """What went wrong in the pages of a test, in words.

    That is: an error in the console (Chromium puts broken requests there), an exception that nobody
    caught, something that the content security policy refused, and a request to anywhere but this
    machine.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expect(self, pattern: str) -> None:
        """Faults in which `pattern` is found are none in this test."""
        self._expected.append(re.compile(pattern))

    def unexpected(self) -> list[str]:
        """Those that no pattern is found in."""
        return [
            words
            for words in self.found
            if not any(known.search(words) for known in self._expected)
        ]

    def watch(self, page: Page) -> None:
        """Note what goes wrong in `page` from now on."""
        page.add_init_script(VIOLATIONS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"not caught: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.found.append(f"{message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOCAL:
            self.found.append(f"asked for {request.url}")


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """A running Chromium. Nothing of it, neither process nor file, is left at the end."""
    from playwright.sync_api import sync_playwright

    home = new_directory("browser")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("TMPDIR", str(home))  # of the driver, which keeps profiles there
        playwright = stack.enter_context(sync_playwright())
        environment.undo()
        started = playwright.chromium.launch(
            executable_path=_launcher(home),
            args=FLAGS,
            chromium_sandbox=False,  # root may not have it, and the pages are ours
            env=_environment(home),
        )
        stack.callback(started.close)
        yield started


def _launcher(home: Path) -> Path:
    """A program that starts Chromium where it does not notice interfaces of other tests."""
    made = home / "chromium"
    filtered = Path(__file__).with_name("without_netlink.py")
    words = shlex.join([sys.executable, "-I", str(filtered), shutil.which("chromium") or ""])
    made.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    made.chmod(0o700)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running Chromium, for the tests of a module."""
    packages.need(packages.CHROMIUM)
    with running() as started:
        yield started


def _environment(home: Path) -> dict[str, str | float | bool]:
    """Chromium's: what it would leave in a home is left in `home`."""
    own = {"HOME": str(home), "TMPDIR": str(home)}
    return {**os.environ, **own, "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}


@pytest.fixture
def faults() -> Faults:
    """What went wrong in this test's pages."""
    return Faults()


@pytest.fixture
def new_page(browser: Browser, faults: Faults) -> Iterator[NewPage]:
    """Opens pages, each with cookies and storage of its own. The test fails for their faults."""
    with ExitStack() as contexts:

        def make(**options: Any) -> Page:
            context = browser.new_context(**options)
            contexts.callback(context.close)
            context.set_default_timeout(WAIT_MS)
            page = context.new_page()
            faults.watch(page)
            return page

        yield make
    assert not faults.unexpected()
