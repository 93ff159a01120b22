"""The cluster as one JobSet (jobset.x-k8s.io/v1alpha2).

For Kubernetes clusters that have JobSet.

JobSet knows what plain Jobs do not: the order of start (`dependsOn`), and that the chief's end is
the end of all. Its controller makes the headless Service itself.
"""

from __future__ import annotations

from tenfold.cells.kubernetes.names import Piece, pieces, replicated_name, set_name
from tenfold.cells.kubernetes.objects import indexed_spec, meta, ready_words, runner_words
from tenfold.cells.kubernetes.pod_specs import Form, pod
from tenfold.cells.kubernetes.yaml_text import Document, FlowList, FlowMap
from tenfold.errors import InputError
from tenfold.planning.plan import Condition, Plan

_STATUS: dict[Condition, str] = {"started": "Ready", "ready": "Ready", "succeeded": "Complete"}
_MOST_BEFORE = 5
_FOR_EVER = 2_147_483_647


def jobset(form: Form) -> Document:
    """The JobSet. Raises InputError for a start order that JobSet does not support."""
    plan = form.plan
    parts = {job: [p for p in pieces(plan) if p.job == job] for job in plan.jobs()}
    decisive = [replicated_name(piece) for job in plan.success for piece in parts.get(job, ())]
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": meta(form, set_name(plan)),
        "spec": {
            "network": {
                "enableDNSHostnames": True,
                "# Tasks look up each other's names before they are ready.": None,
                "publishNotReadyAddresses": True,
            },
            "# When these Jobs have succeeded, the JobSet succeeds and ends all other Jobs.": None,
            "successPolicy": {"operator": "All", "targetReplicatedJobs": FlowList(decisive)},
            "# If a Job fails after its own restarts, the JobSet fails.": None,
            "failurePolicy": {"maxRestarts": 0},
            "replicatedJobs": [
                _replicated(form, piece, parts)
                for stage in plan.stages()
                for job in stage
                for piece in parts[job]
            ],
        },
    }


def _replicated(form: Form, piece: Piece, parts: dict[str, list[Piece]]) -> Document:
    made: Document = {"name": replicated_name(piece), "replicas": 1}
    if before := _before(form.plan, piece, parts):
        made["dependsOn"] = before
    return made | {"template": {"spec": _job(form, piece)}}


def _before(plan: Plan, piece: Piece, parts: dict[str, list[Piece]]) -> list[Document]:
    found: list[Document] = [
        FlowMap({"name": replicated_name(other), "status": _STATUS[condition]})
        for job, condition in piece.tasks[0].after.items()
        for other in parts.get(job, ())
    ]
    if len(found) > _MOST_BEFORE:
        raise InputError(
            f"{piece.job} comes after {len(found)} Jobs, and a JobSet allows {_MOST_BEFORE}",
            hint="let it come after the last of them only, or render without --with jobset",
        )
    del plan
    return found


def _job(form: Form, piece: Piece) -> Document:
    task = piece.tasks[0]
    if task.needed:
        spec = pod(form, task, runner_words(piece), ready_words(form, piece), "Never")
        return indexed_spec(form, piece, spec)
    spec = pod(form, task, runner_words(piece), ready_words(form, piece), "OnFailure")
    return {
        "completionMode": "Indexed",
        "completions": len(piece.tasks),
        "parallelism": len(piece.tasks),
        "# Not a needed job. Restart it without limit, because its failure would"
        " fail the JobSet.": None,
        "backoffLimit": _FOR_EVER,
        "template": {"metadata": {"labels": form.labels(piece.job)}, "spec": spec},
    }
