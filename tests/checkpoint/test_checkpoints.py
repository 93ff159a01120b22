"""Saving now and then: killed at any step, garbled, on a full disk, and by several at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.checkpoint import Checkpoints, manifest
from tenfold.errors import InputError, TenfoldError
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import create
from tests.checkpoint.conftest import SmallDisk
from tests.checkpoint.forking import check, content, names, save, shelf


def test_the_newest_is_found_and_the_oldest_go(tmp_path: Path) -> None:
    saved = shelf(tmp_path)
    assert saved.newest() is None
    assert not list(tmp_path.iterdir()), "looking makes nothing"
    for step in (10, 20, 30, 30, 5):
        assert save(saved, step)
    assert names(saved) == ["000004-step-30", "000005-step-5"]
    check(saved.newest(), 5)
    assert saved.directory is not None
    assert saved.directory.stat().st_mode & 0o777 == 0o700


def test_due_is_true_after_the_interval_since_the_last_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    saved = shelf(tmp_path, every_s=30)
    assert not saved.due()
    now[0] = 130.0
    assert saved.due()
    save(saved, 1)
    assert not saved.due()
    now[0] = 160.0
    assert saved.due()


def test_outside_a_cluster_nothing_is_saved_unless_a_directory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENFOLD_RUN_DIRECTORY", raising=False)
    saved = Checkpoints(every_s=0.0)
    assert not saved.due()
    assert not saved.save(1, lambda path: pytest.fail("nothing is to be written"))
    assert saved.newest() is None
    monkeypatch.setenv("TENFOLD_RUN_DIRECTORY", str(tmp_path))
    inside = Checkpoints()
    assert inside.directory == tmp_path / "checkpoints" / "training"


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "/tmp"])
def test_an_invalid_checkpoint_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="not a valid directory name"):
        Checkpoints(name)


def test_a_position_that_json_cannot_say_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    for position in ({"x": object()}, {"x": float("nan")}, {"x": {1, 2}}):
        with pytest.raises(TenfoldError, match="not JSON"):
            shelf(tmp_path).save(1, lambda path: None, position)
    assert not list(tmp_path.iterdir())


def test_a_writers_own_fault_is_raised_and_changes_nothing(tmp_path: Path) -> None:
    saved = shelf(tmp_path)
    save(saved, 1)

    def fails(path: Path) -> None:
        (path / "half").write_text("half")
        raise ValueError("a bad day")

    with pytest.raises(ValueError, match="a bad day"):
        saved.save(2, fails)
    assert names(saved) == ["000001-step-1"]


def test_a_save_killed_at_any_step_leaves_the_old_or_the_new_checkpoint_complete(
    tmp_path: Path,
) -> None:
    done = run("killed", tmp_path)
    assert done.returncode == 0, done.stderr
    old, new = map(int, done.stdout.split())
    assert old > 20
    assert new > 5, "also killed while the old ones went"
    assert not done.stderr, "nothing of it is damage"


@pytest.mark.parametrize("file", ["a", "b", manifest.MANIFEST])
@pytest.mark.parametrize("way", ["cut", "flipped", "gone"])
def test_a_damaged_checkpoint_is_reported_and_renamed_and_the_older_one_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, way: str
) -> None:
    saved = shelf(tmp_path, keep=3)
    for step in (1, 2, 3):
        save(saved, step)
    newest = saved.newest()
    assert newest is not None
    harmed = newest.path / file
    data = harmed.read_bytes()
    match way:
        case "cut":
            harmed.write_bytes(data[:-1])
        case "flipped":
            harmed.write_bytes(data[:3] + bytes([data[3] ^ 1]) + data[4:])
        case _:
            harmed.unlink()
    check(saved.newest(), 2)
    said = capsys.readouterr().err
    assert f"checkpoint {newest.path} is damaged ({file}" in said
    assert "renamed to 000003-step-3.damaged" in said
    assert (newest.path.with_name("000003-step-3.damaged") / "a").exists() or file == "a"
    check(saved.newest(), 2)
    assert not capsys.readouterr().err, "named once"
    save(saved, 4)
    assert names(saved)[-1] == "000004-step-4", "its number is not used again"
    for step in (5, 6):
        save(saved, step)
    assert len(names(saved)) == 3, "damaged ones go with their time"


def test_the_training_continues_on_a_full_disk_and_keeps_the_last_checkpoint(
    disk: SmallDisk,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = create(tmp_path, "c")
    word = run.task("chief-0").unsaved
    word.parent.mkdir()
    monkeypatch.setenv("TENFOLD_RUN_DIRECTORY", str(run.path))
    monkeypatch.setenv("TENFOLD_TASK", "chief/0")
    saved = shelf(disk.path, keep=1)
    save(saved, 1)

    def large(path: Path) -> None:
        (path / "large").write_bytes(b"x" * (2 << 20))

    disk.fill(leave=1 << 20)
    assert saved.save(2, large) is False
    assert saved.save(3, large) is False
    assert names(saved) == ["000001-step-1"], "neither half a one, nor the last one gone"
    assert (read_json(word) or {})["words"] == "No space left on device", "for tenfold why"
    check(saved.newest(), 1)
    said = capsys.readouterr().err
    assert said.count("tenfold: ") == 1, "once"
    assert "checkpoint of step 2 could not be saved: No space left on device" in said
    disk.fill()
    assert saved.save(4, large) is False, "not even a directory"
    disk.empty()
    assert saved.save(5, large) is True
    assert not word.exists()
    assert "checkpoints are saved again: step 5" in capsys.readouterr().err
    assert names(saved) == ["000002-step-5"]


def test_concurrent_readers_see_only_complete_checkpoints(tmp_path: Path) -> None:
    done = run("looked_at", tmp_path)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "nobody took one that was being removed for a damaged one"


def run(what: str, place: Path) -> subprocess.CompletedProcess[str]:
    """A story of `forking`'s, in a process that has no threads."""
    return subprocess.run(
        [sys.executable, "-m", "tests.checkpoint.forking", what, str(place)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_an_unfinished_save_of_another_writer_is_not_touched(tmp_path: Path) -> None:
    first, second = shelf(tmp_path, keep=5), shelf(tmp_path, keep=5)
    assert first.save(1, lambda path: (save(second, 2), content("step 1 ")(path)), {"step": 1})
    assert names(first) == ["000001-step-2", "000002-step-1"]


def test_all_go_by_what_the_first_has_found(tmp_path: Path) -> None:
    saved = shelf(tmp_path)
    save(saved, 1)
    save(saved, 2)
    told: list[int] = []

    def share(number: int) -> int:
        told.append(number)
        return number

    check(saved.agreed(True, share), 2)
    save(saved, 3)
    check(saved.agreed(False, lambda _: told[0]), 2)
    assert shelf(tmp_path / "none").agreed(True, lambda number: number) is None
    with pytest.raises(TenfoldError, match="as seen by this process"):
        shelf(tmp_path / "none").agreed(False, lambda _: 2)
