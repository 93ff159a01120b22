"""Bytes and durations: parsed, and written for people."""

from __future__ import annotations

import pytest

from tenfold.base.quantities import (
    bytes_text,
    duration_text,
    limit_text,
    memory_text,
    memory_value,
    parse_bytes,
    parse_duration,
)

DURATIONS = {
    -1: "0.0 s",
    0: "0.0 s",
    0.05: "0.1 s",
    0.44: "0.4 s",
    0.25: "0.3 s",
    1.15: "1.2 s",
    9.94: "9.9 s",
    9.96: "10.0 s",
    10: "10 s",
    59.9: "59 s",
    60: "1 min 00 s",
    185: "3 min 05 s",
    3599.9: "59 min 59 s",
    7800: "2 h 10 min",
    86_399: "23 h 59 min",
    1e5: "1 d 3 h",
    1e12: "11574 d 1 h",
}

AMOUNTS = {
    0: "0 B",
    1: "1 B",
    812: "812 B",
    999: "999 B",
    999.5: "1.0 kB",
    1000: "1.0 kB",
    1049: "1.0 kB",
    1050: "1.1 kB",
    1150: "1.2 kB",
    1250: "1.3 kB",
    9949: "9.9 kB",
    9950: "10 kB",
    12_500: "13 kB",
    999_499: "999 kB",
    999_500: "1.0 MB",
    34_200_000: "34 MB",
    512 * 10**9: "512 GB",
    3 * 10**18: "3000 PB",
    -2500: "−2.5 kB",
}


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
def test_measured_times_are_written_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_an_endless_time_is_written_like_a_very_long_one() -> None:
    assert duration_text(float("inf")) == "11574 d 1 h"


@pytest.mark.parametrize(("count", "text"), AMOUNTS.items())
def test_amounts_of_data_are_written_for_people(count: float, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.25, "0.25 s"), (5, "5 s"), (90, "1 min 30 s"), (600, "10 min"),
     (7200.5, "2 h 0.5 s"), (90_000, "1 d 1 h"), (float("inf"), "11574 d 1 h 46 min 40 s")],
)  # fmt: skip
def test_times_that_were_set_are_not_rounded(seconds: float, text: str) -> None:
    assert limit_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text", "value"),
    [
        (1000, "1000 B", "1000B"),
        (0, "0 B", "0B"),
        (512 << 10, "512 KiB", "524288B"),
        (512 << 20, "512 MiB", "512MiB"),
        (3 << 29, "1.5 GiB", "1.5GiB"),
        (2 << 40, "2.0 TiB", "2TiB"),
        ((1 << 20) + 1, "1 MiB", "1.0MiB"),
        (10**9, "954 MiB", "953.7MiB"),
    ],
)
def test_memory_is_written_for_people_and_for_a_file(count: int, text: str, value: str) -> None:
    assert memory_text(count) == text
    assert memory_value(count) == value


@pytest.mark.parametrize("text", ["10", "", "1 s", "1S"])
def test_an_invalid_duration_parses_as_none(text: str) -> None:
    assert parse_duration(text) is None
    assert parse_duration("1m30s") == 90


@pytest.mark.parametrize("text", ["", "2gb", "1e9", "-1"])
def test_an_invalid_size_parses_as_none(text: str) -> None:
    assert parse_bytes(text) is None
    assert parse_bytes("1.5KiB") == 1536
