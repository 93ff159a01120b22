"""Send requests to an API server.

Requests and answers are plain JSON, and errors are sentences.

The official client finds the configuration (kubeconfig, its plug-ins, a pod's own) and makes the
connections; it is imported when it is first needed, since that takes a second. Objects are plain
data, so that any version of the client will do. Everything here blocks: call it in threads.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tenfold.base.absent import absent
from tenfold.errors import TenfoldError, UnavailableError

Object = dict[str, Any]

PATHS = {
    "Service": "/api/v1/namespaces/{}/services",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Event": "/api/v1/namespaces/{}/events",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}
"""Paths of the kinds that this cell uses."""

_CONNECT_S = 5.0
_READ_S = 30.0
_QUIET_S = 20.0
"""A log that is silent for so long is requested again.

The connection may be dead.
"""
_CONNECTIONS = 1000
_INSTALL = "pip install 'tenfold[kubernetes]'"


class ApiError(TenfoldError):
    """The API server refuses a request.

    `status` is the HTTP status, `reason` is Kubernetes' own word.
    """

    def __init__(self, message: str, status: int, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


class SilentError(TenfoldError):
    """The API server does not answer."""


@dataclass(frozen=True, slots=True)
class Where:
    """The cluster and the namespace. `context` is None for the current one."""

    context: str | None
    namespace: str


class Api:
    """One namespace of one cluster, through one configuration."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Raises UnavailableError if there is no client or no valid configuration."""
        if importlib.util.find_spec("kubernetes") is None:
            raise UnavailableError(
                "the Python package kubernetes is not installed", hint=f"install it: {_INSTALL}"
            )
        self._configuration, found = _configured(settings.get("context"))
        client = importlib.import_module("kubernetes.client")
        self._pool = client.ApiClient(self._configuration).rest_client.pool_manager
        self._errors = importlib.import_module("urllib3.exceptions").HTTPError
        self.where = Where(settings.get("context"), settings.get("namespace") or found)

    def version(self) -> str:
        """The server's version.

        Raises UnavailableError if the server does not answer, or refuses.
        """
        try:
            return str(self._json("GET", "/version").get("gitVersion", "")).removeprefix("v")
        except TenfoldError as error:
            raise UnavailableError(error.message, hint=error.hint, cause=error) from error

    def create(self, made: Object) -> Object:
        """Create an object, and return it as the server has it."""
        return self._json("POST", self._path(made["kind"]), body=made)

    def read(self, kind: str, name: str) -> Object:
        """One object."""
        return self._json("GET", self._path(kind, name))

    def list(self, kind: str, selector: str = "", fields: str = "") -> Object:
        """The objects of a kind, as `items`, and the `metadata` of the list."""
        query = {"labelSelector": selector, "fieldSelector": fields}
        return self._json("GET", self._path(kind), {k: v for k, v in query.items() if v})

    def delete(self, kind: str, made: Object, grace_s: int | None = None) -> None:
        """Delete this very object and what it owns. A missing object is no error."""
        metadata = made["metadata"]
        options: Object = {"propagationPolicy": "Foreground" if kind == "Job" else "Background"}
        options["preconditions"] = {"uid": metadata["uid"]}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            self._json("DELETE", self._path(kind, metadata["name"]), body=options)
        except ApiError as error:
            if error.status not in (404, 409):  # 409: another object has this name by now
                raise

    def watch(self, kind: str, selector: str, version: str, seconds: int) -> Iterator[Object]:
        """Changes of objects from `version` on, as `type` and `object`.

        Ends after `seconds`.
        """
        query = {
            "watch": "true",
            "labelSelector": selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        for line in self._lines(self._path(kind), query, seconds + 10.0):
            yield json.loads(line)

    def log(self, pod: str, container: str, since: str | None, *, follow: bool) -> Iterator[bytes]:
        """The lines a container wrote, each after its time and a space, as they come."""
        query = {"container": container, "timestamps": "true", "follow": str(follow).lower()}
        if since is not None:
            query["sinceTime"] = since
        return self._lines(f"{self._path('Pod', pod)}/log", query, _QUIET_S)

    def _path(self, kind: str, name: str | None = None) -> str:
        path = PATHS[kind].format(self.where.namespace)
        return path if name is None else f"{path}/{name}"

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Object:
        with self._told():
            response = self._request(method, path, query, body, (_CONNECT_S, _READ_S))
            return _object(response.data)

    def _lines(self, path: str, query: Mapping[str, str], read_s: float | None) -> Iterator[bytes]:
        """The lines of a streamed answer. The last one may lack its newline."""
        with self._told():
            response = self._request("GET", path, query, None, (_CONNECT_S, read_s), whole=False)
            rest = b""
            try:
                for piece in response.stream(1 << 16):
                    *lines, rest = (rest + piece).split(b"\n")
                    yield from lines
            finally:
                response.close()
            if rest:
                yield rest

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        wait_s: tuple[float, float | None],
        *,
        whole: bool = True,
    ) -> Any:
        timeout = importlib.import_module("urllib3").Timeout(connect=wait_s[0], read=wait_s[1])
        response = self._pool.request(
            method,
            self._configuration.host + path + (f"?{urlencode(query)}" if query else ""),
            body=None if body is None else json.dumps(body).encode(),
            headers=self._headers(),
            timeout=timeout,
            retries=False,
            preload_content=whole,
        )
        if response.status >= 400:
            raise refused(response.status, _object(response.read() if not whole else response.data))
        return response

    def _headers(self) -> dict[str, str]:
        """Headers with the current credentials, which plug-ins renew."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        for one in self._configuration.auth_settings().values():
            if one["in"] == "header" and one["value"]:
                headers[one["key"]] = one["value"]
        return headers

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (self._errors, OSError) as error:
            raise SilentError(
                f"the API server {self._configuration.host} does not respond: {_one_line(error)}",
                hint="check that the cluster is running and the context is correct: "
                "kubectl config get-contexts",
                cause=error,
            ) from error


def slim_api(settings: Mapping[str, Any]) -> Api:
    """An `Api` for a process of tenfold's own, without the client's validator.

    The client imports kubernetes-validate where that is installed, and its grammars take two
    seconds of CPU. Nothing here validates objects, but a user's own process may: there, use `Api`.
    Raises UnavailableError as `Api` does.
    """
    with absent("kubernetes_validate"):
        return Api(settings)


def _configured(context: str | None) -> tuple[Any, str]:
    """The client's configuration, and the namespace that it names."""
    config = importlib.import_module("kubernetes.config")
    made = importlib.import_module("kubernetes.client").Configuration()
    made.retries = False
    made.connection_pool_maxsize = _CONNECTIONS
    try:
        file = os.environ.get("KUBECONFIG") or None  # the client looks only when it is imported
        config.load_kube_config(file, context=context, client_configuration=made)
        contexts, current = config.list_kube_config_contexts(file)
        named = [one for one in contexts if one["name"] == context] if context else [current]
        return made, str(named[0].get("context", {}).get("namespace") or "default")
    except Exception as error:  # the client does not say what a configuration can hold wrong
        try:
            config.load_incluster_config(client_configuration=made)
        except Exception:
            raise UnavailableError(
                f"no Kubernetes cluster is known: {_one_line(error)}",
                hint="see kubectl config view, set KUBECONFIG to another file, "
                "or run tenfold doctor",
                cause=error,
            ) from error
        return made, _own_namespace()


def _own_namespace() -> str:
    path = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return "default"


def _object(data: bytes) -> Object:
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def refused(status: int, said: Object) -> ApiError:
    """The server's refusal in its own words, with what to do about it."""
    message = str(said.get("message") or f"HTTP status {status}")
    reason = str(said.get("reason") or "")
    hint = None
    if status == 401:
        message, hint = (
            "the API server does not accept your login: " + message,
            "log in to it again",
        )
    elif status == 403 and "quota" not in message and "PodSecurity" not in message:
        hint = "ask the administrator of the cluster for this permission (the role `edit` has it)"
    elif status == 404 and message.startswith("namespaces "):
        hint = "create it with kubectl create namespace, or set cells.kubernetes.namespace"
    return ApiError(message, status, reason, hint)


def _one_line(error: BaseException) -> str:
    text = str(getattr(error, "reason", None) or error) or type(error).__name__
    return " ".join(text.split())[:200]


def kubectl(context: str | None, namespace: str) -> list[str]:
    """The beginning of a kubectl command line for this cluster."""
    chosen = ["--context", context] if context else []
    return ["kubectl", *chosen, "--namespace", namespace]
