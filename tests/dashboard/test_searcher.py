"""Regular expressions are searched for elsewhere, and one that never ends is given up."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tenfold.dashboard.searcher import Searcher
from tenfold.errors import InputError

from .fake_runs import FakeRun


def test_a_search_and_the_next(demo_run: FakeRun) -> None:
    demo_run.log("ps/1", "one", "two", "three")

    async def test() -> None:
        search = Searcher()
        for text, found in (("^t", ["two", "three"]), ("e$", ["one", "three"])):
            said = {"tasks": ["ps/1"], "text": text, "regex": True}
            page = await search.page(demo_run.directory, said)
            assert [line["text"] for line in page["lines"]] == found
        with pytest.raises(InputError, match="lines"):
            await search.page(demo_run.directory, {"lines": 0})
        await search.close()

    asyncio.run(test())


def test_an_expression_that_takes_for_ever(
    demo_run: FakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo_run.log("ps/1", "a" * 60)
    hurried = "from tenfold.dashboard import searcher as s; s.LIMIT_S = 1; s.main()"
    start = asyncio.create_subprocess_exec

    async def hurry(*words: str, **more: int) -> asyncio.subprocess.Process:
        assert words[-1] == "tenfold.dashboard.searcher"
        return await start(sys.executable, "-c", hurried, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", hurry)

    async def test() -> None:
        search = Searcher()
        endless = {"text": "(a+)+b", "regex": True}
        with pytest.raises(InputError, match="takes more than"):
            await search.page(demo_run.directory, endless)
        page = await search.page(demo_run.directory, endless | {"text": "a+$"})
        assert len(page["lines"]) == 1
        await search.close()

    asyncio.run(test())


def test_it_ends_with_who_asks() -> None:
    words = [sys.executable, "-m", "tenfold.dashboard.searcher"]
    subprocess.run(words, stdin=subprocess.DEVNULL, check=True, timeout=60)
