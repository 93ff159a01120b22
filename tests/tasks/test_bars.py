"""What progress bars say, and which output is a bar."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import TaskDirectory
from tenfold.tasks.bars import BarReading, read_bar
from tenfold.tasks.barwatch import BarWatch, newest_bar

TQDM = "Epoch 1/3:  87%|████▋ | 26/30 [00:00<00:00, 48.43it/s, acc=0.9, loss=0.115]"
SLOW = "  3%|▎         | 15/500 [00:10<05:10,  2.00s/it]"
UNKNOWN = "1.50MB [00:00, 2.49MB/s]"
SCALED = "down: 45%|##4  | 450k/1.00M [00:01<00:01, 450kB/s]"
KERAS = "12/58 ━━━━╺━━━ 2s 20ms/step - loss: 0.1188 - mae: nan"
LIGHTNING = "Epoch 0:   3%|▎ | 3/100 [00:00<00:09, 10.00it/s, v_num=0, train_loss=2.3]"
PIP = "   ━━━━━━╸━━━━ 12.3/45.6 MB 5.6 MB/s eta 0:00:07"
WGET = "file.bin   45%[====>   ]  45.2M  10.1MB/s  eta 3s"
RICH = "train ━━━╺━━━  30% 0:00:02"
DATASETS = "Map:  10%|█   | 1000/10000 [00:00<00:01, 5000.12 examples/s]"
LOOP = "epoch 2/5 step 30/100 loss: 0.3"

KNOWN: dict[str, BarReading] = {
    TQDM: BarReading("Epoch 1/3", 26, 30, "it", 48.43, {"epoch": "1/3", "acc": 0.9, "loss": 0.115}),
    SLOW: BarReading("", 15, 500, "it", 0.5),
    UNKNOWN: BarReading("", 1.5e6, None, "B", 2.49e6),
    SCALED: BarReading("down", 450e3, 1e6, "B", 450e3),
    KERAS: BarReading("", 12, 58, "step", 50.0, {"loss": 0.1188, "mae": "nan"}),
    LIGHTNING: BarReading("Epoch 0", 3, 100, "it", 10.0, {"epoch": "0", "train_loss": 2.3}),
    PIP: BarReading("", 12.3e6, 45.6e6, "B", 5.6e6),
    WGET: BarReading("file.bin", 45, 100, "%", None, {"speed": "10.1MB/s"}),
    RICH: BarReading("train", 30, 100, "%", None),
    DATASETS: BarReading("Map", 1000, 10_000, "examples", 5000.12),
    LOOP: BarReading("epoch 2/5 step", 30, 100, "steps", None, {"epoch": "2/5", "loss": 0.3}),
}


@pytest.fixture
def directory(tmp_path: Path) -> TaskDirectory:
    made = TaskDirectory(tmp_path / "tasks" / "worker-0")
    made.path.mkdir(parents=True)
    return made


def written(directory: TaskDirectory) -> dict[str, Any]:
    return read_json(directory.bar) or {}


@pytest.mark.parametrize("text", KNOWN)
def test_bars_of_known_programs_are_read(text: str) -> None:
    assert read_bar(text) == KNOWN[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "2026/11/29 10:00 start",
        "a path/1/2",
        "10:20:30 < 11:00",
        "3/0",
        "120/100",
        "%",
    ],
)
def test_other_text_is_no_bar(text: str) -> None:
    assert read_bar(text) is None


def test_random_text_is_read_without_an_error() -> None:
    chance = random.Random(7)
    for _ in range(20_000):
        text = "".join(chance.choices("0123456789/%[]|<:. -kMGBits,=naf\n\t—", k=60))
        bar = read_bar(text)
        assert bar is None or math.isfinite(bar.done)


@pytest.mark.parametrize(
    ("output", "done", "is_open"),
    [
        (f"\r{SLOW}", 15, True),
        (f"\r{SLOW}\n", 15, False),
        (f"\r{TQDM}" * 100 + f"\r{SLOW}\n", 15, False),
        (f"\r{TQDM}" * 100 + f"\r{SLOW}", 15, True),
        (f"\r{KERAS}" + "\b" * 60 + "\r" + KERAS.replace("12/58", "13/58"), 13, True),
        (f"\repochs: 50%| | 1/2 [a]\n\r{SLOW}\x1b[A", 15, True),
        (f"\repochs: 50%| | 1/2 [a]\n\r{SLOW}\x1b[A\repochs: 100%| | 2/2 [a]", 15, True),
        (f"\r\x1b[2K{RICH}\n{RICH.replace('30', '40')}\r\x1b[2K\x1b[1A\x1b[2K{RICH}", 40, True),
    ],
)
def test_the_newest_bar_of_a_stream_is_found(output: str, done: float, is_open: bool) -> None:
    found = newest_bar(output.encode())
    assert found is not None
    assert (found[0].done, found[1]) == (done, is_open)


@pytest.mark.parametrize("output", [f"{SLOW}\n", f"\r{SLOW}\nsaved a checkpoint\n", "a\rb", "\r"])
def test_lines_that_are_not_written_over_are_no_bars(output: str) -> None:
    assert newest_bar(output.encode()) is None


def test_a_bar_that_is_drawn_again_without_moving_stands(directory: TaskDirectory) -> None:
    watch = BarWatch(directory)
    for _ in range(3):
        watch.heard("stderr", f"\r{SLOW}".encode())
        watch.look()
    assert (written(directory)["standing"], written(directory)["moves"]) == (True, 1)
    watch.heard("stderr", f"\r{SLOW.replace('15/', '16/')}".encode())
    watch.look()
    said = written(directory)
    assert (said["standing"], said["moves"], said["done"], said["open"]) == (False, 2, 16, True)


def test_text_after_a_bar_ends_it(directory: TaskDirectory) -> None:
    watch = BarWatch(directory)
    watch.heard("stderr", f"\r{SLOW}".encode())
    watch.look()
    watch.heard("stderr", b"\nnow something else\n")
    watch.look()
    assert written(directory)["open"] is False
    assert written(directory)["done"] == 15


def test_the_epoch_before_a_bar_and_a_loss_that_is_not_finite_are_noted(
    directory: TaskDirectory,
) -> None:
    watch = BarWatch(directory)
    watch.heard("stdout", f"\r{KERAS}\b\b".encode())
    watch.heard("stdout", f"\nEpoch 2/5\n\r{KERAS}".encode())
    watch.close()
    assert written(directory)["figures"]["epoch"] == "2/5"
    assert written(directory)["not_finite"] == {"mae": {"value": "nan", "since": 12, "until": None}}


def test_many_tasks_are_looked_at_less_often(directory: TaskDirectory) -> None:
    assert BarWatch(directory, 1).every_s == 1
    assert BarWatch(directory, 300).every_s == 10


def test_hostile_output_is_watched_in_bounded_memory(directory: TaskDirectory) -> None:
    watch = BarWatch(directory)
    chance = random.Random(3)
    pieces = [b"\r" * (1 << 20), b"\x1b[A" * 5000 + b"\r", chance.randbytes(1 << 16), b"\xff\r50%"]
    for piece in pieces * 3:
        watch.heard("stdout", piece)
        watch.look()
    assert written(directory)["done"] == 50
    assert max(len(stream.tail) for stream in watch._streams.values()) <= 1 << 12
