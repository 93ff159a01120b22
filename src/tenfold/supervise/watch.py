"""Watch for hangs: read the signs every second, and find what hangs and why.

A thread of its own does it, so that neither a slow disk nor a task that does not answer holds up
the supervisor. What it finds it writes into `hangs/` in the run directory, and tells. What is done
about it, and whether it is a hang at all, `hang` says.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tenfold.base.naming import label_of
from tenfold.base.quantities import duration_text, limit_text
from tenfold.cells import client
from tenfold.cluster.cell_table import traits
from tenfold.debug import words
from tenfold.debug.collect import StackTarget
from tenfold.debug.findings import Findings, find
from tenfold.errors import printable
from tenfold.planning.plan import HangPolicy, Plan
from tenfold.run import files
from tenfold.run.hangs import HangRecord
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import LIVE
from tenfold.supervise.hang import HangVerdict, Resumed, Stillness
from tenfold.supervise.signs import SignReader, TaskFacts
from tenfold.supervise.state import Hung

EVERY_S = 1.0
_LOOKS = 5
"""The minimum number of looks within the time after which a cluster hangs."""

_MOST_WAIT_S = 2.0
_SHARE = 0.01
"""The maximum share of one core that looking may take.

Expensive looks are taken less often, up to a bound.
"""

_BOUND_S = 3.0
"""The maximum number of seconds that stacks may take on this machine.

The report is there 5 s after the verdict is due.
"""

_BOUND_ELSEWHERE_S = 15.0
LINES = 10
_MOST_LOGS = 100


@dataclass(frozen=True, slots=True)
class SupervisorFacts:
    """What the supervisor knows at this moment. For `up` see `hang.Signs`."""

    up: bool
    tasks: Sequence[TaskFacts]


class RunWatch:
    """Watches one run, from `start` to `close`."""

    def __init__(
        self,
        run: RunDirectory,
        plan: Plan,
        rule: HangPolicy,
        look: Callable[[], SupervisorFacts],
        tell: Callable[[Hung | None], None],
    ) -> None:
        """`look` and `tell` are called from the watch's own thread.

        `tell` gets None when the tasks make progress again.
        """
        self._run = run
        self._plan = plan
        self._rule = rule
        self._look = look
        self._tell = tell
        self._reader = SignReader(run, plan)
        self._stillness = Stillness(rule.after_s)
        self._ending = threading.Event()
        self._troubles: set[str] = set()
        self._thread = threading.Thread(target=self._go, name="watch", daemon=True)

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def close(self) -> None:
        """Report nothing more. Does not wait for an investigation in progress."""
        self._ending.set()

    def _go(self) -> None:
        wait_s = every_s = min(EVERY_S, self._rule.after_s / _LOOKS)
        while not self._ending.wait(wait_s):
            began = time.thread_time()
            try:
                self._once()
            except Exception as error:  # this look is lost, and nothing else
                self._note(error)
            cost_s = time.thread_time() - began
            wait_s = min(_MOST_WAIT_S, max(every_s, cost_s / _SHARE))

    def _note(self, error: Exception) -> None:
        trouble = type(error).__name__
        if trouble not in self._troubles:
            self._troubles.add(trouble)
            print(f"watch: {trouble}", file=sys.stderr, flush=True)
            traceback.print_exception(error)

    def _once(self) -> None:
        facts = self._look()
        now = time.monotonic()
        signs = self._reader.read(facts.tasks, up=facts.up, now=now)
        found = self._stillness.look(signs, now)
        if isinstance(found, Resumed):
            self._say(None)
        elif found is not None:
            self._say(self._account(found, facts.tasks))

    def _say(self, what: Hung | None) -> None:
        if not self._ending.is_set():
            self._tell(what)

    def _account(self, verdict: HangVerdict, tasks: Sequence[TaskFacts]) -> Hung:
        """Investigate a hang, and write the report."""
        cell, facts = client(self._plan.cell), traits(self._plan.cell)
        python = sys.executable if facts.shares_files else "python"
        wanted = [StackTarget(task.name, task.phase, task.pid) for task in tasks]
        elsewhere = facts.renders or any(t.pid is None for t in tasks if t.phase in LIVE)
        findings = find(
            self._run,
            self._plan,
            wanted,
            lambda task, argv: cell.beside(self._run, task, argv),
            accused=verdict.task if verdict.sign == "progress" else None,
            python=python,
            bound_s=_BOUND_ELSEWHERE_S if elsewhere else _BOUND_S,
        )
        task, said = conclude(verdict, findings, self._plan)
        return Hung(said, task, self._write(verdict, findings, task, said))

    def _write(
        self, verdict: HangVerdict, findings: Findings, task: str | None, said: str
    ) -> str | None:
        now = time.time()
        label = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
        directory = self._run.path / "hangs" / label
        lines = self._last_lines(findings, task)
        report = HangRecord(
            time=round(now, 3),
            cluster=self._run.cluster,
            run=self._run.run,
            words=said,
            task=task,
            sign=verdict.sign,
            still_s=round(verdict.still_s, 1),
            after_s=self._rule.after_s,
            action=self._rule.action,
            findings=findings.to_json(),
            lines=lines,
        )
        try:
            files.make_directory(directory.parent)
            files.make_directory(directory)
            report.write(directory / "report.json")
            text = "".join(f"{line}\n" for line in _text(report, findings))
            path = directory / "report.txt"
            files.write_whole(path, text.encode(errors="replace"))
        except OSError:
            return None
        return str(path)

    def _last_lines(self, findings: Findings, task: str | None) -> dict[str, list[str]]:
        """The last lines of each task.

        If there are very many, only of the suspects and of one task per group.
        """
        chosen = [one.task for one in findings.tasks]
        if len(chosen) > _MOST_LOGS:
            first = [group.tasks[0] for group in findings.groups]
            chosen = [name for name in (task, *first) if name is not None][:_MOST_LOGS]
        found = {}
        for name in chosen:
            with contextlib.suppress(OSError):
                found[name] = last_lines(self._run.task(label_of(name)), LINES)
        return found


def conclude(verdict: HangVerdict, findings: Findings, plan: Plan) -> tuple[str | None, str]:
    """The likely culprit, and the whole finding as a sentence.

    A task that hangs by itself is its own culprit; of all of them, it is the likeliest member.
    """
    members = {task.name for task in plan.tasks if task.member}
    for suspect in findings.suspects:
        if suspect.task == verdict.task or (verdict.task is None and suspect.task in members):
            name = "it" if suspect.task == verdict.task else suspect.task
            return suspect.task, f"{verdict.words}: {name} {suspect.because}"
    return verdict.task, verdict.words


def _text(report: HangRecord, findings: Findings) -> list[str]:
    """The report for people."""
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(report.time))
    logs = []
    for name, lines in report.lines.items():
        logs += ["", name, *(f"    {printable(line)}" for line in lines or ["(no output)"])]
    head = [
        f"{report.cluster} {report.run} hangs: {report.words}",
        f"seen {when}, after {duration_text(report.still_s)} "
        f"(hang.after: {limit_text(report.after_s)}); action: {report.action}",
        "",
        *(text for text, _ in words.said(findings)),
        "",
        "last lines of each task:",
    ]
    return head + logs
