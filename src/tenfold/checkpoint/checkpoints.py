"""Save now and then, and find what was saved last: `Checkpoints`.

Owns when a checkpoint is made, how it comes to its place, how many are kept, and what happens when
the disk is full. What is in one is its writer's; what makes it whole is `manifest`'s.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tenfold.base.naming import label_of
from tenfold.base.paths import user_path
from tenfold.base.quantities import limit_text
from tenfold.checkpoint import manifest
from tenfold.checkpoint.manifest import Checkpoint
from tenfold.errors import InputError, TenfoldError
from tenfold.run import files
from tenfold.run.rundir import RunDirectory
from tenfold.run.unsaved import UnsavedCheckpoint

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EROFS)
"""Disk errors that may disappear later. They do not end a training."""


class Checkpoints:
    """The checkpoints of one training, in a directory of their own.

    One process saves, any may look. After `save` has returned True, the checkpoint is on the disk
    and whole; a process or machine that dies at any other moment leaves the ones before as they
    were. Making this object touches no file.
    """

    def __init__(
        self,
        name: str = "training",
        *,
        place: Path | str | None = None,
        every_s: float = 30.0,
        keep: int = 3,
    ) -> None:
        """Checkpoints called `name`. Two trainings of a cluster need two names.

        Args:
            place: the directory to make theirs in; None is the run's `checkpoints`. Outside a
                cluster None keeps nothing: `due` and `save` are False, `newest` is None.
            every_s: seconds from the end of one save to the next time that `due` is true.
            keep: how many to keep; the oldest go when a new one is whole.
        """
        if not name or name != Path(name).name or name.startswith("."):
            raise InputError(
                f"{name!r} is not a valid directory name", hint="a word like `training`"
            )
        if keep < 1 or every_s < 0:
            raise InputError("keep must be at least 1, and every_s must not be negative")
        place = _place_of_the_run() if place is None else user_path(place, "place")
        self.directory: Path | None = None if place is None else place / name
        self._every_s = every_s
        self._keep = keep
        self._tried = time.monotonic()
        self._failed = False

    def due(self) -> bool:
        """Whether `every_s` seconds have passed since the last save.

        Before the first save, since the beginning.
        """
        return self.directory is not None and time.monotonic() - self._tried >= self._every_s

    def save(
        self,
        step: int,
        write: Callable[[Path], object],
        position: Mapping[str, Any] | None = None,
    ) -> bool:
        """Create a checkpoint. `write` puts files into the empty directory it gets.

        Args:
            step: how far the training is, in the script's own count.
            position: where to go on, as JSON: `{"epoch": 3, "batch": 120}`.

        Gives True when it is on the disk. False when the disk is full or does not work: what was
        half written is gone again, older ones are all there, it is said on standard error, and
        `due` is true again after `every_s`. Whatever else `write` raises is raised, and nothing
        has changed. TenfoldError if `position` is not JSON.
        """
        if self.directory is None:
            return False
        told = manifest.checked_position(position)
        try:
            self._save(self.directory, int(step), write, told)
        except Exception as error:
            words = _disk_trouble(error)
            if words is None:
                raise
            self._say_failed(step, words)
            return False
        finally:
            self._tried = time.monotonic()
        if self._failed:
            self._failed = False
            _say(f"checkpoints are saved again: step {step}")
            _leave_word(None)
        return True

    def _save(
        self, directory: Path, step: int, write: Callable[[Path], object], position: dict[str, Any]
    ) -> None:
        if not directory.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _flush(directory.parent)
        _sweep(directory)
        with _beside(directory) as beside:
            write(beside)
            manifest.seal(beside, step, position, round(time.time(), 3))
            manifest.publish(directory, beside, step)
        self._let_old_ones_go(directory)

    def _let_old_ones_go(self, directory: Path) -> None:
        """Remove all but the newest `keep`, and damaged ones older than those."""
        with _opened(directory) as (own, _):
            whole, damaged = manifest.numbers(own), manifest.numbers(own, damaged=True)
        oldest = sorted(whole.values())[-self._keep :][0]
        for name in (name for name, number in (whole | damaged).items() if number < oldest):
            _remove(directory / name)

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint, or None. All of its files are read.

        One that is damaged is set aside, as `….damaged`, and named on standard error.
        """
        if self.directory is None or not self.directory.exists():
            return None
        with _opened(self.directory) as (own, path):
            return manifest.newest(own, path, _told)

    def numbered(self, number: int) -> Checkpoint:
        """The checkpoint with this number, checked by its sizes.

        Raises TenfoldError if it does not exist.
        """
        try:
            with _opened(self.directory or Path()) as (own, path):
                name = {n: name for name, n in manifest.numbers(own).items()}[number]
                return manifest.examine(own, path, name, thoroughly=False)
        except (OSError, KeyError, manifest.DamagedError) as error:
            raise TenfoldError(
                f"checkpoint {number} is incomplete in {self.directory}, as seen by this process",
                hint="all processes of a training must see the same directory",
                cause=error,
            ) from error

    def agreed(self, first: bool, share: Callable[[int], int]) -> Checkpoint | None:
        """The newest whole checkpoint that the first of several processes sees.

        Args:
            first: whether this process is the first.
            share: gives all processes the number that the first one has put in.
        """
        found = self.newest() if first else None
        number = share(found.number if found else 0)
        return found or (self.numbered(number) if number else None)

    def _say_failed(self, step: int, words: str) -> None:
        if not self._failed:
            place = str(self.directory)
            _leave_word(UnsavedCheckpoint(time=time.time(), step=step, words=words, place=place))
            _say(
                f"the checkpoint of step {step} could not be saved: {words}; the training continues"
                f" and retries every {limit_text(self._every_s)} ({self.directory})"
            )
        self._failed = True


def _leave_word(unsaved: UnsavedCheckpoint | None) -> None:
    """Record for `tenfold why` what could not be saved last, or None.

    This is done as far as disks allow it.
    """
    home, name = os.environ.get("TENFOLD_RUN_DIRECTORY"), os.environ.get("TENFOLD_TASK")
    if not home or not name:
        return
    path = RunDirectory(Path(home)).task(label_of(name)).unsaved
    with contextlib.suppress(OSError):
        if unsaved is None:
            files.remove(path)
        else:
            unsaved.write(path)


def _place_of_the_run() -> Path | None:
    home = os.environ.get("TENFOLD_RUN_DIRECTORY")
    return RunDirectory(Path(home)).shared("checkpoints") if home else None


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[tuple[int, Path]]:
    """Open the directory. Returns it and its path."""
    own = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield own, directory
    finally:
        os.close(own)


@contextlib.contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """A locked directory to write in.

    It is removed at the end unless it was renamed.
    """
    beside = Path(tempfile.mkdtemp(prefix=manifest.SAVING, dir=directory))
    own = manifest.open_directory(str(beside))
    try:
        with contextlib.suppress(OSError):  # not every file system locks directories
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield beside
    finally:
        os.close(own)
        shutil.rmtree(beside, ignore_errors=True)


def _flush(directory: Path) -> None:
    with _opened(directory) as (own, _):
        os.fsync(own)


def _sweep(directory: Path) -> None:
    """Remove what killed writers left unfinished."""
    for entry in os.scandir(directory):
        if entry.name.startswith((manifest.SAVING, manifest.REMOVING)) and not _locked(entry.path):
            shutil.rmtree(entry.path, ignore_errors=True)


def _locked(path: str) -> bool:
    """Whether another process is writing there."""
    try:
        own = manifest.open_directory(path)
    except OSError:
        return False
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(own)
    return False


def _remove(path: Path) -> None:
    """Remove a checkpoint. It is renamed first, so that readers never see a part."""
    going = path.with_name(f"{manifest.REMOVING}{path.name}")
    with contextlib.suppress(OSError):
        path.rename(going)
        shutil.rmtree(going)


def _disk_trouble(error: BaseException) -> str | None:
    """What is wrong with the disk, if `error` was raised because of it.

    Frameworks say it in words of their own (TensorFlow 2.21: a ResourceExhaustedError that ends in
    "No space left on device"; PyTorch 2.13: a RuntimeError whose context is the OSError).
    """
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        for number in _DISK:
            if getattr(at, "errno", None) == number or os.strerror(number) in str(at):
                return os.strerror(number)
        at = at.__cause__ or at.__context__
    return None


def _told(was: Path, now: Path | None, damage: str) -> None:
    done = f"renamed to {now.name}" if now else "skipped"
    _say(f"checkpoint {was} is damaged ({damage}): {done}")


def _say(words: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"tenfold: {words}", file=sys.stderr, flush=True)
