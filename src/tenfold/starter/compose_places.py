"""Where a service of a compose file runs: replicas, resources, directories.

Owns `deploy`, `cpus`, `mem_limit`, `gpus`, `volumes`, `working_dir`, `shm_size` and `build`.
"""

from __future__ import annotations

import re

from tenfold.base.quantities import parse_bytes
from tenfold.starter.compose_file import (
    ComposeFile,
    Plain,
    evaluated,
    listed,
    mapping,
    pairs,
    template,
)
from tenfold.starter.compose_groups import ComposeJob
from tenfold.starter.draft import Draft, literal


def add_placement(
    draft: Draft, made: ComposeFile, job: ComposeJob, service: dict[str, Plain]
) -> None:
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
        path = literal(source.removeprefix("./").rstrip("/") or ".")
        outside = path.startswith(("/", "~", "$", ".."))
        job.mounts[target.rstrip("/") or "/"] = path
        if outside:
            mounts = draft.cells.setdefault("docker", {}).setdefault("mounts", [])
            entry = f"{path}:{path if path.startswith('/') else literal(target)}" + (
                ":ro" if mode else ""
            )
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
    job.build = {"context": literal(context)}
    if isinstance(given.get("dockerfile"), str):
        job.build["dockerfile"] = template(made, given["dockerfile"])
    arguments = {key: text or "" for key, text in pairs(given.get("args")).items()}
    if arguments:
        job.build["args"] = {key: template(made, text) for key, text in arguments.items()}
    for key in given:
        if key not in ("context", "dockerfile", "args", "target"):
            made.note(f"build.{key}", "tenfold has nothing like it")
    del draft
