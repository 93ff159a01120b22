"""Cluster → Plan."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tenfold.cluster.command_line import split
from tenfold.cluster.file import loads
from tenfold.cluster.spec import Cluster, Job
from tenfold.errors import InputError
from tenfold.planning.late import bind
from tenfold.planning.plan import Plan, ReadinessCheck, RestartPolicy, Task
from tenfold.planning.planner import plan

DEMO = """\
cluster: word2vec
framework: tensorflow
jobs:
  worker: {tasks: 2}
  chief:  {run: python train.py, after: [ps]}
  ps:     {tasks: 2}
tensorboard: true
jupyter: {port: 8899}
"""


def planned(text: str, *settings: str, **environment: str) -> Plan:
    return plan(loads(text, settings=settings, environment=environment))


def only(text: str, *settings: str) -> Task:
    """The one task of a job that says this."""
    (task,) = planned(f"cluster: x\njobs: {{a: {text}}}", *settings).tasks
    return task


def test_tasks_in_display_order() -> None:
    made = planned(DEMO)
    assert [task.name for task in made.tasks] == [
        *("chief/0", "ps/0", "ps/1", "worker/0", "worker/1"),
        *("tensorboard/0", "jupyter/0"),
    ]
    assert made.task("worker-1") is made.task("worker/1")
    with pytest.raises(InputError, match="no task worker/7"):
        made.task("worker/7")


def test_the_framework_sets_commands_and_success() -> None:
    made = planned(DEMO)
    assert made.success == ("chief",)
    ps, worker = made.task("ps/0"), made.task("worker/0")
    assert ps.command == (sys.executable, "-P", "-m", "tenfold.tensorflow")
    assert ps.service
    assert ps.ready == ReadinessCheck("tcp")
    assert worker.restart == RestartPolicy("on-failure")
    assert plan(loads(DEMO), cell="docker").task("ps/0").command[0] == "python"


def test_services_are_planned_as_tasks() -> None:
    made = planned(DEMO)
    board, book = made.task("tensorboard/0"), made.task("jupyter/0")
    assert board.command == (sys.executable, "-P", "-m", "tenfold.services.tensorboard")
    assert board.ports == {"http": None}
    assert board.network == "host"
    assert book.ports == {"http": 8899}
    assert book.service
    assert book.publish == ("http",)


def test_order_of_start() -> None:
    text = (
        "cluster: x\njobs: {a: {run: x, after: b}, b: {run: x, after: {c: succeeded}}, c: {run: x}}"
    )
    assert planned(text).stages() == [["c"], ["b"], ["a"]]
    assert planned(text).task("b/0").after == {"c": "succeeded"}


def test_environment_of_cluster_job_and_override() -> None:
    text = """
cluster: x
env: {A: cluster, B: cluster, C: cluster}
jobs:
  a:
    run: x
    tasks: 4
    env: {B: job, C: job}
    restart: always
    resources: {cpu: 2, gpu: 1}
    overrides:
      1-2: {env: {C: override}, run: "y ${task.index}", resources: {gpu: 0}, restart: never}
"""
    tasks = planned(text).tasks
    assert tasks[0].env == {"A": "cluster", "B": "job", "C": "job"}
    assert tasks[2].env == {"A": "cluster", "B": "job", "C": "override"}
    assert [task.command for task in tasks] == [("x",), ("y", "1"), ("y", "2"), ("x",)]
    assert (tasks[1].cpu, tasks[1].gpu, tasks[1].restart.policy) == (2, 0, "never")
    assert (tasks[3].cpu, tasks[3].gpu, tasks[3].restart.policy) == (2, 1, "always")


def test_names_that_a_plan_knows_are_filled_in() -> None:
    task = only(
        "{run: 'x ${task.job} ${task.index} ${task.name} ${task.label} ${jobs.a.tasks} "
        "${task.ports.web} ${task.ports.any} $${task.job}', ports: {web: 80, any: auto}}"
    )
    assert task.command == (
        "x",
        "a",
        "0",
        "a/0",
        "a-0",
        "1",
        "80",
        "${task.ports.any}",
        "$${task.job}",
    )


def test_bind_fills_in_the_rest() -> None:
    text = """
cluster: x
jobs:
  a:
    run: ["x", "${jobs.a.addresses}", "$${y} $5", "${task.ports.web}", "a$$${task.address}"]
    tasks: 2
    ports: {web: auto}
    env: {D: "${run.directory}", T: "${run.tensorboard}", C: "${run.checkpoints}"}
    workdir: ${run.results}
    ready: {http: "/${task.index}/${task.ports.web}", port: web}
"""
    task = planned(text).tasks[1]
    bound = bind(task, addresses={"a": ["h:1", "h:2"]}, run_directory="/runs/1", ports={"web": 80})
    assert bound.command == ("x", "h:1,h:2", "${y} $5", "80", "a$h:2")
    assert bound.env == {"C": "/runs/1/checkpoints", "D": "/runs/1", "T": "/runs/1/tensorboard"}
    assert bound.workdir == "/runs/1/results"
    assert bound.ready is not None
    assert bound.ready.target == "/1/80"
    with pytest.raises(InputError, match=r"task\.ports\.web"):
        bind(task, addresses={"a": ["h:1", "h:2"]}, run_directory="/runs/1", ports={})


def test_a_late_value_stays_one_argument_of_a_readiness_command() -> None:
    task = only("{run: x, ready: {command: 'test -e ${run.directory}/a -a ${task.name}'}}")
    bound = bind(task, addresses={"a": ["h:1"]}, run_directory="/my runs/it's", ports={"main": 1})
    assert bound.ready is not None
    words = split(bound.ready.target, "command")
    assert words == ("test", "-e", "/my runs/it's/a", "-a", "a/0")


def test_relative_directories_count_from_the_file() -> None:
    loaded = loads("cluster: x\njobs: {a: {run: x, workdir: sub}, b: {run: x, workdir: /tmp}}")
    made = plan(loaded)
    assert made.task("a/0").workdir == f"{loaded.directory}/sub"
    assert made.task("b/0").workdir == "/tmp"


def test_json_and_back() -> None:
    made = planned(DEMO)
    data = json.loads(json.dumps(made.to_json(hide_secrets=False)))
    assert Plan.from_json(data) == made
    assert data["version"] == 1
    assert (
        data["tasks"][0] | {"command": ["python", "train.py"], "address": None} == data["tasks"][0]
    )
    assert data["tasks"][0]["after"] == {"ps": "ready"}
    for broken in ({}, {"version": 2}, {**data, "tasks": [{}]}, {**data, "tasks": 3}):
        with pytest.raises(InputError):
            Plan.from_json(broken)


def test_secrets_are_hidden_wherever_they_are() -> None:
    text = """
cluster: x
jobs:
  a:
    run: "x --token=${env.HUB_TOKEN} --plain 1"
    env: {API_KEY: geheimnis, COPY: "a geheimnis b", ODD: secret-too, PASSWORD: "1"}
    secret: [ODD]
"""
    made = planned(text, HUB_TOKEN="vom-amt-1")
    shown = json.dumps(made.to_json())
    for value in ("geheimnis", "vom-amt-1", "secret-too"):
        assert value not in shown
        assert value in json.dumps(made.to_json(hide_secrets=False))
        assert value not in repr(made.masked and made.to_json())
    told = Plan.from_json(json.loads(json.dumps(made.to_json(hide_secrets=False))))
    assert told.shown("it said geheimnis") == "it said ***", "who runs it can hide them, too"
    assert made.to_json()["tasks"][0]["env"]["PASSWORD"] == "***"
    assert made.to_json()["tasks"][0]["command"][-1] == "1"


def test_a_cluster_made_in_python_is_checked_too() -> None:
    good = Cluster(cluster="x", jobs={"a": Job(run="python x.py --n ${n}", tasks=2)}, vars={"n": 3})
    assert plan(good).task("a/1").command == ("python", "x.py", "--n", "3")
    with pytest.raises(InputError, match='there is no job "b"'):
        plan(Cluster(cluster="x", jobs={"a": Job(run="x", after={"b": "ready"})}))


def test_the_plan_has_the_directory_for_runs() -> None:
    assert planned("cluster: x\nruns: 'a$${b}'\njobs: {a: {run: x}}").runs == "a${b}"


def test_success_of_the_file_wins() -> None:
    assert planned(DEMO, "success=worker").success == ("worker",)


def test_the_cell_comes_from_the_argument_or_the_file() -> None:
    assert planned(DEMO).cell == "local"
    assert planned(DEMO, "cell=docker").cell == "docker"
    assert plan(loads(DEMO, settings=["cell=docker"]), cell="slurm").cell == "slurm"
    with pytest.raises(InputError, match='there is no cell "dokcer"') as caught:
        plan(loads(DEMO), cell="dokcer")
    assert caught.value.hint == "did you mean docker?"


def test_ten_thousand_tasks_in_well_under_a_second() -> None:
    text = """
cluster: x
jobs: {a: {run: "x ${task.index}", tasks: 10000, env: {A: "${task.name}"}}}
"""
    loaded = loads(text)
    start = time.process_time()
    made = plan(loaded)
    assert time.process_time() - start < 1
    assert len(made.tasks) == 10_000
    assert made.tasks[-1].command == ("x", "9999")


def test_importing_a_plan_imports_no_pydantic() -> None:
    code = (
        "import sys, tenfold.planning.plan; sys.exit(bool({'pydantic', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_secrets_are_hidden_in_readiness_too() -> None:
    text = """
cluster: c
env: {API_KEY: topsecret99}
jobs: {a: {run: "true", ready: {command: "curl -H topsecret99"}, workdir: topsecret99}}
"""
    shown = json.dumps(plan(loads(text)).to_json())
    assert "topsecret99" not in shown


def test_hidden_secrets_are_restored_by_name() -> None:
    env = {"A_TOKEN": "secret value", "STARS": "a***b", "URL": "http://secret value@x"}
    task = Task("chief", 0, ("true",), env=env, secrets=("A_TOKEN",))
    made = replace(_plan_of(task), masked=frozenset({"secret value"}))
    text = json.dumps(made.to_json())
    assert "secret value" not in text
    back = Plan.from_json(json.loads(text)).restored({"A_TOKEN": "x", "URL": "y", "STARS": "no"})
    assert back.tasks[0].env == {"STARS": "a***b", "A_TOKEN": "x", "URL": "y"}


def _plan_of(*tasks: Task) -> Plan:
    return Plan("c", "none", "local", "/", tasks, ("chief",))
