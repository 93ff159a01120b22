"""Files that were cut, garbled or lost a bit: of the run's state, and of its checkpoints."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from chaos import leftovers
from chaos.ground import Ground, Run, kill, shell, wait
from chaos.small import resumed_at, training
from chaos.trial import Trial
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import Problems
from tenfold.run.rundir import RunDirectory
from tenfold.views.status import status

COMMANDS = (("ps", "--json"), ("events",), ("logs",), ("map", "--json"), ("why",))
STEPS = 150

Damage = Callable[[bytes, random.Random], bytes]


def cut(data: bytes, rng: random.Random) -> bytes:
    """The file ends too early: as after a crash of the machine."""
    return data[: rng.randrange(len(data))] if data else data


def flip(data: bytes, rng: random.Random) -> bytes:
    """One bit is another one."""
    if not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]


def garble(data: bytes, rng: random.Random) -> bytes:
    """Noise where the middle was."""
    third = len(data) // 3
    return data[:third] + rng.randbytes(max(1, third)) + data[2 * third :]


DAMAGES: tuple[Damage, ...] = (cut, flip, garble)


def damaged_state(trial: Trial) -> None:
    """Every view of a run with damaged files; then a supervisor at work among them; then `up`."""
    ground = Ground.of(trial, {"cluster": "state", "jobs": {"chief": training(STEPS)}})
    run = ground.up()
    wait(lambda: run.progress() > 0.5, 60, "half of the training")
    kill(run.supervisor(), signal.SIGKILL)
    leftovers.wait_gone(trial.home, 5)
    whole = trial.home / "whole"
    shutil.copytree(run.directory.path, whole, ignore=shutil.ignore_patterns("*.sock"))
    _views(trial, run, whole)
    _commands(trial, run, whole)
    _next_up(trial, run, whole)
    _while_it_runs(trial)


def _state_files(home: Path) -> list[Path]:
    """What tenfold keeps of a run, without the tasks' own output."""
    found = [*home.glob("*.json"), *home.glob("*.jsonl"), *home.glob("tasks/*/*.json*")]
    found += home.glob("tasks/*/*.times")
    return sorted(path.relative_to(home) for path in found if path.stat().st_size)


def _restore(run: Run, whole: Path) -> None:
    shutil.rmtree(run.directory.path)
    shutil.copytree(whole, run.directory.path)


def _views(trial: Trial, run: Run, whole: Path) -> None:
    """Many damages, each looked at by what all views read with: nothing raises, and what is not
    JSON any more is named."""
    tally: Counter[str] = Counter()
    files = [path for path in _state_files(whole) if path.name in ("status.json", "plan.json")]
    for _ in range(trial.pick(60, 1500)):
        path, how = trial.rng.choice(files), trial.rng.choice(DAMAGES)
        data = how((whole / path).read_bytes(), trial.rng)
        (run.directory.path / path).write_bytes(data)
        tally.update(_seen(trial, run.directory, run.directory.path / path, data))
        (run.directory.path / path).write_bytes((whole / path).read_bytes())
    told = f"of {tally['tried']} damaged copies of {len(files)} state files"
    trial.equal(f"{told}: views that raised", tally["raised"], 0)
    trial.equal(f"{told}: invalid JSON that is not reported", tally["unnamed"], 0)
    trial.note(
        f"{tally['readable']} of the {tally['tried']} damages left JSON that can be read (a digit "
        "flipped, say): state files have no checksum, and such a change is shown as it stands"
    )


def _seen(trial: Trial, run: RunDirectory, path: Path, data: bytes) -> Counter[str]:
    problems = Problems()
    try:
        status(run, problems)
    except Exception as error:
        trial.say(f"    {path.name}: {type(error).__name__}: {error}: {data[:300]!r}")
        return Counter(("tried", "raised"))
    try:
        json.loads(data)
    except ValueError:
        return Counter(("tried",) if path in problems.found else ("tried", "unnamed"))
    return Counter(("tried", "readable"))


def _commands(trial: Trial, run: Run, whole: Path) -> None:
    """The commands themselves, on any of the files."""
    bad = []
    files = _state_files(whole)
    tries = trial.pick(2, 20)
    for _ in range(tries):
        path, how = trial.rng.choice(files), trial.rng.choice(DAMAGES)
        data = how((whole / path).read_bytes(), trial.rng)
        (run.directory.path / path).write_bytes(data)
        for command, *words in COMMANDS:
            done = run.ground.tenfold(command, *words, timeout_s=60)
            if done.returncode not in (0, 1, 2) or "unexpected" in done.stderr:
                bad.append(f"{command} with {path} {how.__name__}")
                trial.say(f"    {bad[-1]}: {done.stderr.strip()[-300:]}")
        _restore(run, whole)
    trial.check(
        f"{len(COMMANDS)} commands on {tries} damaged runs: tenfold itself fails",
        "; ".join(bad) or "0 times",
        not bad,
    )


def _next_up(trial: Trial, run: Run, whole: Path) -> None:
    """The supervisor is dead, its status.json is cut: `up` says so and goes on all the same."""
    data = (whole / "status.json").read_bytes()
    run.directory.status.write_bytes(data[: len(data) // 2])
    run.why()
    done = run.ground.tenfold("up", run.ground.file, "-d", *run.ground.options)
    named = "status.json" in done.stdout + done.stderr
    trial.check("the next `tenfold up` names the damaged status.json", _told(done.stderr), named)
    aside = [path.name for path in run.directory.path.glob("status.json?*")]
    trial.check("and renames it", ", ".join(aside) or "nothing", bool(aside))
    again = run.ground.newest()
    state = again.until("succeeded", "failed", "stopped", timeout_s=60)
    trial.equal("and the run", state, "succeeded")
    trial.check(
        "which resumes from the last checkpoint",
        f"step {resumed_at(again)}",
        len(resumed_at(again)) == 1,
    )


def _told(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "status.json" in line]
    return lines[0][:160] if lines else "no word of it"


def _while_it_runs(trial: Trial) -> None:
    """Under a living supervisor state heals, and the events go on."""
    ground = Ground.of(trial, {"cluster": "alive", "jobs": {"chief": shell("exec sleep 600")}})
    run = ground.up()
    run.until("running")
    for path in (run.directory.status, run.directory.events):
        path.write_bytes(garble(path.read_bytes(), trial.rng))
    took = wait(lambda: run.state == "running", 10, "status.json to heal")
    trial.most(
        "status.json damaged under a running supervisor: complete again after", took, 3.0, "s"
    )
    run.down()
    kinds = {event["kind"] for event in run.events()}
    trial.check(
        "events.jsonl damaged under it: later events are there",
        ", ".join(sorted(kinds & {"cluster-stopping", "cluster-stopped"})),
        "cluster-stopped" in kinds,
    )
    problems = Problems()
    read_events(run.directory.events, problems)
    trial.check(
        "and the damage is reported",
        "; ".join(problems.found.values()) or "no",
        bool(problems.found),
    )


def damaged_checkpoints(trial: Trial) -> None:
    """The newest checkpoint cut, garbled, a bit flipped: the one before is gone on with."""
    for number, how in enumerate(DAMAGES[: trial.pick(1, 3)]):
        cluster = {"cluster": f"checkpoint-{number}", "jobs": {"chief": training(STEPS)}}
        ground = Ground.of(trial, cluster)
        run = ground.up()
        _kill_with_two(run)
        _damaged_one(trial, run, how)


def _kill_with_two(run: Run) -> None:
    wait(lambda: len(_checkpoints(run)) >= 2, 30, "two checkpoints")
    kill(run.supervisor(), signal.SIGKILL)
    leftovers.wait_gone(run.ground.trial.home, 5)


def _checkpoints(run: Run) -> list[Path]:
    found = run.directory.shared("checkpoints").glob("*/0*-step-*")
    return sorted(path for path in found if path.name.rpartition("-")[2].isdigit())


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _damaged_one(trial: Trial, run: Run, how: Damage) -> None:
    before, newest = _checkpoints(run)[-2:]
    victim = trial.rng.choice(sorted(path for path in newest.iterdir() if path.is_file()))
    victim.write_bytes(how(victim.read_bytes(), trial.rng))
    run.why()
    done = run.ground.tenfold("up", run.ground.file, "-d", *run.ground.options)
    again = run.ground.newest()
    state = again.until("succeeded", "failed", "stopped", timeout_s=60)
    what = f"{victim.name} of the newest: {how.__name__}"
    trial.check(
        f"{what}: it is named", _named(done.stderr, newest.name), newest.name in done.stderr
    )
    trial.equal(
        f"{what}: resumed at the step of the one before", resumed_at(again), [_step(before)]
    )
    trial.equal(f"{what}: the run", state, "succeeded")


def _named(text: str, name: str) -> str:
    lines = [line.strip() for line in text.splitlines() if name in line]
    return lines[0].replace(str(Path(lines[0].split()[0]).parent), "…")[:200] if lines else "no"
