"""The Kubernetes cell: every life of a task a Job of its own, watched by the run's supervisor.

Owns the objects of one run: it makes them, tells what becomes of their pods, and deletes them. A
Job makes one pod, once: whether a task is started again is the supervisor's decision here as on
every cell, so restarts, their limits and their order are the same everywhere. (What is rendered
for `kubectl apply` has no supervisor and leaves all that to Indexed Jobs.)

    kubernetes_cell.py       the run's life: start, signal, hear of ends
    kubernetes_api.py        requests and errors
    kubernetes_watch.py      hearing of pods
    kubernetes_pods.py       what their states mean
    kubernetes_logs.py       their output
    kubernetes_made.py       the objects it makes: made, remembered, removed
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tenfold.cells import Handlers, Kind, Patience, Wishes, secrets_of
from tenfold.cells.kubernetes_api import Api
from tenfold.cells.kubernetes_cell import KubernetesCell, kubectl
from tenfold.cells.kubernetes_made import forget, remembered, remove
from tenfold.errors import TenfoldError
from tenfold.naming import label_of
from tenfold.plans import Plan
from tenfold.render import File, RenderLocations
from tenfold.render.kubernetes_names import placed
from tenfold.render.kubernetes_objects import require_images
from tenfold.render.pods import CONTAINER
from tenfold.render.workdirs import inside
from tenfold.rundir import RunDirectory


class KubernetesKind(Kind):
    """Jobs of a Kubernetes cluster."""

    words = "on Kubernetes"
    patience = Patience(kill_s=90.0, settle_s=10.0)  # what is not heard of a node is waited for

    def place(self, plan: Plan) -> Plan:
        """Every task has a name in the domain of the cluster's Service, and the same port."""
        return placed(inside(plan))

    def accepted(self, plan: Plan) -> Plan:
        """And every task has an image."""
        require_images(plan)
        return super().accepted(plan)

    def require(self, plan: Plan) -> None:
        """Images are named, the client is there, and the API server answers."""
        require_images(plan)
        Api(plan.settings).version()

    def render(self, plan: Plan, places: RenderLocations) -> list[File]:
        """manifests.yaml."""
        from tenfold.render.manifests import manifests

        return [manifests(plan, secrets_of(plan), places)]

    def make(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> KubernetesCell:
        """The cell of one run."""
        return KubernetesCell(plan, run, hear, wishes)

    def sweep(self, run: RunDirectory) -> list[str]:
        """Delete the objects that carry the run's label."""
        known = remembered(run)
        if known is None:
            return []
        removed = remove(Api(known), run)
        forget(run)
        return removed

    def beside(self, run: RunDirectory, task: str, words: Sequence[str]) -> list[str] | None:
        """Through `kubectl exec`."""
        known = remembered(run) or {}
        pod = (known.get("pods") or {}).get(label_of(task))
        if pod is None:
            raise TenfoldError(f"{task} has no pod", hint="tenfold ps shows how it ended")
        terminal = ["-it"] if sys.stdin.isatty() and sys.stdout.isatty() else ["-i"]
        there = ["python", "-P", "-m", "tenfold.launch.beside", task, *words]
        base = kubectl(known.get("context"), known["namespace"])
        return [*base, "exec", *terminal, pod, "-c", CONTAINER, "--", *there]


KIND = KubernetesKind()
