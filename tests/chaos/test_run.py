"""The command: which cases, what it writes, its exit codes, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import ROOT, leftovers
from chaos.cases import CASES
from chaos.run import main
from chaos.trial import Case, Trial
from tests.conftest import wait_for

GOOD = Case("good", "nothing", lambda trial: trial.equal("nothing", 0, 0), 10)
BAD = Case("bad", "something", lambda trial: trial.equal("something", 1, 0), 10)

SLOW = """
import subprocess, sys
from chaos.run import main
from chaos.ground import Ground, shell
from chaos.trial import Case

def slow(trial):
    cluster = {"cluster": "slow", "jobs": {"a": shell("trap '' TERM; sleep 600")}}
    run = Ground.of(trial, cluster).up()
    run.until("running")
    print(trial.home, flush=True)
    run.until("succeeded", timeout_s=600)

good = Case("good", "nothing", lambda trial: trial.equal("nothing", 0, 0), 10)
sys.exit(main(sys.argv[1:], (good, Case("slow", "nothing ends", slow, 600, 600))))
"""


def page(tmp_path: Path) -> list[str]:
    """Options for a page and files of the test's own."""
    files = ("--page", "page.md"), ("--json", "rows.json"), ("--keep", "failed")
    return [word for option, name in files for word in (option, str(tmp_path / name))]


def test_a_failed_check_is_reported_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", *page(tmp_path)], (GOOD, BAD)) == 1
    assert "failed: bad" in capsys.readouterr().out
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["case"], row["ok"]) for row in rows] == [("good", True), ("bad", False)]
    assert rows[1]["checks"][0] == {
        "asked": "something",
        "measured": "1, not 0",
        "ok": False,
        "timed": False,
    }


def test_the_files_of_a_case_that_failed_are_kept(tmp_path: Path) -> None:
    def writing(trial: Trial) -> None:
        (trial.home / "evidence").write_text("what happened")
        (trial.home / "much").write_bytes(bytes(9 << 20))
        trial.equal("something", trial.seed, 2)

    case = Case("writing", "something", writing, 10)
    assert main(["--quick", "--seed", "2", *page(tmp_path)], (case,)) == 0
    assert not (tmp_path / "failed").exists()
    assert main(["--quick", "--seed", "3", *page(tmp_path)], (case,)) == 1
    assert [path.name for path in (tmp_path / "failed" / "writing").iterdir()] == ["evidence"]


def test_some_cases_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "good", "--seed", "7", *page(tmp_path)], (GOOD, BAD)) == 0
    assert [row["seed"] for row in json.loads((tmp_path / "rows.json").read_text())] == [7]
    assert main(["--quick", "goo"], (GOOD, BAD)) == 2
    assert "no case goo" in capsys.readouterr().err


def test_cases_that_have_no_time_left_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos.run.QUICK_LIMIT_S", 0.0)
    slow = Case("slow", "nothing ends", lambda trial: signal.pause(), 60)
    assert main(["--quick", *page(tmp_path)], (slow,)) == 1


def test_the_short_form_leaves_the_page_in_docs_alone(tmp_path: Path) -> None:
    before = (ROOT / "docs" / "reliability.md").read_bytes()
    assert main(["--quick", "--json", str(tmp_path / "rows.json")], (GOOD,)) == 0
    assert (ROOT / "docs" / "reliability.md").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_writes_its_results_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    argv = [sys.executable, "-c", SLOW, "--quick", *page(tmp_path)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    ) as started:
        assert started.stdout is not None
        home = Path(started.stdout.readline().strip())
        assert leftovers.found(home)
        started.send_signal(number)
        out, _ = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "nothing" in out
    assert [row["case"] for row in json.loads((tmp_path / "rows.json").read_text())] == ["good"]
    wait_for(lambda: not leftovers.found(home), 5)
    assert not home.exists()


def test_names_are_short_and_each_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 24 and name == name.lower() for name in names)
    assert os.environ.get("CHAOS_HOME") is None, "the tests themselves are no case"


def test_a_trial_picks_sizes_for_its_form(tmp_path: Path) -> None:
    trial = Trial("one", tmp_path, 1)
    assert (trial.pick(1, 20), Trial("one", tmp_path, 1, quick=True).pick(1, 20)) == (20, 1)
