"""Cluster → Plan: the facts about every task.

Owns: whose word counts (override, job, cluster, framework), the order of tasks, and the `${…}` that
are known before anything runs. Pure, and the same for the same bytes; 100,000 tasks in seconds.
Leaves to others: what a plan is and what only a placed task knows (`plan`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tenfold.base.nearest import did_you_mean
from tenfold.base.secrets import is_secret, maskable, remember, secrets_of_url
from tenfold.cluster.cell_table import CELLS, DEFAULT, traits
from tenfold.cluster.command_line import split
from tenfold.cluster.file import from_cluster
from tenfold.cluster.file.places import Remark
from tenfold.cluster.python_choice import PythonChoice
from tenfold.cluster.python_probe import chosen, installed
from tenfold.cluster.template import fill, fill_some
from tenfold.errors import InputError, shown
from tenfold.frameworks import JobDefaults, framework
from tenfold.planning.late import Known, known_values, with_target
from tenfold.planning.notify import NotifyTarget
from tenfold.planning.plan import (
    ALL_BUT_BAD_INPUT,
    HangPolicy,
    Plan,
    ReadinessCheck,
    RestartPolicy,
    Task,
)

if TYPE_CHECKING:
    from tenfold.cluster.file import Loaded
    from tenfold.cluster.notify import Notify
    from tenfold.cluster.spec import Cluster, Job, Override, Service
    from tenfold.cluster.spec import Restart as RestartRule

FIRST_JOBS = ("chief", "master", "ps", "worker", "evaluator")
"""Jobs in the order in which people look for them.

Other jobs follow by name, and services are last.
"""


def plan(
    source: Loaded | Cluster,
    *,
    cell: str | None = None,
    directory: Path | None = None,
    python: PythonChoice | None = None,
) -> Plan:
    """The plan of a cluster.

    Args:
        source: what `load` gave, or a Cluster that Python code made; the latter is checked here.
        cell: where it will run; None leaves that to the file, and then to `local`.
        directory: what a Cluster's relative paths count from, the current directory if None.
        python: the interpreter that `python` means in commands. None: the one that the settings,
            the file or the environment name (`cluster.python_probe.chosen`). Containers use that
            of their image.

    Raises InputError if a Cluster has faults or there is no such cell. Writes nothing, and reads
    nothing but what names the interpreter.
    """
    loaded = _unpack(source, directory)
    cluster, where = loaded.cluster, loaded.directory
    cell = _known_cell(cell or cluster.cell or DEFAULT)
    _refuse_homes(loaded, cell)
    python = (python or chosen(loaded)) if traits(cell).shares_files else None
    tasks: list[Task] = []
    for job in sorted(cluster.jobs, key=_display_order):
        tasks += _job_tasks(cluster, job, where, python)
    for job, service in (("tensorboard", cluster.tensorboard), ("jupyter", cluster.jupyter)):
        if service is not None:
            starter = _service_python(cell, _SERVICE_JOBS[job].needs, python)
            tasks.append(_service_task(cluster, job, service, where, starter))
    hidden: set[str] = {
        task.env[name] for task in tasks for name in task.secrets if name in task.env
    }
    if cluster.notify is not None and cluster.notify.url is not None:
        hidden |= secrets_of_url(cluster.notify.url)
    remember(loaded.secrets | hidden)
    return Plan(
        cluster=cluster.cluster,
        framework=cluster.framework,
        cell=cell,
        directory=str(where),
        tasks=tuple(tasks),
        success=_success(cluster),
        stop_grace_s=cluster.stop_grace,
        hang=_hang(cluster),
        notify=notify_target(cluster.notify),
        expose=cluster.expose,
        log_limit=cluster.log_limit,
        file=None if loaded.file is None else str(loaded.file),
        runs=None if cluster.runs is None else fill(cluster.runs, _nothing),
        image=cluster.image,
        build=None if cluster.build is None else cluster.build.model_dump(),
        settings=_settings(cluster, cell),
        python=python,
        masked=maskable(loaded.secrets | hidden),
    )


def _known_cell(cell: str) -> str:
    if cell not in CELLS:
        hint = did_you_mean(cell, CELLS) or f"cells: {', '.join(CELLS)}"
        raise InputError(f"there is no cell {shown(cell)}", hint=hint)
    return cell


def _unpack(source: Loaded | Cluster, directory: Path | None) -> Loaded:
    """What `load` returned, or would have returned for a Cluster."""
    if isinstance(source.cluster, str):  # a Cluster's `cluster` is its name
        return from_cluster(source, directory or Path.cwd())
    return source


def _refuse_homes(loaded: Loaded, cell: str) -> None:
    """Raise InputError for a working directory below a home.

    A container does not see this machine's homes.
    """
    if traits(cell).shares_files:
        return
    remarks = [
        Remark(path, "~ cannot be used inside a container", "write the path in the image")
        for path, text in loaded.homes.items()
        if path[-1] == "workdir" and not f"{text}/".startswith(f"{loaded.directory}/")
    ]
    if remarks:
        raise InputError(faults=[loaded.fault(remark) for remark in remarks])


def _settings(cluster: Cluster, cell: str) -> dict[str, Any]:
    """The file's settings for the cell, or no settings."""
    said = getattr(cluster.cells, cell, None)
    return {} if said is None else dict(said.model_dump(mode="json", exclude_defaults=True))


def _hang(cluster: Cluster) -> HangPolicy | None:
    after = cluster.hang.after
    return None if after == "never" else HangPolicy(after, cluster.hang.action)


def notify_target(notify: Notify | None) -> NotifyTarget | None:
    """Whom to tell about a run. None if the file says nothing, or `none`."""
    if notify is None or (notify.url is None and notify.command is None):
        return None
    said = notify.command or ()
    command = tuple(split(said)) if isinstance(said, str) else said
    return NotifyTarget(notify.url, command, notify.on, notify.format)


def _nothing(name: str) -> None:
    """The value of a name where no name has a value: None."""


def _display_order(job: str) -> tuple[int, str]:
    return (FIRST_JOBS.index(job) if job in FIRST_JOBS else len(FIRST_JOBS), job)


def _success(cluster: Cluster) -> tuple[str, ...]:
    if cluster.success is not None:
        return cluster.success
    jobs = sorted(cluster.jobs, key=_display_order)
    usual = framework(cluster.framework).success_jobs(jobs)
    return tuple(job for job in usual if cluster.jobs[job].needed is not False) or usual


def _job_tasks(
    cluster: Cluster, name: str, directory: Path, python: PythonChoice | None
) -> Iterator[Task]:
    job = cluster.jobs[name]
    defaults = framework(cluster.framework).job_defaults(name, cluster.jobs)
    sizes = {other: spec.tasks for other, spec in cluster.jobs.items()}
    plain = _task_of_job(cluster, name, defaults, directory, python)
    special = {index: item for key, item in job.overrides.items() for index in _indexes(key)}
    changed: dict[int, Task] = {}
    for index in range(job.tasks):
        task = plain
        if override := special.get(index):
            key = id(override)
            task = changed.get(key) or _overridden(plain, override, directory, defaults)
            changed[key] = task
        yield _numbered(task, index, sizes)


def _task_of_job(
    cluster: Cluster,
    name: str,
    defaults: JobDefaults,
    directory: Path,
    python: PythonChoice | None,
) -> Task:
    """The fields that all tasks of a job share, as its task 0."""
    job = cluster.jobs[name]
    env = dict(sorted((cluster.env | job.env).items()))
    return Task(
        job=name,
        index=0,
        command=_command(cluster, name, python),
        env=env,
        secrets=tuple(key for key in env if key in job.secret or is_secret(key)),
        workdir=_workdir(job.workdir, directory),
        network=job.network,
        ports={key: None if port == "auto" else port for key, port in sorted(job.ports.items())},
        publish=job.publish,
        cpu=job.resources.cpu,
        memory=job.resources.memory,
        gpu=job.resources.gpu,
        after=dict(sorted(job.after.items())),
        ready=_ready(job, defaults),
        restart=_restart(job.restart, defaults),
        service=defaults.service or job.run is None,
        needed=_needed(cluster, name, defaults),
        member=defaults.member and not _prepares(cluster, name),
        preload=job.preload,
        image=job.image or cluster.image,
    )


def _needed(cluster: Cluster, name: str, defaults: JobDefaults) -> bool:
    """Whether the file marks the job as needed.

    If the file does not set it, a job that success depends on is needed.
    """
    said = cluster.jobs[name].needed
    return defaults.needed or name in _success(cluster) if said is None else said


def _prepares(cluster: Cluster, name: str) -> bool:
    """Whether other jobs wait for the job's end.

    Such a job has done its part before the training begins.
    """
    waited_for = any(job.after.get(name) == "succeeded" for job in cluster.jobs.values())
    return waited_for and name not in _success(cluster)


def _command(cluster: Cluster, name: str, python: PythonChoice | None) -> tuple[str, ...]:
    run = cluster.jobs[name].run
    if run is None:
        path = python.path if python is not None else "python"
        safe = python is None or python.has_safe_path()
        words = framework(cluster.framework).standard_server(name)
        return (path, *(["-P"] if safe else []), *words)
    return split(run) if isinstance(run, str) else run


def _service_python(cell: str, needs: str, python: PythonChoice | None) -> tuple[str, ...]:
    """The interpreter of a page that needs a module, with its options.

    It is the one that runs tenfold, or that an image calls python. If it lacks the module, it is
    that of the tasks, if that has it.
    """
    if not traits(cell).shares_files:
        return ("python", "-P")
    own = (sys.executable, "-P")
    if python is None or python.own or python.problem or installed(own[0], (needs,)).has(needs):
        return own
    if not installed(python.path, (needs,)).has(needs):
        return own
    return (python.path, *(["-P"] if python.has_safe_path() else []))


def _workdir(workdir: str | None, directory: Path) -> str:
    if workdir is None:
        return str(directory).replace("${", "$${")
    if workdir.startswith(("/", "${run.")):
        return workdir
    return f"{str(directory).replace('${', '$${')}/{workdir}"


def _ready(job: Job, defaults: JobDefaults) -> ReadinessCheck | None:
    ready = job.ready
    if ready is None:
        return ReadinessCheck("tcp") if defaults.ready or job.run is None else None
    if ready.http is not None:
        return ReadinessCheck("http", ready.http, _named(ready.port), ready.timeout)
    if ready.command is not None:
        return ReadinessCheck("command", ready.command, None, ready.timeout)
    if ready.log is not None:
        return ReadinessCheck("log", ready.log, None, ready.timeout)
    return ReadinessCheck("tcp", "", _named(ready.tcp), ready.timeout)


def _named(port: str | None) -> str | None:
    return None if port == "main" else port


def _restart(said: RestartRule | None, defaults: JobDefaults) -> RestartPolicy:
    """The restart policy of the file, or the framework's default."""
    if said is None:
        codes = CRASHES if defaults.crashes_only else ALL_BUT_BAD_INPUT
        return RestartPolicy(
            defaults.restart, defaults.restart_limit, scope=defaults.scope, codes=codes
        )
    return RestartPolicy(
        said.policy,
        said.limit,
        said.backoff,
        said.window,
        said.scope or defaults.scope,
        ALL_BUT_BAD_INPUT if said.codes is None else tuple(map(_range, said.codes)),
    )


CRASHES = ((128, 133), (135, 255))
"""Exit codes of a process that was killed.

Exit codes of exceptions are left out, since the exception would be raised again. So is 134, the
abort of a process by itself: JAX and NCCL end a process like this that has lost another one, or
found a fault.
"""


def _range(codes: str) -> tuple[int, int]:
    """The ends of `75` or `128-255`."""
    first, _, last = codes.partition("-")
    return int(first), int(last or first)


def _indexes(key: str) -> range:
    """The task indexes of an override's key, `3` or `2-5`."""
    first, last = _range(key)
    return range(first, last + 1)


def _overridden(task: Task, override: Override, directory: Path, defaults: JobDefaults) -> Task:
    """`task` with the values of an override in place of its job's.

    The override's `env` is merged into the job's.
    """
    changes: dict[str, Any] = {}
    if override.run is not None:
        run = override.run
        changes["command"] = split(run) if isinstance(run, str) else run
    if override.env:
        changes["env"] = dict(sorted((task.env | override.env).items()))
        secrets = {key for key in changes["env"] if is_secret(key)} | set(task.secrets)
        changes["secrets"] = tuple(sorted(secrets))
    if override.workdir is not None:
        changes["workdir"] = _workdir(override.workdir, directory)
    if override.needed is not None:
        changes["needed"] = override.needed
    if override.restart is not None:
        changes["restart"] = _restart(override.restart, defaults)
    if override.resources is not None:
        for name in override.resources.model_fields_set:
            changes[name] = getattr(override.resources, name)
    return replace(task, **changes)


def _numbered(task: Task, index: int, sizes: Mapping[str, int]) -> Task:
    """`task` as number `index` of its job, with the known `${…}` filled in."""
    known = known_values(task, index, sizes)
    return Task(
        job=task.job,
        index=index,
        command=_fill_words(task.command, known),
        env=_fill_values(task.env, known),
        secrets=task.secrets,
        workdir=fill_some(task.workdir, known),
        network=task.network,
        ports=task.ports,
        publish=task.publish,
        cpu=task.cpu,
        memory=task.memory,
        gpu=task.gpu,
        after=task.after,
        ready=task.ready and with_target(task.ready, fill_some, known),
        restart=task.restart,
        service=task.service,
        needed=task.needed,
        member=task.member,
        preload=task.preload,
        image=task.image,
        address=task.address,
    )


def _fill_words(words: tuple[str, ...], known: Known) -> tuple[str, ...]:
    if not any("${" in word for word in words):
        return words
    return tuple(fill_some(word, known) for word in words)


def _fill_values(values: dict[str, str], known: Known) -> dict[str, str]:
    if not any("${" in value for value in values.values()):
        return values
    return {name: fill_some(value, known) for name, value in values.items()}


# The two jobs that `tensorboard: true` and `jupyter: true` stand for.


@dataclass(frozen=True, slots=True)
class _ServiceJob:
    module: str
    needs: str
    network: Literal["cluster", "host"]
    ready: ReadinessCheck


_SERVICE_JOBS = {
    # TensorBoard reads files only, so it stays outside the run's network.
    "tensorboard": _ServiceJob(
        "tenfold.services.tensorboard", "tensorboard", "host", ReadinessCheck("tcp", port="http")
    ),
    # Notebooks talk to the tasks.
    "jupyter": _ServiceJob(
        "tenfold.services.jupyter", "jupyterlab", "cluster", ReadinessCheck("tcp", port="http")
    ),
}


def _service_task(
    cluster: Cluster, name: str, service: Service, where: Path, python: tuple[str, ...]
) -> Task:
    job = _SERVICE_JOBS[name]
    env = dict(sorted(cluster.env.items()))
    return Task(
        job=name,
        index=0,
        command=(*python, "-m", job.module),
        env=env,
        secrets=tuple(key for key in env if is_secret(key)),
        workdir=_workdir(None, where),
        network=job.network,
        ports={"http": service.port},
        publish=("http",),
        ready=job.ready,
        restart=RestartPolicy("on-failure"),
        service=True,
        needed=False,
        member=False,
        preload=(),
        image=cluster.image,
    )
