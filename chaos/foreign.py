"""What tasks do to their own run directory: foreign files in it, its removal, and a forged pid."""

from __future__ import annotations

import json
import signal
import subprocess
import time

from chaos.ground import Ground, Run, kill, shell, wait
from chaos.trial import Trial

COMMANDS = (("ps",), ("ps", "--all"), ("logs",), ("why",), ("events",), ("map",), ("stacks",))
SOON_S = 15.0
PRECIOUS = "precious"

REPLACE = """
if test -e {home}/second; then echo second life; exec sleep 600; fi
cd $TENFOLD_RUN_DIRECTORY
rm -rf {names}
for name in {names}; do {how}; done
touch {home}/second
exit 1
"""

NAMES = (
    *("supervisor.lock", "control.sock", "events.jsonl", "status.json", "plan.json"),
    *("addresses.json", "supervisor.log"),
    *(f"tasks/vandal-0/{name}" for name in (
        "stdout.log", "stderr.log", "stdout.times", "status.json", "traffic.jsonl", "usage.jsonl",
        "progress.json")),
)  # fmt: skip

WAYS = {
    "pipes": "mkfifo $name",
    "links": "ln -s {home}/precious $name",
    "hard links": "ln {home}/precious $name",
    "directories": "mkdir $name",
    "a terabyte": "truncate -s 1T $name",
    "nothing": ":",
}


def foreign_files(trial: Trial) -> None:
    """A task replaces every file of its run, is restarted among them, and all commands look."""
    for what, how in [*WAYS.items()][: trial.pick(2, len(WAYS))]:
        _replaced(trial, what, how)


def _replaced(trial: Trial, what: str, how: str) -> None:
    rule = {"policy": "on-failure", "backoff": "100ms"}
    cluster = {"cluster": "vandal", "stop_grace": "2s", "jobs": {}}
    ground = Ground.of(trial, cluster)
    (ground.home / "precious").write_text(PRECIOUS)
    script = REPLACE.format(
        home=ground.home, names=" ".join(NAMES), how=how.format(home=ground.home)
    )
    cluster["jobs"] = {"vandal": shell(script, restart=rule)}
    ground.file.write_text(json.dumps(cluster))
    run = ground.up()
    wait(lambda: "second life" in run.log("vandal/0"), 60, "the output of its second life")
    wait(lambda: run.state == "running" and run.directory.alive(), 60, "the run to be seen again")
    slow, bad = _looked_at(run)
    trial.equal(f"{what}: commands that hang or fail", bad, [])
    trial.most(f"{what}: the slowest command", slow, SOON_S, "s")
    done = run.down()
    trial.equal(f"{what}: `down` ends it", (done.returncode, run.state), (0, "stopped"))
    precious = (ground.home / "precious").read_text()
    trial.equal(f"{what}: the file that links point to", precious, PRECIOUS)
    trial.equal(f"{what}: messages of the supervisor", _said(run), "")
    run.why()


def _said(run: Run) -> str:
    try:
        return run.supervisor_log().replace("\0", "")[:500] if _is_small(run) else ""
    except OSError:  # a link, a directory, nothing
        return ""


def _is_small(run: Run) -> bool:
    path = run.directory.supervisor_log
    return (
        path.is_file()
        and not path.is_symlink()
        and path.stat().st_nlink == 1
        and (path.stat().st_size < 1 << 20)
    )


def _looked_at(run: Run) -> tuple[float, list[str]]:
    """How long the slowest command took, and those that did not do what they should."""
    slow, bad = 0.0, []
    for words in COMMANDS:
        begun = time.monotonic()
        try:
            done = run.ground.tenfold(*words, timeout_s=60)
        except subprocess.TimeoutExpired:
            bad.append(f"{words[0]} hangs")
            continue
        slow = max(slow, time.monotonic() - begun)
        if done.returncode or "Traceback" in done.stderr or PRECIOUS in done.stdout:
            bad.append(f"{' '.join(words)}: {done.returncode} {done.stderr[-200:]}")
    return slow, bad


def removed_run(trial: Trial) -> None:
    """A task removes the run directory, at once or slowly, and ends well or badly."""
    for code, state in ((0, "succeeded"), (3, "failed")):
        for pause in ("0", "2"):
            script = f"rm -rf $TENFOLD_RUN_DIRECTORY; sleep {pause}; exit {code}\n"
            ground = Ground.of(trial, {"cluster": "gone", "jobs": {"worker": shell(script)}})
            done = ground.tenfold("up", ground.file)
            told = f"exit code {code} after {pause} s"
            trial.equal(f"{told}: exit code of `up`", done.returncode, int(code > 0))
            run = ground.newest()
            trial.equal(f"{told}: state in `ps`", run.state, state)
            trial.check(
                f"{told}: first line of `why`",
                run.why(),
                f"gone {state}" in str(run.ground.trial.why),
            )


def forged_pid(trial: Trial) -> None:
    """status.json names others' pids, and the supervisor does not answer: `down`."""
    for forged in ("an innocent process", "1", "0", "-1")[: trial.pick(1, 4)]:
        with subprocess.Popen(["sleep", "600"]) as innocent:
            try:
                _forged(trial, forged, innocent)
            finally:
                innocent.kill()


def _forged(trial: Trial, forged: str, innocent: subprocess.Popen[bytes]) -> None:
    cluster = {"cluster": "forged", "stop_grace": "1s", "jobs": {"worker": shell("sleep 600")}}
    run = Ground.of(trial, cluster).up()
    run.until("running")
    supervisor = run.supervisor()
    kill(supervisor, signal.SIGSTOP)
    said = json.loads(run.directory.status.read_text())
    said["supervisor_pid"] = int(forged) if forged.lstrip("-").isdigit() else innocent.pid
    run.directory.status.write_text(json.dumps(said))
    run.down("--kill")
    trial.equal(f"{forged}: the run counts as running", run.directory.alive(), False)
    wait(lambda: not kill(supervisor, 0), 10, "the supervisor to be gone")
    trial.equal(f"{forged}: exit code of the other process", innocent.poll(), None)
    run.why()
