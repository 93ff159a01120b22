"""The agent: a task runner that is placed first, and told on its standard input what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold.planning.plan import Task
from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.rundir import RunDirectory
from tests.plans import plan_of, shell


class Agent:
    """One agent's process, and a talk with it."""

    def __init__(self, home: Path, task: Task) -> None:
        self.run = RunDirectory(home)
        write_json(self.run.plan, plan_of(task).to_json())
        (home / "tasks").mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tenfold", "task", task.name, "--held"],
            env=os.environ | {"TENFOLD_RUN_DIRECTORY": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def hear(self) -> dict[str, Any]:
        """The next answer."""
        assert self.process.stdout is not None
        heard: dict[str, Any] = json.loads(self.process.stdout.readline())
        return heard

    def say(self, **order: Any) -> None:
        """Give an order."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")

    def start(self, life: int, address: str) -> None:
        """Have it start the task."""
        self.say(op="start", life=life, addresses={"chief": [address]})


@pytest.fixture
def agent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Agent]:
    made = Agent(tmp_path, shell("chief", request.param))
    with made.process:
        yield made
        made.process.kill()


@pytest.mark.parametrize("agent", ["echo life at $TENFOLD_ADDRESS; exit 4"], indirect=True)
def test_the_agent_takes_its_ports_once_and_starts_the_task_on_each_order(agent: Agent) -> None:
    placed = agent.hear()
    assert placed["op"] == "placed"
    assert placed["address"].endswith(f":{placed['ports']['main']}")
    published = read_json(agent.run.task("chief-0").path / "address.json")
    assert published == {"address": placed["address"]}
    for number in (1, 2):
        agent.start(number, placed["address"])
        told = [agent.hear(), agent.hear()]
        while told[-1]["ended"] is None:
            told.append(agent.hear())
        assert (told[0]["number"], told[-1]["exit_code"]) == (number, 4)
    said = agent.run.task("chief-0").log("stdout").read_text()
    assert said == f"life at {placed['address']}\n" * 2


@pytest.mark.parametrize("agent", ["exec sleep 600"], indirect=True)
def test_signals_by_order_and_the_end_of_orders(agent: Agent) -> None:
    placed = agent.hear()
    agent.start(1, placed["address"])
    first = agent.hear()
    while agent.hear()["ready"] is None:
        pass
    agent.process.terminate()  # a batch system signals everybody: the agent stays
    agent.say(op="signal", number=15)
    assert agent.hear()["signal"] == 15
    agent.start(2, placed["address"])
    pid = agent.hear()["pid"]
    assert pid != first["pid"]
    assert agent.process.stdin is not None
    agent.process.stdin.close()
    agent.process.wait(60)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
