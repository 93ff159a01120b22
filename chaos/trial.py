"""A case: a fault, its limit in time, and what was asked and measured of it.

Owns: checks, the seeded choice of victims and moments, the limit, and that nothing of a case is
left when it is over. Leaves to others: clusters (ground.py), faults (a module a group of them).

    def ignores_term(trial: Trial) -> None:
        ...
        trial.most("from `down` to its end", seconds, 4.0, "s")

    Case("ignores-term", "a task that ignores SIGTERM", ignores_term, limit_s=60)
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from chaos import leftovers
from measure import figure, machine

Row = dict[str, Any]
"""`{case, fault, ok, seconds, seed, quick, checks: [{asked, measured, ok, timed}], why, notes,
left_out, error, machine}`: what JSON and page are made of."""


_LARGE_BYTES = 8 << 20


class Missed(Exception):
    """What a case waited for did not come: the case has failed."""


class OutOfTime(BaseException):
    """A case's limit is over. No Exception: what a case does must not swallow it."""


@dataclass(frozen=True)
class Check:
    """One thing that had to be shown: in words what was asked, and what was seen.

    `timed`: whether it is a limit in seconds, which a busy machine may miss.
    """

    asked: str
    measured: str
    ok: bool
    timed: bool = False


@dataclass
class Trial:
    """One case as it is tried.

    `home` is a directory for all it writes; whatever runs or is mounted there afterwards is ended.
    `rng` gives the same numbers for the same seed and case, whichever other cases are run.
    """

    name: str
    home: Path
    seed: int
    quick: bool = False
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    why: str | None = None
    """The first line of `tenfold why`."""
    console: Console = field(default_factory=lambda: Console(stderr=True))

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}:{self.name}")

    def check(self, asked: str, measured: object, ok: bool, *, timed: bool = False) -> None:
        """Keep a check, and tell it."""
        self.checks.append(Check(asked, str(measured), bool(ok), timed))
        self.say(f"    {'ok' if ok else 'FAILED'}: {asked}: {measured}")

    def equal(self, asked: str, value: object, wanted: object) -> None:
        """Check that `value` is what was wanted."""
        told = f"{value}" if value == wanted else f"{value}, not {wanted}"
        self.check(asked, told, value == wanted)

    def most(self, asked: str, value: float, limit: float, unit: str) -> None:
        """Check that a number is at most `limit`."""
        told = f"{figure(value)} {unit}".rstrip()
        asked = f"{asked}: at most {figure(limit)} {unit}".rstrip()
        self.check(asked, told, value <= limit, timed=unit == "s")

    def pick(self, few: int, many: int) -> int:
        """How often: `few` in the short form, `many` in the long one."""
        return few if self.quick else many

    def note(self, words: str) -> None:
        """What everybody who reads the figures has to know."""
        if words not in self.notes:
            self.notes.append(words)
            self.say(f"    note: {words}")

    def progress(self, number: int, of: int, share: float) -> None:
        """Tell of every tenth fault of many, and where in the training it comes."""
        if number == 1 or number % max(1, of // 10) == 0:
            self.say(f"    {number} of {of}, at {share:.0%} of the training")

    def say(self, words: str) -> None:
        """Progress, on stderr."""
        self.console.print(f"[dim]{self.name}:[/] {words}", highlight=False)


@dataclass(frozen=True)
class Case:
    """One fault. `run` brings it about and checks; `limit_s` is how long it may take.

    `needs` says in words why it cannot be tried on this machine, None if it can.
    """

    name: str
    fault: str
    run: Callable[[Trial], None]
    limit_s: float
    quick_limit_s: float = 180.0
    needs: Callable[[], str | None] = lambda: None

    def limit(self, quick: bool) -> float:
        """Seconds that it may take."""
        return self.quick_limit_s if quick else self.limit_s


def attempt(
    case: Case,
    seed: int,
    *,
    quick: bool,
    limit_s: float | None = None,
    keep: Path | None = None,
) -> Row:
    """Try a case; what came of it. Nothing that it started, mounted or wrote is left, but for the
    files of a case that failed: they are in `keep` then, below its name, without very large ones.

    It has failed if a check did, if it raised, or if it took longer than its limit (or `limit_s`,
    if that is less). KeyboardInterrupt goes through, after everything is ended.
    """
    limit_s = min(case.limit(quick), limit_s if limit_s is not None else case.limit(quick))
    home = Path(tempfile.mkdtemp(prefix=f"tenfold-chaos-{case.name}-")).resolve()
    home.chmod(0o755)  # for tasks of another uid
    trial = Trial(case.name, home, seed, quick)
    if why := case.needs():
        shutil.rmtree(home, ignore_errors=True)
        trial.say(f"left out: {why}")
        return _row(case, trial, 0.0, left_out=why)
    if limit_s <= 0:
        shutil.rmtree(home, ignore_errors=True)
        return _row(case, trial, 0.0, error="no time was left for it")
    begun = time.monotonic()
    trial.say(f"{case.fault}; at most {limit_s:g} s …")
    error = None
    try:
        with _limited(limit_s):
            case.run(trial)
        left = leftovers.wait_gone(home, leftovers.GRACE_S)
        trial.equal("processes of the case left at its end", len(left), 0)
    except OutOfTime:
        error = f"not done within {limit_s:g} s"
    except Missed as missed:
        error = str(missed)
    except Exception as raised:
        traceback.print_exception(raised)
        error = f"{type(raised).__name__}: {raised}"
    finally:
        leftovers.end(home)
        row = _row(case, trial, time.monotonic() - begun, error=error)
        if keep is not None and not row["ok"]:
            trial.say(f"its files: {_kept(home, keep / case.name)}")
        shutil.rmtree(home, ignore_errors=True)
    if error:
        trial.say(f"FAILED: {error}")
    return row


def _kept(home: Path, there: Path) -> Path:
    """Copy a case's files, but for very large ones, sockets and what is gone meanwhile."""

    def passed_over(directory: str, names: list[str]) -> set[str]:
        paths = [Path(directory, name) for name in names]
        return {p.name for p in paths if p.is_file() and p.stat().st_size > _LARGE_BYTES}

    shutil.rmtree(there, ignore_errors=True)
    with contextlib.suppress(shutil.Error):
        shutil.copytree(home, there, symlinks=True, ignore=passed_over)
    return there


def _row(
    case: Case, trial: Trial, seconds: float, *, error: str | None = None, left_out: str = ""
) -> Row:
    return {
        "case": case.name,
        "fault": case.fault,
        "ok": None if left_out else error is None and all(one.ok for one in trial.checks),
        "seconds": round(seconds, 1),
        "seed": trial.seed,
        "quick": trial.quick,
        "checks": [asdict(one) for one in trial.checks],
        "why": trial.why,
        "notes": trial.notes,
        "left_out": left_out or None,
        "error": error,
        "machine": machine(),
    }


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise OutOfTime after so long, in the main thread, whatever it waits for."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime

    handler = signal.signal(signal.SIGALRM, over)
    begun = time.monotonic()
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left_s:  # somebody else's limit goes on
            passed = time.monotonic() - begun
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left_s - passed))
