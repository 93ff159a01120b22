"""A script that asks the configured cluster's API server for its version.

It runs in a process of its own.

Prints one JSON object: `state`, `version`, `message`, and `kind`, by which a hint is chosen. It
imports nothing of tenfold's, and `kubernetes` by name only, which need not be installed where
tenfold's types are checked.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast


def _say(state: str, kind: str, message: str, version: str | None = None) -> None:
    print(json.dumps({"state": state, "kind": kind, "message": message, "version": version}))


def _client(config: Any, client: Any, context: str | None) -> tuple[Any, str]:
    """A client that does not retry, and a description of where it connects."""
    made = client.Configuration()
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    paths = [os.path.expanduser(p) for p in named.split(os.pathsep) if p]  # noqa: PTH111 - it never raises
    if any(Path(path).is_file() for path in paths):
        config.load_kube_config(context=context, client_configuration=made)
        context = context or config.list_kube_config_contexts()[1]["name"]
    else:
        config.load_incluster_config(client_configuration=made)
        context = "this pod's own"
    made.retries = False
    return client.ApiClient(made), f"{made.host} (context {context})"


def ask(timeout_s: float, context: str | None = None) -> None:
    """Print the answer of a context's cluster. None is the current context."""
    # The client would import it, and its grammars take two seconds.
    sys.modules["kubernetes_validate"] = cast("ModuleType", None)
    config = importlib.import_module("kubernetes.config")
    client = importlib.import_module("kubernetes.client")
    try:
        connection, where = _client(config, client, context)
    except Exception as error:  # what a configuration can hold wrong, the library does not say
        _say("broken", "config", f"the Kubernetes configuration is invalid: {_one_line(error)}")
        return
    try:
        said = client.VersionApi(connection).get_code(_request_timeout=timeout_s)
    except client.ApiException as error:
        _say("broken", str(error.status), f"{where} denies access: {error.status} {error.reason}")
    except Exception as error:  # urllib3's and ssl's own
        kind = "tls" if "CERTIFICATE" in str(error).upper() else "silent"
        timed_out = "timed out" in str(error)
        why = f"no response within {timeout_s:g} s" if timed_out else _one_line(error)
        _say("broken", kind, f"{where} does not respond: {why}")
    else:
        _say("ok", "", f"{where} answers", str(said.git_version).removeprefix("v"))


def _one_line(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error) or type(error).__name__
    text = re.sub(r"^HTTPS?Connection\(.*?\): ", "", text)  # urllib3's, and said before
    return " ".join(text.split())[:200]


if __name__ == "__main__":
    ask(float(sys.argv[1]), *sys.argv[2:3])
