"""Services of a compose file as jobs, and their names as addresses.

`ps0`, `ps1` and `worker0` … `worker7` that differ by their number alone become the jobs `ps` and
`worker`. `ps0:2222,ps1:2222` becomes `${jobs.ps.addresses}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tenfold.frameworks import NO_FRAMEWORK, framework
from tenfold.starter.command_draft import launch_facts, rank_count
from tenfold.starter.compose_file import ComposeFile
from tenfold.starter.draft import Draft, DraftJob, job_name
from tenfold.starter.launchers import Launch
from tenfold.starter.recipes import recipe_of
from tenfold.starter.script_jobs import RANK_LAUNCHERS

_NUMBERED = re.compile(r"(.*?[A-Za-z])[-_]?(\d{1,5})")
_IGNORED = frozenset(
    [
        "MASTER_ADDR",
        "MASTER_PORT",
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "NODE_RANK",
        "GROUP_RANK",
        "TF_CONFIG",
    ]
)
"""Variables that tenfold sets for the frameworks that read them."""


_HOST = re.compile(r"host|addr|server|url|endpoint|master|broker|coordinator", re.IGNORECASE)
"""Names of variables and options whose values are hosts."""


@dataclass(slots=True)
class ComposeJob:
    """A service on its way to a job.

    `mounts` are directories of this machine by their place in the container. `made` is the job
    that it became, `members` the services of which it is made, in their order.
    """

    name: str
    launch: Launch
    image: str | None = None
    build: dict[str, object] | None = None
    replicas: int = 1
    resources: dict[str, object] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    after: dict[str, str] = field(default_factory=dict)
    ready: dict[str, object] | None = None
    restart: str | dict[str, object] | None = None
    network: str | None = None
    ports: list[int] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    made: DraftJob | None = None

    def on_this_machine(self, path: str) -> str:
        """A path of the container as one of this machine, if it is in a mounted directory."""
        for target in sorted(self.mounts, key=len, reverse=True):
            if path == target or path.startswith(f"{target}/"):
                rest = path[len(target) :].lstrip("/")
                source = self.mounts[target]
                return (f"{source}/{rest}" if source != "." else rest or ".").rstrip("/")
        return path


def add_jobs(
    draft: Draft, made: ComposeFile, services: list[ComposeJob], wanted: str | None
) -> None:
    """Add the jobs that the services become to the draft."""
    for service in services:
        _at_home(made, service)
    groups = _groups(services)
    jobs = {group[0].name: group for group in groups}
    names: dict[str, tuple[str, int]] = {}
    titles: dict[str, DraftJob] = {}
    for group in groups:
        base = _NUMBERED.fullmatch(group[0].name)
        title = job_name(base[1] if base and len(group) > 1 else group[0].name, titles)
        titles[title] = DraftJob()
        for index, member in enumerate(group):
            names[member.name] = (title, index)
    draft.framework = wanted or _framework(draft, made, services)
    serving = {names[one.name][0] for one in services if _names_itself(one)}
    addressed = _Addresses(names, {title: _size(titles, groups, names, title) for title in titles})
    for group in jobs.values():
        title = names[group[0].name][0]
        draft.jobs[title] = _made(draft, made, group, addressed, serving, names)
        for member in group:
            member.made = draft.jobs[title]
    _explain(draft, groups, names)


def _size(
    titles: dict[str, DraftJob],
    groups: list[list[ComposeJob]],
    names: dict[str, tuple[str, int]],
    title: str,
) -> int:
    del titles
    return next(len(group) for group in groups if names[group[0].name][0] == title)


def _at_home(made: ComposeFile, service: ComposeJob) -> None:
    """Paths of the container as paths of this machine: the file runs on every cell."""
    if service.workdir is not None and service.workdir.startswith("/"):
        target = service.workdir
        if not service.mounts:
            made.note(
                f"working_dir {target} of {service.name}",
                "a directory of the image; here the job runs in the directory of the file",
            )
        else:
            made.note(f"working_dir {target} of {service.name}", "is not mounted from this machine")
        service.mounts.setdefault(target, ".")
        service.workdir = None
    if service.workdir in (".", ""):
        service.workdir = None
    prefix = f"{service.workdir}/" if service.workdir else ""
    for word in service.launch.words:
        option, equals, path = word.text.rpartition("=")
        moved = service.on_this_machine(path)
        if moved != path and not moved.startswith("/") and prefix:
            moved = moved.removeprefix(prefix) if moved.startswith(prefix) else f"./{moved}"
        if moved != path:
            index = service.launch.words.index(word)
            text = f"{option}{equals}{moved}"
            service.launch.words[index] = type(word)(text, text, word.known)


def _groups(services: list[ComposeJob]) -> list[list[ComposeJob]]:
    """Services in groups that differ by their number alone, in its order."""
    by_base: dict[str, list[tuple[int, ComposeJob]]] = {}
    for service in services:
        found = _NUMBERED.fullmatch(service.name)
        key = found[1] if found else f"\0{service.name}"
        by_base.setdefault(key, []).append((int(found[2]) if found else 0, service))
    groups: list[list[ComposeJob]] = []
    for members in by_base.values():
        members.sort(key=lambda member: member[0])
        first = members[0][0]
        forms = [_form(service, number, number - first) for number, service in members]
        if len(members) > 1 and all(form == forms[0] for form in forms):
            group = [service for _, service in members]
            group[0].launch.words = [
                type(word)(_indexed(word.text, group[0].name, first), word.raw, word.known)
                for word in group[0].launch.words
            ]
            group[0].launch.env = {
                name: _indexed(value, group[0].name, first)
                for name, value in group[0].launch.env.items()
            }
            groups.append(group)
        else:
            groups += [[service] for _, service in members]
    return groups


def _form(service: ComposeJob, number: int, index: int) -> object:
    """What must be the same for services to be tasks of one job."""
    words = [_indexed(word.text, service.name, number, index) for word in service.launch.words]
    env = {
        name: _indexed(value, service.name, number, index)
        for name, value in service.launch.env.items()
        if name not in _IGNORED
    }
    return (
        words,
        env,
        service.image,
        service.build,
        service.resources,
        service.workdir,
        (service.launch.per_node),
    )


def _indexed(text: str, name: str, number: int, index: int = 0) -> str:
    """`text` with the service's own name and index as those of its task."""
    text = re.sub(rf"(?<![\w,:.-]){re.escape(name)}(?![\w:-])", "${task.label}", text)
    if text == str(index):
        return "${task.index}"
    found = re.fullmatch(r"(--?[A-Za-z_-]*(?:index|rank|id|task)[A-Za-z_-]*=)(\d+)", text)
    if found and int(found[2]) == index:
        return f"{found[1]}${{task.index}}"
    del number
    return text


def _framework(draft: Draft, made: ComposeFile, services: list[ComposeJob]) -> str:
    """The framework of the services' scripts, or of their variables."""
    for service in services:
        base = made.directory / (service.workdir or ".")
        facts = launch_facts(service.launch, base)
        found = recipe_of(facts) if facts is not None else None
        if found is not None and facts is not None:
            draft.reasons.append(f"{facts.file.name} {found[1]} ({found[0].name})")
            return found[0].framework
    variables = {name for service in services for name in service.launch.env}
    if "TF_CONFIG" in variables:
        return "tensorflow"
    launchers = {name for service in services for name in service.launch.launchers}
    if {"RANK", "MASTER_ADDR"} <= variables or launchers & RANK_LAUNCHERS:
        return "torch"
    return NO_FRAMEWORK


def _names_itself(service: ComposeJob) -> bool:
    """Whether a service is told its own address, and so listens where it is told."""
    pattern = re.compile(rf"(?<![\w.-]){re.escape(service.name)}:\d+")
    texts = [word.text for word in service.launch.words] + list(service.launch.env.values())
    return any(pattern.search(text) for text in texts)


class _Addresses:
    """Names of services in texts, and what they are in a cluster file."""

    def __init__(self, names: dict[str, tuple[str, int]], sizes: dict[str, int]) -> None:
        self._names, self._sizes = names, sizes
        listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        one = rf"(?:{listed}):\d+"
        self._list = re.compile(rf"(?<![\w.-]){one}(?:,{one})*(?![\w])")
        self._alone = re.compile(rf"(.*[=@])?({listed})", re.DOTALL)

    def of(self, text: str, serving: set[str], *, named: object) -> str:
        """`text` with `ps0:2222,ps1:2222` as `${jobs.ps.addresses}`.

        A name without a port counts if the variable or option is `named` like a host.
        """
        if named and (found := self._alone.fullmatch(text)):
            job, index = self._names[found[2]]
            return f"{found[1] or ''}${{jobs.{job}.hosts.{index}}}"
        return self._list.sub(lambda match: self._listed(match[0], serving), text)

    def _listed(self, text: str, serving: set[str]) -> str:
        parts = [part.rpartition(":") for part in text.split(",")]
        placed = [(*self._names[name], port) for name, _, port in parts]
        jobs = {job for job, _, _ in placed}
        if len(jobs) == 1 and len(placed) > 1:
            job = placed[0][0]
            if job in serving and [index for _, index, _ in placed] == list(
                range(self._sizes[job])
            ):
                return f"${{jobs.{job}.addresses}}"
        return ",".join(
            f"${{jobs.{job}.addresses.{index}}}"
            if job in serving
            else f"${{jobs.{job}.hosts.{index}}}:{port}"
            for job, index, port in placed
        )


def _made(
    draft: Draft,
    made: ComposeFile,
    group: list[ComposeJob],
    addresses: _Addresses,
    serving: set[str],
    names: dict[str, tuple[str, int]],
) -> DraftJob:
    first = group[0]
    title = names[first.name][0]
    count = rank_count(draft, first.launch)
    each = count.number if count is not None and len(group) == 1 else 1
    if count is not None and len(group) > 1:
        each = count.number // (first.launch.nodes or 1) or 1
    for note in first.launch.notes:
        draft.note(note.what, note.why)
    job = DraftJob(
        run=tuple(
            addresses.of(word.text, serving, named=_HOST.search(word.text.partition("=")[0]))
            for word in first.launch.words
        ),
        tasks=len(group) * first.replicas * each,
        workdir=first.workdir,
        resources=first.resources,
        ready=first.ready,
        restart=first.restart,
        network=first.network,
    )
    own = {*framework(draft.framework).variables(title)}
    for name, value in first.launch.env.items():
        if name in own or (name in _IGNORED and draft.framework != NO_FRAMEWORK):
            draft.note(f"{name} of {title}", "tenfold sets it for each task")
        else:
            job.env[name] = addresses.of(value, serving, named=_HOST.search(name))
    for other, condition in first.after.items():
        if other in names and names[other][0] != title:
            job.after[names[other][0]] = condition
        elif other not in names:
            made.note(f"depends_on {other} of {first.name}", "that service is not a job")
    for port in dict.fromkeys(first.ports):
        if job.tasks > 1:
            made.note(
                f"port {port} of {title}", f"{job.tasks} tasks cannot share it on one machine"
            )
            continue
        job.ports[f"p{port}"] = port
        job.publish.append(f"p{port}")
    return job


def _explain(
    draft: Draft, groups: list[list[ComposeJob]], names: dict[str, tuple[str, int]]
) -> None:
    for group in groups:
        title = names[group[0].name][0]
        tasks = draft.jobs[title].tasks
        if len(group) > 1:
            last = group[-1].name
            draft.reasons.append(
                f"{len(group)} services, {group[0].name} to {last}, are the job {title}"
            )
        elif tasks > 1:
            draft.reasons.append(f"service {group[0].name} is the job {title} of {tasks} tasks")
    for title, job in draft.jobs.items():
        words = job.run or ()
        missing = PurePosixPath(words[0]).is_absolute() if words else False
        if missing:
            draft.note(f"{words[0]} of {title}", "a path of the image; it may not exist here")
