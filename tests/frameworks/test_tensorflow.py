"""TF_CONFIG and the facts tenfold knows about TensorFlow's jobs; nothing here imports it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tenfold.frameworks import FRAMEWORKS, JobFacts, framework
from tenfold.frameworks.ranks import NO_SAVE

ADDRESSES = {
    "chief": ("h:1",),
    "ps": ("h:2", "h:3"),
    "worker": ("h:4",),
    "evaluator": ("h:5",),
    "jupyter": ("h:6",),
}


def config(job: str, index: int, addresses: Any = ADDRESSES) -> Any:
    """The TF_CONFIG of a task, parsed."""
    return json.loads(framework("tensorflow").environment(job, index, addresses)["TF_CONFIG"])


@pytest.mark.parametrize(("job", "index"), [("chief", 0), ("ps", 1), ("worker", 0)])
def test_members_see_each_other_and_no_evaluator(job: str, index: int) -> None:
    assert config(job, index) == {
        "cluster": {"chief": ["h:1"], "worker": ["h:4"], "ps": ["h:2", "h:3"]},
        "task": {"type": job, "index": index},
    }


def test_evaluator_has_a_spec_of_its_own() -> None:
    assert config("evaluator", 0)["cluster"]["evaluator"] == ["h:5"]
    assert "evaluator" not in config("chief", 0)["cluster"]


def test_the_older_master() -> None:
    made = config("master", 0, {"master": ("h:1",), "ps": ("h:2",)})
    assert made["cluster"] == {"master": ["h:1"], "ps": ["h:2"]}
    assert made["task"] == {"type": "master", "index": 0}


def test_jobs_that_tensorflow_does_not_know_get_no_config() -> None:
    assert framework("tensorflow").environment("jupyter", 0, ADDRESSES) == {}
    with pytest.raises(KeyError):
        framework("tensorflow").standard_server("evaluator")


@pytest.mark.parametrize(
    ("jobs", "decisive"),
    [
        (("chief", "ps", "worker"), ("chief",)),
        (("master", "ps", "worker"), ("master",)),
        (("worker",), ("worker",)),
        (("ps", "trainer"), ("trainer",)),
    ],
)
def test_the_success_jobs_are_those_of_the_framework(
    jobs: tuple[str, ...], decisive: tuple[str, ...]
) -> None:
    assert framework("tensorflow").success_jobs(jobs) == decisive


@pytest.mark.parametrize(("tasks", "cores", "intra"), [(13, 2, "1"), (4, 16, "4"), (3, 8, "2")])
def test_tasks_share_the_cores(tasks: int, cores: int, intra: str) -> None:
    environment = framework("tensorflow").process_environment("worker", tasks, cores)
    assert environment["TF_NUM_INTRAOP_THREADS"] == intra
    assert environment["TF_NUM_INTEROP_THREADS"] == "4"


def test_a_lonely_task_has_all_threads() -> None:
    alone = framework("tensorflow").process_environment("chief", 1, 8)
    assert "TF_NUM_INTRAOP_THREADS" not in alone


def advice_for(source: str, *jobs: str) -> list[str]:
    """Messages about a chief with this script, beside other jobs."""
    facts = [JobFacts("chief", 1, ("python", "t.py"), source)]
    facts += [JobFacts(job, 1, None, None) for job in jobs]
    return [advice.message for advice in framework("tensorflow").advice(facts)]


def test_keras_fit_with_parameter_servers_is_warned_of() -> None:
    script = "model.fit(x)  # checkpoint"
    assert any("fit" in message for message in advice_for(script, "ps"))
    assert advice_for(script, "worker") == []
    assert advice_for("import tf_keras\n" + script, "ps") == []
    assert advice_for("def (", "ps") == [NO_SAVE]


LEGACY = {"TF_USE_LEGACY_KERAS": "1"}
MIRRORED = "s = tf.distribute.MultiWorkerMirroredStrategy()\nmodel.compile()\nmodel.fit(x)"


def fits(source: str, tasks: int, ps: int = 0, **variables: str) -> bool:
    """Whether Keras' `fit` in this script is warned of, for so many workers and ps."""
    facts = [JobFacts("worker", tasks, ("python", "t.py"), source, variables=variables)]
    facts += [JobFacts("ps", ps, None, None)] if ps else []
    return any("`fit`" in advice.message for advice in framework("tensorflow").advice(facts))


def test_keras_3_fit_with_mirrored_workers_is_warned_of() -> None:
    assert fits(MIRRORED, 2)
    assert fits("s = tenfold.tensorflow.strategy()\nkeras.Model().fit(x)", 2)
    assert not fits(MIRRORED, 1)
    assert not fits(MIRRORED.replace(".fit", ".predict"), 2)
    assert not fits("s = tf.distribute.MirroredStrategy()\nmodel.compile()\nmodel.fit(x)", 2)
    assert not fits("s = tf.distribute.MultiWorkerMirroredStrategy()\nscaler.fit(x)", 2)


def test_keras_2_fit_is_not_warned_of() -> None:
    for script, ps in ((MIRRORED, 0), ("model.fit(x)", 1)):
        assert fits(script, 2, ps, TF_USE_LEGACY_KERAS="0")
        for value in ("1", "true", "True"):
            assert not fits(script, 2, ps, TF_USE_LEGACY_KERAS=value)
        assert not fits(f"import tf_keras\n{script}", 2, ps)
        assert fits(f"import keras\n{script}", 2, ps, **LEGACY)
        assert fits(f"from keras import layers\n{script}", 2, ps, **LEGACY)
        assert not fits(f"from tensorflow import keras\n{script}", 2, ps, **LEGACY)


def test_an_evaluator_is_warned_of() -> None:
    assert any("evaluator" in message for message in advice_for("checkpoint", "evaluator"))


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_framework_keeps_the_promise(name: str) -> None:
    frame = framework(name)
    assert frame.job_defaults("anything", ("anything",)).restart_limit >= 0
    assert frame.success_jobs(["a", "b"]) == ("a", "b")
    for job in ("a", "chief", "ps", "evaluator"):
        made = frame.environment(job, 0, {job: ("h:1",)})
        assert tuple(made) == frame.variables(job)
    assert isinstance(frame.process_environment("a", 3, 2), dict)
    assert list(frame.advice([])) == []


def test_a_fit_that_is_not_of_keras_is_not_warned_of() -> None:
    script = "import keras\nfrom sklearn.linear_model import Ridge\nRidge().fit(x, y)"
    assert not fits(f"tf.distribute.MultiWorkerMirroredStrategy()\n{script}", 2)
    assert not fits(script, 2, 1)
    assert fits(f"{script}\nmodel.compile('sgd')\nf = self.m.fit\nf(x)", 2, 1)
