"""The dashboard's HTTP interface and its routes.

Every answer is read from run directories, in a thread, so that no slow disk keeps others waiting.
Damage is told in an answer's `damaged`; a run or task that is not there is 404, and what a request
should not say is 400.
"""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tenfold.base.naming import label_of
from tenfold.dashboard import manual, metrics, names
from tenfold.dashboard.boards import Board, Boards
from tenfold.dashboard.guard import AsgiGuard
from tenfold.dashboard.questions import body_of, wanted
from tenfold.dashboard.replies import answer, download, refusal
from tenfold.dashboard.stream import Watches
from tenfold.errors import InputError, UnavailableError
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.views.compare import compare
from tenfold.views.eventpages import events_from
from tenfold.views.hangreport import newest_hang
from tenfold.views.live import BriefReader
from tenfold.views.logpages import LogPageQuery, log_of, page
from tenfold.views.placement import placement
from tenfold.views.usage import history

STATIC = Path(__file__).parent / "static"

_LAST_LINES = 40
_SEARCHES_AT_ONCE = 2
"""The maximum number of filtered log pages that are made together.

The other threads stay free for other requests.
"""

_Found = TypeVar("_Found")


class Dashboard:
    """All runs below one directory, as an ASGI application behind `token`.

    `tunnel` is the command that reaches it from another machine, shown on the page.
    """

    def __init__(self, runs: Path, token: str, tunnel: str = "") -> None:
        self._runs = runs
        self._tunnel = tunnel
        self._boards = Boards()
        self._briefs = BriefReader()
        self._briefs_read = asyncio.Lock()
        self._searches = asyncio.Semaphore(_SEARCHES_AT_ONCE)
        self._static = {path.name: path for path in STATIC.iterdir() if path.is_file()}
        self.watches = Watches()
        """The streams that are open now."""
        self._guard = AsgiGuard(self._starlette(), token)
        self.application: ASGIApp = self._guard

    def _starlette(self) -> Starlette:
        run = "/api/runs/{cluster}/{run}"
        routes = [
            Route("/", self._index),
            Route("/static/{name}", self._file),
            Route("/docs/{page}", self._manual),
            Route("/metrics", self._metrics),
            Route("/api/runs", self._list),
            Route("/api/compare", self._compare),
            Route("/api/pass", self._pass),
            Route(run, self._run),
            Route(f"{run}/overview", self._overview),
            Route(f"{run}/hang", self._hang),
            Route(f"{run}/map", self._map),
            Route(f"{run}/stream", self._stream),
            Route(f"{run}/events", self._events),
            Route(f"{run}/tasks/{{label}}", self._task),
            Route(f"{run}/logs", self._logs, methods=["POST"]),
            Route(f"{run}/logs/{{label}}/{{stream}}", self._download),
            Route(f"{run}/training", self._training),
            Route(f"{run}/placement", self._placement),
        ]
        handlers: dict[Any, Any] = {
            HTTPException: _not_found, InputError: _bad_request, ClientDisconnect: _gone,
            UnavailableError: _not_here, Exception: _fault
        }  # fmt: skip
        return Starlette(routes=routes, exception_handlers=handlers)

    # the page

    async def _index(self, request: Request) -> Response:
        return _asset(request, self._static.get("index.html"))

    async def _file(self, request: Request) -> Response:
        return _asset(request, self._static.get(request.path_params["name"]))

    async def _manual(self, request: Request) -> Response:
        page = await asyncio.to_thread(manual.page, request.path_params["page"])
        if page is None:
            raise HTTPException(404, "no such page")
        return HTMLResponse(page)

    async def _pass(self, request: Request) -> Response:
        path = request.query_params.get("path", "")
        return answer({"version": 1, "pass": self._guard.pass_for(path)})

    # all runs

    async def _list(self, request: Request) -> Response:
        del request
        async with self._briefs_read:
            return answer(await asyncio.to_thread(self._listed))

    def _listed(self) -> dict[str, Any]:
        runs = names.every_run(self._runs)
        for run in runs:
            self._boards.settler.settle(run)
        found = [self._briefs.read(run) for run in runs]
        self._briefs.forget_but(runs)
        damaged: dict[str, str] = {}
        for told in found:
            damaged |= told.run.damaged
        return {"version": 1, "runs": [told.to_json() for told in found], "damaged": damaged}

    async def _compare(self, request: Request) -> Response:
        one, other = [self._named(request.query_params.get(side, "")) for side in "ab"]
        return answer(await asyncio.to_thread(self._compared, one, other))

    def _named(self, name: str) -> RunDirectory:
        cluster, _, run = name.partition("/")
        found = names.find_run(self._runs, cluster, run)
        if found is None:
            raise HTTPException(404, "no such run")
        return found

    def _compared(self, one: RunDirectory, other: RunDirectory) -> dict[str, Any]:
        curves = {"a": self._boards.of(one).training(), "b": self._boards.of(other).training()}
        return compare(one, other, curves)

    async def _metrics(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        async with self._briefs_read:
            text, kind = await asyncio.to_thread(self._exposition, accept)
        return Response(text, headers={"Content-Type": kind})

    def _exposition(self, accept: str) -> tuple[bytes, str]:
        told = []
        for run in names.every_run(self._runs):
            if run.alive() or metrics.is_told(self._briefs.read(run).run):
                board = self._boards.of(run)
                told.append((board.now(), board.map()))
        return metrics.exposition(told, accept)

    # one run

    def _board(self, request: Request) -> Board:
        """The board of the run that a request names. 404 if there is none."""
        named = request.path_params
        found = names.find_run(self._runs, named["cluster"], named["run"])
        if found is None:
            raise HTTPException(404, "no such run")
        return self._boards.of(found)

    async def _ask(self, request: Request, question: Callable[[Board], _Found]) -> _Found:
        """The answer of a board, computed in a thread."""
        return await asyncio.to_thread(lambda: question(self._board(request)))

    async def _run(self, request: Request) -> Response:
        return answer(await self._ask(request, self._now))

    def _now(self, board: Board) -> dict[str, Any]:
        return board.now().to_json() | {"tunnel": self._tunnel}

    async def _overview(self, request: Request) -> Response:
        return answer(await self._ask(request, lambda board: board.overview().to_json()))

    async def _hang(self, request: Request) -> Response:
        return answer(await self._ask(request, lambda board: newest_hang(board.run)))

    async def _map(self, request: Request) -> Response:
        aspect = _number(request, "aspect", 1.6)
        return answer(await self._ask(request, lambda board: board.map_with_layout(aspect)))

    async def _stream(self, request: Request) -> Response:
        board = await self._ask(request, lambda board: board)
        headers = {"X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        with_map = request.query_params.get("map") != "no"
        messages = self.watches.stream(board, {"tunnel": self._tunnel}, with_map=with_map)
        return StreamingResponse(messages, headers=headers, media_type="text/event-stream")

    async def _events(self, request: Request) -> Response:
        start = int(_number(request, "start", 0))
        return answer(await self._ask(request, lambda board: events_from(board.run, start)))

    async def _task(self, request: Request) -> Response:
        label = request.path_params["label"]
        return answer(await self._ask(request, lambda board: self._of_task(board, label)))

    def _of_task(self, board: Board, label: str) -> dict[str, Any]:
        now = board.now()
        task = next((task for task in now.tasks if label_of(task.view.task) == label), None)
        if task is None:
            raise HTTPException(404, "no such task")
        directory = names.find_task(board.run, label)
        last = page(board.run, LogPageQuery((label,), lines=_LAST_LINES))
        return {
            "version": 1,
            "task": task.to_json(),
            "usage": history(directory) if directory else {"time": [], "cpu": [], "memory": []},
            "edges": [e.to_json() for e in board.map().edges if task.view.task in e.ends],
            "lines": last["lines"] + last["open"],
            "damaged": now.damaged,
        }

    async def _logs(self, request: Request) -> Response:
        said = await body_of(request)
        asked = wanted(said)
        async with self._searches if asked.passes else contextlib.nullcontext():
            return answer(await self._ask(request, lambda board: page(board.run, asked)))

    async def _download(self, request: Request) -> Response:
        label, stream = request.path_params["label"], request.path_params["stream"]

        def opened(board: Board) -> list[int]:
            files = log_of(board.run, label, stream)
            return [] if files is None else files.open()

        descriptors = await self._ask(request, opened)
        if not descriptors:
            raise HTTPException(404, "no such log")
        return download(descriptors, f"{label}.{stream}.log")

    async def _training(self, request: Request) -> Response:
        return answer(await self._ask(request, self._curves))

    def _curves(self, board: Board) -> dict[str, Any]:
        services = dict.fromkeys(("tensorboard", "jupyter"))
        for task in board.now().status.tasks:
            if task.job in services and task.state == State.RUNNING:
                services[task.job] = task.url
        return board.training() | {"services": services}

    async def _placement(self, request: Request) -> Response:
        return answer(await self._ask(request, lambda board: placement(board.run)))


def _asset(request: Request, path: Path | None) -> Response:
    """A file of our own.

    The browser asks for it again each time, and mostly has it already.
    """
    if path is None or not path.is_file():
        raise HTTPException(404, "no such file")
    found = path.stat()
    headers = {
        "Cache-Control": "no-cache", "ETag": f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    }  # fmt: skip
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
    return FileResponse(path, media_type=kind, headers=headers, stat_result=found)


def _number(request: Request, name: str, usual: float) -> float:
    try:
        value = float(request.query_params.get(name, usual))
    except ValueError:
        value = float("nan")
    if not -1e15 < value < 1e15:
        raise InputError(f"{name} has to be a number")
    return value


async def _not_found(request: Request, error: HTTPException) -> Response:
    del request
    return refusal(error.detail, error.status_code)


async def _bad_request(request: Request, error: InputError) -> Response:
    del request
    return refusal(error.message, 400, error.hint)


async def _not_here(request: Request, error: UnavailableError) -> Response:
    del request
    return refusal(error.message, 501, error.hint)


async def _gone(request: Request, error: ClientDisconnect) -> Response:
    """The page was closed while it waited: nobody reads this answer."""
    del request, error
    return Response(status_code=499)


async def _fault(request: Request, error: Exception) -> Response:
    """An error of tenfold's own. It is recorded in the log too."""
    del request
    return refusal(f"unexpected {type(error).__name__}; .dashboard/log says more", 500)
