"""What a cluster file can say: `Cluster`, `Job`, `Resources` and what they are made of.

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

from tenfold.cell_settings import BuildValue, Cells
from tenfold.cell_table import CELLS
from tenfold.frameworks import FRAMEWORKS, NO_FRAMEWORK
from tenfold.nearest import did_you_mean
from tenfold.units import (
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

MAX_TASKS = 100_000
"""Most tasks that one job, and one cluster, may have."""

MAIN_PORT = "main"
"""The name of the port that a task's peers know; every task has it without asking."""


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


def _known_cell(name: str) -> str:
    if name not in CELLS:
        near = did_you_mean(name, CELLS)
        raise wrong(f"one of {', '.join(CELLS)}", near)
    return name


CellName = Annotated[
    str, AfterValidator(_known_cell), WithJsonSchema({"type": "string", "enum": list(CELLS)})
]


def _known_framework(name: object) -> object:
    if not isinstance(name, str) or name not in FRAMEWORKS:
        near = did_you_mean(name[:200].lower(), FRAMEWORKS) if isinstance(name, str) else None
        raise wrong(f"one of {', '.join(FRAMEWORKS)}", near)
    return name


FrameworkName = Annotated[
    str,
    BeforeValidator(_known_framework),
    WithJsonSchema({"enum": list(FRAMEWORKS), "type": "string"}),
]


def _conditions(value: object) -> object:
    """A list of jobs means that each has to be ready."""
    if isinstance(value, str):
        return {value: "ready"}
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value, "ready")
    return value


def _restart(value: object) -> object:
    return {"policy": value} if isinstance(value, str) else value


def _codes(value: object) -> object:
    """Single codes may be numbers."""
    if isinstance(value, (list, tuple)):
        return [str(item) if type(item) is int else item for item in value]
    return [str(value)] if type(value) is int else [value] if isinstance(value, str) else value


def _hang(value: object) -> object:
    """A duration or `never` alone says how long."""
    return value if isinstance(value, Mapping) else {"after": value}


def _ready(value: object) -> object:
    return {"tcp": MAIN_PORT} if value == "tcp" else value


def _service(value: object) -> object:
    """`true` is a service with nothing said about it, `false` is none."""
    if value is True:
        return {}
    return None if value is False else value


def _preload(value: object) -> object:
    if value == "none":
        return []
    return [value] if isinstance(value, str) else value


class Resources(FileModel):
    """What one task needs."""

    cpu: Annotated[float, Field(gt=0, le=10_000, strict=True, allow_inf_nan=False)] | None = None
    """Processor cores, whole or in parts (0.5)."""

    memory: Memory | None = None
    """Memory, as 2GiB or 512MiB (K, M, G, T are powers of 1000; Ki, Mi, Gi, Ti of 1024)."""

    gpu: Annotated[StrictInt, Field(ge=0, le=1024)] = 0
    """Whole GPUs."""


class Restart(FileModel):
    """When a task that has ended is started again in its place."""

    policy: Policy
    """`never`, `on-failure` (a bad exit or a signal), or `always`."""

    limit: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 3
    """Most restarts of one task within the window."""

    window: Annotated[Duration, AfterValidator(_some_time)] = 3600.0
    """The time that the limit counts for: failures longer ago are forgiven."""

    backoff: Duration = 1.0
    """Wait before a restart; it doubles each time, up to a minute. A little is added by chance, so
    that many tasks do not start at once."""

    scope: Scope | None = None
    """What is started again when such a task fails: the `task` alone, its `job`, or the `cluster`,
    all tasks of the training together, in their order of start. The framework knows."""

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
    """Bad exit codes after which `on-failure` starts again, single ones or ranges, as in
    `[75, 128-255]`; all but 2, which means bad input, if not said. A task that was killed by
    signal n counts as 128 + n: `128-255` is for crashes alone."""


class Ready(FileModel):
    """How to tell that a task can be used: exactly one of tcp, http, command and log."""

    tcp: PortName | None = None
    """A port (by name) that accepts connections; `main` is the one the task's peers know."""

    http: Annotated[Text, Field(pattern="^/")] | None = None
    """A path that answers with a status below 400."""

    port: PortName | None = None
    """For http: which port, by name; the main one if not said."""

    command: Text | None = None
    """A command that ends with 0."""

    log: Annotated[Text, Field(max_length=1000)] | None = None
    """A regular expression (RE2's syntax) that matches in a line of the task's output as `logs`
    shows it: without colours."""

    timeout: Duration = 120.0
    """How long that may take before the task counts as failed."""

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
    """When a cluster counts as hung, and what is done then."""

    after: Duration | Literal["never"] = 300.0
    """How long without progress; `never` for a cluster that nobody is to watch."""

    action: Action = "report"
    """`report` what hangs, `restart` the culprit (or all, if none is known), or `stop` the run."""


HangValue = Annotated[
    Hang, BeforeValidator(_hang, json_schema_input_type=Literal["never"] | Duration | Hang)
]


class Override(FileModel):
    """What is different for some tasks of a job."""

    run: Command | None = None
    """Another command."""

    env: dict[EnvName, EnvValue] = {}
    """More variables, or other values."""

    resources: Resources | None = None
    """Other needs; what is not named stays as the job has it."""

    restart: RestartValue | None = None
    """Another restart rule."""

    needed: StrictBool | None = None
    """Whether the run fails when these tasks have failed for good."""

    workdir: Text | None = None
    """Another working directory."""


class Job(FileModel):
    """A role in the cluster, and how many tasks play it."""

    run: Command | None = None
    """The command of each task: a line split at spaces (quotes as in a shell, but no shell runs),
    or a list of words. Without it the framework's standard server runs."""

    tasks: Annotated[StrictInt, Field(ge=1, le=MAX_TASKS)] = 1
    """How many tasks."""

    resources: Resources = Resources()
    """What each task needs. On the local cell `memory` is a limit where this user may make control
    groups (`tenfold doctor` tells); it enforces nothing else."""

    env: dict[EnvName, EnvValue] = {}
    """Environment variables; values reach the task exactly as they are written."""

    secret: Names = ()
    """Names of variables whose values no output shows. Names that end in TOKEN, KEY, PASSWORD or
    SECRET are hidden without being listed."""

    restart: RestartValue | None = None
    """When a task that has ended is started again; the framework knows what each job survives."""

    needed: StrictBool | None = None
    """Whether the run fails when a task of this job has failed for good. `false`: the run goes on
    without that task, and fails only if no task of the job ends well."""

    after: Annotated[
        dict[JobName, Condition],
        BeforeValidator(
            _conditions,
            json_schema_input_type=JobName | list[JobName] | dict[JobName, Condition],
        ),
    ] = {}
    """Jobs that have to be `started`, `ready` or `succeeded` before this one starts. A list of
    names means `ready`."""

    ready: (
        Annotated[Ready, BeforeValidator(_ready, json_schema_input_type=Literal["tcp"] | Ready)]
        | None
    ) = None
    """How to tell that a task can be used; `tcp` is short for its main port."""

    ports: dict[PortName, Port | Literal["auto"]] = {}
    """Ports beyond the main one, by name: a number, or `auto` for any free one."""

    publish: Names = ()
    """Names of ports that people open: they can be reached on this machine's loopback address,
    and from nowhere else. All other ports belong to the cluster alone."""

    workdir: Text | None = None
    """Working directory, relative to the file's; the file's own if not said."""

    image: Text | None = None
    """Another container image than the cluster's."""

    network: Literal["cluster", "host"] = "cluster"
    """`cluster`: the run's own network, closed to the outside. `host`: the machine's, for a task
    that needs the internet."""

    preload: Preload | None = None
    """Installed modules that are imported once, in a process from which Python tasks are forked;
    the framework's own if not said. `none`: every task is an interpreter started anew."""

    overrides: dict[Annotated[str, Field(pattern=r"^[0-9]{1,6}(-[0-9]{1,6})?$")], Override] = {}
    """What is different for single tasks, by index (`0`) or range (`2-5`)."""


class Service(FileModel):
    """A page that tenfold runs beside the cluster."""

    port: Port | None = None
    """Its port on this machine; the usual one or the next free one if not said."""


ServiceValue = Annotated[
    Service | None, BeforeValidator(_service, json_schema_input_type=StrictBool | Service)
]


class Cluster(FileModel):
    """One application: the jobs that run together."""

    cluster: ClusterName
    """Its name: lower-case letters, digits and -, at most 63."""

    framework: FrameworkName = NO_FRAMEWORK
    """How tasks learn of each other."""

    cell: CellName | None = None
    """Where it runs, unless `--on` says otherwise; `local` if nobody does."""

    jobs: Annotated[dict[JobName, Job], Field(min_length=1)]
    """The jobs, by name."""

    env: dict[EnvName, EnvValue] = {}
    """Environment variables of every task."""

    vars: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=100)],
        Scalar | tuple[Scalar, ...],
    ] = {}
    """Values to use as `${NAME}` anywhere in the file; `--set vars.NAME=VALUE` replaces them."""

    tensorboard: ServiceValue = None
    """Run TensorBoard on the run's summaries."""

    jupyter: ServiceValue = None
    """Run Jupyter inside the cluster."""

    dashboard: StrictBool | None = None
    """Whether `tenfold up` starts the dashboard, unless TENFOLD_DASHBOARD says otherwise; `true` if
    nobody does."""

    success: JobNames | None = None
    """Jobs whose tasks must all end well for the cluster to have succeeded. The framework knows:
    the chief if there is one, else all jobs that end by themselves."""

    stop_grace: Duration = 10.0
    """Time between the request to stop and the kill."""

    hang: HangValue = Hang()
    """When the cluster counts as hung: a time without progress, `never`, or a mapping."""

    expose: StrictBool = False
    """Whether tasks that listen may run where neither a namespace nor a rewriting of their binds
    keeps their ports from the machine\'s network."""

    log_limit: Annotated[Memory, AfterValidator(_enough_log)] = 1 << 30
    """How much of each stream of each task's output is kept at least; older lines may be dropped
    beyond that."""

    runs: Text | None = None
    """Where runs are kept; `.tenfold/runs` if nobody says otherwise."""

    extends: Names = ()
    """A file, or files, that this one builds on, relative to it and inside the project. Mappings
    are merged, later files win; lists and single values are replaced; null removes."""

    image: Text | None = None
    """The container image of every task, for cells that run containers. It needs tenfold in it;
    with `build`, it is the name of what is built."""

    build: BuildValue | None = None
    """How the image is built: a directory with a Dockerfile, or a mapping."""

    cells: Cells = Cells()
    """Settings of single cells, by the cell's name."""


def dumped(cluster: Cluster) -> dict[str, Any]:
    """What a file that says the same holds, without what has its default value."""
    return cluster.model_dump(mode="json", exclude_defaults=True)
