"""Another machine and another user try every socket of a running cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tenfold.bringup.api import Run, up
from tenfold.launch import isolation
from tenfold.planning.plan import Plan, ReadinessCheck, Task
from tests.conftest import wait_for
from tests.plans import plan_of, shell

from .strangers import listening, needs_root, of_others, reached_by_nobody, second_machine

EVERYWHERE = """
import os, socket, sys, time
def served(family, host, only6=0):
    made = socket.socket(family)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only6)
    if host is not None:
        made.bind((host, 0))
    made.listen()
    return made
four, six = socket.AF_INET, socket.AF_INET6
made = [served(four, "0.0.0.0"), served(four, None), served(six, "::"), served(six, "::", 1),
        served(six, "::ffff:0.0.0.0"), served(six, None)]
own = socket.socket()
own.bind(("0.0.0.0", int(os.environ["TENFOLD_ADDRESS"].rpartition(":")[2])))
own.listen()
if os.fork() == 0:
    child = [served(four, "0.0.0.0"), served(six, "::")]
    time.sleep(600)
time.sleep(600)
"""
"""A task that listens wherever it can, and so does its child: nine sockets."""


def everywhere(job: str, **more: object) -> Task:
    """A task of that program, ready when its peers can reach it."""
    command = (sys.executable, "-c", EVERYWHERE)
    values = {"ready": ReadinessCheck("tcp"), "service": True} | more
    return Task(job=job, index=0, command=command, workdir="/tmp", **values)  # type: ignore[arg-type]


def plan() -> Plan:
    """One such task that is started, one that is forked, and one that waits for both."""
    forked = everywhere("forked", preload=("wave",))
    chief = shell("chief", "sleep 600", after={"ps": "ready", "forked": "ready"})
    return plan_of(chief, everywhere("ps"), forked)


@contextmanager
def running(runs: Path, mode: str) -> Iterator[tuple[Run, set[int]]]:
    """The cluster, up, and the ports that its processes listen on."""
    run = up(plan(), runs=runs, isolation=mode)
    try:
        status = run.wait(60, for_state=("running",))
        assert status["state"] == "running", status
        wait_for(lambda: len(listening(run.directory.path)) == 18, 20)
        yield run, {port for _, port in listening(run.directory.path)}
    finally:
        run.stop(kill=True, timeout_s=60)


@needs_root
def test_no_port_of_a_namespace_can_be_reached(runs: Path) -> None:
    if refusal := isolation.find("namespace").why:
        pytest.skip(refusal)
    with running(runs, "namespace") as (run, ports), second_machine() as reached_from_there:
        assert run.status()["protection"] == "namespace"
        ports -= of_others(ports)
        assert reached_from_there(ports) == set()
        assert reached_by_nobody(ports) == set()


@needs_root
def test_by_loopback_no_other_machine_reaches_anything(runs: Path) -> None:
    """Other users of this machine do, and are said to."""
    if isolation.find("loopback").level == "none":
        pytest.skip(isolation.find("loopback").why)
    with running(runs, "loopback") as (run, ports), second_machine() as reached_from_there:
        status = run.status()
        assert status["protection"] == "loopback"
        assert "other users and programs of this machine do" in status["protection_words"]
        assert reached_from_there(ports) == set()
        others = reached_by_nobody(ports)
        assert {port for _, port in others} == ports
        assert {host for host, _ in others} == {"127.0.0.1", "::1"}


@needs_root
def test_without_either_another_machine_reaches_everything(runs: Path) -> None:
    """The strangers of these tests can reach what can be reached."""
    with running(runs, "none") as (run, ports), second_machine() as reached_from_there:
        assert run.status()["protection"] == "none"
        from_there = reached_from_there(ports)
        assert {port for _, port in from_there} == ports
        assert any(":" in host for host, _ in from_there)
