"""A draft from a compose file.

Owns: what each key of a service becomes, or why it is not carried over. Leaves to others: reading
(`compose_file`), and numbered services and addresses (`compose_groups`).
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path, PurePosixPath

from tenfold.base.quantities import parse_duration
from tenfold.errors import InputError
from tenfold.starter.compose_file import (
    ComposeFile,
    Plain,
    command_words,
    env_file,
    evaluated,
    listed,
    pairs,
    read_compose,
    template,
)
from tenfold.starter.compose_groups import ComposeJob, add_jobs
from tenfold.starter.compose_places import add_placement
from tenfold.starter.dockerfile import image_command
from tenfold.starter.draft import Draft, job_name
from tenfold.starter.launchers import launch_of
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

READ_KEYS = frozenset(
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
    job = ComposeJob(name, launch, _image_name(made, service))
    _environment(made, job, service)
    add_placement(draft, made, job, service)
    _order(made, job, service)
    _network(made, job, service)
    for key in service:
        if key not in READ_KEYS and key not in _SILENT and not key.startswith("x-"):
            made.note(f"services.{name}.{key}", "tenfold has nothing like it")
    return job


def _image_name(made: ComposeFile, service: dict[str, Plain]) -> str | None:
    image = service.get("image")
    return template(made, image) or None if isinstance(image, str) else None


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
