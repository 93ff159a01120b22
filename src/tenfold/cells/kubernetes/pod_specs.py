"""The pod of a task: its container, rights, volumes and readiness probe.

The same in every form of the manifests (`kubernetes_objects`): only who makes the pod differs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tenfold.cells.kubernetes.names import (
    PORT,
    USER,
    labels,
    run_directory,
    service_name,
)
from tenfold.cells.kubernetes.yaml_text import Document, FlowList, FlowMap
from tenfold.cells.workdirs import RUN_DIRECTORY
from tenfold.planning.plan import Plan, Task

CONTAINER = "task"
"""The name of the container that runs the task."""

_PLAN = "/etc/tenfold"
_MOST_WAIT_S = 1 << 30


@dataclass(frozen=True, slots=True)
class Form:
    """The form in which the pods are created.

    Attributes:
        plan: placed for this form.
        run: the run's id, when tenfold's supervisor makes them; else None.
        secret: the cluster has secret variables.
    """

    plan: Plan
    run: str | None
    secret: bool

    @property
    def supervised(self) -> bool:
        """Whether tenfold's supervisor creates a Job for each life of each task."""
        return self.run is not None

    def name(self, what: str) -> str:
        """The name of an object that all tasks share: `word2vec-plan`."""
        return f"{service_name(self.plan)}-{what}"

    def labels(self, job: str | None = None) -> dict[str, str]:
        """The labels of objects of this form."""
        return labels(self.plan, job, self.run)


def pod(form: Form, task: Task, words: list[str], ready: list[str], restart: str) -> Document:
    """The pod of `task`, started by `tenfold task …` (`words`).

    `ready` is the command that checks whether the task is ready.
    """
    settings = form.plan.settings
    made: Document = {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": max(1, math.ceil(form.plan.stop_grace_s)),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }
    if "service_account" in settings:
        made["serviceAccountName"] = settings["service_account"]
    if secrets := settings.get("image_pull_secrets"):
        made["imagePullSecrets"] = [{"name": name} for name in secrets]
    if selector := settings.get("node_selector"):
        made["nodeSelector"] = dict(selector)
    if tolerations := settings.get("tolerations"):
        made["tolerations"] = [dict(one) for one in tolerations]
    made["securityContext"] = _pod_rights(settings.get("user", USER))
    made["containers"] = [_container(form, task, words, ready)]
    made["volumes"] = _volumes(form)
    return made


def waiting(form: Form, task: Task, words: list[str]) -> Document:
    """The container that holds a pod back until its predecessors are far enough."""
    return {
        "name": "wait",
        "image": task.image,
        **_pull_policy(form),
        "command": FlowList([*words, "--wait"]),
        **_environment(form, ended=False),
        "resources": {"requests": FlowMap({"cpu": "50m", "memory": "64Mi"})},
        "securityContext": _rights(),
        "volumeMounts": _mounts(form),
    }


def _pod_rights(user: int) -> Document:
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": FlowMap({"type": "RuntimeDefault"}),
    }


def _rights() -> Document:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": FlowMap({"drop": FlowList(["ALL"])}),
    }


def _pull_policy(form: Form) -> Document:
    policy = form.plan.settings.get("image_pull_policy")
    return {"imagePullPolicy": policy} if policy else {}


def _container(form: Form, task: Task, words: list[str], ready: list[str]) -> Document:
    made: Document = {
        "name": CONTAINER,
        "image": task.image,
        **_pull_policy(form),
        "command": FlowList(words),
        **_environment(form, ended=True),
        "ports": _ports(form, task),
    }
    if resources := _resources(task):
        made["resources"] = resources
    if form.supervised:
        made["startupProbe"] = _probe(_begun(form, task), 1, _MOST_WAIT_S)
    if task.ready is not None:
        made["readinessProbe"] = _probe(ready, 2)
    return made | {"securityContext": _rights(), "volumeMounts": _mounts(form)}


def _begun(form: Form, task: Task) -> list[str]:
    """Whether the task runner has started the command."""
    return ["test", "-e", f"{run_directory(form.plan, form.run)}/tasks/{task.label}/life.json"]


def _probe(command: list[str], period_s: int, failures: int = 0) -> Document:
    made: Document = {"exec": {"command": FlowList(command)}, "periodSeconds": period_s}
    return made | ({"failureThreshold": failures} if failures else {})


def _environment(form: Form, *, ended: bool) -> Document:
    values = {
        "TENFOLD_RUN_DIRECTORY": run_directory(form.plan, form.run),
        "TENFOLD_PLAN": f"{_PLAN}/plan.json",
    }
    if ended:
        values |= {"TENFOLD_BIND": "0.0.0.0", "TENFOLD_TERMINATION_LOG": "/dev/termination-log"}
        values |= {"TENFOLD_RUN": form.run} if form.run else {}
    values["HOME"] = "/tmp"
    made: Document = {
        "env": [FlowMap({"name": name, "value": value}) for name, value in values.items()]
    }
    if form.secret:
        made["envFrom"] = [{"secretRef": FlowMap({"name": form.name("secrets")})}]
    return made


def _ports(form: Form, task: Task) -> list[Document]:
    ports = {"main": form.plan.settings.get("port", PORT)} | task.ports
    return [
        FlowMap({"name": name, "containerPort": number})
        for name, number in ports.items()
        if number is not None
    ]


def _resources(task: Task) -> Document:
    """The resources of a task's container.

    Memory and GPUs are limits too. A limit on processors would only slow a task down.
    """
    requests: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    if task.cpu is not None:
        requests["cpu"] = _cpu(task.cpu)
    if task.memory is not None:
        requests["memory"] = limits["memory"] = size(task.memory)
    if task.gpu:
        limits["nvidia.com/gpu"] = task.gpu
    made = {"requests": FlowMap(requests), "limits": FlowMap(limits)}
    return {name: value for name, value in made.items() if value}


def _cpu(cores: float) -> str:
    return str(int(cores)) if cores == int(cores) else f"{math.ceil(cores * 1000)}m"


def size(count: int) -> str:
    """A number of bytes as Kubernetes writes it: `2Gi`, `1500Mi`, `1500000001`."""
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if count % 1024**power == 0:
            return f"{count // 1024**power}{unit}"
    return str(count)


def _mounts(form: Form) -> list[Document]:
    made: list[Document] = [
        FlowMap({"name": "run", "mountPath": RUN_DIRECTORY}),
        FlowMap({"name": "plan", "mountPath": _PLAN, "readOnly": True}),
        FlowMap({"name": "tmp", "mountPath": "/tmp"}),
    ]
    if "shm_size" in form.plan.settings:
        made.append(FlowMap({"name": "shm", "mountPath": "/dev/shm"}))
    return made


def claim_name(form: Form) -> str | None:
    """The claim that holds the run directory, or None if it ends with the pod."""
    storage = form.plan.settings.get("storage")
    if storage is None:
        return None
    return storage.get("claim") or form.name("runs")


def _volumes(form: Form) -> list[Document]:
    claim = claim_name(form)
    run: Document = {"emptyDir": FlowMap()}
    if claim is not None:
        run = {"persistentVolumeClaim": FlowMap({"claimName": claim})}
    made: list[Document] = [
        {"name": "run"} | run,
        {"name": "plan", "configMap": FlowMap({"name": form.name("plan")})},
        {"name": "tmp", "emptyDir": FlowMap()},
    ]
    if shm := form.plan.settings.get("shm_size"):
        memory = FlowMap({"medium": "Memory", "sizeLimit": size(shm)})
        made.append({"name": "shm", "emptyDir": memory})
    return made
