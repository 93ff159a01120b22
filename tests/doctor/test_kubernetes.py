"""Kubernetes as it can be found, with the official client and an API server of our own."""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tenfold.cells.kubernetes import doctor as kubernetes
from tenfold.cells.kubernetes.doctor import cluster

FIELDS = ["gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"]
VERSION = {"major": "1", "minor": "31", "gitVersion": "v1.31.2"} | dict.fromkeys(FIELDS, "x")
CONFIGURATION = """
apiVersion: v1
kind: Config
current-context: here
clusters:
- {name: near, cluster: {server: "%s"}}
- {name: nowhere, cluster: {server: "http://127.0.0.1:1"}}
contexts:
- {name: here, context: {cluster: near, user: me}}
- {name: there, context: {cluster: nowhere, user: me}}
users:
- {name: me, user: {token: secret}}
"""

client = pytest.mark.skipif(
    importlib.util.find_spec("kubernetes") is None, reason="kubernetes is not installed"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a configuration, outside of any pod."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def configure(home: Path, server: str) -> None:
    (home / ".kube").mkdir(exist_ok=True)
    (home / ".kube" / "config").write_text(CONFIGURATION % server)


@contextmanager
def api_server(code: int) -> Iterator[str]:
    """Answers /version with `code`; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/version/" else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(VERSION if code == 200 else {"code": code}).encode())

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_missing_kubernetes_client_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = cluster()
    assert (found.area, found.name, found.state) == ("cell", "kubernetes", "missing")
    assert (found.hint or "").endswith("pip install 'tenfold[kubernetes]'")


@client
def test_a_missing_kubeconfig_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster().message == "there is no ~/.kube/config, so no cluster is known"
    monkeypatch.setenv("KUBECONFIG", "/nonexistent/config")
    found = cluster()
    assert found.state == "missing"
    assert "no file /nonexistent/config (KUBECONFIG)" in found.message


@client
def test_a_server_that_answers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(200) as url:
        configure(home, url)
        found = cluster()
        monkeypatch.setenv("KUBECONFIG", f"/nonexistent:{home}/.kube/config")
        assert cluster() == found
    assert (found.state, found.version, found.hint) == ("ok", "1.31.2", None)
    assert found.message == f"{url} (context here) answers"


@client
def test_the_configured_context_is_examined(home: Path) -> None:
    configure(home, "http://127.0.0.1:2")
    found = cluster(context="there")
    assert found.state == "broken"
    assert found.message.startswith("http://127.0.0.1:1 (context there) does not respond: Failed")
    assert "no-such" in cluster(context="no-such").message


@client
@pytest.mark.parametrize(("code", "hint"), [(401, "log in again"), (403, "administrator")])
def test_a_server_that_refuses(home: Path, code: int, hint: str) -> None:
    with api_server(code) as url:
        configure(home, url)
        found = cluster()
    assert found.state == "broken"
    assert f"denies access: {code}" in found.message
    assert hint in (found.hint or "")


@client
def test_a_server_that_never_answers(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        configure(home, f"http://127.0.0.1:{listener.getsockname()[1]}")
        found = cluster(1.0)
    assert found.state == "broken"
    assert "no response within 1 s" in found.message


@client
def test_a_configuration_that_cannot_be_used(home: Path) -> None:
    configure(home, "x")
    (home / ".kube" / "config").write_text("current-context: [\n")
    found = cluster()
    assert found.state == "broken"
    assert found.message.startswith("the Kubernetes configuration is invalid: ")
    assert "\n" not in found.message


@client
def test_a_plug_in_that_hangs_is_not_waited_for(home: Path) -> None:
    plug = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep, args: ['600']}}"
    configure(home, "http://127.0.0.1:1")
    path = home / ".kube" / "config"
    path.write_text(path.read_text().replace("{token: secret}", plug))
    found = cluster(1.0)
    assert (found.state, found.message) == ("broken", "no response within 1 s")


@client
def test_a_client_that_does_not_work(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(home, "http://127.0.0.1:1")
    broken = home / "broken" / "kubernetes"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('torn')")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    found = cluster()
    assert found.state == "broken"
    assert "does not work: ImportError: torn" in found.message
    assert "install --upgrade 'tenfold[kubernetes]'" in (found.hint or "")


def test_a_pod_has_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not kubernetes.in_pod()
    monkeypatch.setattr(kubernetes, "ACCOUNT", tmp_path)
    assert not kubernetes.in_pod()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert kubernetes.in_pod()
