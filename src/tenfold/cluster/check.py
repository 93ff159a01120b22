"""Check a cluster as a whole, after every single key has been checked.

Owns: faults that concern several keys (names that no job has, circles, ports, overrides), warnings
about what is legal but will hurt. Leaves to others: single keys (`spec`), places (`places`), what a
framework knows (`frameworks`), and what this machine lacks for it (`programs`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tenfold.base.nearest import did_you_mean
from tenfold.base.patterns import PatternError, compiled
from tenfold.cluster import check_python, check_scripts, task_references
from tenfold.cluster.cell_table import DEFAULT, traits
from tenfold.cluster.command_line import WordsError, builtin, split
from tenfold.cluster.file.places import Remark, Where
from tenfold.cluster.file.unexpanded import in_text
from tenfold.cluster.programs import is_python, missing, search_path
from tenfold.cluster.python_choice import NAMES, PythonChoice
from tenfold.cluster.spec import MAIN_PORT, MAX_TASKS, Cluster, Job
from tenfold.errors import Fault, shown
from tenfold.frameworks import FRAMEWORKS, NO_FRAMEWORK, Framework, framework

if TYPE_CHECKING:
    from tenfold.cluster.file import Loaded

_SERVICES = ("tensorboard", "jupyter")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def remarks(cluster: Cluster, dropped: frozenset[Where] = frozenset()) -> Iterator[Remark]:
    """Every fault of the cluster as a whole.

    Paths in `dropped` have their fault already, and are not checked again.
    """
    if ("jobs",) in dropped:
        return
    rules = (_size, _reserved, _labels, _commands, _after, _circles, _success, _services, _cells)
    for rule in rules:
        yield from _undropped(rule(cluster, dropped), dropped)
    yield from _undropped(task_references.remarks(cluster, dropped), dropped)
    for name, job in cluster.jobs.items():
        where = ("jobs", name)
        yield from _undropped(_ready(where, job), dropped)
        yield from _undropped(_ports(where, job), dropped)
        yield from _undropped(_overrides(where, job, dropped), dropped)


def _undropped(found: Iterable[Remark], dropped: frozenset[Where]) -> Iterator[Remark]:
    for remark in found:
        if not any(remark.path[:length] in dropped for length in range(len(remark.path) + 1)):
            yield remark


def _nearest(name: str, names: Iterable[str]) -> str | None:
    known = list(names)
    here = f"jobs here: {', '.join(known[:20])}" if known else None
    return did_you_mean(name, known) or here


# The whole cluster.


def _size(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    del dropped
    total = sum(job.tasks for job in cluster.jobs.values())
    if total > MAX_TASKS:
        largest = max(cluster.jobs, key=lambda name: cluster.jobs[name].tasks)
        message = f"the cluster has {total} tasks, but the limit is {MAX_TASKS}"
        yield Remark(("jobs", largest, "tasks"), message)


def _reserved(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    del dropped
    for name in _SERVICES:
        if getattr(cluster, name) is not None and name in cluster.jobs:
            message = f"`{name}: …` already creates a job of this name"
            hint = f"rename this job, or remove `{name}:`"
            yield Remark(("jobs", name), message, hint, about_key=True)


def _labels(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    del dropped
    for name in cluster.jobs:
        job, dash, index = name.rpartition("-")
        if not dash or job not in cluster.jobs or not index.isdigit() or index != str(int(index)):
            continue
        if int(index) < cluster.jobs[job].tasks:
            message = f"{name} is also the name of task {index} of job {job}"
            yield Remark(("jobs", name), message, "rename one of them", about_key=True)


def _commands(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    frame = framework(cluster.framework)

    def known_faulty(name: str) -> bool:
        return bool({("framework",), ("jobs", name), ("jobs", name, "run")} & dropped)

    for name, job in cluster.jobs.items():
        if job.run is not None:
            if not job.run or not job.run[0]:
                yield Remark(("jobs", name, "run"), "the command is empty", "run: python train.py")
            elif refusal := builtin(words(job) or ()):
                yield Remark(("jobs", name, "run", 0), *refusal)
        elif not (known_faulty(name) or frame.job_defaults(name, cluster.jobs).standard_server):
            yield _no_command(name, frame, cluster)
        for key, override in job.overrides.items():
            path: Where = ("jobs", name, "overrides", key, "run")
            if override.run is not None and not (override.run and override.run[0]):
                yield Remark(path, "the command is empty")
            elif refusal := builtin(override.run or ()):
                yield Remark((*path, 0), *refusal)


def _no_command(name: str, frame: Framework, cluster: Cluster) -> Remark:
    whose, hint = f" for a job of this name in {frame.name}", "add run: python train.py"
    if frame.name == NO_FRAMEWORK:
        whose = ""
        frames = map(framework, FRAMEWORKS)
        able = [f.name for f in frames if f.job_defaults(name, cluster.jobs).standard_server]
        hint += f", or framework: {able[0]} for its standard server" if able else ""
    message = f"has no `run`, and there is no standard server{whose}"
    return Remark(("jobs", name), message, hint, about_key=True)


def _cells(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    del dropped
    for inner, name in cluster.cells.jobs_named():
        if name not in cluster.jobs and name not in _SERVICES:
            path: Where = ("cells", *inner)
            hint = _nearest(name, cluster.jobs)
            yield Remark(path, f"there is no job {shown(name)}", hint, about_key=True)


def _after(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    broken = {path[1] for path in dropped if len(path) == 2 and path[0] == "jobs"}
    for name, job in cluster.jobs.items():
        for other in job.after:
            path = ("jobs", name, "after", other)
            if other == name:
                message = "a job cannot depend on itself"
                yield Remark(path, message, "remove it", about_key=True)
            elif other not in cluster.jobs and other not in broken:
                others = [known for known in cluster.jobs if known != name]
                hint = _nearest(other, others)
                yield Remark(path, f"there is no job {shown(other)}", hint, about_key=True)


def _circles(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    """Each cycle of jobs that wait for each other, once.

    It starts with its first job by name.
    """
    del dropped
    waits = {
        name: [other for other in sorted(job.after) if other in cluster.jobs and other != name]
        for name, job in sorted(cluster.jobs.items())
    }
    state: dict[str, int] = {}
    for start in waits:
        trail = [(start, iter(waits[start]))] if start not in state else []
        state.setdefault(start, 1)
        while trail:
            name, others = trail[-1]
            other = next(others, None)
            if other is None:
                state[name] = 2
                trail.pop()
            elif state.get(other) == 1:
                names = [each for each, _ in trail]
                circle = " → ".join([*names[names.index(other) :], other])
                message = f"jobs depend on each other in a cycle: {circle}"
                where = ("jobs", name, "after", other)
                yield Remark(where, message, "remove one of the dependencies", about_key=True)
            elif other not in state:
                state[other] = 1
                trail.append((other, iter(waits[other])))


def _success(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    broken = {path[1] for path in dropped if len(path) == 2 and path[0] == "jobs"}
    for position, name in enumerate(cluster.success or ()):
        if name not in cluster.jobs and name not in broken:
            hint = _nearest(name, cluster.jobs)
            yield Remark(("success", position), f"there is no job {shown(name)}", hint)


def _services(cluster: Cluster, dropped: frozenset[Where]) -> Iterator[Remark]:
    del dropped
    first, second = cluster.tensorboard, cluster.jupyter
    if first and second and first.port is not None and first.port == second.port:
        message = f"port {first.port} is already used by tensorboard"
        yield Remark(("jupyter", "port"), message, "use another port")


# One job.


def _ready(where: Where, job: Job) -> Iterator[Remark]:
    if job.ready is None:
        return
    port, key = (job.ready.tcp, "tcp") if job.ready.tcp else (job.ready.port, "port")
    if port is not None and port != MAIN_PORT and port not in job.ports:
        hint = did_you_mean(port, [*job.ports, MAIN_PORT]) or f"add ports: {{{port}: auto}}"
        yield Remark((*where, "ready", key), f"the job has no port {shown(port)}", hint)
    if job.ready.command is not None:
        try:
            split(job.ready.command, "command")
        except WordsError as error:
            yield Remark((*where, "ready", "command"), str(error), error.hint)
    if job.ready.log is not None:
        try:
            compiled(job.ready.log)
        except PatternError as error:
            yield Remark((*where, "ready", "log"), str(error), error.hint)


def _ports(where: Where, job: Job) -> Iterator[Remark]:
    for position, name in enumerate(job.publish):
        if name not in job.ports:
            hint = did_you_mean(name, job.ports) or f"add ports: {{{name}: auto}}"
            message = f"the job has no port {shown(name)}"
            yield Remark((*where, "publish", position), message, hint)
    owners: dict[int, str] = {}
    for name, port in job.ports.items():
        path = (*where, "ports", name)
        if name == MAIN_PORT:
            yield Remark(path, "every task already has a main port", "use another name")
        elif isinstance(port, int) and owners.setdefault(port, name) != name:
            message = f"port {port} is already used by {owners[port]}"
            yield Remark(path, message, "write auto, or another number")


def _overrides(where: Where, job: Job, dropped: frozenset[Where]) -> Iterator[Remark]:
    taken: list[tuple[int, int, str]] = []
    for key in job.overrides:
        path = (*where, "overrides", key)
        first, _, last = key.partition("-")
        low, high = int(first), int(last or first)
        if low > high:
            message = f"{key} is an empty range"
            yield Remark(path, message, f"write {high}-{low}", about_key=True)
            continue
        if high >= job.tasks and (*where, "tasks") not in dropped:
            message = f"there is no task {high}: the job has {job.tasks} tasks, numbered from 0"
            yield Remark(path, message, about_key=True)
        for other_low, other_high, other in taken:
            if low <= other_high and other_low <= high:
                hint = "list each task in only one of them"
                message = f"{key} and {other} contain the same task"
                yield Remark(path, message, hint, about_key=True)
                break
        taken.append((low, high, key))


# What is legal but will hurt.


def warnings(cluster: Cluster, directory: Path) -> Iterator[Remark]:
    """Every warning. Reads the Python scripts that jobs run, and nothing else."""
    yield from _advice(cluster, directory)
    yield from _threads(cluster)
    yield from _set_by_tenfold(("env",), cluster.env)
    yield from _endless(cluster)
    for name, job in cluster.jobs.items():
        yield from _fixed_ports(("jobs", name), job)
        yield from _ready_unexpanded(("jobs", name), job)
        yield from _set_by_tenfold(("jobs", name, "env"), job.env)
        yield from _unknown_secrets(("jobs", name), job, cluster.env)


def _advice(cluster: Cluster, directory: Path) -> Iterator[Remark]:
    facts = check_scripts.facts(cluster, directory)
    for advice in framework(cluster.framework).advice(facts):
        yield Remark(tuple(advice.path.split(".")), advice.message, advice.hint)


def words(job: Job) -> tuple[str, ...] | None:
    """The arguments of the job's command, as in the file, or None."""
    return split(job.run) if isinstance(job.run, str) else job.run


def _threads(cluster: Cluster) -> Iterator[Remark]:
    """Python tasks that will each start a thread for every core."""
    total = sum(job.tasks for job in cluster.jobs.values())
    cores = os.cpu_count() or 1
    frame = framework(cluster.framework)
    if total <= cores or not traits(cluster.cell or DEFAULT).on_this_machine:
        return
    for name, job in cluster.jobs.items():
        limited = any(key in cluster.env or key in job.env for key in _THREADS)
        if (
            is_python(words(job) or ())
            and not limited
            and not frame.process_environment(name, total, cores)
        ):
            message = f"{total} tasks on {cores} cores, and no limit of threads for each"
            each = max(1, cores // total)
            yield Remark(("jobs", name), message, f'add env: {{OMP_NUM_THREADS: "{each}"}}')
            return


def _endless(cluster: Cluster) -> Iterator[Remark]:
    frame = framework(cluster.framework)
    ending = cluster.success
    if ending is None and not frame.success_jobs(sorted(cluster.jobs)):
        message = "no job ends by itself, so the cluster runs until it is stopped"
        yield Remark(("jobs",), message, "add a chief, or name the jobs that end in `success`")
    for position, name in enumerate(ending or ()):
        if frame.job_defaults(name, cluster.jobs).service and cluster.jobs[name].run is None:
            message = f"{name} never ends, so the cluster never succeeds"
            yield Remark(("success", position), message, "name jobs that end by themselves")


def _fixed_ports(where: Where, job: Job) -> Iterator[Remark]:
    for name, port in job.ports.items():
        if isinstance(port, int) and job.tasks > 1:
            message = f"{job.tasks} tasks on one machine cannot share port {port}"
            hint = f"write auto; the port of each task is ${{task.ports.{name}}}"
            yield Remark((*where, "ports", name), message, hint)


def _ready_unexpanded(where: Where, job: Job) -> Iterator[Remark]:
    if job.ready is not None and job.ready.command is not None:
        for doubt in in_text(job.ready.command, "command", os.environ):
            yield Remark((*where, "ready", "command"), doubt.message, doubt.hint)


def _set_by_tenfold(where: Where, env: Mapping[str, str]) -> Iterator[Remark]:
    for name in env:
        if name == "TF_CONFIG" or name.startswith("TENFOLD_"):
            message = f"overrides the value that tenfold sets for {name} to"
            yield Remark((*where, name), message, "remove it: tenfold knows the addresses")


def _unknown_secrets(where: Where, job: Job, env: Mapping[str, str]) -> Iterator[Remark]:
    known = {*env, *job.env, *(name for item in job.overrides.values() for name in item.env)}
    for position, name in enumerate(job.secret):
        if name not in known:
            hint = did_you_mean(name, sorted(known))
            yield Remark((*where, "secret", position), f"there is no variable {shown(name)}", hint)


# What this machine lacks.


def faults_here(
    loaded: Loaded,
    environment: Mapping[str, str] | None = None,
    python: PythonChoice | None = None,
) -> list[Fault]:
    """A fault for every command that tasks could not start on this machine.

    Not part of loading: on another cell the program may well exist. `environment` is what tasks
    inherit, this process's if None. `python` is the interpreter of the plan. Paths with `${…}` in
    them are not judged.
    """
    inherited = os.environ if environment is None else environment
    if python is not None and (unusable := check_python.fault(loaded, python)) is not None:
        return [unusable]
    search = search_path(inherited, python)
    place = _Place(loaded.directory, search, loaded.cluster.env, python)
    found: list[Remark] = []
    for name, job in loaded.cluster.jobs.items():
        found += _lacks(("jobs", name), job, place)
        for key, override in job.overrides.items():
            given = {"run": override.run, "workdir": override.workdir}
            changed = {name: value for name, value in given.items() if value is not None}
            if changed:
                variant = job.model_copy(update=changed)
                where = ("jobs", name, "overrides", key)
                found += _lacks(where, variant, place)
    return [loaded.fault(remark) for remark in found]


class _Place(NamedTuple):
    """Where commands would start: directory, PATH, variables, interpreter."""

    directory: Path
    search: str
    env: Mapping[str, str]
    python: PythonChoice | None

    def resolved(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """`command` with the interpreter that `python` will be a link to."""
        linked = self.python is not None and self.python.needs_links()
        if self.python is None or not linked or command[0] not in NAMES:
            return command
        return (self.python.path, *command[1:])


def _lacks(where: Where, job: Job, place: _Place) -> Iterator[Remark]:
    workdir = place.directory / (job.workdir or ".")
    if "${" in str(job.workdir):
        return
    if not workdir.is_dir():
        message = f"the working directory {workdir} does not exist"
        yield Remark((*where, "workdir"), message, f"mkdir -p {shlex.quote(str(workdir))}")
        return
    search = job.env.get("PATH") or place.env.get("PATH") or place.search
    command = words(job)
    if command and (lack := missing(place.resolved(command), workdir, search)):
        yield Remark((*where, "run", lack.word), lack.message, lack.hint)
    probe = _readiness_words(job) if len(where) == 2 else ()
    if probe and (lack := missing(place.resolved(probe), workdir, search)):
        yield Remark((*where, "ready", "command"), lack.message, lack.hint)


def _readiness_words(job: Job) -> tuple[str, ...]:
    if job.ready is None or job.ready.command is None:
        return ()
    return split(job.ready.command, "command")
