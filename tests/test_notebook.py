"""`%load_ext tenfold` in a real kernel and in a plain IPython: `%map`, `%tasks`, `%logs`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create, hold_lock

pytest.importorskip("IPython", reason="Jupyter is not installed: make test brings it")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run of a chief, a ps and two workers, as far as its files say."""
    made = create(tmp_path / "runs", "word2vec")
    names = ("chief/0", "ps/0", "worker/0", "worker/1")
    tasks = [task_of(name) for name in names]
    plan = {"version": 1, "cluster": "word2vec", "framework": "tensorflow", "cell": "local"}
    more = {"directory": str(tmp_path), "success": ["chief"], "tasks": tasks}
    write_json(made.plan, plan | more)
    write_json(made.status, {"state": "running", "started": 1.0, "updated": 2.0})
    for task in tasks:
        directory = made.task(task["task"].replace("/", "-"))
        directory.path.mkdir()
        write_json(directory.status, {"state": "running", "started": 1.0, "pid": 7})
        lines = "".join(f"line {n} of {task['task']} <b>\n" for n in range(30))
        directory.log("stdout").write_text(lines)
    said = {"url": "http://127.0.0.1:1/", "state": "running"}
    write_json(made.task("worker-1").status, said)
    made.task("worker-1").token.write_text("secret")
    peers = {"ps/0": [2_000_000, 1_000_000, 1, 1]}
    made.task("worker-0").traffic.write_text(json.dumps({"time": 2.0, "peers": peers}) + "\n")
    return made


def task_of(name: str) -> dict[str, Any]:
    """A task in a plan."""
    job, _, index = name.partition("/")
    return {"task": name, "job": job, "index": int(index), "command": ["x"], "env": {}}


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """That of a person whose runs are below `tmp_path`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENFOLD_")}
    own = {"TENFOLD_RUNS": str(tmp_path / "runs"), "IPYTHONDIR": str(tmp_path / "ipython")}
    return kept | own | more


def executed(tmp_path: Path, cells: Sequence[str], **more: str) -> list[list[Any]]:
    """The outputs of each cell of a notebook that a real kernel has run."""
    pytest.importorskip("nbclient", reason="nbclient is not installed: make test brings it")
    nbformat = pytest.importorskip("nbformat")
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(made, path)
    command = [sys.executable, "-c", "from nbclient.cli import main; main()", str(path)]
    command += ["--inplace", "--allow-errors", "--timeout=120"]
    done = subprocess.run(
        command,
        env=environment(tmp_path, **more),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [list(cell.outputs) for cell in nbformat.read(path, 4).cells]


def data_of(outputs: Sequence[Any]) -> Mapping[str, str]:
    """What the only output of a cell shows."""
    (output,) = outputs
    assert output["output_type"] == "display_data", output
    shown: Mapping[str, str] = output["data"]
    return shown


def error_of(outputs: Sequence[Any]) -> str:
    """What a cell says that could not do what it should."""
    return "".join(
        output["text"] for output in outputs if output.get("name") == "stderr"
    ) or "".join(output.get("evalue", "") for output in outputs)


def test_the_three_views(run: RunDirectory, tmp_path: Path) -> None:
    with hold_lock(run):
        loaded, the_map, tasks, logs, some = executed(
            tmp_path,
            [
                "%load_ext tenfold",
                "%map",
                "%tasks word2vec",
                "%logs",
                f"%logs word2vec/{run.run} worker/0 ps -n 2",
            ],
        )
    assert loaded == []
    svg = data_of(the_map)["image/svg+xml"]
    assert svg.startswith("<svg ")
    assert "ps/0 – worker/0: 3.0 MB" in svg or "worker/0 – ps/0: 3.0 MB" in svg
    assert "worker/0" in data_of(the_map)["text/plain"]
    shown = data_of(tasks)
    assert shown["text/html"].count("<tr>") == 5
    assert "worker/1" in shown["text/plain"]
    assert not any("secret" in text for text in shown.values())
    lines = data_of(logs)["text/plain"].splitlines()
    assert len(lines) == 4 * 20
    assert "line 29 of ps/0 &lt;b&gt;" in data_of(logs)["text/html"]
    assert sorted(data_of(some)["text/plain"].splitlines()) == [
        "ps-0     | line 28 of ps/0 <b>",
        "ps-0     | line 29 of ps/0 <b>",
        "worker-0 | line 28 of worker/0 <b>",
        "worker-0 | line 29 of worker/0 <b>",
    ]


CHANGE = """
import os, threading, _thread
from pathlib import Path
from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory
status = RunDirectory(Path(os.environ["OF"])).task("worker-0").status
threading.Timer(1.5, write_json, [status, {"state": "restarting"}]).start()
threading.Timer(4.0, _thread.interrupt_main).start()
"""


def test_a_followed_table_is_updated_until_it_is_interrupted(
    run: RunDirectory, tmp_path: Path
) -> None:
    with hold_lock(run):
        _, _, tasks, after = executed(
            tmp_path,
            ["%load_ext tenfold", CHANGE, "%tasks -f 5m", "print('and on')"],
            OF=str(run.path),
        )
    assert "restarting" in data_of(tasks)["text/html"]
    assert after[0]["text"] == "and on\n"


@pytest.mark.usefixtures("run")
def test_mistakes_are_reported_in_one_line_with_a_hint(tmp_path: Path) -> None:
    cells = ["%tasks nope", "%logs worker/9", "%logs -n x", "%map -f soon", "%tasks a b c"]
    outputs = executed(tmp_path, ["%load_ext tenfold", *cells])[1:]
    said = [error_of(output) for output in outputs]
    for words, expected in zip(
        said,
        (
            "no run of cluster nope",
            "did you mean worker/",
            "a number of lines",
            'invalid value for -f: "soon"',
            "unrecognized arguments: b c",
        ),
        strict=True,
    ):
        assert expected in words
        assert "Traceback" not in words
    assert "hint: " in said[0]


def test_in_a_clusters_jupyter_it_is_that_cluster(run: RunDirectory, tmp_path: Path) -> None:
    newer = create(tmp_path / "runs", "another")
    write_json(newer.plan, {"cluster": "another", "tasks": [task_of("a/0")]})
    code = "%load_ext tenfold\n%tasks\n%logs worker/0 -n 1\n%tasks another\n%logs another a"
    told = ipython(tmp_path, code, TENFOLD_RUN_DIRECTORY=str(run.path))
    assert told.count("word2vec ") == 1
    assert "worker-0 | line 29" in told
    assert told.count("another ") == 1
    assert ipython(tmp_path, "%load_ext tenfold\n%tasks").startswith("another ")
    elsewhere = {"TENFOLD_RUN_DIRECTORY": str(run.path), "TENFOLD_RUNS": str(tmp_path / "none")}
    (said,) = executed(tmp_path, ["%load_ext tenfold\n%logs worker/9"], **elsewhere)
    assert "word2vec has no task" in error_of(said)


def ipython(tmp_path: Path, code: str, **more: str) -> str:
    """What a plain IPython prints."""
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code],
        env=environment(tmp_path, **more),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_in_a_terminal_it_is_text(run: RunDirectory, tmp_path: Path) -> None:
    told = ipython(tmp_path, "%load_ext tenfold\n%map\n%tasks -f 1m\n%logs chief -n 1")
    assert told.count(f"word2vec {run.run}") == 2
    assert "chief-0 | line 29 of chief/0 <b>" in told
    assert "svg" not in told


def test_nothing_of_it_is_imported_before() -> None:
    code = "import sys, tenfold, tenfold.cli; print('IPython' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
