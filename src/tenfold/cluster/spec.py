"""The model of a cluster file: `Cluster`, `Job`, `Resources` and their parts.

Owns: names, types, limits and defaults of every key, and their descriptions, of which the JSON
Schema and docs/file.md are made. Leaves to others: times, sizes and names (`units`), reading files
and places (`document`, `load`), `${…}` (`interpolate`), what concerns several keys at once
(`check`), and what a missing value means to a framework (`plan`).

Every text here is a template: `${` in a literal text is written `$${`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from tenfold.base.nearest import did_you_mean
from tenfold.cluster.cell_settings import BuildValue, Cells
from tenfold.cluster.cell_table import CELLS
from tenfold.cluster.foreign_words import cell_meant, framework_meant
from tenfold.cluster.notify import NotifyValue
from tenfold.cluster.units import (
    ClusterName,
    Duration,
    EnvName,
    EnvValue,
    FileModel,
    JobName,
    JobNames,
    Memory,
    Names,
    Port,
    PortName,
    Text,
    wrong,
)
from tenfold.frameworks import FRAMEWORKS, NO_FRAMEWORK

MAX_TASKS = 100_000
"""Maximum number of tasks of a job and of a cluster."""

MAIN_PORT = "main"
"""The name of the port that peers of a task use. Every task has this port."""


def _exit_codes(text: str) -> str:
    first, _, last = text.partition("-")
    if not 1 <= int(first) <= int(last or first) <= 255:
        raise wrong("exit codes between 1 and 255, as in 75 or 128-255")
    return text


ExitCodes = Annotated[
    str, Field(pattern=r"^[0-9]{1,3}(-[0-9]{1,3})?$"), AfterValidator(_exit_codes)
]
Command = Text | Annotated[tuple[Text, ...], Field(min_length=1)]
Condition = Literal["started", "ready", "succeeded"]
Policy = Literal["never", "on-failure", "always"]
Scope = Literal["task", "job", "cluster"]
Action = Literal["report", "restart", "stop"]
Scalar = StrictBool | StrictInt | StrictFloat | Text


def _some_time(seconds: float) -> float:
    if seconds <= 0:
        raise wrong("a time above 0s")
    return seconds


def _enough_log(size: int) -> int:
    if size < 1 << 16:
        raise wrong("64KiB or more")
    return size


def _write(name: str | None) -> str | None:
    return f"write {name}" if name is not None else None


def _known_cell(name: str) -> str:
    if name not in CELLS:
        near = _write(cell_meant(name)) or did_you_mean(name, CELLS)
        raise wrong(f"one of {', '.join(CELLS)}", near)
    return name


CellName = Annotated[
    str, AfterValidator(_known_cell), WithJsonSchema({"type": "string", "enum": list(CELLS)})
]


def _known_framework(name: object) -> object:
    if not isinstance(name, str) or name not in FRAMEWORKS:
        near = None
        if isinstance(name, str):
            near = _write(framework_meant(name)) or did_you_mean(name[:200].lower(), FRAMEWORKS)
        raise wrong(f"one of {', '.join(FRAMEWORKS)}", near)
    return name


FrameworkName = Annotated[
    str,
    BeforeValidator(_known_framework),
    WithJsonSchema({"enum": list(FRAMEWORKS), "type": "string"}),
]


def _conditions(value: object) -> object:
    """Convert a list of jobs: each must be ready."""
    if isinstance(value, str):
        return {value: "ready"}
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value, "ready")
    return value


def _restart(value: object) -> object:
    return {"policy": value} if isinstance(value, str) else value


def _codes(value: object) -> object:
    """Convert single codes and numbers to a list of texts."""
    if isinstance(value, (list, tuple)):
        return [str(item) if type(item) is int else item for item in value]
    return [str(value)] if type(value) is int else [value] if isinstance(value, str) else value


def _hang(value: object) -> object:
    """Convert a duration or `never` to a mapping."""
    return value if isinstance(value, Mapping) else {"after": value}


def _ready(value: object) -> object:
    return {"tcp": MAIN_PORT} if value == "tcp" else value


def _service(value: object) -> object:
    """Convert `true` to a service with defaults, and `false` to None."""
    if value is True:
        return {}
    return None if value is False else value


def _preload(value: object) -> object:
    if value == "none":
        return []
    return [value] if isinstance(value, str) else value


class Resources(FileModel):
    """Resources of each task."""

    cpu: Annotated[float, Field(gt=0, le=10_000, strict=True, allow_inf_nan=False)] | None = None
    """Number of processor cores; fractions (0.5) are allowed."""

    memory: Memory | None = None
    """Memory, such as 2GiB or 512MiB (K, M, G, T are powers of 1000; Ki, Mi, Gi, Ti of 1024)."""

    gpu: Annotated[StrictInt, Field(ge=0, le=1024)] = 0
    """Number of GPUs."""


class Restart(FileModel):
    """When a task that has ended is restarted."""

    policy: Policy
    """`never`, `on-failure` (a non-zero exit code or a signal), or `always`."""

    limit: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 3
    """Maximum number of restarts of a task within the window."""

    window: Annotated[Duration, AfterValidator(_some_time)] = 3600.0
    """The period to which the limit applies. Earlier failures are not counted."""

    backoff: Duration = 1.0
    """Pause before a restart. It doubles with each restart, up to one minute. A small random time
    is added so that many tasks do not start at once."""

    scope: Scope | None = None
    """What restarts when such a task fails: only the `task`, its `job`, or the `cluster` (all tasks
    of the training together, in their start order). The default depends on the framework."""

    codes: (
        Annotated[
            tuple[ExitCodes, ...],
            BeforeValidator(
                _codes,
                json_schema_input_type=ExitCodes | StrictInt | list[ExitCodes | StrictInt],
            ),
        ]
        | None
    ) = None
    """Exit codes after which `on-failure` restarts the task: single codes or ranges, such as `[75,
    128-255]`. The default is all codes except 2, which means bad input. A task that was killed by
    signal n counts as 128 + n, so `128-255` restarts only after crashes."""


class Ready(FileModel):
    """The readiness check of a task: exactly one of tcp, http, command and log."""

    tcp: PortName | None = None
    """The name of a port that must accept connections. `main` is the port that peers use."""

    http: Annotated[Text, Field(pattern="^/")] | None = None
    """A path that must respond with a status below 400."""

    port: PortName | None = None
    """For http: the name of the port. The default is the main port."""

    command: Text | None = None
    """A command that must exit with code 0."""

    log: Annotated[Text, Field(max_length=1000)] | None = None
    """A regular expression (RE2 syntax) that must match a line of the task's output, as `logs`
    shows it without colours."""

    timeout: Duration = 600.0
    """The task fails if it is not ready within this time. The default is that of a Kubernetes
    Deployment: many imports on few cores take minutes, and starting them again takes longer."""

    @model_validator(mode="after")
    def _one_of(self) -> Ready:
        given = [kind for kind in ("tcp", "http", "command", "log") if getattr(self, kind)]
        if len(given) != 1:
            raise wrong("exactly one of tcp, http, command and log")
        if self.port is not None and self.http is None:
            raise wrong("`port` only together with http", "name the port itself: {tcp: NAME}")
        return self


RestartValue = Annotated[
    Restart, BeforeValidator(_restart, json_schema_input_type=Policy | Restart)
]
Preload = Annotated[
    tuple[Text, ...], BeforeValidator(_preload, json_schema_input_type=Text | list[Text])
]


class Hang(FileModel):
    """When a cluster counts as hung, and what tenfold does then."""

    after: Duration | Literal["never"] = 300.0
    """Time without progress; `never` turns hang detection off."""

    action: Action = "report"
    """`report` the hang, `restart` the culprit (or all tasks, if it is not known), or `stop` the
    run."""


HangValue = Annotated[
    Hang, BeforeValidator(_hang, json_schema_input_type=Literal["never"] | Duration | Hang)
]


class Override(FileModel):
    """Settings that differ for some tasks of a job."""

    run: Command | None = None
    """The command of these tasks."""

    env: dict[EnvName, EnvValue] = {}
    """Additional variables, or other values."""

    resources: Resources | None = None
    """Other resources. Keys that are not set keep the value of the job."""

    restart: RestartValue | None = None
    """The restart policy of these tasks."""

    needed: StrictBool | None = None
    """Whether the run fails when one of these tasks has failed permanently."""

    workdir: Text | None = None
    """The working directory of these tasks."""


class Job(FileModel):
    """A role in the cluster, with one or more tasks."""

    run: Command | None = None
    """The command of each task: a line that is split at spaces (with quotes as in a shell, but
    without a shell), or a list of words. The default is the standard server of the framework."""

    tasks: Annotated[StrictInt, Field(ge=1, le=MAX_TASKS)] = 1
    """Number of tasks."""

    resources: Resources = Resources()
    """Resources of each task. The local cell enforces only `memory`, and only if this user may
    create control groups (see `tenfold doctor`)."""

    env: dict[EnvName, EnvValue] = {}
    """Environment variables. Values are passed to the task exactly as written."""

    secret: Names = ()
    """Names of variables whose values are hidden in all output. Variables whose names end in TOKEN,
    KEY, PASSWORD or SECRET are always hidden."""

    restart: RestartValue | None = None
    """When a task that has ended is restarted. The default depends on the framework and the job."""

    needed: StrictBool | None = None
    """Whether the run fails when a task of this job has failed permanently. With `false` the run
    continues without that task, and fails only if no task of the job succeeds."""

    after: Annotated[
        dict[JobName, Condition],
        BeforeValidator(
            _conditions,
            json_schema_input_type=JobName | list[JobName] | dict[JobName, Condition],
        ),
    ] = {}
    """Jobs that must be `started`, `ready` or `succeeded` before this job starts. A list of names
    means `ready`."""

    ready: (
        Annotated[Ready, BeforeValidator(_ready, json_schema_input_type=Literal["tcp"] | Ready)]
        | None
    ) = None
    """The readiness check of each task. `tcp` alone checks the main port."""

    ports: dict[PortName, Port | Literal["auto"]] = {}
    """Additional ports by name: a number, or `auto` for a free port."""

    publish: Names = ()
    """Names of ports that can be reached on the loopback address of this machine, and from nowhere
    else. All other ports can be reached only inside the cluster."""

    workdir: Text | None = None
    """Working directory, relative to the directory of the file. The default is the directory of the
    file."""

    image: Text | None = None
    """The container image of this job."""

    network: Literal["cluster", "host"] = "cluster"
    """`cluster`: the network of the run, closed to the outside. `host`: the network of the machine,
    for tasks that need the internet."""

    preload: Preload | None = None
    """Installed modules that are imported once, in a process from which Python tasks are forked.
    The default is the modules of the framework. With `none` every task is a new interpreter."""

    overrides: dict[Annotated[str, Field(pattern=r"^[0-9]{1,6}(-[0-9]{1,6})?$")], Override] = {}
    """Settings of single tasks, by index (`0`) or range (`2-5`)."""


class Service(FileModel):
    """A page that tenfold runs next to the cluster."""

    port: Port | None = None
    """The port on this machine. The default is the usual port or the next free one."""


ServiceValue = Annotated[
    Service | None, BeforeValidator(_service, json_schema_input_type=StrictBool | Service)
]


class Cluster(FileModel):
    """One application: the jobs that run together."""

    cluster: ClusterName
    """The name of the cluster: at most 63 lower-case letters, digits and -."""

    framework: FrameworkName = NO_FRAMEWORK
    """The framework, which determines how tasks find each other."""

    cell: CellName | None = None
    """The cell to run on. `--on` overrides it. The default is `local`."""

    python: Annotated[Text, Field(min_length=1)] | None = None
    """The interpreter that `python` means in commands, on cells that share the files of this
    machine: a path, relative to the directory of the file, of an interpreter or of an environment
    (`.venv`, `~/miniconda3/envs/train`), the name of a program (`python3.12`), or a version
    (`3.12`). TENFOLD_PYTHON overrides it. The default, `auto`, is the active virtual or conda
    environment, then `.venv` beside the file, then the interpreter that runs tenfold."""

    jobs: Annotated[dict[JobName, Job], Field(min_length=1)]
    """The jobs, by name."""

    env: dict[EnvName, EnvValue] = {}
    """Environment variables of every task."""

    vars: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=100)],
        Scalar | tuple[Scalar, ...],
    ] = {}
    """Values to use as `${NAME}` anywhere in the file. `--set vars.NAME=VALUE` overrides them."""

    tensorboard: ServiceValue = None
    """Run TensorBoard on the summaries of the run."""

    jupyter: ServiceValue = None
    """Run Jupyter inside the cluster."""

    dashboard: StrictBool | None = None
    """Whether `tenfold up` starts the dashboard. TENFOLD_DASHBOARD overrides it. The default is
    `true`."""

    success: JobNames | None = None
    """The cluster succeeds when all tasks of these jobs have succeeded. The default depends on the
    framework: the chief if there is one, else all jobs that end by themselves."""

    stop_grace: Duration = 10.0
    """Grace period between SIGTERM and SIGKILL."""

    hang: HangValue = Hang()
    """When the cluster counts as hung: a time without progress, `never`, or a mapping."""

    notify: NotifyValue | None = None
    """Notify a URL or run a command when the run ends, fails or hangs. `none` notifies nobody. A
    mapping chooses the events. The user's setting `notify` is the default. TENFOLD_NOTIFY overrides
    both."""

    expose: StrictBool = False
    """Whether tasks that listen may run on a machine where neither a namespace nor redirected binds
    keep their ports off the network."""

    log_limit: Annotated[Memory, AfterValidator(_enough_log)] = 1 << 30
    """Minimum size of the output that is kept of each stream of each task. Older lines may be
    dropped."""

    runs: Text | None = None
    """The directory for runs. The default is `.tenfold/runs`."""

    extends: Names = ()
    """One or more files that this file extends, relative to it and inside the project. Mappings are
    merged, and later files take precedence. Lists and single values are replaced. null removes a
    key."""

    image: Text | None = None
    """The container image of all tasks, for cells that run containers. It must contain tenfold.
    With `build` it is the name of the image that is built."""

    build: BuildValue | None = None
    """How to build the image: a directory with a Dockerfile, or a mapping."""

    cells: Cells = Cells()
    """Settings of single cells, by the name of the cell."""


def dumped(cluster: Cluster) -> dict[str, Any]:
    """The contents of an equivalent file, without default values."""
    return cluster.model_dump(mode="json", exclude_defaults=True)
