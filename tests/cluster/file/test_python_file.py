"""The Python form of a cluster file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cluster.file import load
from tenfold.errors import InputError
from tenfold.planning.planner import plan

HEAD = "from tenfold.cluster.spec import Cluster, Job\n"


def write(directory: Path, text: str) -> Path:
    file = directory / "cluster.py"
    file.write_text(HEAD + text)
    return file


def fault(directory: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        load(write(directory, text))
    (found,) = caught.value.faults
    return str(found).removeprefix(f"{directory}/")


def test_a_cluster_and_a_function_that_returns_one(tmp_path: Path) -> None:
    made = "Cluster(cluster='x', jobs={'a': Job(run='python x.py ${n}')}, vars={'n': 3})"
    for text in (f"cluster = {made}", f"def cluster():\n    return {made}"):
        loaded = load(write(tmp_path, text), settings=["vars.n=4", "jobs.a.tasks=2"])
        assert [task.command[-1] for task in plan(loaded).tasks] == ["4", "4"]
        assert loaded.directory == tmp_path


def test_a_python_file_can_import_local_modules_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "names_of_mine.py").write_text("NAME = 'x'\n")
    text = "import names_of_mine\nprint('noise')\n"
    text += "cluster = Cluster(cluster='x', jobs={'a': Job(run='x')})"
    file = write(tmp_path, text)
    load(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.py", "names_of_mine.py"]


def test_it_can_extend_a_file(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("stop_grace: 3s\n")
    text = "cluster = Cluster(cluster='x', jobs={'a': Job(run='x')}, extends=('base.yaml',))"
    assert load(write(tmp_path, text)).cluster.stop_grace == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f():\n    raise ValueError('no\\nway')\nf()", "cluster.py:3:5: ValueError: no"),
        ("cluster = (", "cluster.py:2:11: SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit(3)", "cluster.py:3:1: SystemExit: 3"),
        ("x = 1", "cluster.py: has no `cluster`"),
        ("cluster = {'cluster': 'x'}", "cluster.py: has a `cluster` that is a mapping"),
        ("cluster = Cluster", "cluster.py: has a `cluster` that is of "),
        ("cluster = Cluster(cluster='X', jobs={'a': Job(run='x')})", "cluster: expected a name"),
        ("j = Job(run='x', taks=3)", "cluster.py:2:1: taks: unknown key"),
        ("cluster = Cluster(cluster='x', jobs={'a': Job(run='x', after='b')})", "there is no job"),
        ("def f(): f()\nf()", "RecursionError"),
    ],
)
def test_an_invalid_python_file_is_a_fault(tmp_path: Path, text: str, words: str) -> None:
    assert words in fault(tmp_path, text)
