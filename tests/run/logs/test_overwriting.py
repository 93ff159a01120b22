"""Lines that were written over: bars of tqdm, Keras and rich, and hostile ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.run.logs import LogReader
from tenfold.run.logs.overwriting import is_blank, visible
from tenfold.run.logs.writer import LogWriter
from tenfold.run.rundir import TaskDirectory

NESTED = (
    b"\repochs:   0%|  | 0/2"
    b"\n\rtrain:  10%|# | 1/9\x1b[A"
    b"\n\rtrain:  90%|##| 8/9\x1b[A"
    b"\n\rtrain: 100%|##| 9/9\x1b[A\rtrain: 100%|##| 9/9 end\n"
    b"\repochs:  50%|# | 1/2"
    b"\n\rtrain:  10%|# | 1/9\x1b[A"
    b"\n\r                   \x1b[A\repochs: 100%|##| 2/2\n"
)
"""What tqdm writes of a bar in a bar: the first inner one stays, the second is removed."""

THREE = b"\ra 0\n\rb 0\x1b[A\n\n\rc 0\x1b[A\x1b[A\n\n\rc 1\x1b[A\x1b[A\n\rb 1\x1b[A\ra 1\n"
RICH = (
    b"\x1b[?25l\r\x1b[2Kone 0\ntwo 0\r\x1b[2K\x1b[1A\x1b[2Kone 1\ntwo 1"
    b"\r\x1b[2K\x1b[1A\x1b[2Ka log line\none 1\ntwo 1\r\x1b[2K\x1b[1A\x1b[2Kone 9\ntwo 9\n"
)
KERAS = b"Epoch 1/2\n\r 1/9 loss: 2" + b"\b" * 12 + b"\r 9/9 loss: 1" + b"\b" * 12
KERAS += b"\r 9/9 loss: 1 - val_loss: 3\nEpoch 2/2\n"

Store = Callable[..., TaskDirectory]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Writes a log of these pieces, a minute ago if not `lately`."""

    def write(*pieces: bytes, lately: bool = False) -> TaskDirectory:
        directory = TaskDirectory(tmp_path / "tasks" / "worker-0")
        directory.path.mkdir(parents=True, exist_ok=True)
        writer = LogWriter(directory, "stderr", 1 << 30)
        for piece in pieces:
            writer.write(piece, None if lately else time.time() - 60)
        writer.close()
        return directory

    return write


def texts(reader: LogReader, *, last: bool = True) -> list[str]:
    return [line.text.replace("\x1b[2K", "") for line in _all(reader, last) if not line.hidden]


def _all(reader: LogReader, last: bool) -> list:  # type: ignore[type-arg]
    return list(reader.lines(last=last))


def backward(directory: TaskDirectory) -> list[str]:
    reader = LogReader(directory, "stderr")
    found = [line.text.replace("\x1b[2K", "") for line in reader.back(reader.size())
             if not line.hidden]  # fmt: skip
    return found[::-1]


@pytest.mark.parametrize(
    ("written", "left"),
    [
        (NESTED, ["train: 100%|##| 9/9 end", "epochs: 100%|##| 2/2"]),
        (THREE, ["a 1"]),
        (RICH, ["a log line", "one 9", "two 9"]),
        (KERAS, ["Epoch 1/2", " 9/9 loss: 1 - val_loss: 3", "Epoch 2/2"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"work |\b/\b-\bdone\n", ["work done"]),
        (b"45%\x1b[K\r46%\x1b[K\r\n", ["46%"]),
        (b"\x1b[1G10%\x1b[1G20%\n", ["20%"]),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_what_a_terminal_would_show_is_left(
    store: Store, written: bytes, left: list[str], piece: int
) -> None:
    directory = store(*(written[n : n + piece] for n in range(0, len(written), piece)))
    assert texts(LogReader(directory, "stderr")) == left
    assert backward(directory) == left


@pytest.mark.parametrize("written", [NESTED, THREE, KERAS])
def test_a_follower_shows_no_row_of_a_bar_twice(store: Store, written: bytes) -> None:
    directory = store(b"")
    reader = LogReader(directory, "stderr")
    writer = LogWriter(directory, "stderr", 1 << 30)
    shown = []
    for n in range(0, len(written), 3):
        writer.write(written[n : n + 3])
        shown += texts(reader, last=False)
    shown += texts(reader)
    assert len(shown) == len(set(shown))
    assert shown == backward(directory)


def test_the_newest_text_of_nested_bars_can_be_read_before_a_newline(store: Store) -> None:
    cut = NESTED.index(b"train: 100%") - 2
    reader = LogReader(store(NESTED[:cut], lately=True), "stderr")
    assert texts(reader, last=False) == []
    assert reader.open_rows() == ["epochs:   0%|  | 0/2", "train:  90%|##| 8/9"]


def test_bars_of_a_task_that_died_are_left_in_the_log(store: Store) -> None:
    cut = NESTED.index(b"train: 100%") - 2
    directory = store(NESTED[:cut])
    left = ["epochs:   0%|  | 0/2", "train:  90%|##| 8/9"]
    assert texts(LogReader(directory, "stderr")) == left
    assert backward(directory)[-1] == left[-1]


def test_the_next_life_begins_a_line_after_an_unfinished_bar(store: Store) -> None:
    store(b"\r 10%\r 20%")
    directory = store(b"begins\n")
    assert texts(LogReader(directory, "stderr")) == [" 20%", "begins"]
    assert directory.log("stderr").read_bytes() == b"\r 10%\r 20%\nbegins\n"


def test_a_bar_that_moves_for_days_is_not_read_again(store: Store) -> None:
    directory = store(*(b"\r%9d of many" % n for n in range(100_000)))
    reader = LogReader(directory, "stderr")
    hidden = [line for line in reader.lines() if line.hidden]
    assert hidden
    reader = LogReader(directory, "stderr")
    reader.skip_to(hidden[-1].end)
    assert texts(reader) == ["    99999 of many"]
    assert reader.position - hidden[-1].end < 1 << 13


def test_the_time_of_a_bar_is_when_its_last_text_came(store: Store) -> None:
    directory = TaskDirectory(store(b"").path)
    writer = LogWriter(directory, "stderr", 1 << 30)
    writer.write(b"\r 10%", 1000.0)
    writer.write(b"\r100%", 2000.0)
    writer.write(b"\n", 3000.0)
    assert [line.time for line in LogReader(directory, "stderr").lines(last=True)] == [2000.0]
    reader = LogReader(directory, "stderr")
    assert [line.time for line in reader.back(reader.size())] == [2000.0]


@pytest.mark.parametrize(
    "line",
    [
        b"\r" * 3_000_000,
        b"\r\x1b[A" * 500_000,
        b"x" * 3_000_000,
        b"\xff\xfe\r\xe2\x96" * 300_000,
        b"\x1b[" * 1_000_000,
        b"\x1b[99999999999A" * 100_000,
        b"\b" * 3_000_000 + b"x",
        bytes(range(256)) * 5000,
    ],
)
def test_hostile_output_is_read_to_its_end(store: Store, line: bytes) -> None:
    directory = store(b"before\n", line, b"\nafter\n")
    assert texts(LogReader(directory, "stderr"))[-1] == "after"
    assert backward(directory)[-1] == "after"


@pytest.mark.parametrize("text", [b"", b"  ", b"\x1b[0m \x1b[K", b"\x07"])
def test_text_without_anything_to_see_is_blank(text: bytes) -> None:
    assert is_blank(text)
    assert not is_blank(text + b"x")
    assert visible(text) is not None
