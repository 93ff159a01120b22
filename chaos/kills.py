"""`kill -9` during word2vec on 13 tasks: of workers, a ps, the chief, the supervisor."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from statistics import median

from chaos import leftovers
from chaos.ground import Run, kill, wait
from chaos.trial import Missed, Trial
from chaos.word2vec import (
    SAVE_EVERY_S,
    WORKERS,
    Saved,
    final_loss,
    moments,
    newest_checkpoint,
    pairs,
    reaching,
    resumptions,
    trained,
    word2vec,
)

TOLERANCE = 0.005
"""Of the loss: what is always allowed. Above it, three times what undisturbed runs differ by."""

SLACK_S = 5.0
"""A checkpoint waits for the stretches that are being trained, and is then written."""

MOST_BACK_S = 60.0
"""Not to be a hang: the start of 13 tasks, TensorFlow's connections, compiled code loaded."""

_TRAINING_S = 600.0
_OFTEN = (
    *("--set", "jobs.worker.restart.policy=on-failure", "--set", "jobs.worker.restart.limit=1000"),
    *("--set", "jobs.worker.restart.backoff=0.2s", "--set", "jobs.worker.restart.window=5s"),
)


def worker_kills(trial: Trial) -> None:
    """Random workers at random moments; the loss against that of undisturbed runs."""
    epochs, kills = trial.pick(4, 40), trial.pick(3, 100)
    calm = [trained(word2vec(trial, epochs).up(), _TRAINING_S) for _ in range(trial.pick(1, 3))]
    losses = [final_loss(run) for run in calm]
    run = word2vec(trial, epochs, *_OFTEN).up()
    killed = _kill_workers(trial, run, kills)
    trained(run, _TRAINING_S)
    trial.equal(f"kills of workers, in {epochs} epochs", len(killed), kills)
    deaths = [one for one in run.events("task-exited") if one["signal"] == "SIGKILL"]
    trial.equal("deaths of workers that tenfold reports", len(deaths), len(killed))
    _same_loss(trial, losses, final_loss(run))
    planned, seen = pairs(calm[0]), pairs(run)
    trial.equal("pairs trained, as counted by the chief: as in an undisturbed run", seen, planned)
    trial.note(
        "The chief counts each stretch once, when its worker has answered. A worker that is killed "
        "while it has one leaves it to another, so that at most one stretch a kill is trained "
        f"twice: {len(killed)} of {_stretches(run, epochs):,} here"
    )
    run.why()


def _stretches(run: Run, epochs: int) -> int:
    """So many are handed out: an epoch is cut so that every worker gets 16 (settings.py)."""
    del run
    return epochs * WORKERS * 16


def _kill_workers(trial: Trial, run: Run, kills: int) -> list[int]:
    """Pids that were killed, each once."""
    killed: list[int] = []
    for share in reaching(run, moments(trial, kills), _TRAINING_S):
        trial.progress(len(killed) + 1, kills, share)
        killed.append(_kill_one(trial, run, killed))
    return killed


def _kill_one(trial: Trial, run: Run, killed: list[int]) -> int:
    wait(lambda: _workers(run, killed), 60, "a worker to kill")
    victim = trial.rng.choice(_workers(run, killed))
    return victim if kill(victim, signal.SIGKILL) else _kill_one(trial, run, killed)


def _workers(run: Run, killed: list[int]) -> list[int]:
    """Pids of the workers that are up, in their order, those once killed left out."""
    pids = (run.pid(f"worker/{number}") for number in range(WORKERS))
    return [pid for pid in pids if pid and pid not in killed]


def _same_loss(trial: Trial, calm: list[float], disturbed: float) -> None:
    middle = sum(calm) / len(calm)
    spread = max(calm) - min(calm)
    tolerance = max(TOLERANCE * middle, 3 * spread)
    trial.check(
        f"final loss: within {tolerance:.4f} of undisturbed runs of the same seed "
        f"({', '.join(f'{loss:.4f}' for loss in calm)})",
        f"{disturbed:.4f}",
        abs(disturbed - middle) <= tolerance,
    )


def ps_kills(trial: Trial) -> None:
    """A parameter server at a time: its rows are lost, the last checkpoint has them."""
    _task_kills(trial, [f"ps/{number}" for number in range(4)])


def chief_kills(trial: Trial) -> None:
    """The chief, who alone knows how far the training is."""
    _task_kills(trial, ["chief/0"])


def _task_kills(trial: Trial, victims: list[str]) -> None:
    kills = trial.pick(1, 20)
    budget = [word for job in ("ps", "chief") for word in _budget(job, kills)]
    run = word2vec(trial, trial.pick(16, 60), *budget).up()
    seen: list[Loss] = []
    for share in reaching(run, _moments(trial, kills), _TRAINING_S):
        wait(lambda: newest_checkpoint(run), 60, "a first checkpoint")
        trial.progress(len(seen) + 1, kills, share)
        seen.append(_kill_and_see_resumed(run, trial.rng.choice(victims), _since(seen)))
    trained(run, _TRAINING_S)
    _resumed(trial, run, seen, kills)
    run.why()


def _moments(trial: Trial, kills: int) -> list[float]:
    """Not before there is a checkpoint, in the short form neither."""
    return moments(trial, kills, trial.pick(30, 10) / 100)


@dataclass(frozen=True)
class Loss:
    """What one kill cost.

    `age_s` is how long the training had gone on without a checkpoint: since the newest one, or
    since it was resumed, if that was later. `same` tells whether the chief went on from just that
    one, `back_s` after how many seconds, `at` when, in seconds since 1970.
    """

    age_s: float
    same: bool
    back_s: float
    at: float


def _since(seen: list[Loss]) -> float:
    """When the training was resumed last."""
    return seen[-1].at if seen else 0.0


def _kill_and_see_resumed(run: Run, task: str, since: float) -> Loss:
    before = len(resumptions(run))
    wait(lambda: run.pid(task), 30, f"{task} to run")
    kill(run.pid(task), signal.SIGKILL)
    now, saved = time.time(), _saved(run)
    back = wait(
        lambda: len(resumptions(run)) > before, MOST_BACK_S, lambda: f"the chief to resume; {run}"
    )
    same = resumptions(run)[before] == saved.words
    return Loss(now - max(saved.time, since), same, back, time.time())


def _saved(run: Run) -> Saved:
    if (newest := newest_checkpoint(run)) is None:
        raise Missed("the checkpoint went away")
    return newest


def _budget(job: str, kills: int) -> tuple[str, ...]:
    return (
        *("--set", f"jobs.{job}.restart.policy=on-failure"),
        *("--set", f"jobs.{job}.restart.limit={kills}"),
        *("--set", f"jobs.{job}.restart.backoff=0.2s", "--set", f"jobs.{job}.restart.window=5s"),
    )


def _resumed(trial: Trial, run: Run, seen: list[Loss], kills: int) -> None:
    trial.equal("kills", len(seen), kills)
    trial.equal("final state", run.state, "succeeded")
    same = sum(one.same for one in seen)
    trial.equal("resumes exactly from the newest checkpoint", same, kills)
    trial.most(
        f"longest training lost since that checkpoint (saved every {SAVE_EVERY_S:g} s)",
        max(one.age_s for one in seen),
        SAVE_EVERY_S + SLACK_S,
        "s",
    )
    backs = sorted(one.back_s for one in seen)
    trial.most(
        f"longest time from the kill until the chief resumes (median {median(backs):.1f} s)",
        backs[-1],
        MOST_BACK_S,
        "s",
    )


def supervisor_kills(trial: Trial) -> None:
    """The supervisor, and with it everything; then `tenfold up` again, and again."""
    kills = trial.pick(1, 20)
    ground = word2vec(trial, trial.pick(16, 60))
    run = ground.up()
    seen: list[Loss] = []
    gone: list[float] = []
    for share in _moments(trial, kills):
        if not list(reaching(run, [share], _TRAINING_S)):
            break
        trial.progress(len(seen) + 1, kills, share)
        run, loss, took = _kill_supervisor(run, _since(seen))
        seen.append(loss)
        gone.append(took)
    trained(run, _TRAINING_S)
    _resumed(trial, run, seen, kills)
    trial.most("from the kill until no process of the run is left", max(gone), 5.0, "s")
    told = sum(bool(one.events("resumed")) for one in ground.all_runs())
    trial.equal("runs that report which run they resumed", told, kills)


def _kill_supervisor(run: Run, since: float) -> tuple[Run, Loss, float]:
    """The run that goes on, what it cost, and how long processes of the first one lived on."""
    wait(lambda: newest_checkpoint(run), 60, "a first checkpoint")
    begun = time.monotonic()
    kill(run.supervisor(), signal.SIGKILL)
    now = time.time()
    left = leftovers.wait_gone(run.ground.trial.home, 30)
    gone = time.monotonic() - begun
    if left:
        raise Missed(f"processes {left} outlive their supervisor by 30 s")
    saved = _saved(run)
    run.why()
    again = run.ground.up()
    wait(lambda: resumptions(again), MOST_BACK_S, lambda: f"the chief to resume; {again}")
    same = resumptions(again)[0] == saved.words
    back = time.monotonic() - begun
    return again, Loss(now - max(saved.time, since), same, back, time.time()), gone
