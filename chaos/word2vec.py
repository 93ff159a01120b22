"""The main job, with harm in mind: word2vec on a chief, 4 parameter servers and 8 workers.

Owns: the options of a short training on TensorFlow's own documentation, how far it is, and what
came of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chaos import ROOT
from chaos.ground import Ground, Run, new_home, wait
from chaos.trial import Missed, Trial
from tenfold.run.jsonfiles import read_json
from tenfold.views.training import TrainingReader

EXAMPLE = ROOT / "examples" / "word2vec" / "tenfold.yaml"
WORKERS = 8
SAVE_EVERY_S = 5.0

_PAIRS = re.compile(r"trained ([\d,]+) pairs")
_LAST_SHARE = 0.9
"""The final loss is the mean of what is reported after so much of the training."""


def word2vec(trial: Trial, epochs: int, *options: str) -> Ground:
    """A training of this length, by the seed of the case."""
    settings = {
        "vars.epochs": epochs,
        "vars.seed": trial.seed,
        "vars.save_every": f"{SAVE_EVERY_S:g}",
        "tensorboard": "false",
        "jupyter": "false",
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return Ground(trial, EXAMPLE, new_home(trial, "word2vec"), (*words, *options))


def trained(run: Run, timeout_s: float) -> Run:
    """Wait for the training's good end; Missed if it ends otherwise."""
    if run.until("succeeded", "failed", "stopped", timeout_s=timeout_s) != "succeeded":
        raise Missed(str(run))
    return run


def pairs(run: Run) -> int:
    """How many pairs the chief has seen trained in its last life."""
    found = _PAIRS.findall(run.log("chief/0"))
    if not found:
        raise Missed("the chief did not say how many pairs it trained")
    return int(found[-1].replace(",", ""))


def final_loss(run: Run) -> float:
    """Nats a pair, over the last tenth of the training, as TensorBoard shows it."""
    reader = TrainingReader(run.directory)
    shown = reader.read()
    while shown["more"]:
        shown = reader.read()
    for curves in shown["runs"]:
        for curve in curves["tags"]:
            if curve["tag"] == "loss":
                first = _LAST_SHARE * curve["steps"][-1]
                pairs = zip(curve["steps"], curve["values"], strict=True)
                late = [value for step, value in pairs if step >= first and value is not None]
                return float(sum(late) / len(late))
    raise Missed(f"no loss was reported ({shown['missing'] or shown['damaged']})")


def resumptions(run: Run) -> list[str]:
    """What the chief said of each checkpoint that it went on from, in all its lives."""
    return [line for line in run.log("chief/0").splitlines() if line.startswith("resumed")]


def moments(trial: Trial, many: int, first: float = 0.02, last: float = 0.98) -> list[float]:
    """Shares of a training, in order, drawn by the seed."""
    return sorted(trial.rng.uniform(first, last) for _ in range(many))


def reaching(run: Run, shares: list[float], timeout_s: float) -> Iterator[float]:
    """Each share as soon as the training is so far; ends early if the training does."""
    for share in shares:
        _wait_for_share(run, share, timeout_s)
        if _over(run):
            return
        yield share


def _wait_for_share(run: Run, share: float, timeout_s: float) -> None:
    wait(
        lambda: run.progress() >= share or _over(run),
        timeout_s,
        lambda: f"{share:.0%} of the training; {run}",
    )


def _over(run: Run) -> bool:
    return run.state in ("succeeded", "failed", "stopped")


@dataclass(frozen=True)
class Saved:
    """A checkpoint: when it was saved, and what the chief says when it goes on from it."""

    time: float
    words: str


def newest_checkpoint(run: Run) -> Saved | None:
    """The newest one that is whole: it has its name since then."""
    found = run.directory.shared("checkpoints").glob("*/0*-step-*/tenfold.json")
    told = [kept["checkpoint"] for path in found if (kept := read_json(path)) is not None]
    if not told:
        return None
    newest = max(told, key=lambda one: float(one["time"]))
    epochs, tokens = newest["position"]["epochs"], newest["position"]["tokens"]
    return Saved(newest["time"], f"resumed after {epochs} epochs and {tokens:,} words of the next")
