"""The account of what no small cluster can be made to have: from files in the shapes that the
supervisor writes. With test_why.py: a first line to act on for every fault of the chaos table.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.run.jsonfiles import read_json, write_json
from tenfold.views.facts import Disk
from tenfold.views.status import status
from tenfold.views.traffic import MapEdge
from tests.views.written import NOW, Written, save, shown


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.setenv("TENFOLD_RUNS", str(tmp_path))  # where commands look
    return Written(tmp_path)


STOPPED = ("worker/1 makes no progress for 5 s: worker/1 is stopped by a signal (state T);"
           " `kill -CONT 4242` continues it")  # fmt: skip


def _hang(written: Written, **more: Any) -> dict[str, Any]:
    report = written.run.path / "hangs/20261125-210000/report.json"
    report.parent.mkdir(parents=True)
    write_json(report, {"version": 1, "words": STOPPED, "task": "worker/1", "time": NOW - 30})
    return {"time": NOW - 30, "task": "worker/1", "words": STOPPED, "report": str(report),
            "action": "report"} | more  # fmt: skip


def test_a_stopped_task_hangs_the_cluster(written: Written) -> None:
    written.said["hang"] = told = _hang(written)
    told_now = written.told(alive=True)
    assert told_now["headline"] == (f"word2vec hangs: {STOPPED}; less {told['report']}")
    assert told_now["hangs"] == [told["report"]]
    assert told_now["next"][1:] == ["tenfold stacks word2vec", "tenfold restart word2vec worker/1"]


def test_a_hang_that_ended_the_run(written: Written) -> None:
    written.event("hang", "worker/1", words=STOPPED, report=None, action="stop")
    written.failed(f"hung, and all restarts are used up: {STOPPED}")
    assert written.told()["headline"] == (
        f"word2vec failed: it hung, and all restarts are used up: {STOPPED}"
    )


def test_a_past_hang_is_listed_below_the_summary(written: Written) -> None:
    written.event("hang", "worker/1", 90, words=STOPPED, report=None, action="report")
    written.event("progress-resumed", ago_s=60)
    told = written.told(alive=True)
    assert told["headline"].endswith("no problem found")
    assert [(one["kind"], one["now"]) for one in told["troubles"]] == [("hang", False)]
    assert "was hang" in shown(told)


def test_a_full_disk(written: Written) -> None:
    place = str(written.run.path)
    full = written.told(alive=True, disk=Disk(0, 1 << 30))
    assert full["headline"].startswith(
        f"word2vec runs, but: the disk of {place} is full (0 B free);"
    )
    assert "free space there" in full["headline"]
    names = written.told(alive=True, disk=Disk(1 << 29, 1 << 30, files_left=False))
    assert "is full (no space for new files free)" in names["headline"]


def test_a_disk_that_did_not_take_checkpoints_and_then_did(written: Written) -> None:
    written.event("disk-full", path="/scratch/checkpoints")
    disk = Disk(1 << 40, 1 << 41)
    told = written.told(alive=True, disk=disk)
    assert told["headline"] == (
        "word2vec runs, but: the disk refused to write /scratch/checkpoints; "
        "df -h /scratch/checkpoints"
    )
    written.event("disk-back", ago_s=30, path="/scratch/checkpoints", lost_bytes=3 << 20)
    told = written.told(alive=True, disk=disk)
    assert not told["wrong"]
    assert "a disk was full for a while; 3 MiB of output were lost" in shown(told)


def test_a_silent_task_is_named_if_its_peers_communicate(written: Written) -> None:
    def edge(one: str, other: str, ago_s: float | None) -> MapEdge:
        last = None if ago_s is None else NOW - ago_s
        return MapEdge(one, other, bytes=9, expected=True, last_byte=last)

    edges = [edge("ps/0", "worker/0", 0.5), edge("ps/1", "worker/0", 1.0),
             edge("ps/0", "worker/1", 45.0), edge("ps/1", "worker/1", None)]  # fmt: skip
    told = written.told(*edges, alive=True)
    assert told["headline"] == (
        "word2vec runs, but: worker/1 has been silent for 45 s, and the other tasks communicate;"
        " tenfold stacks worker/1; tenfold map"
    )
    quiet = [replace(one, last_byte=NOW - 45) for one in edges]
    assert written.told(*quiet, alive=True)["headline"].endswith("no problem found")


def test_edges_that_are_cut_name_who_is_cut_off(written: Written) -> None:
    ends = [("chief/0", "ps/0"), ("chief/0", "worker/0"), ("ps/0", "worker/0")]
    edges = [MapEdge(*pair, bytes=9, mark="cut" if "ps/0" in pair else "silent") for pair in ends]
    told = written.told(*edges, alive=True)
    assert told["headline"].startswith(
        "word2vec runs, but: ps/0 is cut off: what it and chief/0, worker/0 send each other"
        " is not acknowledged; check the network between them"
    )
    assert [(one["kind"], one["task"]) for one in told["troubles"]] == [("cut", "ps/0")]


def test_a_task_that_cannot_be_killed(written: Written) -> None:
    written.event("task-unkillable", "worker/1", pid=4242)
    told = written.told(alive=True)
    assert "worker/1 (pid 4242) was killed and does not end; ps -o" in told["headline"]


def test_a_waiting_task_names_what_it_waits_for(written: Written) -> None:
    plan = read_json(written.run.plan) or {}
    plan["tasks"][3]["after"] = {"ps": "ready"}
    write_json(written.run.plan, plan)
    written.said["state"] = "starting"
    written.tasks["worker/0"]["state"] = "waiting"
    written.tasks["ps/1"]["state"] = "starting"
    written.tasks["ps/1"]["started"] = NOW - 5
    told = written.told(alive=True)
    assert told["headline"] == (
        "word2vec is starting: worker/0 waits for ps/1 (starting); tenfold logs word2vec ps/1"
    )


def test_a_group_that_was_restarted_and_a_run_that_was_resumed(written: Written) -> None:
    for ago_s, attempt in ((300, 1), (200, 2)):
        written.event("task-retried", "ps/1", ago_s, in_s=1, attempt=attempt, limit=3,
                      scope="cluster", because="was killed by SIGKILL")  # fmt: skip
        for other in ("chief/0", "ps/0", "worker/0", "worker/1"):
            written.event("restarted-with", other, ago_s, because="ps/1")
    written.said["resumed_from"] = {"run": "r1", "checkpoint": "main/000007-step-9", "step": 9}
    written.tasks["ps/1"]["retried"] = [NOW - 300, NOW - 200]
    told = written.told(alive=True)
    assert told["headline"].endswith(
        "no problem found; ps/1 restarted 2 times (the last was killed by SIGKILL)"
    )
    (retry,) = told["retries"]
    assert (retry["task"], retry["spent"], retry["limit"]) == ("ps/1", 2, 3)
    assert retry["with"] == ["chief/0", "ps/0", "worker/0", "worker/1"]
    text = shown(told)
    assert "and with it chief/0, ps/0, worker/0, worker/1" in text
    assert "resumed     from run r1, checkpoint main/000007-step-9, step 9" in text


def test_a_peer_that_was_gone_is_pointed_at(written: Written) -> None:
    first = written.death("chief/0", exit_code=1, words="exited with code 1", lines=[
        "Traceback (most recent call last):", "  File \"train.py\", line 1",
        "UnavailableError: failed to connect to all addresses",
    ])  # fmt: skip
    ps = written.death("ps/1", 8, signal="SIGKILL", words="was killed by SIGKILL")
    written.failed("chief/0 exited with code 1", first, ps)
    assert written.told()["headline"].endswith(
        "; look at ps/1, which was killed by SIGKILL soon after"
    )


@pytest.mark.parametrize(
    ("cause", "words", "hint"),
    [
        ("oom", "was killed (out of memory at its limit of 512MiB)", "raise jobs.ps.resources."),
        ("removed", "ended: its container was removed from outside", "find out who removed it"),
        (
            "node",
            "was evicted from its node: disk",
            "tenfold up starts a run on the remaining nodes",
        ),
    ],
)
def test_the_cause_from_the_cell_is_explained(
    written: Written, cause: str, words: str, hint: str
) -> None:
    plan = read_json(written.run.plan) or {}
    plan["tasks"][2]["memory"] = 512 << 20
    write_json(written.run.plan, plan)
    said = ["Connection refused: trying again"]  # what it said before has nothing to do with it
    first = written.death("ps/1", signal="SIGKILL", words=words, reason=words, cause=cause,
                          lines=said)  # fmt: skip
    written.failed(f"ps/1 {words}", first)
    assert written.told()["headline"].startswith(f"word2vec failed: ps/1 {words}; {hint}")


def test_a_thousand_tasks_half_of_which_failed(tmp_path: Path) -> None:
    written = Written(tmp_path, *(f"w/{n}" for n in range(1000)))
    deaths = [written.death(f"w/{n}", exit_code=3, words="exited with code 3", lines=[])
              for n in range(500)]  # fmt: skip
    written.failed("w/0 exited with code 3", *deaths)
    told = written.told()
    assert told["headline"] == "word2vec failed: w/0 exited with code 3"
    assert len(told["consequences"]) == 499
    text = shown(told)
    assert "; 493 more" in text
    assert len(text.splitlines()) < 20


def test_truncated_checkpoints_are_named_and_an_older_one_is_shown(written: Written) -> None:
    older = save(written.run, 900, NOW - 100)
    newer = save(written.run, 1200, NOW - 40)
    (newer / "state").write_bytes(b"sta")
    written.said["state"] = "running"
    told = written.told()
    assert told["checkpoint"]["path"] == str(older)
    assert told["checkpoint"]["age_s"] == 100.0
    assert "resumes from checkpoint main/000001-step-900, 1 min 40 s" in told["headline"]
    assert f"checkpoint {newer}: state has 3 bytes instead of 5" in shown(told)


def test_damaged_events_and_renamed_files_are_reported(written: Written) -> None:
    aside: dict[str, Any] = {"file": "status.json", "as": "status.json.damaged"}
    written.event("set-aside", **aside)
    with written.run.events.open("ab") as stream:
        stream.write(b"\xff\xfe{{{\n")
    told = written.told(alive=True)
    assert told["headline"].startswith("word2vec runs, but: ")
    assert "events.jsonl has a damaged line" in told["headline"]
    assert "status.json was damaged, and is renamed to status.json.damaged" in shown(told)


def test_a_cell_that_cannot_begin(written: Written) -> None:
    written.event("error", message="there is no image x here", hint="docker images lists them")
    written.failed("there is no image x here")
    assert written.told()["headline"] == (
        "word2vec failed: there is no image x here; docker images lists them"
    )


def test_a_supervisor_that_broke(written: Written) -> None:
    written.run.supervisor_log.write_text(
        "Traceback (most recent call last):\n  File x\nRuntimeError: bug\n"
    )
    written.write()
    told = written.told()
    assert told["headline"].startswith(
        'word2vec failed: its supervisor crashed: it says "RuntimeError: bug"; '
        "tenfold up restarts it: tenfold has no checkpoint of it, and a script that saves "
        "its own snapshots"
    )


@pytest.mark.parametrize("nonsense", [None, 3, "x", [], {}, [1], {"task": 3}, -1e300, True])
def test_values_of_the_wrong_type_stop_no_reader(written: Written, nonsense: object) -> None:
    kinds = ("hang", "disk-full", "disk-back", "task-unkillable", "task-retried", "error",
             "restarted-with", "set-aside", "resumed", "task-exited", "task-refused",
             "progress-resumed")  # fmt: skip
    for kind in kinds:
        keys = ("in_s", "limit", "words", "report", "because", "path", "lost_bytes", "reason",
                "state", "message", "hint", "scope", "pid")  # fmt: skip
        written.event(kind, nonsense, **dict.fromkeys(keys, nonsense))  # type: ignore[arg-type]
    for key in ("hang", "resumed_from", "first_failure", "reason", "outcome", "consequences"):
        written.said[key] = nonsense
    for told in written.tasks.values():
        told |= dict.fromkeys(("retried", "reason", "cause", "exit_code", "signal"), nonsense)
    for alive in (True, False):
        told_now = written.told(alive=alive)
        assert told_now["headline"].startswith("word2vec ")
        assert shown(told_now)


def test_the_first_line_is_plain_and_one(written: Written) -> None:
    words = "exited with code 1"
    first = written.death("chief/0", exit_code=1, words=words, lines=["Error: \x1b[31mred\x1b[0m"])
    written.failed("x", first)
    line = shown(written.told()).splitlines()[0]
    assert line.isprintable()


def test_json_can_be_written(written: Written) -> None:
    told = json.loads(json.dumps(written.told()))
    assert told["version"] == 1
    assert set(told) == {
        "version", "cluster", "run", "directory", "cell", "state", "wrong", "headline", "hint",
        "next", "reason", "started", "ended", "seen", "first_failure", "consequences", "retries",
        "resumed_from", "troubles", "checkpoint", "disk", "hangs", "damaged",
    }  # fmt: skip
    assert status(written.run).cluster == "word2vec"


def test_checkpoints_that_cannot_be_saved(written: Written) -> None:
    save(written.run, 1200, NOW - 90)
    written.write()
    unsaved = {"words": "No space left on device", "place": "/scratch/ck", "time": NOW - 5}
    write_json(written.run.task("chief-0").unsaved, unsaved)
    assert written.told(alive=True)["headline"] == (
        "word2vec runs, but: chief/0 cannot save its checkpoints (No space left on device);"
        " the last good one is main/000001-step-1200; df -h /scratch/ck"
    )
