"""The objects of a cluster in Kubernetes, as plain data for the API and files.

Service, NetworkPolicy, ConfigMap, Secret and claim are the same in every form. Tasks are run by

    task_job      one Job for one life of one task: what tenfold's supervisor starts and watches
    indexed_job   one Indexed Job a job: what `kubectl apply` needs no supervisor for
    (jobsets.py)  one JobSet for all of them

Keys that begin with `#` are comments (`yaml_text`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tenfold.base.json_text import json_text
from tenfold.cells.kubernetes.names import (
    LIFE_LABEL,
    PORT,
    TASK_LABEL,
    Piece,
    indexed_name,
    labels,
    run_directory,
    service_name,
    task_job_name,
)
from tenfold.cells.kubernetes.pod_specs import CONTAINER, Form, claim_name, pod, size, waiting
from tenfold.cells.kubernetes.yaml_text import Document, FlowList, FlowMap
from tenfold.cells.workdirs import WORKSPACE
from tenfold.errors import InputError
from tenfold.planning.plan import Plan, Task

BAD_INPUT = 2
"""The exit code with which programs refuse their arguments.

A restart does not help then.
"""

_MOST_PLAN_BYTES = 1_000_000
_KEPT_S = 86_400


def meta(form: Form, name: str, job: str | None = None) -> Document:
    """The metadata of an object."""
    made: Document = {"name": name}
    if namespace := form.plan.settings.get("namespace"):
        made["namespace"] = namespace
    return made | {"labels": form.labels(job)}


def own_pods(form: Form) -> Document:
    """The selector of the cluster's pods.

    If there are runs, it selects the pods of one run only.
    """
    return {"matchLabels": labels(form.plan, run=form.run)}


def service(form: Form) -> Document:
    """The headless Service in whose domain tasks have their names."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(form, service_name(form.plan)),
        "spec": {
            "clusterIP": "None",
            "# Tasks look up each other's names before they are ready.": None,
            "publishNotReadyAddresses": True,
            "selector": own_pods(form)["matchLabels"],
            "ports": [FlowMap({"name": "main", "port": form.plan.settings.get("port", PORT)})],
        },
    }


def network_policy(form: Form) -> Document:
    """A policy that admits only the cluster's own pods."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta(form, form.name("only")),
        "spec": {
            "podSelector": own_pods(form),
            "policyTypes": FlowList(["Ingress"]),
            "ingress": [{"from": [{"podSelector": own_pods(form)}]}],
        },
    }


def config_map(form: Form) -> Document:
    """The plan as a ConfigMap for the task runners.

    Raises InputError if it is larger than Kubernetes allows.
    """
    text = plan_text(form.plan)
    if len(text.encode()) > _MOST_PLAN_BYTES:
        raise InputError(
            f"the plan of {form.plan.cluster} has {len(text.encode()):,} bytes, but a ConfigMap "
            "is limited to 1 MiB",
            hint="use fewer tasks or less in each `env`; put long values into files",
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta(form, form.name("plan")),
        "data": {"plan.json": text},
    }


def plan_text(plan: Plan) -> str:
    """plan.json with one line per task.

    It contains no secrets and no paths of this machine.
    """
    moved = replace(plan, directory=WORKSPACE, file=None, runs=None, build=None)
    whole = moved.to_json()
    tasks = ",\n  ".join(_json(task) for task in whole.pop("tasks"))
    rest = "".join(f" {_json(name)}: {_json(value)},\n" for name, value in whole.items())
    return f'{{\n{rest} "tasks": [\n  {tasks}\n ]\n}}\n'


def _json(value: object) -> str:
    return json_text(value)


def secret(form: Form, values: Mapping[str, str]) -> Document:
    """The secret variables."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta(form, form.name("secrets")),
        "type": "Opaque",
        "stringData": dict(values),
    }


def claim(form: Form) -> Document | None:
    """The claim to create, or None if none is needed or an existing one is named.

    It outlives the run: it carries no label of one, and nothing of tenfold's deletes it.
    """
    storage = form.plan.settings.get("storage")
    name = claim_name(form)
    if storage is None or name is None or storage.get("claim"):
        return None
    if not storage.get("size"):
        raise InputError(
            "cells.kubernetes.storage has neither a claim nor a size",
            hint="set claim: NAME for an existing claim, or size: 10GiB to create one",
        )
    spec: Document = {"accessModes": FlowList(["ReadWriteMany"])}
    if storage.get("storage_class"):
        spec["storageClassName"] = storage["storage_class"]
    spec["resources"] = {"requests": FlowMap({"storage": size(storage["size"])})}
    own = meta(replace(form, run=None), name)
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": own, "spec": spec}


def task_job(form: Form, task: Task, life: int) -> Document:
    """The Job of one life of a task.

    It creates one pod, once. The supervisor decides about restarts.
    """
    ready = [f"{run_directory(form.plan, form.run)}/tasks/{task.label}/ready"]
    made = pod(form, task, ["tenfold", "task", task.name], ["test", "-e", *ready], "Never")
    names = {"hostname": task.label, "subdomain": service_name(form.plan)}
    own = {TASK_LABEL: task.label, LIFE_LABEL: str(life)}
    metadata = meta(form, task_job_name(form.plan, task, life), task.job)
    metadata["labels"] |= own
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": _KEPT_S,
            "template": {
                "metadata": {"labels": form.labels(task.job) | own},
                "spec": {"restartPolicy": made.pop("restartPolicy")} | names | made,
            },
        },
    }


def indexed_job(form: Form, piece: Piece) -> Document:
    """A job as one Indexed Job, which restarts its own tasks."""
    task = piece.tasks[0]
    made = pod(form, task, runner_words(piece), ready_words(form, piece), "Never")
    spec = {
        "restartPolicy": made.pop("restartPolicy"),
        "subdomain": service_name(form.plan),
        **({"initContainers": [waiting(form, task, runner_words(piece))]} if task.after else {}),
        **made,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta(form, indexed_name(form.plan, piece), piece.job),
        "spec": indexed_spec(form, piece, spec),
    }


def indexed_spec(form: Form, piece: Piece, spec: Document) -> Document:
    """The spec of an Indexed Job around the spec of a pod.

    It has the count, the restarts, and the rules for what is not a task's fault.
    """
    return {
        "completionMode": "Indexed",
        "completions": len(piece.tasks),
        "parallelism": len(piece.tasks),
        **_restarts(piece),
        "template": {"metadata": {"labels": form.labels(piece.job)}, "spec": spec},
    }


def _restarts(piece: Piece) -> Document:
    """The restart rules of an Indexed Job.

    A task that failed for good fails the Job. A drained node is not a failure of its task.
    """
    task = piece.tasks[0]
    limit = 0 if task.restart.policy == "never" else task.restart.limit
    rules: list[Document] = [
        {
            "action": "Ignore",
            "onPodConditions": [FlowMap({"type": "DisruptionTarget", "status": "True"})],
        }
    ]
    if limit:
        codes = {"containerName": CONTAINER, "operator": "In", "values": FlowList([BAD_INPUT])}
        rules.append({"action": "FailIndex", "onExitCodes": FlowMap(codes)})
    made: Document = {"backoffLimitPerIndex": limit}
    if len(piece.tasks) > 1 and task.needed:
        made["maxFailedIndexes"] = 0
    return made | {
        "# Do not count drained or removed nodes as failures. Do not retry after bad input.": None,
        "podFailurePolicy": {"rules": rules},
    }


def runner_words(piece: Piece) -> list[str]:
    """The task runner's command line, for each pod of a piece."""
    if piece.whole and len(piece.tasks) == 1:
        return ["tenfold", "task", piece.tasks[0].name]
    if piece.whole:
        return ["tenfold", "task", piece.job]
    return ["sh", "-c", f'exec tenfold task {piece.job}/{_number(piece)} "$@"', "tenfold"]


def ready_words(form: Form, piece: Piece) -> list[str]:
    """The command that checks whether a pod of the piece is ready."""
    tasks = f"{run_directory(form.plan, form.run)}/tasks"
    if len(piece.tasks) == 1:
        return ["test", "-e", f"{tasks}/{piece.tasks[0].label}/ready"]
    return ["sh", "-c", f"test -e {tasks}/{piece.job}-{_number(piece)}/ready"]


def _number(piece: Piece) -> str:
    """The task's index, as an expression of the shell."""
    first = piece.tasks[0].index
    return f"$((JOB_COMPLETION_INDEX + {first}))" if first else "$JOB_COMPLETION_INDEX"


def require_images(plan: Plan) -> None:
    """Raise InputError, naming the first task without an image."""
    bare: Iterable[Task] = (task for task in plan.tasks if task.image is None)
    if task := next(iter(bare), None):
        raise InputError(
            f"no image is set for {task.name}",
            hint="write `image: REGISTRY/NAME:TAG` into the file, or --set image=…; nodes fetch it "
            "from there, so tenfold cannot build it for them",
        )
