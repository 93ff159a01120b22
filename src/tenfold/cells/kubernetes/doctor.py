"""Kubernetes: its client library, its configuration and its API server.

Owns: telling the reasons apart. The official `kubernetes` package is imported in a child only: it
takes a second, and a plug-in that fetches credentials may hang. kubectl is never used.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path

from tenfold.base.quantities import limit_text
from tenfold.cells.probing.ask import Answer, ask
from tenfold.cells.probing.findings import Finding, State
from tenfold.cells.probing.hints import pip_install

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Credentials with which a pod uses its cluster's API."""

_QUESTION = Path(__file__).with_name("question.py")
_HINTS = {
    "config": "fix it, or set KUBECONFIG to another file",
    "401": "log in again; ask the administrator of the cluster how",
    "403": "ask the administrator of the cluster for permission to create Jobs, Services and Pods",
    "tls": "check certificate-authority-data in the configuration",
    "silent": "check that the cluster is running; set another context in cells.kubernetes.context",
}


def configuration() -> list[Path]:
    """The existing configuration files, from KUBECONFIG or ~/.kube/config."""
    named = os.environ.get("KUBECONFIG")
    names = named.split(os.pathsep) if named else ["~/.kube/config"]
    paths = [Path(os.path.expanduser(name)) for name in names if name]  # noqa: PTH111 - it never raises
    return [path for path in paths if path.is_file()]


def in_pod() -> bool:
    """Whether this is a pod that may use its own cluster."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and ACCOUNT.exists()


def cluster(timeout_s: float = 10.0, context: str | None = None) -> Finding:
    """The cluster of the configuration: its version, or why it is unusable.

    `context` is one of the configuration's, None the one that is current. Ends after about
    `timeout_s` seconds.
    """
    if importlib.util.find_spec("kubernetes") is None:
        message = "the Python package kubernetes is not installed"
        return _found("missing", None, message, pip_install("tenfold[kubernetes]"))
    if not configuration() and not in_pod():
        named = os.environ.get("KUBECONFIG")
        absent = f"no file {named} (KUBECONFIG)" if named else "no ~/.kube/config"
        message = f"there is {absent}, so no cluster is known"
        hint = "put the configuration of your cluster there, or set KUBECONFIG"
        return _found("missing", None, message, hint)
    # -P: the modules beside the question are not its own; one is called kubernetes
    question = [sys.executable, "-P", str(_QUESTION), f"{timeout_s:g}", *filter(None, [context])]
    answer = ask(question, timeout_s + 1)
    if answer is None:
        return _found(
            "broken", None, f"no response within {limit_text(timeout_s)}", _HINTS["silent"]
        )
    return _read(answer)


def _found(state: State, version: str | None, message: str, hint: str | None) -> Finding:
    return Finding("cell", "kubernetes", state, version, message, hint)


def _read(answer: Answer) -> Finding:
    try:
        said = json.loads(answer.out)
        state, version, message = said["state"], said["version"], said["message"]
        return _found(state, version, message, _HINTS.get(said["kind"]))
    except (ValueError, KeyError, TypeError):
        version = importlib.metadata.version("kubernetes")
        message = f"the Python package kubernetes {version} does not work: {answer.last_line()}"
        hint = pip_install("--upgrade", "tenfold[kubernetes]")
        return _found("broken", None, message, hint)
