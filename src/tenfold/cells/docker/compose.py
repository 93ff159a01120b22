"""Plan → compose.yaml, with one service per task.

It works with Compose v2 and the old docker-compose 1.29.

Owns the text of the file. The plan must have been placed (`DockerKind.place`), so that every
task's address and ports are known. With a supervisor, starting, order and restarts are its, and
the file leaves them out.
"""

from __future__ import annotations

import math
import os
import posixpath
import shlex
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import yaml

from tenfold.base.secrets import is_secret
from tenfold.cells.rendering import File, RenderLocations
from tenfold.cells.workdirs import RUN_DIRECTORY, WORKSPACE
from tenfold.errors import printable
from tenfold.planning.plan import Plan, Task

_CONDITIONS = {
    "started": "service_started",
    "ready": "service_healthy",
    "succeeded": "service_completed_successfully",
}
_HEALTH_EVERY_S = 3
_PUBLISHED = {"tensorboard": "TENSORBOARD_PORT", "jupyter": "JUPYTER_PORT"}


def compose(plan: Plan, places: RenderLocations) -> File:
    """`compose.yaml`, in `cell/` of the run directory when it is supervised."""
    text = "\n".join(
        [
            *_head(plan, places),
            "x-task: &task",
            _yaml(_common(plan, places), 2),
            "",
            "services:",
            *_services(plan, places),
            "",
            "networks:",
            "  # Tasks reach each other, and nobody else; there is no way out. This machine has no",
            "  # address there either, by which any of its users would reach them.",
            "  cluster:",
            "    internal: true",
            '    driver_opts: {com.docker.network.bridge.inhibit_ipv4: "true"}',
            *_outside(plan),
        ]
    )
    return File("cell/compose.yaml" if places.supervised else "compose.yaml", text + "\n")


def _head(plan: Plan, places: RenderLocations) -> Iterator[str]:
    jobs = ", ".join(f"{len(tasks)} {job}" for job, tasks in plan.jobs().items())
    yield f"# {plan.cluster}: {jobs}."
    if places.supervised:
        yield "# Made by `tenfold up --on docker`, whose supervisor starts and watches these."
    else:
        last = plan.jobs()[plan.success[0]][0].label if plan.success else ""
        yield "# Made by `tenfold render --on docker`."
        yield "#"
        yield "#   docker compose up -d              # add --build to build the image anew"
        yield f"#   docker compose logs -f {last}"
        yield f"#   docker compose wait {last}       # its exit code is the cluster's"
        yield "#   docker compose down"
        yield "#"
        yield f"# Logs, checkpoints and results go to {places.run}, which every task sees as"
        yield f"# {RUN_DIRECTORY}. Set TENFOLD_UID and TENFOLD_GID if you are not user 1000."
    yield ""


def published_variable(task: Task, name: str) -> str:
    """The variable that moves a published port of this machine: `TENSORBOARD_PORT`."""
    usual = _PUBLISHED.get(task.job)
    return usual or f"{task.label}_{name}_port".upper().replace("-", "_")


def _common(plan: Plan, places: RenderLocations) -> dict[str, Any]:
    """The settings that all services share, except the image."""
    settings = plan.settings
    images = {task.image for task in plan.tasks}
    made: dict[str, Any] = {"image": plan.image} if images == {plan.image} else {}
    if made and plan.build and not places.supervised:
        made["build"] = _build(plan, places)
    made |= {
        "user": "${TENFOLD_UID:-1000}:${TENFOLD_GID:-1000}",
        "working_dir": WORKSPACE,
        "networks": ["cluster"],
        "expose": sorted({(task.address or "").rpartition(":")[2] for task in plan.tasks}),
        "volumes": list(_volumes(plan, places)),
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": f"{math.ceil(plan.stop_grace_s)}s",
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    }
    if "shm_size" in settings:
        made["shm_size"] = settings["shm_size"]
    environment = {"TENFOLD_RUN_DIRECTORY": RUN_DIRECTORY}
    if places.supervised:
        environment["TENFOLD_RUN"] = os.path.basename(places.run)  # noqa: PTH119 - text, no file
    return made | {"environment": environment}


def _volumes(plan: Plan, places: RenderLocations) -> Iterator[str | dict[str, Any]]:
    yield _mount(places.run, RUN_DIRECTORY)
    if plan.settings.get("code", "mount") == "mount":
        yield _mount(places.project, WORKSPACE)
    for mount in plan.settings.get("mounts", ()):
        host, _, rest = mount.partition(":")
        where, _, mode = (rest or host).partition(":")
        read_only = "ro" in mode.split(",")
        yield _mount(_below(places.project, host), where, read_only=read_only)


def _mount(host: str, there: str, *, read_only: bool = False) -> str | dict[str, Any]:
    """A mount in the short form, or in the long form if the path requires it."""
    if host not in (".", "..") and not host.startswith(("/", "./", "../", "~")):
        host = f"./{host}"  # anything else is the name of a volume
    if ":" not in host + there:
        return f"{_literal(host)}:{_literal(there)}" + (":ro" if read_only else "")
    made = {"type": "bind", "source": _literal(host), "target": _literal(there)}
    return made | ({"read_only": True} if read_only else {})


def _below(project: str, path: str) -> str:
    return path if path.startswith(("/", "~")) else posixpath.normpath(f"{project}/{path}")


def _services(plan: Plan, places: RenderLocations) -> Iterator[str]:
    shared = _common(plan, places).get("image")
    for job, tasks in plan.jobs().items():
        yield ""
        command = printable(shlex.join(plan.shown(word) for word in tasks[0].command))
        yield from wrap(f"{job}: {command}", 96, initial_indent="  # ", subsequent_indent="  #   ",
                        break_long_words=False, break_on_hyphens=False)  # fmt: skip
        for task in tasks:
            yield f"  {task.label}:"
            yield "    <<: *task"
            service = _service(plan, task, places)
            if task.image == shared:  # and so is `build`
                service = {k: v for k, v in service.items() if k not in ("image", "build")}
            yield _yaml(service, 4)


def _service(plan: Plan, task: Task, places: RenderLocations) -> dict[str, Any]:
    made: dict[str, Any] = {"image": task.image, "command": ["tenfold", "task", task.name]}
    made["hostname"] = task.label
    if secrets := _secrets(plan, task):
        made["environment"] = {
            "TENFOLD_RUN_DIRECTORY": RUN_DIRECTORY,
            **dict.fromkeys(secrets),  # nothing: from the environment of whoever runs compose
        }
    if plan.build and task.image == plan.image and not places.supervised:
        made["build"] = _build(plan, places)
    if task.publish or task.network == "host":
        made["networks"] = ["cluster", "outside"]
    if task.publish:
        made["ports"] = [_published(task, name) for name in task.publish]
    made |= _resources(task)
    if not places.supervised:
        made |= _unsupervised(plan, task)
    return made


def _secrets(plan: Plan, task: Task) -> list[str]:
    return sorted(
        name
        for name, value in task.env.items()
        if name in task.secrets or plan.shown(value) != value
    )


def _published(task: Task, name: str) -> str:
    inside = task.ports[name]
    return f"127.0.0.1:${{{published_variable(task, name)}:-{inside}}}:{inside}"


def _resources(task: Task) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if task.cpu is not None:
        made["cpus"] = task.cpu
    if task.memory is not None:
        made["mem_limit"] = task.memory
    if task.gpu:
        device = {"driver": "nvidia", "count": task.gpu, "capabilities": ["gpu"]}
        made["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    return made


def _unsupervised(plan: Plan, task: Task) -> dict[str, Any]:
    """Order, readiness and restarts, in the engine's own terms."""
    made: dict[str, Any] = {}
    if task.ready is not None:
        marker = f"{RUN_DIRECTORY}/tasks/{task.label}/ready"
        made["healthcheck"] = {
            "test": ["CMD", "test", "-e", marker],
            "interval": f"{_HEALTH_EVERY_S}s",
            "retries": max(1, math.ceil(task.ready.timeout_s / _HEALTH_EVERY_S)),
        }
    if task.after:
        jobs = plan.jobs()
        made["depends_on"] = {
            other.label: {"condition": _CONDITIONS[_weakest(other, condition)]}
            for job, condition in task.after.items()
            for other in jobs[job]
        }
    if task.restart.policy == "on-failure":
        made["restart"] = f"on-failure:{task.restart.limit}"
    elif task.restart.policy == "always":
        made["restart"] = "always"
    return made


def _weakest(other: Task, condition: str) -> str:
    """A weak condition: a task without a readiness check is ready once it runs."""
    return "started" if condition == "ready" and other.ready is None else condition


def _build(plan: Plan, places: RenderLocations) -> dict[str, Any]:
    build = plan.build or {}
    made: dict[str, Any] = {"context": _below(places.project, build.get("context", "."))}
    if build.get("dockerfile"):
        made["dockerfile"] = build["dockerfile"]
    if build.get("args"):
        made["args"] = {  # nothing: from the environment of whoever runs compose
            name: _literal(value) if plan.shown(value) == value and not is_secret(name) else None
            for name, value in build["args"].items()
        }
    return made


def _outside(plan: Plan) -> Iterator[str]:
    if any(task.publish or task.network == "host" for task in plan.tasks):
        yield "  # For pages published on this machine's loopback, and tasks with `network: host`."
        yield "  outside: {}"


def _literal(text: str) -> str:
    """`text` escaped for Compose, which fills in `$NAME` itself."""
    return text.replace("$", "$$")


def _yaml(value: dict[str, Any], indent: int) -> str:
    text = yaml.safe_dump(
        value, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )
    return "\n".join(" " * indent + line for line in text.rstrip().splitlines())
