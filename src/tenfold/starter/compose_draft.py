"""A draft from a compose file.

Owns: what each key of a service becomes, or why it is not carried over. Leaves to others: reading
(`compose_file`), and numbered services and addresses (`compose_groups`).
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path, PurePosixPath

from tenfold.base.quantities import parse_bytes, parse_duration
from tenfold.errors import InputError
from tenfold.starter.command_draft import rank_count
from tenfold.starter.compose_file import (
    ComposeFile,
    Plain,
    command_words,
    env_file,
    evaluated,
    listed,
    mapping,
    pairs,
    read_compose,
    template,
)
from tenfold.starter.compose_groups import ComposeJob, add_jobs
from tenfold.starter.dockerfile import image_command
from tenfold.starter.draft import Draft, job_name
from tenfold.starter.launchers import Launch, launch_of
from tenfold.starter.shell_text import ShellCommand, ShellWord

_CONDITIONS = {
    "service_started": "started",
    "service_healthy": "ready",
    "service_completed_successfully": "succeeded",
}
_SILENT = frozenset(
    [
        "container_name",
        "hostname",
        "networks",
        "init",
        "tty",
        "stdin_open",
        "labels",
        "logging",
        "links",
        "expose",
        "platform",
        "pull_policy",
        "annotations",
        "stop_signal",
        "attach",
        "domainname",
    ]
)
"""Keys that change nothing here: tenfold names and connects the tasks."""

_READ = frozenset(
    [
        "command",
        "entrypoint",
        "image",
        "build",
        "environment",
        "env_file",
        "working_dir",
        "depends_on",
        "healthcheck",
        "ports",
        "volumes",
        "deploy",
        "restart",
        "scale",
        "cpus",
        "mem_limit",
        "shm_size",
        "gpus",
        "runtime",
        "profiles",
        "network_mode",
        "stop_grace_period",
        "extends",
    ]
)


def compose_draft(file: Path, shown: str, wanted: str | None = None) -> Draft:
    """The draft that starts the services of a compose file.

    Raises InputError if it cannot be read, or if no service has a command.
    """
    made = read_compose(file, shown)
    draft = Draft(origin=shown, cluster=job_name(Path(made.directory).resolve().name))
    found: list[ComposeJob] = []
    for name, service in made.services.items():
        job = _job(draft, made, name, service)
        if job is not None:
            found.append(job)
    if not found and not (draft.tensorboard or draft.jupyter):
        raise InputError(
            f"no service of {shown} has a command that tenfold could run",
            hint="; ".join(str(note) for note in made.notes[:3]) or None,
        )
    add_jobs(draft, made, found, wanted)
    for note in made.notes:
        draft.note(note.what, note.why)
    _shared_image(draft, made, found)
    return draft


def _job(
    draft: Draft, made: ComposeFile, name: str, service: dict[str, Plain]
) -> ComposeJob | None:
    if service.get("profiles"):
        made.note(
            f"services.{name}", "left out: `docker compose up` starts no service with profiles"
        )
        return None
    words = _words(made, name, service)
    if _is_page(draft, made, name, words, service):
        return None
    if not words or words[0].startswith("-"):
        made.note(
            f"services.{name}",
            "left out: its command is in the image. Add a job with `run`, or start it yourself",
        )
        return None
    launch = launch_of(ShellCommand([ShellWord(word, shlex.quote(word)) for word in words]))
    job = ComposeJob(name, launch, evaluated(made, str(service.get("image") or "")) or None)
    _environment(made, job, service)
    _placement(draft, made, job, service)
    _order(made, job, service)
    _network(made, job, service)
    for key in service:
        if key not in _READ and key not in _SILENT and not key.startswith("x-"):
            made.note(f"services.{name}.{key}", "tenfold has nothing like it")
    return job


def _words(made: ComposeFile, name: str, service: dict[str, Plain]) -> list[str] | None:
    """The service's entrypoint and command, or those of its Dockerfile."""
    entry = command_words(made, service.get("entrypoint"))
    command = command_words(made, service.get("command"))
    if entry or (command and not service.get("build")):
        return [*(entry or []), *(command or [])]
    built = image_command(made, service.get("build"), name) if service.get("build") else None
    if built is None:
        return command
    entry, default, workdir = built
    if workdir and "working_dir" not in service:
        service["working_dir"] = workdir
    return [*entry, *(command or default)] or None


def _is_page(
    draft: Draft,
    made: ComposeFile,
    name: str,
    words: list[str] | None,
    service: dict[str, Plain],
) -> bool:
    """TensorBoard and Jupyter become `tensorboard: true` and `jupyter: true`."""
    first = [PurePosixPath(word).name for word in (words or [])[:4]]
    image = str(service.get("image") or "")
    if "tensorboard" in first or "tensorboard.main" in first:
        draft.tensorboard = True
        made.note(f"services.{name}", "became `tensorboard: true`, which shows the run's summaries")
        return True
    if any(word.startswith("jupyter") for word in first) or "jupyter/" in image:
        draft.jupyter = True
        made.note(f"services.{name}", "became `jupyter: true`")
        return True
    return False


def _environment(made: ComposeFile, job: ComposeJob, service: dict[str, Plain]) -> None:
    env = env_file(made, service["env_file"]) if service.get("env_file") else {}
    for key, text in pairs(service.get("environment")).items():
        env[key] = f"${{env.{key}:-}}" if text is None else template(made, text)
    for key in list(env):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            made.note(f"{key}={env.pop(key)}", "not a valid name of a variable")
    job.launch.env = env | job.launch.env


# Where it runs: replicas, resources, directories.


def _placement(draft: Draft, made: ComposeFile, job: ComposeJob, service: dict[str, Plain]) -> None:
    deploy = mapping(service.get("deploy"))
    job.replicas = _count(
        made, deploy.get("replicas") or service.get("scale"), f"{job.name}.replicas"
    )
    resources = mapping(deploy.get("resources"))
    limits = mapping(resources.get("limits"))
    cpu = limits.get("cpus") or service.get("cpus")
    memory = limits.get("memory") or service.get("mem_limit")
    if cpu and (number := _float(evaluated(made, str(cpu)))):
        job.resources["cpu"] = number
    if memory and (size := _size(evaluated(made, str(memory)))):
        job.resources["memory"] = size
    _gpus(made, job, mapping(resources.get("reservations")).get("devices"), service)
    _volumes(draft, made, job, service.get("volumes"))
    if service.get("shm_size") and (size := _size(evaluated(made, str(service["shm_size"])))):
        draft.cells.setdefault("docker", {})["shm_size"] = size
    directory = service.get("working_dir")
    if isinstance(directory, str):
        job.workdir = job.on_this_machine(template(made, directory))
    _image(draft, made, job, service)


def _count(made: ComposeFile, value: Plain, what: str) -> int:
    if value is None:
        return 1
    text = evaluated(made, str(value))
    if text.isdigit() and 1 <= int(text) <= 100_000:
        return int(text)
    made.note(f"{what}: {value}", "not a number of tasks; one task was written")
    return 1


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number <= 10_000 else None


def _size(text: str) -> str | None:
    """A size of compose (`512m`, `2gb`), whose units are binary, as one of ours."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([bkmgt]?)b?\s*", text.lower())
    if not found:
        return text if parse_bytes(text) else None
    return f"{found[1]}{ {'': '', 'b': ''}.get(found[2], found[2].upper() + 'iB') }"


def _gpus(made: ComposeFile, job: ComposeJob, devices: Plain, service: dict[str, Plain]) -> None:
    found = [device for device in listed(devices) if isinstance(device, dict)]
    wanted = service.get("gpus")
    if isinstance(wanted, list):
        found += [device for device in wanted if isinstance(device, dict)]
    elif wanted is not None:
        found.append({"count": wanted, "capabilities": ["gpu"]})
    for device in found:
        if "gpu" not in str(device.get("capabilities", "gpu")):
            continue
        ids = device.get("device_ids")
        count = (
            len(ids) if isinstance(ids, list) else evaluated(made, str(device.get("count", "all")))
        )
        if isinstance(ids, list):
            made.note(f"device_ids: {ids}", f"{job.name} asks for {count} GPUs, not for these")
        if str(count).isdigit():
            job.resources["gpu"] = int(count)
        else:
            made.note(f"GPUs of {job.name}: {count}", "set resources.gpu to their number")
    if service.get("runtime"):
        made.note(f"runtime: {service['runtime']}", "set resources.gpu for tasks that need GPUs")


def _volumes(draft: Draft, made: ComposeFile, job: ComposeJob, volumes: Plain) -> None:
    for volume in listed(volumes):
        source, target, mode = _mount(made, volume)
        if target is None:
            continue
        if source is None or source in made.volumes or not re.match(r"[./~$]", source):
            made.note(
                f"volume {source or ''}:{target}", "a named volume; use a directory of this machine"
            )
            continue
        path = source.removeprefix("./").rstrip("/") or "."
        outside = path.startswith(("/", "~", "$", ".."))
        job.mounts[target.rstrip("/") or "/"] = path
        if outside:
            mounts = draft.cells.setdefault("docker", {}).setdefault("mounts", [])
            entry = f"{path}:{path if path.startswith('/') else target}" + (":ro" if mode else "")
            if isinstance(mounts, list) and entry not in mounts:
                mounts.append(entry)


def _mount(made: ComposeFile, volume: Plain) -> tuple[str | None, str | None, bool]:
    """Source, target, and whether it is read-only. Sources and targets are evaluated."""
    if isinstance(volume, dict):
        if volume.get("type") not in (None, "bind", "volume"):
            made.note(
                f"{volume.get('type')}: {volume.get('target')}", "tenfold has nothing like it"
            )
            return None, None, False
        source, target = volume.get("source"), volume.get("target")
        read_only = volume.get("read_only") == "true"
        source = evaluated(made, source) if isinstance(source, str) else None
        return source, evaluated(made, target) if isinstance(target, str) else None, read_only
    if not isinstance(volume, str):
        return None, None, False
    parts = evaluated(made, volume).split(":")
    if len(parts) == 1:
        return None, parts[0], False
    return parts[0], parts[1], "ro" in parts[2:]


def _image(draft: Draft, made: ComposeFile, job: ComposeJob, service: dict[str, Plain]) -> None:
    build = service.get("build")
    if not build:
        return
    given = {"context": build} if isinstance(build, str) else mapping(build)
    context = evaluated(made, str(given.get("context") or "."))
    if ":" in context:
        made.note(f"build: {context}", "tenfold builds from a directory of this machine only")
        return
    job.build = {"context": context}
    if isinstance(given.get("dockerfile"), str):
        job.build["dockerfile"] = evaluated(made, given["dockerfile"])
    arguments = {key: text or "" for key, text in pairs(given.get("args")).items()}
    if arguments:
        job.build["args"] = {key: template(made, text) for key, text in arguments.items()}
    for key in given:
        if key not in ("context", "dockerfile", "args", "target"):
            made.note(f"build.{key}", "tenfold has nothing like it")
    del draft


def _shared_image(draft: Draft, made: ComposeFile, found: list[ComposeJob]) -> None:
    """The image that all jobs share is that of the cluster."""
    builds = [job.build for job in found if job.build]
    images = {job.image for job in found if job.image}
    if builds:
        draft.build = builds[0]
        first = next(job for job in found if job.build)
        draft.image = first.image or f"{draft.cluster}-{job_name(first.name)}"
        if any(build != builds[0] for build in builds):
            made.note("several `build:`", "the file builds one image for all jobs")
    elif len(images) == 1:
        draft.image = images.pop()
    for job in found:
        if job.made is not None and job.image and job.image != draft.image:
            job.made.image = job.image
    if draft.image is not None:
        draft.note(
            f"image {draft.image}", "must contain tenfold for --on docker (pip install tenfold)"
        )


# What it waits for, and who reaches it.


def _order(made: ComposeFile, job: ComposeJob, service: dict[str, Plain]) -> None:
    wanted = service.get("depends_on")
    if isinstance(wanted, list):
        job.after = {name: "started" for name in wanted if isinstance(name, str)}
    elif isinstance(wanted, dict):
        for name, how in wanted.items():
            condition = how.get("condition") if isinstance(how, dict) else None
            job.after[name] = _CONDITIONS.get(str(condition), "started")
    restart = service.get("restart")
    if isinstance(restart, str):
        job.restart = _restart(made, job, evaluated(made, restart))
    check = service.get("healthcheck")
    if isinstance(check, dict) and check.get("disable") != "true":
        _health(made, job, check)
    grace = service.get("stop_grace_period")
    if grace:
        made.note(f"services.{job.name}.stop_grace_period: {grace}", "set stop_grace of the file")


def _restart(made: ComposeFile, job: ComposeJob, text: str) -> str | dict[str, object] | None:
    name, _, limit = text.partition(":")
    if name == "on-failure":
        return {"policy": name, "limit": int(limit)} if limit.isdigit() else name
    if name in ("always", "unless-stopped"):
        made.note(
            f"services.{job.name}.restart: {text}",
            "left out, or a finished training would start again; failures follow docs/policies.md",
        )
    return None


def _health(made: ComposeFile, job: ComposeJob, check: dict[str, Plain]) -> None:
    test = check.get("test")
    words = [template(made, item) for item in listed(test) if isinstance(item, str)]
    if isinstance(test, str):
        words = ["CMD-SHELL", template(made, test)]
    if not words or words[0] == "NONE":
        return
    if words[0] == "CMD-SHELL":
        command = f"sh -c {shlex.quote(' '.join(words[1:]))}"
    else:
        command = shlex.join(words[1:] if words[0] == "CMD" else words)
    job.ready = {"command": command}
    seconds = (parse_duration(str(check.get("start_period") or "0s")) or 0) + (
        parse_duration(str(check.get("interval") or "30s")) or 30
    ) * int(str(check.get("retries") or "3") if str(check.get("retries") or "3").isdigit() else 3)
    job.ready["timeout"] = f"{max(1, round(seconds))}s"


def _network(made: ComposeFile, job: ComposeJob, service: dict[str, Plain]) -> None:
    mode = service.get("network_mode")
    if mode == "host":
        job.network = "host"
    elif mode:
        made.note(f"services.{job.name}.network_mode: {mode}", "tasks share the network of the run")
    for port in listed(service.get("ports")):
        text = str(port.get("target", "")) if isinstance(port, dict) else evaluated(made, str(port))
        found = re.fullmatch(r"(?:[^:]*:)?(?:(\d+):)?(\d+)(?:/tcp)?", text)
        if not found or not 1 <= int(found[2]) <= 65535:
            made.note(f"services.{job.name}.ports: {text}", "add it under ports and publish")
            continue
        if found[1] and found[1] != found[2]:
            made.note(f"port {text} of {job.name}", f"published as {found[2]}")
        job.ports.append(int(found[2]))


def launch_ranks(draft: Draft, launch: Launch) -> int:
    """The number of processes that one container of a service starts."""
    count = rank_count(draft, launch) if launch.launchers else None
    return count.number if count is not None else 1
