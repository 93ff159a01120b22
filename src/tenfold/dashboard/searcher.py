"""Searching logs by regular expression, in a process that can be given up.

An expression can take for ever over one line, and Python cannot be stopped in it. So a process of
its own makes these pages, and the system's alarm ends it when one takes too long. It is started
with the first search and ended when there was none for a while.

`python -m tenfold.dashboard.searcher`: a question a line on standard input, an answer a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from tenfold.dashboard.questions import wanted
from tenfold.dashboard.replies import encoded
from tenfold.errors import InputError
from tenfold.interpreter import own
from tenfold.rundir import RunDirectory
from tenfold.views.logpages import page

LIMIT_S = 10
"""Of one page. It looks through 8 MB, so that this is ample for what ends at all."""

_IDLE_S = 60.0
_LONGEST_ANSWER_BYTES = 1 << 28


class Searcher:
    """The process, from the side of who asks; one question at a time."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._asking = asyncio.Lock()
        self._rest: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def page(self, run: RunDirectory, said: dict[str, Any]) -> dict[str, Any]:
        """The page that a request's body asks for. Raises InputError if it takes too long."""
        question = json.dumps({"run": str(run.path), "said": said}).encode() + b"\n"
        async with self._asking:
            answered = await self._ask(question)
        if not answered.endswith(b"\n"):
            raise InputError(
                f"this expression takes more than {LIMIT_S} s",
                hint="a repeat within a repeat, as in (a+)+, can take for ever",
            )
        answer: dict[str, Any] = json.loads(answered)
        if "error" in answer:
            raise InputError(answer["error"], hint=answer["hint"])
        return answer

    async def _ask(self, question: bytes) -> bytes:
        """A line of answer; less than a line if the process was given up over it."""
        if self._rest is not None:
            self._rest.cancel()
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(question)
            await process.stdin.drain()
            answered = await process.stdout.readline()
        except (ConnectionError, ValueError):
            answered = b""
        except BaseException:  # its answer would be taken for the next one's
            await self.close()
            raise
        if answered.endswith(b"\n"):
            self._rest = asyncio.get_running_loop().call_later(_IDLE_S, self._end_soon)
        else:
            await self.close()
        return answered

    async def _start(self) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            *own("tenfold.dashboard.searcher"),
            stdin=PIPE, stdout=PIPE, limit=_LONGEST_ANSWER_BYTES,
        )  # fmt: skip
        return self._process

    def _end_soon(self) -> None:
        self._ending = asyncio.create_task(self.close())

    async def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if self._rest is not None:
            self._rest.cancel()
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


def main() -> None:
    """Answer questions until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
    for line in sys.stdin.buffer:
        signal.alarm(LIMIT_S)
        answer = _answer(json.loads(line))
        signal.alarm(0)
        sys.stdout.buffer.write(encoded(answer) + b"\n")
        sys.stdout.buffer.flush()


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    try:
        return page(RunDirectory(Path(question["run"])), wanted(question["said"]))
    except InputError as error:
        return {"error": error.message, "hint": error.hint}


if __name__ == "__main__":
    main()
