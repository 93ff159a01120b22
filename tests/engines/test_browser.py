"""The browser tells what goes wrong in a page, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import http.server
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page

from tests.engines.browser import Faults, NewPage, running

GOOD = "<p id=p>good</p><script>document.querySelector('#p').textContent += ' indeed'</script>"
BAD = """
<script>console.error('said in the console')</script>
<script>missing()</script>
<img src="http://elsewhere.invalid/picture.png">
<img src="missing.png">
"""


class Pages(http.server.BaseHTTPRequestHandler):
    """Three pages; all but the first have something wrong."""

    def do_GET(self) -> None:
        body = {"/good": GOOD, "/bad": BAD, "/refused": GOOD}.get(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html")
        if self.path == "/refused":
            self.send_header("Content-Security-Policy", "script-src 'none'")
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """The address of the pages."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_good_page_has_no_faults(site: str, new_page: NewPage, faults: Faults) -> None:
    page = new_page()
    page.goto(f"{site}/good")
    assert page.text_content("#p") == "good indeed"
    faults.expect("favicon")
    assert not faults.unexpected()


def test_errors_in_a_page_are_reported(site: str, new_page: NewPage, faults: Faults) -> None:
    page = new_page()
    page.goto(f"{site}/bad", wait_until="load")
    page.goto(f"{site}/refused", wait_until="load")
    for words in (
        "said in the console",
        "not caught: missing",
        "asked for http://elsewhere",
        "404",
        "policy: script-src",
    ):
        _wait_until_told(page, faults, words)
    assert faults.unexpected() == faults.found
    faults.expect("")


def _wait_until_told(page: Page, faults: Faults, words: str) -> None:
    """Chromium reports some errors only after the page has loaded."""
    deadline = time.monotonic() + 30
    while words not in "\n".join(faults.found):
        assert time.monotonic() < deadline, (words, faults.found)
        page.wait_for_timeout(50)


def test_nothing_is_left_of_a_browser(browser: Browser) -> None:
    """In a thread of its own: Playwright takes the thread it is in."""
    left: list[psutil.Process] = []
    before = set(psutil.Process().children(recursive=True))

    def open_and_close() -> None:
        with running() as second:
            second.new_page().goto("data:text/html,hello")
            left.extend(set(psutil.Process().children(recursive=True)) - before)
            assert list(Path(tempfile.gettempdir()).glob(f"tenfold-browser-{os.getpid()}-*"))
        asyncio.run(asyncio.sleep(0))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(open_and_close).result()
    assert browser.is_connected()
    assert len(left) > 2
    assert not psutil.wait_procs(left, timeout=5)[1]
