"""Times, sizes and names."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from tenfold.cluster.units import duration, memory


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0s", 0), ("1.5s", 1.5), ("1h2m3s", 3723), (7, 7), (0.5, 0.5), ("1d", 86400)],
)
def test_durations_are_parsed_as_seconds(value: object, seconds: float) -> None:
    assert duration(value) == seconds


@pytest.mark.parametrize(
    "value", ["10", "1 s", "-1s", "1S", "s", "", "400d", -1, True, None, float("nan"), float("inf")]
)
def test_an_invalid_duration_is_an_error(value: object) -> None:
    with pytest.raises(PydanticCustomError):
        duration(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("1B", 0),
        ("1KiB", 1024),
        ("1K", 1000),
        ("1.5 GiB", 3 << 29),
        ("7", 7),
        (8, 8),
        ("1TB", 10**12),
    ],
)
def test_memory_sizes_are_parsed_as_bytes(value: object, size: int) -> None:
    if size:
        assert memory(value) == size
    else:
        with pytest.raises(PydanticCustomError):
            memory(value)


@pytest.mark.parametrize("value", ["0", "-1GiB", "2gb", "1e9", "", 0, 1.5, True, None, 1 << 61])
def test_an_invalid_size_is_an_error(value: object) -> None:
    with pytest.raises(PydanticCustomError):
        memory(value)
