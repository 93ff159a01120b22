"""The meaning of a pod's state: it runs, cannot run, or has ended, and why.

Reads pods as the API server gives them; knows no connection, thread or task. The words are for
people who have never seen a pod.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.cells import Cause
from tenfold.cells.kubernetes.pod_specs import CONTAINER
from tenfold.tasks.memory import memory_end

Pod = Mapping[str, Any]

_IMAGE = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_FINAL = ("not found", "denied", "unauthorized", "no such host", "manifest unknown", "forbidden")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_NOT_STARTED = ("StartError", "ContainerCannotRun")
_LAST_SIGNAL = 64


@dataclass(frozen=True, slots=True)
class End:
    """How a container ended: `exit_code`, or `signal`.

    `refused` means that its command could not start.

    `words` is what people should know of it beyond that, with what to do (`hint`); `cause` the
    same for programs.
    """

    exit_code: int | None
    signal: int | None
    refused: str | None = None
    words: str | None = None
    hint: str | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class PodTrouble:
    """Why a pod does not run. `final`: it will never run."""

    words: str
    hint: str | None
    final: bool


def status_of(pod: Pod) -> Mapping[str, Any]:
    """The status of the task's container. Empty while there is no container."""
    for one in pod.get("status", {}).get("containerStatuses") or ():
        if one.get("name") == CONTAINER:
            return dict(one)
    return {}


def runs(pod: Pod) -> bool:
    """Whether the task's command has started, according to its startup probe."""
    status = status_of(pod)
    return "running" in (status.get("state") or {}) and bool(status.get("started"))


def container_began(pod: Pod) -> bool:
    """Whether there can be a log."""
    state = status_of(pod).get("state") or {}
    return "running" in state or "terminated" in state


def is_ready(pod: Pod) -> bool:
    """Whether the pod's readiness probe succeeds."""
    return _condition(pod, "Ready").get("status") == "True"


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    found = pod.get("status", {}).get("conditions") or ()
    return next((dict(one) for one in found if one.get("type") == kind), {})


def trouble(pod: Pod) -> PodTrouble | None:
    """Why the pod does not run yet, if that is worth a message."""
    waiting = (status_of(pod).get("state") or {}).get("waiting") or {}
    reason, said = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    image = status_of(pod).get("image") or _image(pod)
    if reason in _IMAGE or reason == "ErrImagePull":
        final = reason in _IMAGE or any(word in said.lower() for word in _FINAL)
        hint = (
            "check that the name is correct and that the nodes can pull it: "
            "image, image_pull_secrets"
        )
        return PodTrouble(f"its image {image} cannot be pulled: {said or reason}", hint, final)
    if reason in _CONFIG:
        return PodTrouble(f"its container cannot be created: {said or reason}", None, True)
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        hint = "request less (resources), or wait: it starts when a node has free resources"
        return PodTrouble(f"no node can run it: {scheduled.get('message')}", hint, final=False)
    return None


def _image(pod: Pod) -> str:
    containers = pod.get("spec", {}).get("containers") or ()
    return next((str(c.get("image")) for c in containers if c.get("name") == CONTAINER), "")


def ended(pod: Pod) -> End | None:
    """How the task's container ended, or None while it runs."""
    status = pod.get("status", {})
    terminated = (status_of(pod).get("state") or {}).get("terminated")
    if terminated is not None:
        return _end(pod, terminated)
    if status.get("phase") in ("Failed", "Succeeded"):
        words = status.get("message") or status.get("reason") or "its pod ended"
        return End(None, 9, words=f"was ended by the cluster: {words}", cause="node")
    return None


def _end(pod: Pod, terminated: Mapping[str, Any]) -> End:
    reason = str(terminated.get("reason") or "")
    code = int(terminated.get("exitCode") or 0)
    if reason in _NOT_STARTED:
        return _not_started(pod, str(terminated.get("message") or reason))
    if reason == "OOMKilled":
        return _out_of_memory(None, 9, 1) or End(None, 9)
    words = _disrupted(pod)
    cause: Cause | None = "node" if words else None
    if told := _told(terminated.get("message")):
        ended = (told.get("exit_code"), told.get("signal"))
        short = _out_of_memory(*ended, int(told.get("memory_kills") or 0))
        return short or End(*ended, told.get("refused"), words, cause=cause)
    if 128 < code <= 128 + _LAST_SIGNAL:
        return End(None, code - 128, words=words, cause=cause)
    return End(code, None, words=words, cause=cause)


def _out_of_memory(exit_code: int | None, signal_number: int | None, kills: int) -> End | None:
    """The end of a task in whose container the kernel killed `kills` processes.

    None if the task did not end because of that.
    """
    words = memory_end(kills, None, exit_code, signal_number) if kills else None
    if words is None:
        return None
    return End(exit_code, signal_number, None, words, "raise its resources.memory", "oom")


def _not_started(pod: Pod, said: str) -> End:
    if "executable file not found" in said or "no such file" in said:
        said = f"the image {_image(pod)} does not contain tenfold"
    return End(None, None, refused=said, hint="build it with tenfold installed: docker/Dockerfile")


def _told(message: object) -> Mapping[str, Any] | None:
    """The task runner's text in the termination log."""
    try:
        said = json.loads(str(message))
    except ValueError:
        return None
    return said if isinstance(said, dict) and "exit_code" in said else None


def _disrupted(pod: Pod) -> str | None:
    """What the cluster did to the pod, if anything."""
    status = pod.get("status", {})
    if status.get("reason") == "Evicted":
        return f"was evicted from its node: {status.get('message')}"
    disruption = _condition(pod, "DisruptionTarget")
    if disruption.get("status") == "True":
        return f"was removed from its node: {disruption.get('message') or disruption.get('reason')}"
    return None
