"""Explain the state of a run, in particular a failure, from its directory.

Owns the first line, which says what went wrong and what to do, and what stands below it: the first
failure, what followed, what was tried. Leaves to others: reading (`facts`), texts and codes that
are known (`causes`, `endings`), other troubles (`troubles`), and showing it (`account`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tenfold.base.naming import job_of
from tenfold.base.quantities import duration_text
from tenfold.errors import TenfoldError
from tenfold.run.eventlog import Event
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import TERMINAL, State
from tenfold.run.statusfiles import DeathStatus, FirstFailureStatus, ResumedFrom
from tenfold.views import causes, notfinite
from tenfold.views.broken import find_error, it_says
from tenfold.views.commands import up_again, with_runs
from tenfold.views.crashes import crash
from tenfold.views.endings import meaning
from tenfold.views.eventtexts import NO_CHECKPOINT
from tenfold.views.facts import RunFacts, read_facts
from tenfold.views.report import FirstFailure, RunReport, TaskRetries
from tenfold.views.traffic import MapEdge, MapReader
from tenfold.views.troubles import Trouble, budget, how_it_ended, names_of, troubles

_SIGNALS_THAT_SPEAK = (None, "SIGABRT", "SIGSEGV", "SIGILL", "SIGBUS", "SIGFPE")
"""Ends after which a task's own last lines explain why it ended."""

_SHELLS = (126, 127)
"""Exit codes of a shell that could not start a command.

The shell's message names the command.
"""


def account(run: RunDirectory, edges: Sequence[MapEdge] | None = None) -> RunReport:
    """The report of a run. The contents of its directory never cause a failure.

    `edges` are those of the map if the caller knows them.
    """
    facts = read_facts(run)
    known = _edges(facts) if edges is None else edges
    return _findable(account_of(facts, known, time.time()), _runs(run))


def _findable(told: RunReport, runs: Path) -> RunReport:
    """The report, with commands that find the run from this directory."""

    def found(hint: str | None) -> str | None:
        return hint and with_runs(hint, runs)

    def commands(found: Sequence[str]) -> tuple[str, ...]:
        return tuple(with_runs(command, runs) for command in found)

    problems = tuple(
        replace(one, hint=found(one.hint), next=commands(one.next)) for one in told.troubles
    )
    return replace(told, hint=found(told.hint), next=commands(told.next), troubles=problems)


def _edges(facts: RunFacts) -> Sequence[MapEdge]:
    if facts.status.age_s is None:  # it is over: silence is no wonder
        return ()
    try:
        return MapReader(facts.run).read().edges
    except (TenfoldError, OSError, KeyError, TypeError, ValueError):
        return ()


def account_of(facts: RunFacts, edges: Sequence[MapEdge], now: float) -> RunReport:
    """The report, pure.

    It is as of `now` (seconds since 1970), with the `edges` of the map.
    """
    status, saved = facts.status, facts.checkpoint
    found = troubles(facts, edges, now)
    first = _first_failure(facts)
    verdict = _judge(facts, first, found, now)
    end = status.ended or (now if status.age_s is not None else status.seen) or now
    return RunReport(
        status=status,
        wrong=verdict.wrong,
        headline=verdict.line(facts.cluster),
        hint=verdict.hint,
        next=verdict.next or _next(facts, first),
        first_failure=first,
        retries=_retries(facts, now),
        resumed_from=_resumed(facts),
        troubles=tuple(found),
        checkpoint=saved,
        checkpoint_age_s=round(max(0.0, end - saved.time), 3) if saved else 0.0,
        disk=facts.disk,
        hangs=tuple(str(path) for path, _ in facts.hangs),
        damaged=facts.damaged,
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The verdict: `verb` and `words` make the first line, and `hint` ends it."""

    verb: str
    words: str = ""
    hint: str | None = None
    wrong: bool = True
    next: tuple[str, ...] = ()

    def line(self, cluster: str) -> str:
        """`word2vec failed: ps/2 was killed …; raise …`."""
        line = f"{cluster} {self.verb}"
        if self.words:
            line += f": {self.words}"
        return f"{line}; {self.hint}" if self.hint else line


def _judge(
    facts: RunFacts, first: FirstFailure | None, found: Sequence[Trouble], now: float
) -> _Verdict:
    state = facts.status.state
    if facts.damaged and not facts.has_status and not facts.events:
        look = f"read {facts.status.directory}"
        return _Verdict("has no readable status or events", names_of(facts.damaged), look)
    if State.FAILED in (state, facts.status.outcome):
        if not (_said_over(facts) or facts.said.outcome == State.FAILED):
            return _of_lost_supervisor(facts)
        return _of_failure(facts, first) if first is not None else _of_reason(facts, found)
    if state == State.SUCCEEDED:
        words = str(facts.status.reason or "all tasks finished") + _took(facts)
        told = _Verdict("succeeded", words, wrong=False)
        odd = facts.status.not_finite
        if any(one.until is None for one in odd):
            told = _Verdict("succeeded, but", f"{notfinite.words(odd)}; {words}")
        return _with_restarts(facts, told)
    if state == State.STOPPED:
        return _Verdict("stopped", str(facts.status.reason or "by request"), wrong=False)
    return _of_living(facts, found, now)


def _said_over(facts: RunFacts) -> bool:
    """Whether the run's end was recorded.

    Without status.json, its last event counts.
    """
    if facts.has_status:
        return facts.said.state in TERMINAL
    return bool(facts.of_kind(*(f"cluster-{state}" for state in TERMINAL)))


def _of_failure(facts: RunFacts, first: FirstFailure) -> _Verdict:
    """The first failing task, how it ended, its own message, and what to do."""
    words, error = first.words, first.error
    spent, limit = budget(facts, first.task, first.time or 0.0)
    if limit and spent >= limit:
        words += f", and {limit} restarts did not help" if limit > 1 else " after its one restart"
    if error and error.cause is None and first.exit_code in _SHELLS and first.meaning:
        words += f" ({first.meaning})"
    if error is not None and error.line not in words:
        words += f": {it_says(error)}"
    elif first.meaning and first.cause is None:
        words += f" ({first.meaning})"
    return _Verdict("failed", f"{first.task} {words}", first.hint)


def _of_lost_supervisor(facts: RunFacts) -> _Verdict:
    last = next((line for line in reversed(facts.supervisor_said) if line.strip()), None)
    words = "its supervisor was killed or its machine went down"
    if last is not None and causes.exception(facts.supervisor_said):
        words = f'its supervisor crashed: it says "{last.strip()}"'
    hint = f"{_up(facts)} restarts it: {NO_CHECKPOINT}"
    if (saved := facts.checkpoint) is not None:
        end = facts.status.seen or saved.time
        age = duration_text(max(0.0, end - saved.time))
        hint = f"{_up(facts)} resumes from checkpoint {saved.name}, {age} older than the end"
    return _Verdict("failed", words, hint, next=(_up(facts),))


def _of_reason(facts: RunFacts, found: Sequence[Trouble]) -> _Verdict:
    """The verdict on a run that failed, but not because of a task.

    A hang ended it, or its cell could not begin.
    """
    hang = next((trouble for trouble in found if trouble.kind == "hang"), None)
    errors = [event for event in facts.of_kind("error") if event.text("message")]
    reason = str(facts.status.reason or "the reason is unknown")
    if errors:
        return _Verdict("failed", reason, errors[-1].text("hint"))
    if hang is not None and reason.startswith("hung"):
        return _Verdict("failed", f"it {reason}", hang.hint, next=(*hang.next, _up(facts)))
    return _Verdict("failed", reason)


def _of_living(facts: RunFacts, found: Sequence[Trouble], now: float) -> _Verdict:
    present = [trouble for trouble in found if trouble.now]
    state = facts.status.state or "beginning"
    verb = _VERBS.get(state, state)
    for trouble in present:
        if trouble.kind == "hang":
            first = trouble.next[0] if trouble.next else None
            return _Verdict("hangs", trouble.words, first, next=trouble.next)
        return _Verdict(f"{verb}, but" if verb == "runs" else verb, trouble.words, trouble.hint)
    began = facts.status.started
    since = f" (for {duration_text(now - began)})" if began is not None else ""
    told = _Verdict(f"{verb}{since}; no problem found", wrong=False)
    return _with_restarts(facts, told)


_VERBS = {
    "beginning": "is starting",
    "running": "runs",
    "starting": "is starting",
    "stopping": "is stopping",
}


def _with_restarts(facts: RunFacts, verdict: _Verdict) -> _Verdict:
    """Mention restarts on the way. They are not a failure."""
    retried = facts.of_kind("task-retried")
    if not retried:
        return verdict
    names = list(dict.fromkeys(str(event.task) for event in retried))
    times = "once" if len(retried) == 1 else f"{len(retried)} times"
    because = retried[-1].text("because")
    last = f" (the last {because})" if because else ""
    more = f"; {names_of(names)} restarted {times}{last}"
    if verdict.words:
        return replace(verdict, words=verdict.words + more)
    return replace(verdict, verb=verdict.verb + more)


def _took(facts: RunFacts) -> str:
    began, ended = facts.status.started, facts.status.ended
    return f" ({duration_text(ended - began)})" if began and ended else ""


def _up(facts: RunFacts) -> str:
    """The command that starts the cluster again."""
    return up_again(facts.plan, _runs(facts.run))


def _runs(run: RunDirectory) -> Path:
    return run.path.parent.parent


def _next(facts: RunFacts, first: FirstFailure | None) -> tuple[str, ...]:
    """Commands that help."""
    if first is not None:
        return f"tenfold logs {facts.cluster} {first.task}", _up(facts)
    if facts.status.state in TERMINAL:
        return () if facts.status.state == State.SUCCEEDED else (_up(facts),)
    return (f"tenfold ps {facts.cluster}",)


def _first_failure(facts: RunFacts) -> FirstFailure | None:
    """The first failure in status.json.

    If that cannot be read, the first lasting end in the events.
    """
    told = facts.said.first_failure
    if told is None or told.death.task is None:
        told = None if facts.has_status else _failure_by_events(facts)
    if told is None:
        return None
    death, task = told.death, str(told.death.task)
    lines = told.lines or tuple(facts.lines_of(task))
    crashed = crash(facts.run, task, death.exit_code, death.signal)
    means = meaning(death.exit_code, death.signal)
    means = crashed.meaning(means) if crashed else means
    speaks = death.signal in _SIGNALS_THAT_SPEAK and (crashed is None or death.signal == "SIGABRT")
    error = None
    if death.cause is None and speaks:
        error = causes.said(crashed.before) if crashed else find_error(facts, told, lines)
    return FirstFailure(
        task=task,
        time=death.time,
        exit_code=death.exit_code,
        signal=death.signal,
        words=death.words or how_it_ended(facts, task),
        reason=death.reason,
        cause=death.cause,
        meaning=means.words if means else None,
        crash=crashed,
        error=error,
        hint=_hint(facts, task, death.cause, error, means.hint if means else None),
        lines=lines,
    )


def _failure_by_events(facts: RunFacts) -> FirstFailureStatus | None:
    lasting: dict[str, Event] = {}
    for event in facts.events:
        task, kind = event.task, event.kind
        if task is None:
            continue
        ended = kind == "task-exited" and event.text("state") == State.FAILED
        if ended or kind == "task-refused":
            lasting.setdefault(task, event)
        elif kind == "task-started":
            lasting.pop(task, None)
    found = next(iter(lasting.values()), None)
    if found is None:
        return None
    death = DeathStatus.from_json(found.to_json())
    return FirstFailureStatus(replace(death, words=death.words or death.reason))


def _hint(
    facts: RunFacts, task: str, cause: object, error: causes.CauseLine | None, usual: str | None
) -> str | None:
    """What to do about a task that ended.

    The hint is for its cause, for its message, or for its exit code.
    """
    job = job_of(task)
    match cause:
        case "oom" if facts.plan.task(task).memory:
            return f"raise jobs.{job}.resources.memory"
        case "oom":
            return f"free -h; give jobs.{job} resources.memory, or the machine fewer tasks"
        case "removed":
            return f"find out who removed it; {_up(facts)} starts a new run"
        case "node":
            return f"{_up(facts)} starts a run on the remaining nodes"
    if error is not None and error.cause == causes.PEER_GONE:
        for death in facts.status.consequences:
            return f"look at {death.task}, which {death.words} soon after"
    return error.hint if error is not None and error.hint else usual


def _retries(facts: RunFacts, now: float) -> tuple[TaskRetries, ...]:
    """What was tried: by task, its restarts after failures.

    Also what was restarted with it.
    """
    found: dict[str, TaskRetries] = {}
    for event in facts.of_kind("task-retried"):
        task = str(event.task)
        if task not in found:
            found[task] = TaskRetries(task, *budget(facts, task, now))
        one = found[task]
        one.times.append(event.time)
        one.because = event.text("because") or one.because
        one.scope = event.text("scope") or one.scope
    for event in facts.of_kind("restarted-with"):
        if (culprit := found.get(event.text("because") or "")) is not None:
            culprit.together[str(event.task)] = None
    return tuple(found.values())


def _resumed(facts: RunFacts) -> ResumedFrom | None:
    if facts.said.resumed_from is not None:
        return facts.said.resumed_from
    events = facts.of_kind("resumed")
    return ResumedFrom.from_json(events[-1].more) if events else None
