"""Task names, their labels, and ranges of them."""

from __future__ import annotations

import pytest

from tenfold.base.naming import job_of, label_of, name_of, ranges


@pytest.mark.parametrize(
    ("name", "label", "job"),
    [
        ("worker/0", "worker-0", "worker"),
        ("parameter-server/12", "parameter-server-12", "parameter-server"),
        ("a-1/2", "a-1-2", "a-1"),
    ],
)
def test_a_name_and_its_label_convert_into_each_other(name: str, label: str, job: str) -> None:
    assert label_of(name) == label
    assert name_of(label) == name
    assert label_of(label) == label
    assert job_of(name) == job


def test_consecutive_tasks_of_a_job_are_written_as_a_range() -> None:
    assert ranges(["worker/0", "worker/1", "worker/3", "ps/1"]) == "worker/0-1, worker/3, ps/1"
