"""The common ground of all bench scripts: cases side by side, their rows, table and JSON.

Owns: the order in which cases take turns, what is kept of them, how it is printed and written,
the options every script takes, processes that end with the script, and what the machine is.
Leaves to the scripts: what is measured.

    def measure(bench: Bench) -> None:
        bench.compare(
            Case("tenfold", lambda: [Measured("time", "s", seconds(ours))]),
            Case("honcho", lambda: [Measured("time", "s", seconds(theirs))]),
        )
        bench.ratio("honcho / tenfold", "honcho", "tenfold", "time")

    if __name__ == "__main__":
        sys.exit(run("launch", measure, arguments(__doc__).parse_args()))
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

Row = dict[str, Any]
"""`{topic, case, metric, unit, median, min, max, n, values, machine, note?}`.

`note` is what one has to know to read it: that a case was left out (then n = 0 and the figures are
null), that it failed, what of it is simulated.
"""


@dataclass(frozen=True)
class Measured:
    """One value of one repeat."""

    metric: str
    unit: str
    value: float


@dataclass(frozen=True)
class Case:
    """One competitor. `run` does one repeat; all of a round's cases run one after the other.

    `repeats` is at most how often, None as often as the others.
    """

    name: str
    run: Callable[[], Iterable[Measured]]
    repeats: int | None = None


@dataclass
class Bench:
    """What one topic has measured so far.

    `home` is a directory for everything the cases write; it is gone after the bench.
    """

    topic: str
    home: Path
    repeats: int
    quick: bool = False
    failed: bool = False
    values: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    console: Console = field(default_factory=lambda: Console(stderr=True))

    def compare(self, *cases: Case, repeats: int | None = None) -> None:
        """Run the cases in turn, A B C A B C …, and keep all they measured.

        A case that raises an Exception is not run again, and the others go on.
        """
        rounds = repeats or self.repeats
        for number in range(rounds):
            for case in cases:
                most = rounds if case.repeats is None else min(rounds, case.repeats)
                if number < most and case.name not in self.left_out:
                    self._repeat(case, number + 1, most)

    def _repeat(self, case: Case, number: int, of: int) -> None:
        self.say(f"{case.name}, {number} of {of} …")
        try:
            found = list(case.run())
        except Exception as error:
            self.failed = True
            self.leave_out(case.name, f"failed: {type(error).__name__}: {error}")
            return
        for one in found:
            self.add(case.name, one)
        told = ", ".join(f"{one.metric} {figure(one.value)} {one.unit}" for one in found)
        self.say(f"    {told}")

    def add(self, case: str, one: Measured) -> None:
        """Keep a value that was measured outside of `compare`."""
        self.values.setdefault((case, one.metric, one.unit), []).append(one.value)

    def leave_out(self, case: str, why: str) -> None:
        """Say in table and JSON that a case was not (or not fully) measured, and why."""
        self.left_out.add(case)
        self.note(case, why)

    def note(self, case: str, words: str) -> None:
        """Something that everybody who sees the case's figures has to know."""
        before = self.notes.get(case)
        self.notes[case] = words if before in (None, words) else f"{before}; {words}"
        self.say(f"{case}: {words}")

    def ratio(self, name: str, case: str, to: str, metric: str) -> None:
        """Keep `case` / `to`, round by round, as the metric `ratio` of the case called `name`."""
        for upper, lower in self.rounds(case, to, metric):
            self.add(name, Measured("ratio", "×", upper / lower))

    def difference(self, name: str, case: str, to: str, metric: str, unit: str) -> None:
        """Keep `case` − `to`, round by round, as the metric `difference` of the case `name`."""
        for upper, lower in self.rounds(case, to, metric):
            self.add(name, Measured("difference", unit, upper - lower))

    def rounds(self, case: str, to: str, metric: str) -> Iterator[tuple[float, float]]:
        """Values of two cases, round by round."""
        return zip(self._of(case, metric), self._of(to, metric), strict=False)

    def _of(self, case: str, metric: str) -> list[float]:
        return [
            value
            for (whose, what, _), values in self.values.items()
            if (whose, what) == (case, metric)
            for value in values
        ]

    def say(self, text: str) -> None:
        """Progress, on stderr."""
        self.console.print(f"[dim]{self.topic}:[/] {text}", highlight=False)

    def rows(self) -> list[Row]:
        """All that was measured, case by case, in the order in which each first came."""
        here = machine()
        order = list(dict.fromkeys(case for case, _, _ in self.values))
        rows = [
            self._row(case, metric, unit, values, here)
            for first in order
            for (case, metric, unit), values in self.values.items()
            if case == first
        ]
        rows += [self._row(case, "", "", [], here) for case in self.notes if case not in order]
        return rows

    def _row(
        self, case: str, metric: str, unit: str, values: list[float], here: dict[str, str]
    ) -> Row:
        row: Row = {
            "topic": self.topic,
            "case": case,
            "metric": metric,
            "unit": unit,
            "median": median(values) if values else None,
            "min": min(values) if values else None,
            "max": max(values) if values else None,
            "n": len(values),
            "values": values,
        }
        if case in self.notes:
            row["note"] = self.notes[case]
        return row | {"machine": here}


def figure(value: float | None) -> str:
    """A number to read: three digits that count, thousands apart (`1,160,000`, `2.31`, `0.043`)."""
    if value is None:
        return "–"
    size = abs(value)
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if size >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}" if value else "0"


def table(rows: Sequence[Row], title: str) -> Table:
    """One line a row: median, spread (min – max), how often; notes below."""
    drawn = Table("case", "metric", title=title, title_justify="left")
    for heading in ("median", "min – max", "n"):
        drawn.add_column(heading, justify="right")
    drawn.add_column("unit")
    before = None
    for row in rows:
        case = row["case"] if row["case"] != before else ""
        before = row["case"]
        spread = f"{figure(row['min'])} – {figure(row['max'])}"
        drawn.add_row(
            case, row["metric"], figure(row["median"]), spread, str(row["n"]), row["unit"]
        )
    notes: dict[str, list[str]] = {}
    for row in rows:
        if "note" in row and row["case"] not in notes.setdefault(row["note"], []):
            notes[row["note"]].append(row["case"])
    if notes:
        drawn.caption = "\n".join(f"{', '.join(cases)}: {why}" for why, cases in notes.items())
        drawn.caption_justify = "left"
    return drawn


def machine() -> dict[str, str]:
    """What it was measured on, as words to print: CPU, cores, memory, kernel, versions, date."""
    return {
        "CPU": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "TensorFlow": _version("tensorflow") or _version("tensorflow-cpu") or "none",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _cpu() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@contextlib.contextmanager
def process(argv: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of a session of its own; on the way out all of its descendants are ended.

    `options` are Popen's. What `tenfold up -d` leaves running is not a descendant: `down` it.
    """
    started = subprocess.Popen(
        [str(word) for word in argv], text=True, start_new_session=True, **options
    )
    try:
        yield started
    finally:
        _end(started)


def _end(started: subprocess.Popen[str]) -> None:
    below: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(started.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    for child in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    started.wait()
    psutil.wait_procs(below, timeout=10)
    for stream in (started.stdin, started.stdout, started.stderr):
        if stream is not None:
            stream.close()


@dataclass(frozen=True)
class Done:
    """A command that ended well: `seconds` of wall clock, and what it wrote to stdout."""

    seconds: float
    stdout: str


def command(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> Done:
    """Run a command to its end, on the clock. Raises RuntimeError, with its last words, if it
    fails, and subprocess.TimeoutExpired after `timeout_s`; no descendant of it is left then."""
    with tempfile.TemporaryFile("w+") as errors:
        begun = time.monotonic()
        with process(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=errors) as started:
            stdout, _ = started.communicate(timeout=timeout_s)
            seconds = time.monotonic() - begun
        if started.returncode:
            errors.seek(0)
            last = (errors.read() or stdout).strip()[-500:]
            raise RuntimeError(
                f"{' '.join(map(str, argv))} ended with {started.returncode}: {last}"
            )
    return Done(seconds, stdout)


def arguments(about: str | None) -> argparse.ArgumentParser:
    """A parser with the options all bench scripts take; a script may add its own."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--quick", action="store_true", help="the short form")
    parser.add_argument("--repeats", type=int, metavar="N", help="rounds of each comparison")
    return parser


def run(
    topic: str,
    measure: Callable[[Bench], None],
    options: argparse.Namespace,
    *,
    repeats: int = 5,
    quick_repeats: int = 1,
) -> int:
    """Measure, print the table on stdout, write the JSON; the exit code.

    Ctrl-C and SIGTERM end the measuring: what there is by then is printed and written, 130 is
    the code. So does an error between two cases; then, or if a case failed, the code is 1.
    """
    rounds = options.repeats or (quick_repeats if options.quick else repeats)
    for number in (signal.SIGTERM, signal.SIGINT):  # which `nohup … &` would have us ignore
        signal.signal(number, signal.default_int_handler)
    home = Path(tempfile.mkdtemp(prefix=f"tenfold-bench-{topic}-"))
    bench = Bench(topic, home, rounds, options.quick)
    code = 0
    try:
        measure(bench)
    except KeyboardInterrupt:
        bench.say("interrupted; what was measured so far:")
        code = 130
    except Exception as error:
        bench.say(f"broken off, with what was measured so far: {type(error).__name__}: {error}")
        code = 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    rows = bench.rows()
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(", ".join(f"{what} {words}" for what, words in machine().items()))
    console.print(table(rows, topic))
    if options.json:
        write(rows, options.json)
    return code or int(bench.failed)


def write(rows: Sequence[Row], path: Path) -> None:
    """The rows as JSON, one a line; directories are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
