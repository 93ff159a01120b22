"""What every framework promises, checked on each, and on one that only these tests have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tenfold.frameworks import FRAMEWORKS, Framework, framework
from tenfold.frameworks.ranks import SERVICES
from tests.cells.grounds import own_table

JOBS = {"chief": 1, "ps": 2, "worker": 3, "evaluator": 1, "fetch": 1}
ADDRESSES = {
    job: tuple(f"127.0.0.1:{2000 + 10 * n + index}" for index in range(count))
    for n, (job, count) in enumerate(JOBS.items())
}
TASKS = [f"{job}/{index}" for job, count in JOBS.items() for index in range(count)]


@pytest.fixture(params=[*FRAMEWORKS, "own"])
def frame(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Framework:
    """Each framework in turn."""
    monkeypatch.setitem(FRAMEWORKS, "own", "tests.frameworks.own")
    return framework(request.param)


def test_a_framework_has_the_name_of_its_line_in_the_table(frame: Framework) -> None:
    assert framework(frame.name) is frame


def test_jobs_with_a_standard_server_have_a_command_for_it(frame: Framework) -> None:
    for job in JOBS:
        if frame.job_defaults(job, JOBS).standard_server:
            assert frame.standard_server(job)
        else:
            with pytest.raises(KeyError):
                frame.standard_server(job)


def test_success_is_decided_by_jobs_that_end(frame: Framework) -> None:
    found = frame.success_jobs(list(JOBS))
    assert found
    assert set(found) <= set(JOBS)
    assert not any(frame.job_defaults(job, JOBS).service for job in found)


def test_the_names_of_variables_are_known_before_any_address(frame: Framework) -> None:
    for job in JOBS:
        assert set(frame.variables(job)) <= set(frame.environment(job, 0, ADDRESSES))
    for service in SERVICES:
        assert frame.variables(service) == ()
        assert frame.environment(service, 0, ADDRESSES | {service: ("127.0.0.1:1",)}) == {}


def test_tasks_talk_to_tasks_that_there_are(frame: Framework) -> None:
    for talk in frame.talks(JOBS):
        assert {one.partition("/")[0] for one in (*talk.ones, *talk.others)} <= set(JOBS)


def test_no_task_has_two_roles(frame: Framework) -> None:
    roles = list(frame.roles(TASKS))
    assert len(dict(roles)) == len(roles)
    assert set(dict(roles)) <= set(TASKS)
    assert all(words for _, words in roles)


def test_process_variables_are_text_for_any_number_of_tasks(frame: Framework) -> None:
    for tasks in (1, 3, 1000):
        made = frame.process_environment("worker", tasks, 2)
        assert all(isinstance(value, str) for value in made.values())


def test_a_package_is_named_with_all_that_doctor_asks(frame: Framework) -> None:
    if frame.package is None:
        assert frame.gpus is None
        assert frame.memory is None
        return
    assert frame.gpus is not None
    assert f"import {frame.package.module} as f" in frame.gpus.code
    assert frame.memory is not None
    assert frame.memory.first >= frame.memory.more >= frame.memory.forked > 0


FILE = """
cluster: own
cell: own
framework: own
cells: {own: {protection: "a wall of paper"}}
jobs:
  chief: {run: [sh, -c, 'echo $OWN_RANK of $OWN_SIZE']}
  worker: {tasks: 2, run: [sh, -c, 'echo $OWN_RANK of $OWN_SIZE']}
"""


def _tenfold(words: Sequence[str], place: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **own_table(place)}
    argv = [sys.executable, "-m", "tenfold", *words]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=120, check=False, cwd=place, env=environment
    )


def test_a_file_can_name_a_custom_cell_and_framework(tmp_path: Path, runs: Path) -> None:
    """One package and one module, with a line each in two tables: nothing else knows of them."""
    file = tmp_path / "tenfold.yaml"
    file.write_text(FILE)
    runs_here = ["--runs", str(runs)]
    up = _tenfold(["up", *runs_here, "--no-dashboard"], tmp_path)
    assert up.returncode == 0, up.stderr
    logs = _tenfold(["logs", *runs_here, "--no-log-prefix"], tmp_path)
    assert sorted(logs.stdout.splitlines()) == ["0 of 3", "1 of 3", "2 of 3"]
    status: dict[str, Any] = json.loads(_tenfold(["ps", *runs_here, "--json"], tmp_path).stdout)
    assert (status["cell"], status["state"]) == ("own", "succeeded")
    assert status["protection_words"] == "a wall of paper"
    found = json.loads(_tenfold(["doctor", str(file), "--json"], tmp_path).stdout)["findings"]
    assert [one["name"] for one in found if one["area"] == "cell"] == ["own"]
    schema = json.loads(_tenfold(["schema"], tmp_path).stdout)
    assert "own" in json.dumps(schema["properties"]["framework"])
    assert "protection" in schema["definitions"]["OwnSettings"]["properties"]
