"""Faults of several keys together, warnings, and what this machine lacks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenfold.cluster.check import faults_here
from tenfold.cluster.file import load, loads
from tenfold.errors import Fault, InputError

TF = "cluster: x\nframework: tensorflow\n"


def fault(jobs: str, top: str = "") -> str:
    """The one fault of a file with these jobs, from its path on."""
    with pytest.raises(InputError) as caught:
        loads(f"cluster: x\n{top}jobs: {{{jobs}}}\n")
    (found,) = caught.value.faults
    assert found.place is not None
    assert found.place.line > 1
    return f"{found.path}: {found.message}"


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ("a: {run: x, after: b}", 'jobs.a.after.b: there is no job "b"'),
        ("a: {run: x, after: a}", "jobs.a.after.a: a job cannot depend on itself"),
        ("a: {run: x, after: b}, b: {run: x, after: a}", "in a cycle: a → b → a"),
        ("ps: {}", "jobs.ps: has no `run`, and there is no standard server"),
        ("a: {run: ''}", "jobs.a.run: the command is empty"),
        ("a: {run: []}", "jobs.a.run: expected a command line or a list of words, got a list"),
        ("a: {run: x, ready: {tcp: web}}", 'jobs.a.ready.tcp: the job has no port "web"'),
        (
            "a: {run: x, ready: {http: /, port: web}}",
            'jobs.a.ready.port: the job has no port "web"',
        ),
        ("a: {run: x, ready: {}}", "expected exactly one of tcp, http, command and log"),
        ("a: {run: x, ready: {http: a}}", "jobs.a.ready.http: expected a path that begins with /"),
        ("a: {run: x, ready: {log: '('}}", "jobs.a.ready.log: not a regular expression"),
        ("a: {run: x, ports: {b: 1, c: 1}}", "jobs.a.ports.c: port 1 is already used by b"),
        ("a: {run: x, publish: web}", 'jobs.a.publish: the job has no port "web"'),
        ("a: {run: x, ports: {main: 1}}", "jobs.a.ports.main: every task already has a main port"),
        (
            "a: {run: x, ports: {b: 0}}",
            "jobs.a.ports.b: expected a port, 1 to 65535, or auto, got 0",
        ),
        (
            "a: {run: x, overrides: {1: {}}}",
            "jobs.a.overrides.1: there is no task 1: the job has 1",
        ),
        (
            "a: {run: x, tasks: 9, overrides: {3-1: {}}}",
            "jobs.a.overrides.3-1: 3-1 is an empty range",
        ),
        ("a: {run: x, tasks: 9, overrides: {1-3: {}, 2: {}}}", "2 and 1-3 contain the same task"),
        (
            "a: {run: x, tasks: 2}, a-1: {run: x}",
            "jobs.a-1: a-1 is also the name of task 1 of job a",
        ),
    ],
)
def test_an_impossible_job_is_a_fault(jobs: str, words: str) -> None:
    assert words in fault(jobs)


def test_faults_of_the_top() -> None:
    assert 'success[0]: there is no job "b"' in fault("a: {run: x}", "success: [b]\n")
    assert "`jupyter: …` already creates a job of this name" in fault(
        "jupyter: {run: x}", "jupyter: true\n"
    )
    services = "tensorboard: {port: 80}\njupyter: {port: 80}\n"
    assert "jupyter.port: port 80 is already used by tensorboard" in fault("a: {run: x}", services)


@pytest.mark.parametrize(
    "name", ["../x", "-n", "a" * 300, "<b>", "A", "a_b", "a.b", "1a", "a-", "é"]
)
def test_names_that_are_no_names(name: str) -> None:
    assert "expected a job name of at most 40" in fault(f'"{name}": {{run: x}}')


# Warnings.


def warnings(text: str, directory: Path | None = None) -> list[str]:
    found = loads(text, directory=directory).warnings
    assert all(warning.severity == "warning" for warning in found)
    return [f"{warning.path}: {warning.message}" for warning in found]


def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


def test_a_plain_file_has_no_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    one_core(monkeypatch)
    assert (
        warnings(TF + "jobs: {chief: {run: python x.py}, ps: {tasks: 4}, worker: {tasks: 8}}") == []
    )


def test_an_evaluator_and_scripts_that_will_hurt(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("model.fit(data)\n")
    told = warnings(
        TF + "jobs: {chief: {run: python train.py}, ps: {}, worker: {}, evaluator: {run: x}}",
        tmp_path,
    )
    assert any("evaluator" in line for line in told)
    assert "jobs.chief.run: Keras 3 `fit` does not work with parameter servers" in told
    assert any(line.startswith("jobs.chief.run: ") and "checkpoint" in line for line in told)


def test_a_fit_in_a_local_module_is_warned_of_too(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import loop\nloop.train()\n")
    (tmp_path / "loop.py").write_text("def train(): model.compile('sgd'); model.fit(x)\n")
    told = warnings(TF + "jobs: {chief: {run: python train.py}, ps: {}, worker: {}}", tmp_path)
    assert "jobs.chief.run: Keras 3 `fit` does not work with parameter servers" in told


def test_unlimited_threads_on_few_cores_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    one_core(monkeypatch)
    text = "cluster: x\njobs: {a: {run: python x.py, tasks: 4}}\n"
    (told,) = warnings(text)
    assert told == "jobs.a: 4 tasks on 1 cores, and no limit of threads for each"
    assert warnings(text + 'env: {OMP_NUM_THREADS: "1"}\n') == []


def test_fixed_ports_of_several_tasks() -> None:
    (told,) = warnings("cluster: x\njobs: {a: {run: x, tasks: 2, ports: {web: 80}}}")
    assert told == "jobs.a.ports.web: 2 tasks on one machine cannot share port 80"


def test_text_that_only_a_shell_expands_gets_a_warning() -> None:
    (told,) = warnings("cluster: x\njobs: {a: {run: x $HOME}}")
    assert told == "jobs.a.run[1]: $HOME is not expanded, because no shell is used"
    assert warnings("cluster: x\njobs: {a: {run: [sh, -c, 'x $HOME']}}") == []


def test_secrets_that_are_not_there() -> None:
    (told,) = warnings("cluster: x\njobs: {a: {run: x, env: {HUSH: b}, secret: [HUHS]}}")
    assert told == 'jobs.a.secret[0]: there is no variable "HUHS"'


def test_variables_that_tenfold_sets() -> None:
    told = warnings("cluster: x\nenv: {TENFOLD_X: a}\njobs: {a: {run: x, env: {TF_CONFIG: b}}}")
    assert [line.partition(":")[0] for line in told] == ["env.TENFOLD_X", "jobs.a.env.TF_CONFIG"]


def test_clusters_that_never_end() -> None:
    assert any("no job ends by itself" in line for line in warnings(TF + "jobs: {ps: {}}"))
    text = TF + "success: [ps]\njobs: {ps: {}, worker: {}}"
    assert any("ps never ends" in line for line in warnings(text))


# What this machine lacks.


def lacks(directory: Path, job: str) -> list[Fault]:
    file = directory / "tenfold.yaml"
    file.write_text(f"cluster: x\njobs:\n  a: {job}\n")
    return faults_here(load(file), {"PATH": str(directory / "bin")})


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for name in ("bin/trainer", "tool"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "train.py").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "envless").write_text("#!/usr/bin/env -S A=1 pythonX -u\n")
    (tmp_path / "envless").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    "job",
    [
        "{run: python train.py}",
        "{run: python -m nowhere}",
        "{run: python -u train.py x.py}",
        "{run: trainer}",
        "{run: ./tool}",
        "{run: 'python ${run.directory}/x.py'}",
        "{run: '${run.directory}/tool'}",
        "{run: ../tool, workdir: bin}",
    ],
)
def test_commands_that_can_start(here: Path, job: str) -> None:
    assert lacks(here, job) == []


@pytest.mark.parametrize(
    ("job", "words", "hint"),
    [
        (
            "{run: python trian.py}",
            '3:19: jobs.a.run[1]: there is no script "trian.py"',
            "train.py?",
        ),
        ("{run: traner}", '3:12: jobs.a.run[0]: there is no program "traner" on PATH', "trainer?"),
        ("{run: ./tol}", 'jobs.a.run[0]: there is no program "./tol"', "did you mean ./tool?"),
        ("{run: train.py}", 'there is no program "train.py" on PATH', "write python train.py"),
        ("{run: ./train.py}", '"./train.py" is not executable', "chmod +x ./train.py"),
        (
            "{run: trainer, workdir: nowhere}",
            "3:30: jobs.a.workdir: the working directory",
            "mkdir",
        ),
        ("{run: trainer, overrides: {0: {run: traner}}}", "jobs.a.overrides.0.run[0]", "trainer?"),
        (
            "{run: trainer, ready: {command: traner --ping}}",
            'jobs.a.ready.command: there is no program "traner" on PATH',
            "trainer?",
        ),
        ("{run: ./envless}", 'names "pythonX", which is not on PATH', "sh ./envless"),
        ("{run: python ~/t.py}", 'no script "~/t.py"', "use ${env.HOME}"),
        ("{run: ./loop}", '"./loop" is a symbolic link that leads nowhere', "points to loop"),
        (
            '{run: ["trainer --rate 1"]}',
            'jobs.a.run[0]: there is no program "trainer --rate 1"',
            'a list has one word per item: run: ["trainer", "--rate", "1"]',
        ),
    ],
)
def test_commands_that_cannot(here: Path, job: str, words: str, hint: str) -> None:
    (found,) = lacks(here, job)
    assert words in str(found)
    assert hint in (found.hint or "")


def test_slurm_settings_are_of_jobs_that_exist() -> None:
    text = "cluster: c\njobs: {worker: {run: x}}\ncells: {slurm: {jobs: {wroker: {}}}}\n"
    with pytest.raises(InputError) as caught:
        loads(text)
    fault = caught.value.faults[0]
    assert "cells.slurm.jobs.wroker" in str(fault.path)
    assert fault.hint == "did you mean worker?"
