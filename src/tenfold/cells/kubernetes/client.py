"""The Kubernetes cell: each life of a task is a Job, watched by the supervisor.

Owns the objects of one run: it makes them, tells what becomes of their pods, and deletes them. A
Job makes one pod, once: whether a task is started again is the supervisor's decision here as on
every cell, so restarts, their limits and their order are the same everywhere. (What is rendered
for `kubectl apply` has no supervisor and leaves all that to Indexed Jobs.)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tenfold.base.naming import label_of
from tenfold.cells.client_side import ClientSide, secrets_of
from tenfold.cells.kubernetes.api import Api, kubectl
from tenfold.cells.kubernetes.doctor import cluster
from tenfold.cells.kubernetes.made import forget, remembered, remove
from tenfold.cells.kubernetes.names import placed
from tenfold.cells.kubernetes.objects import require_images
from tenfold.cells.kubernetes.pod_specs import CONTAINER
from tenfold.cells.probing.findings import Finding
from tenfold.cells.rendering import File, RenderLocations
from tenfold.cells.workdirs import inside
from tenfold.errors import TenfoldError
from tenfold.planning.plan import Plan
from tenfold.run.planfile import PlanFile
from tenfold.run.rundir import RunDirectory


class KubernetesClient(ClientSide):
    """Jobs of a Kubernetes cluster."""

    def place(self, plan: Plan) -> Plan:
        """Give every task a name in the Service's domain, and the same port."""
        return placed(inside(plan))

    def accepted(self, plan: Plan) -> Plan:
        """The plan, if every task has an image as well."""
        require_images(plan)
        return super().accepted(plan)

    def require(self, plan: Plan) -> None:
        """Require images, the client library, and an API server that responds."""
        require_images(plan)
        Api(plan.settings).version()

    def excludes(self, plan: Plan, running: PlanFile) -> str | None:
        """Exclude a second run in the same namespace.

        DNS names contain the cluster's name, so both would have the same ones.
        """
        settings = running.settings
        if any(settings.get(name) != plan.settings.get(name) for name in ("context", "namespace")):
            return None
        return "a second run needs another namespace (cells.kubernetes.namespace)"

    def render(self, plan: Plan, places: RenderLocations) -> list[File]:
        """manifests.yaml."""
        from tenfold.cells.kubernetes.manifests import manifests

        return [manifests(plan, secrets_of(plan), places)]

    def sweep(self, run: RunDirectory) -> list[str]:
        """Delete the objects that carry the run's label."""
        known = remembered(run)
        if known is None:
            return []
        removed = remove(Api(known), run)
        forget(run)
        return removed

    def beside(self, run: RunDirectory, task: str, words: Sequence[str]) -> list[str] | None:
        """Run a command through `kubectl exec`."""
        known = remembered(run) or {}
        pod = (known.get("pods") or {}).get(label_of(task))
        if pod is None:
            raise TenfoldError(f"{task} has no pod", hint="see how it ended with `tenfold ps`")
        terminal = ["-it"] if sys.stdin.isatty() and sys.stdout.isatty() else ["-i"]
        there = ["python", "-P", "-m", "tenfold.tasks.beside", task, *words]
        base = kubectl(known.get("context"), known["namespace"])
        return [*base, "exec", *terminal, pod, "-c", CONTAINER, "--", *there]

    def probe(self, plan: Plan | None) -> list[Finding]:
        """Probe the client library, the configuration and the API server."""
        return [cluster(context=plan.settings.get("context") if plan else None)]


CLIENT = KubernetesClient()
