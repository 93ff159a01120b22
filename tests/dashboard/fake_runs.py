"""Run directories with real shapes and no processes: a thousand tasks in a second or two.

    with FakeRun(place, {"chief": 1, "ps": 4, "worker": 8}) as run:
        run.set("worker/3", state="failed", signal="SIGKILL", pid=None)
        run.log("worker/3", "step 12", "loss 0.5", stream="stderr")
        run.flow(1.0)             # a second of bytes on every planned edge
        run.kill()                # the supervisor dies without a last word

Owns: how a run's files change while it lives, and how to break them. `alive` is true for as long as
this process holds the supervisor's lock. What the files say at first is in `run_shapes`.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, Self

from tenfold.debug.stacks import TaskStacks, to_json
from tenfold.run import rundir
from tenfold.run.jsonfiles import write_json
from tenfold.run.progress import Progress
from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.tasks.progresslog import ProgressLog

from .run_shapes import HOST, SERVICES, cluster_status, plan_of, task_status

DEMO = {"chief": 1, "ps": 4, "worker": 8}
"""The cluster of the 2016 talk."""

PLANNED = (("chief", "ps"), ("chief", "worker"), ("worker", "ps"))
"""Jobs that talk under TensorFlow's parameter server strategy, who calls first."""

RATE_BYTES_S = 1_000_000
EMBEDDING = 256
"""Columns of the variable whose placement is told."""

LINE_BYTES = 256
"""Of a line in a long log."""

_REST = b" " * (LINE_BYTES - 16) + b"\n"

Damage = Literal["cut", "garbage", "empty", "missing", "directory"]


class FakeRun:
    """A run that looks as if it were going on, for as long as this is open.

    `directory` is the run's; `plan` what was asked for. Every method leaves the files whole, as
    their real writers do, except `damage`.
    """

    def __init__(
        self,
        runs: Path,
        jobs: Mapping[str, int] = DEMO,
        *,
        cluster: str = "word2vec",
        framework: str = "tensorflow",
        state: str = "running",
        started: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.directory: RunDirectory = rundir.create(runs, cluster)
        self.jobs = dict(jobs)
        self.plan = plan_of(cluster, framework, self.jobs, env or {})
        self.began = time.time() - 60 if started is None else started
        self._tasks: dict[str, dict[str, Any]] = {}
        self._peers: dict[str, dict[str, list[int]]] = {task.name: {} for task in self.plan.tasks}
        self._usage: dict[str, float] = {}
        self._told: dict[str, ProgressLog] = {}
        self._status: dict[str, Any] = {}
        self._lock: IO[bytes] | None = None
        write_json(self.directory.plan, self.plan.to_json())
        self._lay_out(state)
        self.update(state=state)
        self.revive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def key(self) -> str:
        """`CLUSTER/RUNID`, as URLs and commands name it."""
        return f"{self.directory.cluster}/{self.directory.run}"

    @property
    def names(self) -> list[str]:
        """All tasks, `worker/3`, in display order."""
        return [task.name for task in self.plan.tasks]

    def task(self, name: str) -> TaskDirectory:
        """The directory of `worker/3`."""
        return self.directory.task(name.replace("/", "-"))

    def edges(self) -> Iterator[tuple[str, str]]:
        """Every planned edge."""
        for one, other in PLANNED:
            for left, right in itertools.product(
                range(self.jobs.get(one, 0)), range(self.jobs.get(other, 0))
            ):
                yield f"{one}/{left}", f"{other}/{right}"

    # the cluster

    def update(self, **said: Any) -> None:
        """The supervisor's word: `state`, `outcome`, `reason`, …, and that it is of now."""
        self._status |= {"updated": time.time()} | said
        write_json(self.directory.status, self._status)

    def end(self, state: str = "succeeded", reason: str | None = None) -> None:
        """The run is over: its tasks have ended, its supervisor wrote its last word and went."""
        now = time.time()
        for name, task in self._tasks.items():
            if task["ended"] is None:
                service = task["job"] in ("ps", *SERVICES)
                ended = {"state": "stopped", "signal": "SIGTERM"} if service else {"exit_code": 0}
                self.set(name, **{"state": "succeeded", "pid": None, "ended": now} | ended)
        self.event(f"cluster-{state}", reason=reason)
        self.update(state=state, outcome=state, reason=reason, ended=now)
        self._release()

    def kill(self) -> None:
        """The supervisor is gone without a word; what it said last stands."""
        self._release()

    def revive(self) -> None:
        """Somebody holds the supervisor's lock again."""
        if self._lock is None:
            self._lock = rundir.hold_lock(self.directory)

    def close(self) -> None:
        """Nothing of this process is open after this; the files stay."""
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._lock.close()
            self._lock = None

    def event(self, kind: str, task: str | None = None, **more: Any) -> None:
        """One line more in events.jsonl."""
        told = {"time": more.pop("time", round(time.time(), 3)), "kind": kind, "task": task}
        _append(self.directory.events, [told | more])

    # tasks

    def set(self, name: str, **said: Any) -> None:
        """Change what status.json says of a task."""
        self._tasks[name] |= said
        write_json(self.task(name).status, self._tasks[name])

    def fail(self, name: str, signal: str | None = "SIGKILL", exit_code: int | None = None) -> None:
        """A task dies: its status and the event."""
        more = {"exit_code": exit_code, "signal": signal}
        self.set(name, state="failed", pid=None, ended=time.time(), **more)
        self.event("task-exited", name, state="failed", **more)

    def restart(self, name: str) -> None:
        """A task that died runs again."""
        restarts = self._tasks[name]["restarts"] + 1
        fresh = {"exit_code": None, "signal": None, "ended": None, "started": time.time()}
        self.set(name, state="running", pid=4000 + restarts, restarts=restarts, **fresh)
        self.event("task-started", name, pid=4000 + restarts, host=HOST, restarts=restarts)

    def log(self, name: str, *lines: str, stream: str = "stdout", at: float | None = None) -> None:
        """Lines a task wrote, all at once, now or `at`."""
        text = "".join(f"{line}\n" for line in lines).encode()
        _append_log(self.task(name), stream, text, time.time() if at is None else at)

    def write(self, name: str, data: bytes, stream: str = "stdout") -> None:
        """Bytes a task wrote, as they are: half a line, no UTF-8, carriage returns."""
        _append_log(self.task(name), stream, data, time.time())

    def long_log(self, name: str, size_bytes: int, stream: str = "stdout") -> int:
        """A log of at least this size, of numbered lines; the number of the last one.

        Every line is `line 0000000012` and spaces; stamps are as dense as a fast task's.
        """
        directory, count, wrote = self.task(name), -(-size_bytes // LINE_BYTES), 0
        offset = directory.log(stream).stat().st_size if directory.log(stream).exists() else 0
        now = time.time()
        with directory.log(stream).open("ab") as log, directory.times(stream).open("ab") as times:
            while wrote < count:
                some = min(16_384, count - wrote)
                log.write(_numbered(wrote, some))
                times.write(
                    b"%d %.3f\n" % (offset + wrote * LINE_BYTES, now - (count - wrote) * 1e-6)
                )
                wrote += some
        return count - 1

    def usage(
        self,
        name: str,
        cpu: float = 0.5,
        memory: int = 300 << 20,
        s: float = 1,
        at: float | None = None,
    ) -> None:
        """One line more in usage.jsonl: `s` seconds at `cpu` cores, until now or `at`."""
        used = self._usage[name] = round(self._usage.get(name, 0.0) + cpu * s, 3)
        now = round(time.time() if at is None else at, 3)
        line = {"time": now, "cpu_s": used, "memory": memory, "processes": 1}
        _append(self.task(name).path / "usage.jsonl", [line])

    def progress(
        self, name: str, done: float, total: float, at: float | None = None, **more: Any
    ) -> None:
        """What the task told with `tenfold.progress`, now or `at`; `unit`, `rate`, and figures."""
        said = {"unit": more.pop("unit", "words"), "rate": more.pop("rate", 512_345.0)}
        now = time.time() if at is None else at
        told = {"done": done, "total": total, **said, "figures": more, "time": now}
        write_json(self.task(name).progress, told)
        self._told.setdefault(name, ProgressLog()).write(
            self.task(name).progress_log, Progress.from_json(told), now
        )

    def hang(self, task: str, words: str, stacks: Sequence[TaskStacks] = ()) -> Path:
        """The supervisor reports a hang of `task`, with the stacks; the report's path."""
        now = time.time()
        place = self.directory.path / "hangs" / f"{len(self.names)}-{now:.0f}"
        place.mkdir(parents=True)
        report = {
            "version": 1,
            "time": now,
            "task": task,
            "words": words,
            "sign": "progress",
            "suspects": [{"task": task, "because": "differs from the others"}],
            "tasks": [to_json(one) for one in stacks],
            "lines": {task: ["last words"]},
        }
        write_json(place / "report.json", report)
        (place / "report.txt").write_text(words)
        told = {"time": now, "task": task, "words": words, "action": "report"}
        self.event("hang", task, words=words, report=str(place / "report.txt"))
        self.update(hang=told | {"report": str(place / "report.txt")})
        return place

    def placement(self, name: str = "chief/0", shards: int | None = None) -> None:
        """What the chief tells of one variable in `shards` parts, one on each ps if None."""
        parts = shards or self.jobs.get("ps", 1)
        variables = [
            {
                "name": f"table/part_{part}",
                "variable": "table",
                "part": part,
                "parts": parts,
                "shape": [50_000 // parts, EMBEDDING],
                "dtype": "float32",
                "bytes": 50_000 // parts * EMBEDDING * 4,
                "device": f"/job:ps/replica:0/task:{part % self.jobs['ps']}/device:CPU:0",
                "task": f"ps/{part % self.jobs['ps']}",
            }
            for part in range(parts)
        ]
        told = {"version": 1, "time": time.time(), "variables": variables}
        write_json(self.task(name).path / "placement.json", told)

    def scalars(self, tag: str, values: Sequence[float], name: str = "train") -> None:
        """An event file more below tensorboard/`name`, with a value of `tag` at each step."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        place = self.directory.shared("tensorboard") / name
        place.mkdir(parents=True, exist_ok=True)
        number = len(list(place.iterdir()))
        with (place / f"events.out.tfevents.{int(self.began)}.{HOST}.{number}").open("wb") as file:
            records = RecordWriter(file)
            records.write(
                Event(wall_time=self.began, file_version="brain.Event:2").SerializeToString()
            )
            for step, value in enumerate(values):
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                event = Event(wall_time=self.began + step, step=step, summary=summary)
                records.write(event.SerializeToString())

    # traffic

    def talk(self, source: str, target: str, to: int, back: int, opened: int = 0) -> None:
        """`source` sent `to` bytes and got `back`, on one open connection. Both ends see it.

        `target` may be `outside:ADDRESS`. Told in traffic.jsonl with the next `tell`.
        """
        self._add(source, target, to, back, opened)
        if target in self._peers:
            self._add(target, source, back, to, opened)

    def _add(self, name: str, peer: str, sent: int, received: int, opened: int) -> None:
        before = self._peers[name].setdefault(peer, [0, 0, 1, 1])
        before[0] += sent
        before[1] += received
        before[3] += opened

    def tell(self, *names: str, at: float | None = None) -> None:
        """One line more in the traffic.jsonl of these tasks, or of all that ever talked."""
        now = round(time.time() if at is None else at, 3)
        for name in names or [name for name, peers in self._peers.items() if peers]:
            _append(
                self.task(name).path / "traffic.jsonl", [{"time": now, "peers": self._peers[name]}]
            )

    def flow(self, seconds: float = 1.0, *, at: float | None = None) -> None:
        """Bytes on every planned edge, and a line of traffic of every task that has one."""
        for number, (source, target) in enumerate(self.edges()):
            share = RATE_BYTES_S * seconds / (1 + number % 4)
            self.talk(source, target, int(share), int(share / 3))
        self.tell(at=at)

    # damage

    def damage(self, path: str, how: Damage = "cut") -> None:
        """Break a file, named from the run's directory: `tasks/worker-3/status.json`."""
        place = self.directory.path / path
        match how:
            case "cut":
                data = place.read_bytes()
                place.write_bytes(data[: max(1, len(data) // 2)])
            case "garbage":
                place.write_bytes(b"\x00\xff{[\x9d not json\n" * 3)
            case "empty":
                place.write_bytes(b"")
            case "missing":
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
            case "directory":
                place.unlink(missing_ok=True)
                place.mkdir()

    # the beginning

    def _lay_out(self, state: str) -> None:
        """Directories, states and first lines of all tasks: plain writes, nobody reads yet."""
        begun = state not in ("starting",)
        events: list[dict[str, Any]] = [_event(self.began, "cluster-starting", None)]
        for number, task in enumerate(self.plan.tasks):
            said = self._tasks[task.name] = task_status(task, number, self.began, begun)
            directory = self.directory.task(task.label)
            directory.path.mkdir(mode=0o700)
            _put(directory.status, json.dumps(said))
            more = {"pid": said["pid"], "host": HOST, "restarts": 0}
            events.append(_event(self.began, "task-started", task.name, **more))
            if begun:
                events.append(_event(self.began + 2, "task-ready", task.name))
                _append_log(directory, "stdout", b"%s is up\n" % task.name.encode(), self.began)
                self.usage(task.name)
        if begun:
            events.append(_event(self.began + 3, "cluster-running", None, reason=None))
        _append(self.directory.events, events)
        self._status = cluster_status(self.directory, self.began)


def _event(time: float, kind: str, task: str | None, **more: Any) -> dict[str, Any]:
    return {"time": round(time, 3), "kind": kind, "task": task, **more}


def _numbered(first: int, count: int) -> bytes:
    return b"".join(b"line %010d%s" % (n, _REST) for n in range(first, first + count))


def _append_log(directory: TaskDirectory, stream: str, data: bytes, at: float) -> None:
    with directory.log(stream).open("ab") as log, directory.times(stream).open("ab") as times:
        times.write(b"%d %.3f\n" % (log.tell(), at))
        times.flush()  # before the bytes, as the real writer does
        log.write(data)


def _append(path: Path, lines: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
