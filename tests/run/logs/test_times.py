"""When a byte came: large files of times, growing ones, damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.run.files import read_piece
from tenfold.run.logs import times
from tenfold.run.logs.times import LogTimes


def _written(path: Path, first: int, last: int) -> None:
    with path.open("a") as stream:
        stream.writelines(f"{10 * n} {100 + n}.5\n" for n in range(first, last))


@pytest.mark.parametrize("order", [1, -1])
def test_every_time_is_found_in_any_order(tmp_path: Path, order: int) -> None:
    """The file is far larger than what is read of it at once."""
    path = tmp_path / "stdout.times"
    _written(path, 0, 40_000)
    found = LogTimes(path)
    for n in range(0, 40_000, 7)[::order]:
        assert found.at(10 * n + 3)[0] == 100.5 + n


def test_a_time_holds_until_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "stdout.times"
    _written(path, 0, 3)
    found = LogTimes(path)
    assert found.at(3) == (100.5, 10)
    assert found.at(20) == (102.5, 21)  # more may come
    assert found.first_since(101.0) == 10
    assert found.first_since(103.0) is None


def test_times_that_are_written_later_are_found(tmp_path: Path) -> None:
    path = tmp_path / "stdout.times"
    found = LogTimes(path)
    assert found.of(0) == 0.0
    for last in (1, 5, 20_000, 40_000):
        path.unlink(missing_ok=True)
        _written(path, 0, last)
        found.expect_more()
        assert found.of(10 * last) == 99.5 + last
    path.write_text("0 7.0\n")
    found.expect_more()
    assert found.of(50) == 7.0


def test_a_line_that_is_being_written_is_read_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "stdout.times"
    path.write_text("0 1.0\n10 2")
    found = LogTimes(path)
    assert found.of(15) == 1.0
    with path.open("a") as stream:
        stream.write(".5\n")
    found.expect_more()
    assert found.of(15) == 2.5


@pytest.mark.parametrize("damage", ["rubbish\n", "0 x\n", "1 2 3\n", "4\n", "-5 1.0\n", "0 nan\n"])
def test_damaged_lines_are_left_out(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "stdout.times"
    path.write_text(f"0 1.0\n{damage}10 2.0\n")
    assert [LogTimes(path).of(offset) for offset in (5, 15)] == [1.0, 2.0]


def test_a_file_of_damage_is_searched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stdout.times"
    path.write_text("rubbish\n" * 100_000)
    reads = []

    def counted(path: Path, start: int, size: int) -> bytes:
        reads.append(start)
        return read_piece(path, start, size)

    monkeypatch.setattr(times, "read_piece", counted)
    found = LogTimes(path)
    for offset in range(1000):
        assert found.of(offset) == 0.0
    assert len(reads) < 30
