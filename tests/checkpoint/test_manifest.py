"""What is whole: every way of being cut or garbled is seen, and no link is followed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from tenfold.checkpoint import Checkpoint, manifest
from tenfold.errors import TenfoldError


def made(home: Path, step: int = 7, content: bytes = b"0123456789") -> Path:
    """A whole checkpoint with two files, one in a directory of its own."""
    beside = home / ".saving-here"
    (beside / "parts").mkdir(parents=True)
    (beside / "state").write_bytes(content)
    (beside / "parts" / "one").write_bytes(content * 2)
    manifest.seal(beside, step, {"epoch": 3}, 12.5)
    return manifest.publish(home, beside, step)


def looked_at(path: Path, *, thoroughly: bool = True) -> Checkpoint:
    home = os.open(path.parent, os.O_RDONLY)
    try:
        return manifest.examine(home, path.parent, path.name, thoroughly=thoroughly)
    finally:
        os.close(home)


def test_a_manifest_describes_the_saved_checkpoint(tmp_path: Path) -> None:
    path = made(tmp_path)
    assert path.name == "000001-step-7"
    told = looked_at(path)
    assert (told.path, told.step, told.position, told.time, told.number) == (
        path,
        7,
        {"epoch": 3},
        12.5,
        1,
    )
    assert sorted(told.files) == ["parts/one", "state"]
    assert (path / manifest.MANIFEST).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("file", ["state", "parts/one"])
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
        (lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]), "changed or damaged"),
        (lambda path: path.write_bytes(b""), "has 0 bytes"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_damage(
    tmp_path: Path, file: str, harm: object, words: str
) -> None:
    path = made(tmp_path)
    assert callable(harm)
    harm(path / file)
    with pytest.raises(manifest.DamagedError, match=f"{file} .*{words}|{file} {words}"):
        looked_at(path)


def test_no_bit_of_the_manifest_can_flip_unseen(tmp_path: Path) -> None:
    path = made(tmp_path)
    whole, file = looked_at(path), path / manifest.MANIFEST
    text = file.read_bytes()
    for place, byte in enumerate(text):
        file.write_bytes(text[:place] + bytes([byte ^ 1 << place % 8]) + text[place + 1 :])
        with contextlib.suppress(manifest.DamagedError):
            assert looked_at(path, thoroughly=False) == whole
    for length in range(0, len(text), 3):
        file.write_bytes(text[:length])
        with pytest.raises(manifest.DamagedError):
            looked_at(path)


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"0123456789")
    for way in ("link", "pipe"):
        path = made(tmp_path)
        (path / "state").unlink()
        if way == "link":
            (path / "state").symlink_to(secret)
        else:
            os.mkfifo(path / "state")
        with pytest.raises(manifest.DamagedError, match="cannot be read"):
            looked_at(path)
    path = made(tmp_path)
    (path / "parts").rename(tmp_path / "elsewhere")
    (path / "parts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(manifest.DamagedError):
        looked_at(path)


@pytest.mark.parametrize("kind", ["link", "directory link", "pipe", "manifest"])
def test_only_regular_files_are_sealed(tmp_path: Path, kind: str) -> None:
    beside = tmp_path / ".saving-here"
    beside.mkdir()
    match kind:
        case "link":
            (beside / "it").symlink_to("/etc/hostname")
        case "directory link":
            (beside / "it").symlink_to("/etc")
        case "pipe":
            os.mkfifo(beside / "it")
        case _:
            (beside / manifest.MANIFEST).write_text("{}")
    with pytest.raises(TenfoldError, match="only regular files"):
        manifest.seal(beside, 1, {}, 0.0)


def test_all_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    flush, rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    def renamed(*names: str, **more: Any) -> None:
        done.append("rename")
        rename(*names, **more)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", renamed)
    made(tmp_path)
    beside = str(tmp_path / ".saving-here")
    before, after = done[: done.index("rename")], done[done.index("rename") + 1 :]
    files = {f"{beside}/{name}" for name in ("state", "parts", "parts/one", manifest.MANIFEST)}
    assert set(before) == {beside, *files}
    assert before[-1] == beside, "with the manifest's name in it"
    assert after == [str(tmp_path)]
