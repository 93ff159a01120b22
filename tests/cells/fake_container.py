"""One container of the fake cluster: played by a test, or really run as a process here."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

Object = dict[str, Any]

_SOON_S = 0.02


class Cluster(Protocol):
    """What a container needs of its cluster: a `FakeKubernetes`."""

    directory: Path
    change: threading.Condition

    def changed(self, pod: Object, how: str) -> None:
        """Tell watchers of a pod."""

    def wait_until_seen(self, pod: Object) -> None:
        """Wait until a client has seen the pod as it is."""

    def forget(self, pod: Object) -> None:
        """A pod is no more."""

    def find(self, kind: str, name: str) -> Object:
        """An object; KeyError if there is none."""


def now() -> str:
    """The time as a kubelet writes it before lines."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{stamp}000Z"


class Container:
    """The task's container of one pod, and what becomes of it; every call is seen by watchers."""

    def __init__(self, cluster: Cluster, pod: Object) -> None:
        self.cluster = cluster
        self.pod = pod
        self.deleted = threading.Event()
        self.grace_s = 30
        self.log: list[bytes] = []
        self.log_ended = False
        self.attended = False  # a kubelet sees to its end
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def home(self) -> Path:
        """The directory that stands for its file system."""
        return self.cluster.directory / str(self.pod["metadata"]["uid"])

    @property
    def spec(self) -> Object:
        """The container's spec."""
        return dict(self.pod["spec"]["containers"][0])

    def is_(self, phase: str, state: Object | None = None, **more: Any) -> None:
        """The pod is in this phase, its container in this state."""
        status: Object = {"phase": phase, **more}
        if state is not None:
            self.pod["spec"]["nodeName"] = "node-1"
            one = {"name": "task", "image": self.spec["image"], "state": state}
            one["started"] = more.pop("started", False)
            status["containerStatuses"] = [one]
        status.pop("started", None)
        self.cluster.wait_until_seen(self.pod)
        self.pod["status"] = status
        self.cluster.changed(self.pod, "MODIFIED")

    def waits(self, reason: str, message: str = "") -> None:
        """The container cannot start now."""
        self.is_("Pending", {"waiting": {"reason": reason, "message": message}})

    def runs(self, *, ready: bool = False) -> None:
        """The command has been started."""
        conditions = [{"type": "Ready", "status": str(ready)}]
        self.is_("Running", {"running": {}}, started=True, conditions=conditions)

    def says(self, *lines: str) -> None:
        """The command writes these lines."""
        with self.cluster.change:
            self.log += [f"{now()} {line}\n".encode() for line in lines]
            self.cluster.change.notify_all()

    def ends(self, code: int, *, reason: str = "", message: str = "", **more: Any) -> None:
        """The container is over."""
        with self.cluster.change:
            self.log_ended = True
            self.cluster.change.notify_all()
        state = {"exitCode": code, "reason": reason or ("Error" if code else "Completed")}
        phase = "Failed" if code else "Succeeded"
        self.is_(phase, {"terminated": state | {"message": message}}, **more)

    def is_gone(self) -> None:
        """The API server forgets the pod."""
        self.cluster.forget(self.pod)

    def really(self) -> None:
        """Run the command as a process of this machine, as a kubelet would."""
        self.attended = True
        home = self.home
        (home / "run").mkdir(parents=True)
        (home / "etc").mkdir()
        plan = self.cluster.find("ConfigMap", self.pod["spec"]["volumes"][1]["configMap"]["name"])
        (home / "etc" / "plan.json").write_text(plan["data"]["plan.json"])
        self._process = subprocess.Popen(
            self._mapped(home, self.spec["command"]),
            env=self._environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        reader = threading.Thread(target=self._read)
        reader.start()
        self._attend(home)
        reader.join(10)
        code = self._process.returncode
        message = home / "termination"
        said = message.read_text() if message.exists() else ""
        self.ends(128 - code if code < 0 else code, message=said)
        if self.deleted.is_set():
            self.is_gone()

    def _mapped(self, home: Path, words: list[str]) -> list[str]:
        places = {
            "/var/log/tenfold": str(home / "run"),
            "/etc/tenfold": str(home / "etc"),
            "/dev/termination-log": str(home / "termination"),
        }
        made = []
        for word in words:
            for there, here in places.items():
                word = word.replace(there, here)
            made.append(word)
        return made

    def _environment(self, home: Path) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {one["name"]: one["value"] for one in self.spec["env"]}
        values = self._mapped(home, list(own.values()))
        found = {"PATH": path} | dict(zip(own, values, strict=True)) | {"HOME": str(home)}
        for source in self.spec.get("envFrom", ()):
            found |= self.cluster.find("Secret", source["secretRef"]["name"])["stringData"]
        return found

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self.says(line.decode(errors="replace").removesuffix("\n"))

    def _attend(self, home: Path) -> None:
        """Look at the probes and at deletion until the process has ended."""
        assert self._process is not None
        startup = self._mapped(home, self.spec["startupProbe"]["exec"]["command"])[-1]
        probe = self.spec.get("readinessProbe")
        readiness = self._mapped(home, probe["exec"]["command"])[-1] if probe else None
        shown = (False, False)
        kill_at: float | None = None
        while self._process.poll() is None:
            started = Path(startup).exists()
            ready = started and (readiness is None or Path(readiness).exists())
            if started and (started, ready) != shown:
                shown = (started, ready)
                self.runs(ready=ready)
            if self.deleted.is_set() and kill_at is None:
                kill_at = time.monotonic() + self.grace_s
                self._process.send_signal(signal.SIGTERM)
            if kill_at is not None and time.monotonic() >= kill_at:
                self.kill()
            time.sleep(_SOON_S)

    def kill(self) -> None:
        """SIGKILL to all of it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
                for child in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
                    for pid in child.read_text().split():
                        os.kill(int(pid), signal.SIGKILL)
