"""Nothing dies, and nothing goes on: tasks that are stopped, and a network that is cut."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

from chaos.ground import Run, as_json, kill, wait
from chaos.trial import Missed, Trial
from chaos.word2vec import moments, reaching, trained, word2vec

AFTER_S = 8.0
SLACK_S = 5.0
CUT_S = 20.0

_TRAINING_S = 300.0
_OVER = ("succeeded", "failed", "stopped")


def stopped_tasks(trial: Trial) -> None:
    """SIGSTOP of a worker, a ps, the chief: who is named, when, and what is done."""
    victims = ["worker", "ps", "chief"]
    for victim in victims[: trial.pick(1, 3)]:
        _reported(trial, victim)
    if not trial.quick:
        for victim in victims:
            _restarted(trial, victim)
        _given_up(trial)


def _hang(action: str) -> tuple[str, ...]:
    return "--set", f"hang.after={AFTER_S:g}s", "--set", f"hang.action={action}"


def _stop_one(trial: Trial, run: Run, job: str) -> tuple[str, int]:
    """A task of the job, stopped at a moment that the seed draws."""
    tasks = {"worker": 8, "ps": 4, "chief": 1}[job]
    name = f"{job}/{trial.rng.randrange(tasks)}"
    if not list(reaching(run, moments(trial, 1, 0.2, 0.5), _TRAINING_S)):
        raise Missed(f"the training was over before {name} was stopped")
    pid = run.pid(name)
    if pid is None or not kill(pid, signal.SIGSTOP):
        raise Missed(f"{name} is not there to be stopped")
    return name, pid


def _named(trial: Trial, run: Run, name: str, action: str) -> None:
    took = wait(lambda: run.events("hang"), AFTER_S + 60, lambda: f"a hang to be told; {run}")
    told = run.events("hang")[0]
    what = f"{name} stopped, policy {action}"
    trial.equal(f"{what}: the named task", told["task"], name)
    trial.most(f"{what}: reported after", took, AFTER_S + SLACK_S, "s")
    report = run.directory.path / str(told["report"])
    trial.check(f"{what}: the report", told["words"], report.exists())


def _reported(trial: Trial, job: str) -> None:
    """It is told, and when the task goes on, so does all."""
    run = word2vec(trial, trial.pick(12, 20), *_hang("report")).up()
    name, pid = _stop_one(trial, run, job)
    _named(trial, run, name, "report")
    run.why()
    kill(pid, signal.SIGCONT)
    wait(lambda: run.events("progress-resumed"), 60, lambda: f"progress to be told; {run}")
    trained(run, _TRAINING_S)
    trial.equal(f"{name} continues: reported hangs, and the run", _end(run), "1, succeeded")


def _restarted(trial: Trial, job: str) -> None:
    """It is killed and started again, with what has to be."""
    run = word2vec(trial, 20, *_hang("restart")).up()
    name, pid = _stop_one(trial, run, job)
    _named(trial, run, name, "restart")
    took = wait(lambda: run.pid(name) not in (None, pid), 60, lambda: f"another {name}; {run}")
    trained(run, _TRAINING_S)
    trial.most(f"{name}: restarted after the report", took, 30.0, "s")
    trial.equal(f"{name} restarted: reported hangs, and the run", _end(run), "1, succeeded")


def _given_up(trial: Trial) -> None:
    """The run is ended, and says why."""
    run = word2vec(trial, 20, *_hang("stop")).up()
    name, _ = _stop_one(trial, run, "worker")
    _named(trial, run, name, "stop")
    run.until(*_OVER, timeout_s=60)
    trial.equal(f"{name}, policy stop: the run", run.state, "failed")
    reason = str(run.status()["reason"])
    trial.check(f"{name}, policy stop: the reason names it", reason, name in reason)


def _end(run: Run) -> str:
    return f"{len(run.events('hang'))}, {run.state}"


def needs_iptables() -> str | None:
    """Why a network cannot be cut here."""
    try:
        argv = ["unshare", "--net", "iptables", "-L", "-n"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except OSError as error:
        return f"it needs {error.filename} (apt-get install iptables util-linux)"
    return None if done.returncode == 0 else f"iptables: {done.stderr.strip()}"


def network_cut(trial: Trial) -> None:
    """Between the parameter servers and all others, for 20 s, in the run's own network."""
    run = word2vec(trial, trial.pick(16, 30), *_hang("report"), "--isolation", "namespace").up()
    if not list(reaching(run, moments(trial, 1, 0.2, 0.4), _TRAINING_S)):
        raise Missed("the training was over before the network was cut")
    ports = [run.tasks()[f"ps/{number}"]["address"].rpartition(":")[2] for number in range(4)]
    inside = _network_of(run)
    begun = time.monotonic()
    _rules(inside, "-A", ports)
    told = wait(lambda: run.events("hang"), CUT_S, lambda: f"a hang to be told; {run}")
    trial.most("cut: reported after", told, AFTER_S + SLACK_S, "s")
    words = str(run.events("hang")[0]["words"])
    trial.check(
        "cut: the report names a ps as cut off", words, "ps/" in words and "cut off" in words
    )
    _cut(trial, run)
    run.why()
    time.sleep(max(0.0, CUT_S - (time.monotonic() - begun)))
    _rules(inside, "-D", ports)
    healed = time.monotonic()
    wait(
        lambda: run.events("progress-resumed") or run.state in _OVER, 180, lambda: f"an end; {run}"
    )
    trial.most("healed: training again (or over) after", time.monotonic() - healed, 60.0, "s")
    run.until(*_OVER, timeout_s=_TRAINING_S)
    restarts = sum(task["restarts"] for task in run.tasks().values())
    trial.check(
        "the run",
        f"{run.state}, {restarts} restarts of tasks",
        run.state in ("succeeded", "failed"),
    )


def _network_of(run: Run) -> int:
    """The pid of a process in the run's network."""
    return run.pid("ps/0") or 0


def _rules(inside: int, verb: str, ports: list[str]) -> None:
    """Add or delete rules that drop what goes to or comes from these ports."""
    for side in ("--sports", "--dports"):
        rule = ["iptables", "-w", verb, "INPUT", "-p", "tcp", "-m", "multiport", side]
        argv = ["nsenter", "--net", "-t", str(inside), *rule, ",".join(ports), "-j", "DROP"]
        subprocess.run(argv, check=True, timeout=20, capture_output=True)


def _cut(trial: Trial, run: Run) -> None:
    """What the report and the map show of the edges that were cut."""
    path = run.directory.path / str(run.events("hang")[0]["report"])
    silent = as_json(path.with_suffix(".json"))["silent"]
    _only_of_ps(trial, "the report", [edge for edge in silent if edge["cut"]])
    time.sleep(3)
    done = run.ground.tenfold("map", "--json")
    shown = json.loads(done.stdout)
    _only_of_ps(trial, "the map", [edge for edge in shown["edges"] if edge["mark"] == "cut"])
    cut = [edge for edge in shown["edges"] if "ps/" in edge["from"] + edge["to"]]
    rate = sum(edge["rate_bytes_s"] or 0 for edge in cut)
    trial.check(
        f"the map, while it is cut: {len(cut)} edges of the parameter servers",
        f"{rate:,.0f} bytes a second over all",
        bool(cut) and rate < 10_000,
    )


def _only_of_ps(trial: Trial, where: str, edges: list[dict[str, Any]]) -> None:
    wrong = [edge for edge in edges if "ps/" not in edge["from"] + edge["to"]]
    told = f"{len(edges)}, of which {len(wrong)} have no ps"
    trial.check(f"edges that {where} marks as cut: only edges of the ps", told,
                bool(edges) and not wrong)  # fmt: skip
