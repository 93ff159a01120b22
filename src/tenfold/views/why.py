"""Explain the state of a run, in particular a failure, from its directory.

Owns the first line, which says what went wrong and what to do, and what stands below it: the first
failure, what followed, what was tried. Leaves to others: reading (`facts`), texts and codes that
are known (`causes`, `endings`), other troubles (`troubles`), and showing it (`account`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tenfold.base.naming import job_of
from tenfold.base.quantities import duration_text
from tenfold.errors import TenfoldError
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import TERMINAL, State
from tenfold.views import causes, notfinite
from tenfold.views.broken import find_error, it_says
from tenfold.views.commands import up_again, with_runs
from tenfold.views.crashes import crash
from tenfold.views.endings import meaning
from tenfold.views.eventtexts import NO_CHECKPOINT
from tenfold.views.facts import RunFacts, read_facts
from tenfold.views.notfinite import odd_figures
from tenfold.views.traffic import MapReader
from tenfold.views.troubles import Trouble, budget, how_it_ended, names_of, troubles

_SIGNALS_THAT_SPEAK = (None, "SIGABRT", "SIGSEGV", "SIGILL", "SIGBUS", "SIGFPE")
"""Ends after which a task's own last lines explain why it ended."""

_SHELLS = (126, 127)
"""Exit codes of a shell that could not start a command.

The shell's message names the command.
"""


def account(run: RunDirectory, edges: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The shape of `why --json`; see docs/json.md.

    `edges` are those of the map if the caller knows them. The contents of the directory never
    cause a failure.
    """
    facts = read_facts(run)
    known = _edges(facts) if edges is None else edges
    return _findable(account_of(facts, known, time.time()), _runs(run))


def _findable(told: dict[str, Any], runs: Path) -> dict[str, Any]:
    """The report, with commands that find the run from this directory."""
    hinted = [told, *told["troubles"]]
    for one in hinted:
        one["hint"] = one["hint"] and with_runs(one["hint"], runs)
        one["next"] = [with_runs(command, runs) for command in one["next"]]
    return told


def _edges(facts: RunFacts) -> Sequence[Mapping[str, Any]]:
    if facts.status["age_s"] is None:  # it is over: silence is no wonder
        return ()
    try:
        found: list[Mapping[str, Any]] = MapReader(facts.run).read()["edges"]
    except (TenfoldError, OSError, KeyError, TypeError, ValueError):
        return ()
    return found


def account_of(facts: RunFacts, edges: Sequence[Mapping[str, Any]], now: float) -> dict[str, Any]:
    """The report, pure.

    It is as of `now` (seconds since 1970), with the `edges` of the map.
    """
    status = facts.status
    found = troubles(facts, edges, now)
    first = _first_failure(facts)
    verdict = _judge(facts, first, found, now)
    saved = facts.checkpoint
    end = status["ended"] or (now if status["age_s"] is not None else status["seen"]) or now
    return {
        "version": 1,
        "cluster": facts.cluster,
        "run": status["run"],
        "directory": status["directory"],
        "cell": status["cell"],
        "state": status["state"],
        "wrong": verdict.wrong,
        "headline": verdict.line(facts.cluster),
        "hint": verdict.hint,
        "next": list(verdict.next) or _next(facts, first),
        "reason": status["reason"],
        "started": status["started"],
        "ended": status["ended"],
        "seen": status["seen"],
        "first_failure": first,
        "consequences": status["consequences"],
        "retries": _retries(facts, now),
        "resumed_from": _resumed(facts),
        "troubles": [asdict(trouble) for trouble in found],
        "checkpoint": saved and {**asdict(saved), "age_s": round(max(0.0, end - saved.time), 3)},
        "disk": facts.disk and asdict(facts.disk),
        "hangs": [str(report["path"]) for report in facts.hangs],
        "damaged": dict(facts.damaged),
    }


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
    facts: RunFacts, first: Mapping[str, Any] | None, found: Sequence[Trouble], now: float
) -> _Verdict:
    state = facts.status["state"]
    if facts.damaged and not facts.said and not facts.events:
        look = f"read {facts.status['directory']}"
        return _Verdict("has no readable status or events", names_of(facts.damaged), look)
    if State.FAILED in (state, facts.status["outcome"]):
        told = _said_over(facts) or facts.said.get("outcome") == State.FAILED
        if first is not None and told:
            return _of_failure(facts, first)
        return _of_reason(facts, found) if told else _of_lost_supervisor(facts)
    if state == State.SUCCEEDED:
        words = str(facts.status["reason"] or "all tasks finished") + _took(facts)
        told = _Verdict("succeeded", words, wrong=False)
        odd = odd_figures(facts.status.get("not_finite"))
        if any(one.get("until") is None for one in odd):
            told = _Verdict("succeeded, but", f"{notfinite.words(odd)}; {words}")
        return _with_restarts(facts, told)
    if state == State.STOPPED:
        return _Verdict("stopped", str(facts.status["reason"] or "by request"), wrong=False)
    return _of_living(facts, found, now)


def _said_over(facts: RunFacts) -> bool:
    """Whether the run's end was recorded.

    Without status.json, its last event counts.
    """
    if facts.said:
        return facts.said.get("state") in TERMINAL
    return bool(facts.of_kind(*(f"cluster-{state}" for state in TERMINAL)))


def _of_failure(facts: RunFacts, first: Mapping[str, Any]) -> _Verdict:
    """The first failing task, how it ended, its own message, and what to do."""
    task, words = first["task"], first["words"]
    spent, limit = budget(facts, task, first["time"] or 0.0)
    if limit and spent >= limit:
        words += f", and {limit} restarts did not help" if limit > 1 else " after its one restart"
    error = first["error"]
    if error and error["cause"] is None and first["exit_code"] in _SHELLS and first["meaning"]:
        words += f" ({first['meaning']})"
    if error is not None and error["line"] not in words:
        words += f": {it_says(error)}"
    elif first["meaning"] and first["cause"] is None:
        words += f" ({first['meaning']})"
    return _Verdict("failed", f"{task} {words}", first["hint"])


def _of_lost_supervisor(facts: RunFacts) -> _Verdict:
    last = next((line for line in reversed(facts.supervisor_said) if line.strip()), None)
    words = "its supervisor was killed or its machine went down"
    if last is not None and causes.exception(facts.supervisor_said):
        words = f'its supervisor crashed: it says "{last.strip()}"'
    hint = f"{_up(facts)} restarts it: {NO_CHECKPOINT}"
    if (saved := facts.checkpoint) is not None:
        end = facts.status["seen"] or saved.time
        age = duration_text(max(0.0, end - saved.time))
        hint = f"{_up(facts)} resumes from checkpoint {saved.name}, {age} older than the end"
    return _Verdict("failed", words, hint, next=(_up(facts),))


def _of_reason(facts: RunFacts, found: Sequence[Trouble]) -> _Verdict:
    """The verdict on a run that failed, but not because of a task.

    A hang ended it, or its cell could not begin.
    """
    hang = next((trouble for trouble in found if trouble.kind == "hang"), None)
    errors = [event for event in facts.of_kind("error") if event.get("message")]
    reason = str(facts.status["reason"] or "the reason is unknown")
    if errors:
        hint = errors[-1].get("hint")
        return _Verdict("failed", reason, str(hint) if hint else None)
    if hang is not None and reason.startswith("hung"):
        return _Verdict("failed", f"it {reason}", hang.hint, next=(*hang.next, _up(facts)))
    return _Verdict("failed", reason)


def _of_living(facts: RunFacts, found: Sequence[Trouble], now: float) -> _Verdict:
    present = [trouble for trouble in found if trouble.now]
    state = facts.status["state"] or "beginning"
    verb = _VERBS.get(state, state)
    for trouble in present:
        if trouble.kind == "hang":
            first = trouble.next[0] if trouble.next else None
            return _Verdict("hangs", trouble.words, first, next=trouble.next)
        return _Verdict(f"{verb}, but" if verb == "runs" else verb, trouble.words, trouble.hint)
    began = facts.status["started"]
    since = f" (for {duration_text(now - began)})" if isinstance(began, (int, float)) else ""
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
    names = list(dict.fromkeys(str(event.get("task")) for event in retried))
    times = "once" if len(retried) == 1 else f"{len(retried)} times"
    because = retried[-1].get("because")
    last = f" (the last {because})" if because else ""
    more = f"; {names_of(names)} restarted {times}{last}"
    if verdict.words:
        return replace(verdict, words=verdict.words + more)
    return replace(verdict, verb=verdict.verb + more)


def _took(facts: RunFacts) -> str:
    began, ended = facts.status["started"], facts.status["ended"]
    return f" ({duration_text(ended - began)})" if began and ended else ""


def _up(facts: RunFacts) -> str:
    """The command that starts the cluster again."""
    return up_again(facts.plan, _runs(facts.run))


def _runs(run: RunDirectory) -> Path:
    return run.path.parent.parent


def _next(facts: RunFacts, first: Mapping[str, Any] | None) -> list[str]:
    """Commands that help."""
    if first is not None:
        return [f"tenfold logs {facts.cluster} {first['task']}", _up(facts)]
    if facts.status["state"] in TERMINAL:
        return [_up(facts)] if facts.status["state"] != State.SUCCEEDED else []
    return [f"tenfold ps {facts.cluster}"]


def _first_failure(facts: RunFacts) -> dict[str, Any] | None:
    """The first failure in status.json.

    If that cannot be read, the first lasting end in the events.
    """
    told = facts.said.get("first_failure")
    if not isinstance(told, dict) or not isinstance(told.get("task"), str):
        told = None if facts.said else _failure_by_events(facts)
    if told is None:
        return None
    task = str(told["task"])
    lines = [str(line) for line in told.get("lines") or facts.lines_of(task)]
    code, name, cause = told.get("exit_code"), told.get("signal"), told.get("cause")
    code = code if isinstance(code, int) else None
    crashed = crash(facts.run, task, code, name)
    means = meaning(code, name)
    means = crashed.meaning(means) if crashed else means
    speaks = name in _SIGNALS_THAT_SPEAK and (crashed is None or name == "SIGABRT")
    error = None
    if cause is None and speaks:
        error = causes.said(crashed.before) if crashed else find_error(facts, told, lines)
    return {
        "task": task,
        "time": told.get("time"),
        "exit_code": code,
        "signal": name,
        "words": told.get("words") or how_it_ended(facts, task),
        "reason": told.get("reason"),
        "cause": cause,
        "meaning": means.words if means else None,
        "crash": crashed and crashed.shown(),
        "error": error and asdict(error, dict_factory=_without_hint),
        "hint": _hint(facts, task, cause, error, means.hint if means else None),
        "lines": lines,
    }


def _without_hint(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in pairs if name != "hint"}


def _failure_by_events(facts: RunFacts) -> dict[str, Any] | None:
    lasting: dict[str, dict[str, Any]] = {}
    for event in facts.events:
        task, kind = event.get("task"), event.get("kind")
        if not isinstance(task, str):
            continue
        if kind == "task-exited" and event.get("state") == State.FAILED:
            lasting.setdefault(task, dict(event))
        elif kind == "task-refused":
            lasting.setdefault(task, {**event, "words": event.get("reason")})
        elif kind == "task-started":
            lasting.pop(task, None)
    found = next(iter(lasting.values()), None)
    if found is not None and not found.get("words"):
        found["words"] = found.get("reason")
    return found


def _hint(
    facts: RunFacts, task: str, cause: object, error: causes.CauseLine | None, usual: str | None
) -> str | None:
    """What to do about a task that ended.

    The hint is for its cause, for its message, or for its exit code.
    """
    job = job_of(task)
    match cause:
        case "oom" if facts.planned(task).get("memory"):
            return f"raise jobs.{job}.resources.memory"
        case "oom":
            return f"free -h; give jobs.{job} resources.memory, or the machine fewer tasks"
        case "removed":
            return f"find out who removed it; {_up(facts)} starts a new run"
        case "node":
            return f"{_up(facts)} starts a run on the remaining nodes"
    if error is not None and error.cause == causes.PEER_GONE:
        for death in facts.status["consequences"]:
            return f"look at {death.get('task')}, which {death.get('words')} soon after"
    return error.hint if error is not None and error.hint else usual


def _retries(facts: RunFacts, now: float) -> list[dict[str, Any]]:
    """What was tried: by task, its restarts after failures.

    Also what was restarted with it.
    """
    found: dict[str, dict[str, Any]] = {}
    for event in facts.of_kind("task-retried"):
        task = str(event.get("task"))
        if task not in found:
            spent, limit = budget(facts, task, now)
            found[task] = {"task": task, "times": [], "because": None, "scope": "task",
                           "spent": spent, "limit": limit, "with": {}}  # fmt: skip
        one = found[task]
        one["times"].append(event.get("time"))
        one["because"] = event.get("because") or one["because"]
        one["scope"] = event.get("scope") or one["scope"]
    for event in facts.of_kind("restarted-with"):
        if (culprit := found.get(str(event.get("because")))) is not None:
            culprit["with"][str(event.get("task"))] = None
    return [one | {"with": list(one["with"])} for one in found.values()]


def _resumed(facts: RunFacts) -> dict[str, Any] | None:
    told = facts.said.get("resumed_from")
    if isinstance(told, dict):
        return told
    events = facts.of_kind("resumed")
    return {key: events[-1].get(key) for key in ("run", "checkpoint", "step")} if events else None
