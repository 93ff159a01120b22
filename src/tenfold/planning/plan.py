"""A fully resolved cluster: tasks with command, environment and start order.

Owns: `Plan` and `Task`, and their JSON form. Leaves to others: making a plan out of a Cluster
(`planner`), addresses and ports that only a cell knows (they are None here, and filled in by
`late`), starting anything, and judging the file (`load`, `check`).

Nothing here imports pydantic: the supervisor reads plans, and it has to start fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from tenfold.base.naming import label_of
from tenfold.base.secrets import HIDDEN, hide, maskable, remember, secrets_of_url
from tenfold.cluster.python_choice import PythonChoice
from tenfold.errors import InputError
from tenfold.frameworks import framework
from tenfold.planning.notify import NotifyTarget

Condition = Literal["started", "ready", "succeeded"]

VERSION = 1

ALL_BUT_BAD_INPUT = ((1, 1), (3, 255))
"""Exit codes after which a restart may help.

Programs refuse their arguments with 2 (argparse, getopts, tenfold itself).
"""


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """How to check that a task is ready.

    `target` is nothing for tcp, the path for http, the command line for command, the pattern for
    log. `port` names one of the task's ports; None is the one its peers know.
    """

    kind: Literal["tcp", "http", "command", "log"]
    target: str = ""
    port: str | None = None
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a task is restarted, and which tasks restart with it.

    At most `limit` times within any `window_s`, `backoff_s` after its end or longer. `codes` are
    ranges, both ends included, of bad exit codes that `on-failure` starts again after; a task that
    was killed by signal n counts as 128 + n. `scope` is what else is started again with it.
    """

    policy: Literal["never", "on-failure", "always"] = "never"
    limit: int = 3
    backoff_s: float = 1.0
    window_s: float = 3600.0
    scope: Literal["task", "job", "cluster"] = "task"
    codes: tuple[tuple[int, int], ...] = ALL_BUT_BAD_INPUT


@dataclass(frozen=True, slots=True)
class HangPolicy:
    """When a cluster without progress counts as hung, and what tenfold does then."""

    after_s: float = 300.0
    action: Literal["report", "restart", "stop"] = "report"


@dataclass(frozen=True, slots=True)
class Task:
    """One process of a job.

    Texts of `command`, `env`, `workdir` and `ready` may hold `${…}` that `bind` fills in. `ports`
    maps names to numbers, None for any free one. `memory` is in bytes. `publish` names the ports
    whose page people open. A `service` never ends by itself; without a task that is `needed` the
    cluster cannot go on; a `member` belongs to the training, and is started again when all of it
    is. `preload` is what the launch server imports before it forks the task;
    None leaves that to the framework. `image` is the container image, where a cell has those.
    `address` is None where only the placed task knows it.
    """

    job: str
    index: int
    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    workdir: str = "."
    network: Literal["cluster", "host"] = "cluster"
    ports: dict[str, int | None] = field(default_factory=dict)
    publish: tuple[str, ...] = ()
    cpu: float | None = None
    memory: int | None = None
    gpu: int = 0
    after: dict[str, Condition] = field(default_factory=dict)
    ready: ReadinessCheck | None = None
    restart: RestartPolicy = RestartPolicy()
    service: bool = False
    needed: bool = True
    member: bool = True
    preload: tuple[str, ...] | None = None
    image: str | None = None
    address: str | None = None

    @property
    def name(self) -> str:
        """The name for people: `worker/3`."""
        return f"{self.job}/{self.index}"

    @property
    def label(self) -> str:
        """The name for hosts and files: `worker-3`."""
        return label_of(self.name)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a task is started with, without any `${…}`."""

    command: tuple[str, ...]
    env: dict[str, str]
    workdir: str
    ready: ReadinessCheck | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What `up` would do. `tasks` are in display order, each job's by index.

    `success` are the jobs whose tasks must all end well. `directory` is where the cluster file is;
    `runs` where runs are kept, None for the usual place. `hang` is None for a cluster that nobody
    watches; `notify` is whom to tell about the run; `expose` lets tasks run with ports that the
    machine's network reaches; `log_limit` is how many bytes of each stream of a task's output are
    kept at least. `settings` are the file's for the cell; `python` is the interpreter that `python`
    means in commands, None in containers, which have their own; `options` are those of `tenfold up`
    that made this plan of the file. `build` says how the image is built: `context`, `dockerfile`,
    `args`. `masked` are texts that no output shows (values of secrets); they are never written to
    JSON that hides secrets.
    """

    cluster: str
    framework: str
    cell: str
    directory: str
    tasks: tuple[Task, ...]
    success: tuple[str, ...]
    stop_grace_s: float = 10.0
    hang: HangPolicy | None = HangPolicy()
    notify: NotifyTarget | None = None
    expose: bool = False
    log_limit: int = 1 << 30
    file: str | None = None
    runs: str | None = None
    image: str | None = None
    build: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    python: PythonChoice | None = None
    options: tuple[str, ...] = ()
    masked: frozenset[str] = field(default=frozenset(), repr=False)
    version: int = VERSION

    def jobs(self) -> dict[str, tuple[Task, ...]]:
        """Tasks by job, in display order."""
        grouped: dict[str, list[Task]] = {}
        for task in self.tasks:
            grouped.setdefault(task.job, []).append(task)
        return {job: tuple(tasks) for job, tasks in grouped.items()}

    def task(self, name: str) -> Task:
        """The task called `worker/3` or `worker-3`. Raises InputError for any other name."""
        for task in self.tasks:
            if name in (task.name, task.label):
                return task
        raise InputError(f"there is no task {name} in {self.cluster}")

    def shown(self, text: str) -> str:
        """`text` without values of secrets, for output."""
        return hide(text, self.masked) if self.masked else text

    def restored(self, values: Mapping[str, str]) -> Plan:
        """A plan read from hidden JSON, with its secret variables filled in by name.

        One that `values` does not hold is left out of its task's environment.
        """
        tasks = tuple(_restored(task, values) for task in self.tasks)
        secret = {name for task in tasks for name in task.secrets}
        found = maskable(values[name] for name in secret if name in values)
        remember(found)
        notify = self.notify and self.notify.restored(values)
        if notify is not None and notify.url is not None:
            remember(secrets_of_url(notify.url))
        return replace(self, tasks=tasks, masked=self.masked | found, notify=notify)

    def stages(self) -> list[list[str]]:
        """Jobs by stage, in start order.

        The jobs of a stage wait only for jobs of earlier stages.
        """
        waits = {job: set(tasks[0].after) for job, tasks in self.jobs().items()}
        stages: list[list[str]] = []
        while waits:
            stage = [job for job, needed in waits.items() if not needed & waits.keys()]
            if not stage:
                raise InputError(f"jobs wait for each other: {', '.join(waits)}")
            stages.append(stage)
            waits = {job: needed for job, needed in waits.items() if job not in stage}
        return stages

    def to_json(self, *, hide_secrets: bool = True) -> dict[str, Any]:
        """The shape of `plan --json`. What is hidden stays hidden after `from_json`.

        In `env`, what the framework sets once addresses are known is null.
        """
        masked = self.masked if hide_secrets else frozenset()
        told: dict[str, Any] = {} if hide_secrets else {"masked": sorted(self.masked)}
        if self.options:
            told["options"] = _masked(list(self.options), masked)
        late = framework(self.framework).variables
        return told | {
            "version": self.version,
            "cluster": self.cluster,
            "framework": self.framework,
            "cell": self.cell,
            "file": self.file,
            "directory": self.directory,
            "runs": _masked(self.runs, masked),
            "image": _masked(self.image, masked),
            "build": self.build and _masked(self.build, masked),
            "settings": _masked(self.settings, masked),
            "python": self.python and _masked(self.python.to_json(), masked),
            "success": list(self.success),
            "stop_grace_s": self.stop_grace_s,
            "hang": self.hang and _fields(self.hang),
            "notify": self.notify and self.notify.to_json(masked, hide_secrets=hide_secrets),
            "expose": self.expose,
            "log_limit": self.log_limit,
            "tasks": [
                _task_json(task, late(task.job), hide_secrets, masked) for task in self.tasks
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote. Unknown fields are left out.

        Raises InputError if a field is missing.
        """
        try:
            if data["version"] != VERSION:
                raise InputError(f"plan version {data['version']} is not one this tenfold reads")
            known = {name: data[name] for name in _PLAN_FIELDS if name in data}
            known["tasks"] = tuple(_task(item) for item in data["tasks"])
            known["success"] = tuple(data["success"])
            known["options"] = tuple(data.get("options", ()))
            known["masked"] = frozenset(data.get("masked", ()))
            remember(known["masked"])
            if known.get("python") is not None:
                known["python"] = PythonChoice.from_json(known["python"])
            if known.get("hang") is not None:
                known["hang"] = HangPolicy(**known["hang"])
            if known.get("notify") is not None:
                known["notify"] = NotifyTarget.from_json(known["notify"])
            return cls(**known)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError("this is not a plan of tenfold's", cause=error) from error


_PLAN_FIELDS = tuple(item.name for item in fields(Plan) if item.name != "masked")
_TASK_FIELDS = tuple(item.name for item in fields(Task))


def _task_json(
    task: Task, late: Sequence[str], hide_secrets: bool, masked: frozenset[str]
) -> dict[str, Any]:
    env: dict[str, str] = task.env
    command = list(task.command)
    if hide_secrets:
        env = {name: HIDDEN if name in task.secrets else value for name, value in env.items()}
    if masked:
        env = {name: hide(value, masked) for name, value in env.items()}
        command = [hide(word, masked) for word in command]
    ready = _fields(task.ready) if task.ready else None
    if ready is not None and masked:
        ready["target"] = hide(ready["target"], masked)
    return {
        "task": task.name,
        "job": task.job,
        "index": task.index,
        "command": command,
        "env": dict.fromkeys(late) | env,
        "address": task.address,
        "after": task.after,
        "workdir": hide(task.workdir, masked) if masked else task.workdir,
        "network": task.network,
        "ports": task.ports,
        "publish": list(task.publish),
        "cpu": task.cpu,
        "memory": task.memory,
        "gpu": task.gpu,
        "ready": ready,
        "restart": _fields(task.restart),
        "service": task.service,
        "needed": task.needed,
        "member": task.member,
        "preload": None if task.preload is None else _masked(list(task.preload), masked),
        "image": _masked(task.image, masked),
        "secrets": sorted({*task.secrets, *(n for n in task.env if env[n] != task.env[n])}),
    }


def _restored(task: Task, values: Mapping[str, str]) -> Task:
    hidden = [name for name in task.secrets if HIDDEN in task.env.get(name, "")]
    if not hidden:
        return task
    found = {name: values[name] for name in hidden if name in values}
    kept = {name: value for name, value in task.env.items() if name not in hidden}
    return replace(task, env=kept | found)


def _masked(value: Any, masked: frozenset[str]) -> Any:
    """A JSON value, with secrets in its texts replaced."""
    if not masked:
        return value
    if isinstance(value, dict):
        return {key: _masked(inner, masked) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(inner, masked) for inner in value]
    return hide(value, masked) if isinstance(value, str) else value


def _fields(made: ReadinessCheck | RestartPolicy | HangPolicy) -> dict[str, Any]:
    """The same as `dataclasses.asdict`, but without deep copies.

    The classes hold plain values only.
    """
    return {name: getattr(made, name) for name in made.__slots__}


def _task(data: Mapping[str, Any]) -> Task:
    known = {name: data[name] for name in _TASK_FIELDS if name in data}
    for name in ("command", "secrets", "publish", "preload"):
        if known.get(name) is not None:
            known[name] = tuple(known[name])
    for name in ("env", "after", "ports"):
        known[name] = dict(known.get(name, {}))
    known["env"] = {name: value for name, value in known["env"].items() if value is not None}
    known["ready"] = ReadinessCheck(**known["ready"]) if known.get("ready") else None
    known["restart"] = _restart(known.get("restart", {}))
    return Task(**known)


def _restart(data: Mapping[str, Any]) -> RestartPolicy:
    made = RestartPolicy(**data)
    return replace(made, codes=tuple((first, last) for first, last in made.codes))
