"""Ports that others take between plan and start, where a run has no network of its own."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from chaos.ground import Ground, as_json, python
from chaos.trial import Trial
from tenfold.launch import namespace
from tenfold.run.jsonfiles import read_json
from tenfold.run.rendezvous import PORTS

LISTEN = """
import os, socket
host, port = os.environ["TENFOLD_ADDRESS"].split(":")
with socket.socket() as listener:
    listener.bind(("0.0.0.0", int(port)))
    listener.listen()
    print("listening", port)
"""

_HOLD_S = 0.05
_PAUSE_S = 0.001


class Thief:
    """A stranger on this machine: binds ports of the range that tenfold takes its from, one after
    the other, and every address that a run announces as soon as it is announced. `tries` counts
    the announced ones, `won` those it got."""

    def __init__(self, ground: Ground, rng: random.Random) -> None:
        self.tries = self.won = self.others = 0
        self._runs = ground.runs / as_json(ground.file)["cluster"]
        self._rng = rng
        self._seen: set[str] = set()
        self._over = threading.Event()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Thief]:
        """Steal until the end of the block."""
        thread = threading.Thread(target=self._steal, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(10)

    def _steal(self) -> None:
        held: list[tuple[float, socket.socket]] = []
        while not self._over.wait(_PAUSE_S):
            now = time.monotonic()
            while held and held[0][0] < now - _HOLD_S:
                held.pop(0)[1].close()
            if taken := _bound(self._rng.choice(PORTS)):
                self.others += 1
                held.append((now, taken))
            for port in self._announced():
                self.tries += 1
                if taken := _bound(port):
                    self.won += 1
                    held.append((now, taken))
        for _, taken in held:
            taken.close()

    def _announced(self) -> list[int]:
        """Ports of runs that were not seen before; cheap, since it is asked all the time."""
        found = []
        with contextlib.suppress(OSError):
            for name in set(os.listdir(self._runs)) - self._seen:
                told = read_json(self._runs / name / "addresses.json")
                if told:
                    self._seen.add(name)
                    found += [int(address.rpartition(":")[2]) for address in told.values()]
        return found


def _bound(port: int) -> socket.socket | None:
    made = socket.socket()
    try:
        made.bind(("0.0.0.0", port))
        made.listen()
    except OSError:
        made.close()
        return None
    return made


def stolen_ports(trial: Trial) -> None:
    """Starts in a row of tasks that listen, with a thief at work; and TensorFlow's servers."""
    starts = trial.pick(3, 100)
    for isolation in ("namespace", "none"):
        if isolation == "namespace" and namespace.refusal():
            trial.note("this machine has no namespaces")
            continue
        jobs = {"ps": python(LISTEN, tasks=4)}
        _starts(trial, {"cluster": isolation, "jobs": jobs}, isolation, starts)
    if not trial.quick:
        cluster = {
            "cluster": "servers",
            "framework": "tensorflow",
            "jobs": {"worker": {"tasks": 4}},
        }
        _servers(trial, cluster, 10)


def _starts(trial: Trial, cluster: Mapping[str, Any], isolation: str, starts: int) -> None:
    ground = Ground.of(trial, cluster, "--isolation", isolation)
    failures = []
    with Thief(ground, trial.rng).at_work() as thief:
        for _ in range(starts):
            run = ground.up()
            if run.until("succeeded", "failed", "stopped", timeout_s=60) != "succeeded":
                failures.append(str(run))
    run.why()
    _told(trial, f"isolation {isolation}", f"{starts} starts of 4 tasks", failures, thief)


def _servers(trial: Trial, cluster: Mapping[str, Any], starts: int) -> None:
    """Ports that TensorFlow joins while they are held: no moment for a thief."""
    ground = Ground.of(trial, cluster, "--isolation", "none")
    failures = []
    with Thief(ground, trial.rng).at_work() as thief:
        for _ in range(starts):
            run = ground.up("--wait")
            if run.state != "running":
                failures.append(str(run))
            run.down("--kill")
    _told(trial, "TensorFlow, isolation none", f"{starts} starts of 4 servers", failures, thief)


def _told(trial: Trial, where: str, starts: str, failures: list[str], thief: Thief) -> None:
    trial.check(
        f"{where}: {starts} in a row, and none fails",
        "; ".join(failures) or "0 failed",
        not failures,
    )
    if "namespace" not in where:
        trial.check(
            f"{where}: a stranger binds the announced ports at once, and gets none",
            f"{thief.won} of {thief.tries}; {thief.others:,} others of the same range",
            thief.won == 0 and thief.tries > 0,
        )
