"""An API server and one node, as far as the Kubernetes cell speaks to them: HTTP of the real form.

What is real: HTTP, JSON, chunked watches and logs, resource versions, and, unless a test plays
another history, the containers: each pod's command runs here as a process, its paths mapped into
a directory of its own, its exit code, signal, termination message and probes as a kubelet tells
them. What is not: scheduling, images, networks, admission. Histories that no machine here can have
(an image that cannot be fetched, a node that is drained) are played by tests.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.cells.fake_container import Container, now

Object = dict[str, Any]

_KINDS = {
    "services": "Service",
    "configmaps": "ConfigMap",
    "secrets": "Secret",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "pods": "Pod",
    "events": "Event",
    "networkpolicies": "NetworkPolicy",
    "jobs": "Job",
}


History = Callable[[Container], None]


def really(container: Container) -> None:
    """The history of a container that nothing happens to: its command runs."""
    container.is_("Pending")
    container.really()


class FakeKubernetes:
    """The server. `histories` says, by task label and life, what becomes of a pod.

    Attributes:
        histories: by `worker-3`, a history for each life; the last one stays.
        refusals: by `POST Job`, the status and message of a refusal.
        no_pods: by task label, why the Job controller may not make its pod.
        requests: `METHOD Kind name` of all requests, in order.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.histories: dict[str, list[History]] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.no_pods: dict[str, str] = {}
        self.requests: list[str] = []
        self.change = threading.Condition()
        self.objects: dict[tuple[str, str], Object] = {}
        self.containers: dict[str, Container] = {}
        self._version = 100
        self._happened: list[tuple[int, str, Object]] = []
        self._oldest = 0
        self._seen = 0
        self._broken = {"watch": 0, "log": 0}
        fake = self

        class Handler(_Handler):
            cluster = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End the server and every process of its containers."""
        for container in self.containers.values():
            container.kill()
        with self.change:
            self._broken = {name: count + 1 for name, count in self._broken.items()}
            self.change.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, namespace: str = "ml") -> Path:
        """A configuration that names this server."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        context = {"cluster": "fake", "user": "me", "namespace": namespace}
        text = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": context}],
            "clusters": [{"name": "fake", "cluster": {"server": url}}],
            "users": [{"name": "me", "user": {"token": "open sesame"}}],
        }
        path = self.directory / "kubeconfig"
        path.write_text(json.dumps(text))
        return path

    def kinds(self) -> list[str]:
        """The kinds of the objects there are."""
        with self.change:
            return sorted(kind for kind, _ in self.objects)

    def find(self, kind: str, name: str) -> Object:
        """An object; KeyError if there is none."""
        with self.change:
            return self.objects[kind, name]

    def container(self, label: str) -> Container:
        """The newest container of a task."""
        with self.change:
            found = [
                one
                for one in self.containers.values()
                if one.pod["metadata"]["labels"]["tenfold/task"] == label
            ]
            return found[-1]

    def break_off(self, what: str) -> None:
        """Cut all connections that carry a `watch` or a `log`, in the middle."""
        with self.change:
            self._broken[what] += 1
            self.change.notify_all()

    def forget_history(self) -> None:
        """Every resource version up to now is too old to watch from."""
        with self.change:
            self._oldest = self._version = self._version + 1
            self._happened.clear()

    # What the handler does.

    def create(self, kind: str, made: Object) -> Object:
        """Add an object; a Job gets its pod."""
        name = made["metadata"]["name"]
        with self.change:
            self._version += 1
            own = {"uid": f"uid-{self._version}", "resourceVersion": str(self._version)}
            made["metadata"] |= own
            self.objects[kind, name] = made
        if kind == "Job":
            self._make_pod(made)
        return made

    def _make_pod(self, job: Object) -> None:
        template = copy.deepcopy(job["spec"]["template"])
        label = template["metadata"]["labels"]["tenfold/task"]
        if said := self.no_pods.get(label):
            event = {"metadata": {"name": f"{job['metadata']['name']}.1"}, "reason": "FailedCreate"}
            event |= {"message": f"Error creating: {said}"}
            event["involvedObject"] = {"kind": "Job", "name": job["metadata"]["name"]}
            self.create("Event", event)
            return
        template["metadata"] |= {"name": f"{job['metadata']['name']}-x7k2p"}
        template["metadata"]["ownerReferences"] = [{"uid": job["metadata"]["uid"]}]
        template["status"] = {"phase": "Pending"}
        container = Container(self, template)
        life = int(template["metadata"]["labels"]["tenfold/life"])
        with self.change:
            self._version += 1
            template["metadata"]["uid"] = f"uid-{self._version}"
            self.objects["Pod", container.name] = template
            self.containers[container.name] = container
        self.changed(template, "ADDED")
        played = self.histories.get(label, [really])
        history = played[min(life, len(played)) - 1]
        threading.Thread(target=history, args=(container,), daemon=True).start()

    def changed(self, pod: Object, how: str) -> None:
        """Tell watchers of a pod."""
        with self.change:
            self._version += 1
            pod["metadata"]["resourceVersion"] = str(self._version)
            self._happened.append((self._version, how, copy.deepcopy(pod)))
            self.change.notify_all()

    def wait_until_seen(self, pod: Object) -> None:
        """Wait until a client has listed or watched the pod as it is, five seconds at most.

        Histories that tests play are many changes within milliseconds. A client that lists the pods
        only after them sees the last one alone, as it would of a real server.
        """
        with self.change:
            version = int(pod["metadata"].get("resourceVersion", 0))
            self.change.wait_for(lambda: self._seen >= version, 5.0)

    def saw(self, version: int) -> None:
        """A client knows everything up to this version."""
        with self.change:
            self._seen = max(self._seen, version)
            self.change.notify_all()

    def forget(self, pod: Object) -> None:
        """A pod is no more."""
        with self.change:
            gone = self.objects.pop(("Pod", pod["metadata"]["name"]), None)
        if gone is not None:
            self.changed(gone, "DELETED")

    def delete(self, kind: str, name: str, options: Object) -> None:
        """Delete an object, or have a pod end first."""
        made = self.find(kind, name)
        if kind == "Pod":
            self.delete_pod(name, options.get("gracePeriodSeconds", 30))
            return
        with self.change:
            self.objects.pop((kind, name), None)
            pods = [one for (k, _), one in self.objects.items() if k == "Pod"]
        for pod in pods:
            owners = pod["metadata"].get("ownerReferences", [])
            if made["metadata"]["uid"] in [one["uid"] for one in owners]:
                self.delete_pod(pod["metadata"]["name"], 30)

    def delete_pod(self, name: str, grace_s: int) -> None:
        """As `kubectl delete pod` does it."""
        container = self.containers[name]
        container.grace_s = min(grace_s, container.grace_s)
        again = container.deleted.is_set()
        pod = container.pod
        pod["metadata"]["deletionTimestamp"] = now()
        container.deleted.set()
        if grace_s == 0 or container.log_ended or not container.attended:
            container.kill()
            self.forget(pod)
        elif not again:
            self.changed(pod, "MODIFIED")

    def selected(self, kind: str, query: dict[str, str]) -> list[Object]:
        """The objects that match the selectors of a request."""
        with self.change:
            found = [copy.deepcopy(one) for (k, _), one in self.objects.items() if k == kind]
        for chosen in filter(None, query.get("labelSelector", "").split(",")):
            key, value = chosen.split("=")
            found = [o for o in found if o["metadata"].get("labels", {}).get(key) == value]
        for chosen in filter(None, query.get("fieldSelector", "").split(",")):
            key, value = chosen.removeprefix("involvedObject.").split("=")
            found = [o for o in found if o["involvedObject"].get(key) == value]
        return found

    def version(self) -> str:
        """The newest resource version."""
        with self.change:
            return str(self._version)

    def broken(self, what: str) -> int:
        """How often connections of this sort were cut."""
        return self._broken[what]

    def is_too_old(self, version: int) -> bool:
        """Whether one can watch from there."""
        return version < self._oldest

    def since(self, version: int) -> list[tuple[int, str, Object]]:
        """What happened after `version`; to be called with `change` held."""
        return [one for one in self._happened if one[0] > version]


class _Cut(Exception):
    """The test has this connection cut."""


class _Handler(BaseHTTPRequestHandler):
    cluster: FakeKubernetes
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Read, list, watch, follow."""
        kind, name, rest, query = self._parts()
        if self.path == "/version":
            self._answer(200, {"gitVersion": "v1.33.1"})
        elif self._refused("GET", kind, name):
            return
        elif rest == "log":
            self._stream("log", lambda: self._log(name, query))
        elif query.get("watch") == "true":
            self._stream("watch", lambda: self._watch(query))
        elif name:
            self._found(lambda: self.cluster.find(kind, name))
        else:
            version = self.cluster.version()
            items = self.cluster.selected(kind, query)
            self._answer(200, {"metadata": {"resourceVersion": version}, "items": items})
            if kind == "Pod":
                self.cluster.saw(int(version))

    def do_POST(self) -> None:
        """Create."""
        kind, _, _, _ = self._parts()
        made = self._body()
        name = made["metadata"]["name"]
        if self._refused("POST", kind, name):
            return
        if (kind, name) in self.cluster.objects:
            message = f'{kind.lower()}s "{name}" already exists'
            self._answer(409, {"reason": "AlreadyExists", "message": message})
            return
        self._answer(201, self.cluster.create(kind, made))

    def do_DELETE(self) -> None:
        """Delete, if it is the very object that is meant."""
        kind, name, _, _ = self._parts()
        options = self._body()
        if self._refused("DELETE", kind, name):
            return

        def delete() -> Object:
            wanted = options.get("preconditions", {}).get("uid")
            assert wanted == self.cluster.find(kind, name)["metadata"]["uid"]
            self.cluster.delete(kind, name, options)
            return {"status": "Success"}

        self._found(delete)

    def _parts(self) -> tuple[str, str, str, dict[str, str]]:
        url = urlsplit(self.path)
        words = url.path.split("/")
        at = words.index("namespaces") + 2 if "namespaces" in words else len(words)
        kind, name, rest = (*words[at:], "", "", "")[:3]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        return _KINDS.get(kind, kind), name, rest, query

    def _refused(self, method: str, kind: str, name: str) -> bool:
        self.cluster.requests.append(f"{method} {kind} {name}".rstrip())
        if self.headers.get("authorization") != "Bearer open sesame":
            self._answer(401, {"reason": "Unauthorized", "message": "Unauthorized"})
            return True
        found = self.cluster.refusals.get(f"{method} {kind}")
        if found is not None:
            self._answer(found[0], {"reason": "Forbidden", "message": found[1]})
        return found is not None

    def _body(self) -> Object:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return dict(json.loads(data or b"{}"))

    def _found(self, work: Callable[[], Object]) -> None:
        try:
            self._answer(200, work())
        except KeyError:
            self._answer(404, {"reason": "NotFound", "message": "not found"})

    def _answer(self, status: int, value: Object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, what: str, work: Callable[[], None]) -> None:
        """Answer in chunks; the end is told, unless the connection is cut."""
        self._cut_at = self.cluster.broken(what)
        self._what = what
        if what == "log" and self._parts()[1] not in self.cluster.containers:
            self._answer(404, {"reason": "NotFound", "message": "pod not found"})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            work()
            self.wfile.write(b"0\r\n\r\n")
        except (_Cut, OSError):
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _wait(self) -> None:
        """Until something changes; to be called with `change` held."""
        if self.cluster.broken(self._what) != self._cut_at:
            raise _Cut
        self.cluster.change.wait(0.5)
        if self.cluster.broken(self._what) != self._cut_at:
            raise _Cut

    def _watch(self, query: dict[str, str]) -> None:
        version = int(query["resourceVersion"])
        key, value = query["labelSelector"].split("=")
        ends = time.monotonic() + int(query["timeoutSeconds"])
        while time.monotonic() < ends:
            with self.cluster.change:
                if self.cluster.is_too_old(version):
                    gone = {"code": 410, "reason": "Expired", "message": "too old"}
                    self._chunk(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
                    return
                news = self.cluster.since(version)
                if not news:
                    self._wait()
            for at, how, pod in news:
                version = at
                if pod["metadata"]["labels"].get(key) == value:
                    self._chunk(json.dumps({"type": how, "object": pod}).encode() + b"\n")
                    self.cluster.saw(at)

    def _log(self, name: str, query: dict[str, str]) -> None:
        container = self.cluster.containers[name]
        since = query.get("sinceTime", "").removesuffix("Z").encode()
        told = 0
        while True:
            with self.cluster.change:
                lines, over = container.log[told:], container.log_ended
                told += len(lines)
                if not lines and not over:
                    self._wait()
            for line in lines:
                if line >= since:
                    self._chunk(line)
            if over and not lines:
                return
