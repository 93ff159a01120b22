"""Which tasks share a preload: pure, nothing is started."""

from __future__ import annotations

import sys

import pytest

from tenfold.launch.preloads import Preload, Preloads
from tenfold.planning.plan import Bound, Plan, Task
from tests.plans import plan_of

BASE = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def chosen(plan: Plan, **late: str) -> list[Preload | None]:
    """What each task is forked from, its environment being BASE, its own, and `late`."""
    preloads = Preloads(plan)
    return [
        preloads.of(task, Bound(task.command, BASE | late | task.env, task.workdir, None)).preload
        for task in plan.tasks
    ]


def workers(*envs: dict[str, str], framework: str = "tensorflow", **more: object) -> Plan:
    """One worker for each environment."""
    values: dict[str, object] = {"command": (sys.executable, "train.py"), "workdir": "/w"} | more
    tasks = [Task(job="worker", index=n, env=env, **values) for n, env in enumerate(envs)]  # type: ignore[arg-type]
    return plan_of(*tasks, framework=framework)


def test_the_framework_chooses_the_preloaded_modules() -> None:
    (made,) = chosen(workers({}))
    assert made is not None
    assert (made.modules, made.interpreter) == (("tensorflow",), sys.executable)
    assert chosen(workers({}, framework="none")) == [None]


def test_the_preload_of_the_file_takes_precedence() -> None:
    (made,) = chosen(workers({}, framework="none", preload=("numpy", "json")))
    assert made is not None
    assert made.modules == ("numpy", "json")
    assert chosen(workers({}, preload=())) == [None]


@pytest.mark.parametrize("command", [("sh", "-c", "python train.py"), ("python", "-i", "x.py")])
def test_other_programs_are_started(command: tuple[str, ...]) -> None:
    assert chosen(workers({}, command=command)) == [None]


def test_an_interpreter_that_is_not_there_is_left_to_the_start_to_report() -> None:
    assert chosen(workers({}, command=("python3.99", "train.py"))) == [None]


@pytest.mark.parametrize("name", ["SHARD", "CUDA_VISIBLE_DEVICES", "TF_NUM_INTRAOP_THREADS"])
def test_tasks_that_differ_in_later_variables_share_a_preload(name: str) -> None:
    one, other = chosen(workers({name: "1"}, {name: "2"}))
    assert one == other
    assert one is not None
    assert name not in dict(one.variables)


@pytest.mark.parametrize("name", ["TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS", "LD_PRELOAD", "LANG"])
def test_tasks_that_differ_in_an_import_variable_do_not_share_a_preload(name: str) -> None:
    one, other = chosen(workers({name: "1"}, {name: "2"}))
    assert one is not None
    assert other is not None
    assert (dict(one.variables)[name], dict(other.variables)[name]) == ("1", "2")


def test_a_variable_of_one_task_alone_counts_as_different() -> None:
    one, other = chosen(workers({"DEBUG": "1"}, {}))
    assert one == other


def test_a_common_variable_is_set_before_the_import() -> None:
    (one, _) = chosen(workers({"MINE": "x"}, {"MINE": "x"}))
    assert one is not None
    assert dict(one.variables)["MINE"] == "x"


def test_identity_variables_are_set_after_the_fork() -> None:
    (made,) = chosen(workers({}), TF_CONFIG="{}", TENFOLD_TASK="worker/0")
    assert made is not None
    assert dict(made.variables) == BASE


def test_a_relative_module_path_counts_from_the_working_directory() -> None:
    paths = {"lib": "/w", "/lib": "/", ":/lib": "/w", "": "/"}  # an empty entry is the directory
    made = {path: chosen(workers({"PYTHONPATH": path}))[0] for path in paths}
    assert {path: one.directory for path, one in made.items() if one} == paths


def test_options_of_the_interpreter_keep_apart() -> None:
    plain, = chosen(workers({}))  # fmt: skip
    checked, = chosen(workers({}, command=(sys.executable, "-O", "train.py")))  # fmt: skip
    assert plain != checked


def test_an_environment_of_any_size_fits() -> None:
    (made,) = chosen(workers({}))
    assert made is not None
    large = {"TF_CONFIG": "x" * 1_000_000}
    environment = made.environment(large)
    assert sum(map(len, environment.values())) > 1_000_000
    assert max(map(len, environment.values())) < 128 * 1024


def test_the_network_keeps_apart() -> None:
    inside, outside = (chosen(workers({}, network=network))[0] for network in ("cluster", "host"))
    assert inside != outside
