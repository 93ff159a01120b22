"""What a run directory's files hold has the types that views count on, or is left out and named."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold.planning.plan import Plan
from tenfold.run import records
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import Problems, read_json
from tenfold.run.rundir import RunDirectory
from tests.damages import FOREIGN, NASTY, files_of, full_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return full_run(tmp_path_factory.mktemp("runs"))


def test_files_of_a_run_are_read_as_they_were_written(run: RunDirectory) -> None:
    problems = Problems()
    for name in files_of(run):
        path = run.path / name
        if name.endswith(".json") and not name.startswith("checkpoints"):
            assert read_json(path, problems) == json.loads(path.read_text()), name
    written = [json.loads(line) for line in run.events.read_text().splitlines()]
    assert [event.to_json() for event in read_events(run.events, problems)[0]] == written
    assert not problems.found
    plan = read_json(run.plan)
    assert plan
    assert _as_read(Plan.from_json(plan).to_json()) == plan


@pytest.mark.parametrize("data", NASTY, ids=range(len(NASTY)))
def test_any_bytes_give_an_object_or_a_value_error(data: bytes) -> None:
    try:
        found = records.parse(data)
    except ValueError:
        return
    json.dumps(found, allow_nan=False).encode()
    for shape in (records.PLAN, records.CLUSTER_STATUS, records.TASK_STATUS, records.EVENT):
        records.typed(found, shape)


@pytest.mark.parametrize("value", FOREIGN, ids=map(repr, FOREIGN))
@pytest.mark.parametrize(
    "shape",
    [records.PLAN, records.CLUSTER_STATUS, records.TASK_STATUS, records.EVENT, records.LIFE,
     records.PROGRESS, records.REPORT, records.RESUMED],
)  # fmt: skip
def test_every_field_is_of_its_type_or_left_out(shape: records.Record, value: Any) -> None:
    for name in shape.fields:
        data = json.dumps({name: value, "unknown": [1]}).encode()
        found, wrong = records.typed(records.parse(data), shape)
        assert found["unknown"] == [1]
        assert records.typed(found, shape) == (found, None)
        assert (wrong is None) == (found == records.parse(data))
        if wrong is not None:
            assert name in wrong


def test_numbers_can_be_reckoned_with() -> None:
    data = b'{"a": [NaN, Infinity, -Infinity, 1e999, %s, -1, 0.5]}' % (b"9" * 400)
    assert records.parse(data) == {"a": [None, None, None, None, None, -1, 0.5]}


def test_characters_can_be_written_out() -> None:
    found = records.parse(b'{"a\\ud800": "\\udfff x \\u0000"}')
    assert found == {"a�": "� x \0"}


def test_depth_has_a_bound_far_below_pythons() -> None:
    good = b'{"a":' * records.DEEPEST + b"1" + b"}" * records.DEEPEST
    json.dumps(records.parse(good))
    with pytest.raises(ValueError, match="nested too deeply"):
        records.parse(b'{"a":' * (records.DEEPEST + 5) + b"1" + b"}" * (records.DEEPEST + 5))


@pytest.mark.parametrize("pid", [0, 1, -1, -77, True, "77", 1.5, 1 << 40, None])
def test_a_pid_of_one_or_less_is_invalid(pid: object) -> None:
    found, _ = records.typed({"pid": pid, "supervisor_pid": pid}, records.CLUSTER_STATUS)
    assert found.get("supervisor_pid") is None
    assert records.typed({"pid": pid}, records.TASK_STATUS)[0].get("pid") is None


@pytest.mark.parametrize("name", ["../x/0", "a/b/0", "worker", "worker/x", "worker/-1", "a\0/0",
                                  "\x1b[2J/0", "/0", "worker/0\n", ""])  # fmt: skip
def test_no_task_has_a_name_that_is_another_files(name: str) -> None:
    plan = {"tasks": [{"task": name}, {"task": "worker/0"}]}
    found, wrong = records.typed(plan, records.PLAN)
    assert found == {"tasks": [{"task": "worker/0"}]}
    assert wrong == "has values of the wrong type: tasks[0].task"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "http://x\n", "x"])
def test_no_page_is_anything_but_http(url: str) -> None:
    assert records.typed({"url": url}, records.TASK_STATUS)[0] == {}


def _plans(place: Path) -> Iterator[Plan]:
    from tenfold.cluster.file import load
    from tenfold.planning.planner import plan

    for file in sorted(place.rglob("*.yaml")):
        try:
            loaded = load(file)
        except Exception:  # a part of another file, say
            continue
        yield plan(loaded)


def _as_read(value: Any) -> Any:
    """With lists for tuples."""
    return json.loads(json.dumps(value))


def test_every_example_has_a_plan_that_is_read_back_whole() -> None:
    found = 0
    for plan in _plans(Path(__file__).parents[2] / "examples"):
        found += 1
        data = json.dumps(plan.to_json()).encode()
        said, wrong = records.typed(records.parse(data), records.PLAN)
        assert (said, wrong) == (_as_read(plan.to_json()), None)
        assert not any(isinstance(v, float) and not math.isfinite(v) for v in said.values())
    assert found > 3
