"""The objects that a run creates in a cluster.

They are created, recorded in the run's directory, and all removed.

Only objects that carry the run's own label are ever deleted, each by its uid: nothing of the
user's, no claim with results on it, no object of the same name that another run has made since.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tenfold.cells.kubernetes.api import Api, ApiError, Object, Where
from tenfold.cells.kubernetes.names import RUN_LABEL
from tenfold.cells.kubernetes.yaml_text import without_comments
from tenfold.errors import TenfoldError
from tenfold.run import files
from tenfold.run.jsonfiles import JsonFile
from tenfold.run.rundir import RunDirectory

_GONE_S = 30.0
_POLL_S = 0.25
_NAME_FREE_S = 60.0
_SHARED = ("Secret", "ConfigMap", "Service", "NetworkPolicy")


@dataclass(frozen=True, slots=True)
class RunObjects(JsonFile):
    """`kubernetes.json` of a run: where its objects are, and each task's pod by label."""

    context: str | None = None
    namespace: str = ""
    pods: Mapping[str, str] = field(default_factory=dict)


def remember(run: RunDirectory, where: Where, pods: Mapping[str, str]) -> None:
    """Record where the run's objects are, and each task's pod by label."""
    path = run.path / "cell" / "kubernetes.json"
    files.make_directory(path.parent)
    RunObjects(where.context, where.namespace, dict(pods)).write(path)


def remembered(run: RunDirectory) -> RunObjects | None:
    """What `remember` wrote, or None if the run has nothing in a cluster."""
    return RunObjects.read(run.path / "cell" / "kubernetes.json")


def forget(run: RunDirectory) -> None:
    """Record that nothing of the run is left in a cluster."""
    files.remove(run.path / "cell" / "kubernetes.json")


def selector(run: RunDirectory) -> str:
    """The selector of the run's objects."""
    return f"{RUN_LABEL}={run.run}"


def remove(api: Api, run: RunDirectory, grace_s: int = 1) -> list[str]:
    """Delete all objects of the run, and wait until its pods are gone.

    Returns a description of what was deleted.

    Blocks for half a minute at most. Pods whose node does not confirm their end are then
    forgotten by force. Raises TenfoldError if the API server refuses or does not answer.
    """
    chosen = selector(run)
    found = {"Job": api.list("Job", chosen)["items"]}
    for job in found["Job"]:
        api.delete("Job", job)
    for pod in api.list("Pod", chosen)["items"]:
        api.delete("Pod", pod, grace_s)
    _await_gone(api, chosen)
    for kind in _SHARED:
        found[kind] = api.list(kind, chosen)["items"]
        for made in found[kind]:
            api.delete(kind, made)
    return [
        f"{len(items)} {kind}{'s' if len(items) != 1 else ''}"
        for kind, items in found.items()
        if items
    ]


def _await_gone(api: Api, chosen: str) -> None:
    deadline = time.monotonic() + _GONE_S
    while pods := api.list("Pod", chosen)["items"]:
        if time.monotonic() > deadline:
            for pod in pods:
                api.delete("Pod", pod, 0)
            return
        time.sleep(_POLL_S)


class Exists(TenfoldError):
    """An object of this name already exists."""


def create(api: Api, made: Object) -> Object:
    """Make an object. Raises Exists if there is one of its name."""
    try:
        return api.create(without_comments(made))
    except ApiError as error:
        if error.status == 409 and error.reason == "AlreadyExists":
            raise Exists(error.message) from error
        raise


def create_own(api: Api, made: Object) -> Object:
    """Create an object of the run, or keep it if the run has already created it.

    One of the same name that is being deleted is waited for, for a minute. Raises TenfoldError if
    the name is another's.
    """
    deadline = time.monotonic() + _NAME_FREE_S
    while True:
        try:
            return create(api, made)
        except Exists:
            found = _existing(api, made)
            if found is not None and _is_ours(found, made):
                return found
            going = found is None or "deletionTimestamp" in found["metadata"]
            if not going or time.monotonic() > deadline:
                raise _taken(api, made, found) from None
        time.sleep(_POLL_S)


def _existing(api: Api, made: Object) -> Object | None:
    try:
        return api.read(made["kind"], made["metadata"]["name"])
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def _is_ours(found: Object, made: Object) -> bool:
    own: object = made["metadata"]["labels"].get(RUN_LABEL)
    return bool((found["metadata"].get("labels") or {}).get(RUN_LABEL) == own)


def _taken(api: Api, made: Object, found: Object | None) -> TenfoldError:
    kind, name = made["kind"], made["metadata"]["name"]
    labels = ((found or {}).get("metadata", {}).get("labels")) or {}
    if run := labels.get(RUN_LABEL):
        cluster = labels.get("app.kubernetes.io/name", "CLUSTER")
        return TenfoldError(
            f"a cluster of this name is running in namespace {api.where.namespace}: run {run}",
            hint=f"tenfold down {cluster}/{run} stops it; "
            "or use another name or namespace for this cluster",
        )
    return TenfoldError(
        f"namespace {api.where.namespace} has a {kind} {name} that does not belong to this run",
        hint="use another name (`cluster:`) or another cells.kubernetes.namespace",
    )


def events_of(api: Api, job: str) -> list[Object]:
    """The events that the cluster reports for a Job."""
    chosen = f"involvedObject.kind=Job,involvedObject.name={job}"
    found: list[Object] = api.list("Event", fields=chosen)["items"]
    return found
