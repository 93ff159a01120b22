"""The models themselves, as Python code uses them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tenfold.cluster.spec import Cluster, Job, Ready, Restart, dumped


def test_a_cluster_in_python_equals_one_in_yaml() -> None:
    job = Job(
        run=["a", "b"], tasks=2, restart=Restart(policy="always", backoff=0.5), env={"A": "1"}
    )
    cluster = Cluster(cluster="x", jobs={"a": job}, stop_grace=3)
    assert cluster.jobs["a"].restart == Restart(policy="always", backoff=0.5)
    assert dumped(cluster) == {
        "cluster": "x",
        "jobs": {
            "a": {
                "run": ["a", "b"],
                "tasks": 2,
                "env": {"A": "1"},
                "restart": {"policy": "always", "backoff": 0.5},
            }
        },
        "stop_grace": 3.0,
    }


def test_models_do_not_change() -> None:
    job = Job(run="x")
    with pytest.raises(ValidationError, match="frozen"):
        job.tasks = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": 0},
        {"tasks": True},
        {"tasks": 1.0},
        {"env": {"1A": "x"}},
        {"env": {"A": "x\0"}},
        {"env": {"A": None}},
        {"run": 3},
        {"network": "none"},
        {"ports": {"a": 70_000}},
        {"unknown": 1},
        {"overrides": {"a": {}}},
        {"overrides": {"1-": {}}},
        {"restart": {"policy": "never", "backoff": "-1s"}},
        {"restart": {"policy": "never", "codes": [0]}},
        {"restart": {"policy": "never", "codes": ["255-128"]}},
        {"restart": {"policy": "never", "codes": ["128-256"]}},
        {"restart": {"policy": "never", "scope": "machine"}},
        {"resources": {"memory": "0"}},
        {"resources": {"cpu": float("nan")}},
    ],
)
def test_invalid_fields_of_a_job_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Job.model_validate({"run": "x"} | wrong)


def test_exactly_one_way_to_be_ready() -> None:
    for wrong in ({}, {"tcp": "a", "http": "/"}, {"log": "x", "port": "a"}):
        with pytest.raises(ValidationError):
            Ready.model_validate(wrong)


@pytest.mark.parametrize(
    ("said", "after", "action"),
    [
        ("90s", 90.0, "report"),
        ("never", "never", "report"),
        ({"after": "1m", "action": "stop"}, 60.0, "stop"),
        ({"action": "restart"}, 300.0, "restart"),
    ],
)
def test_hang_is_a_time_or_a_mapping(said: object, after: object, action: str) -> None:
    cluster = Cluster.model_validate({"cluster": "c", "jobs": {"a": {"run": "x"}}, "hang": said})
    assert (cluster.hang.after, cluster.hang.action) == (after, action)


def test_exit_codes_are_numbers_or_ranges() -> None:
    rule = Restart.model_validate({"policy": "on-failure", "codes": [75, "128-255"]})
    assert rule.codes == ("75", "128-255")
    assert Restart.model_validate({"policy": "on-failure", "codes": 75}).codes == ("75",)


def test_a_log_is_not_kept_in_crumbs() -> None:
    said = {"cluster": "c", "jobs": {"a": {"run": "x"}}, "log_limit": "1KiB"}
    with pytest.raises(ValidationError, match="64KiB or more"):
        Cluster.model_validate(said)
    assert Cluster.model_validate(said | {"log_limit": "64KiB"}).log_limit == 1 << 16
