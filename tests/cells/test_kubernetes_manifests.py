"""manifests.yaml: golden files, and every object against Kubernetes' schemas, strictly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenfold.cells.kubernetes import names as kubernetes_names
from tenfold.cells.kubernetes.client import CLIENT
from tenfold.cells.kubernetes.names import placed_in_jobs, placed_in_set, short
from tenfold.cells.kubernetes.objects import runner_words
from tenfold.cells.kubernetes.settings import KubernetesSettings
from tenfold.cells.rendering import RenderLocations
from tenfold.cluster.file import load
from tenfold.errors import InputError
from tenfold.planning.plan import Plan, ReadinessCheck, RestartPolicy, Task
from tenfold.planning.planner import plan
from tests.cells.jobset_schema import JOBSET
from tests.plans import plan_of

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "cells" / "examples"
VERSIONS = ("1.29.0", "1.31.0", "1.33.0", "1.37.0")
FORMS = {"": "word2vec.kubernetes.yaml", "jobset": "word2vec.jobset.yaml"}
SET = ("image=registry.example.com/word2vec:1", "cells.kubernetes.storage.size=10GiB")


def rendered(made: Plan, *extra: str, supervised: bool = False) -> str:
    """The manifests of a plan."""
    run = "/runs/c/20261125-101112-013" if supervised else "./run"
    placed = CLIENT.place(made)
    places = RenderLocations(
        placed.directory, run, supervised, extra=frozenset(filter(None, extra))
    )
    return CLIENT.render(placed, places)[0].text


def objects(text: str) -> list[dict[str, Any]]:
    """The documents of a YAML stream."""
    return list(yaml.safe_load_all(text))


@pytest.fixture
def word2vec(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The 2016 cluster."""
    monkeypatch.setenv("PWD", "/workspace")
    return plan(load(ROOT / "examples/word2vec/tenfold.yaml", settings=SET), cell="kubernetes")


def job(name: str, **more: Any) -> Task:
    """A task in an image."""
    first, _, index = name.partition("/")
    values = {"command": ("python", "train.py"), "image": "i:1"} | more
    return Task(job=first, index=int(index or 0), **values)


def planned(*tasks: Task, **more: Any) -> Plan:
    """A plan for Kubernetes."""
    return plan_of(*tasks, cell="kubernetes", **more)


@pytest.mark.parametrize("extra", FORMS)
def test_the_2016_cluster_is_as_in_the_documentation(word2vec: Plan, extra: str) -> None:
    """`TENFOLD_TEST_WRITE=1` writes the files anew."""
    golden = EXAMPLES / FORMS[extra]
    text = rendered(word2vec, extra)
    if os.environ.get("TENFOLD_TEST_WRITE"):
        golden.write_text(text)
    assert text == golden.read_text()


def all_kinds(word2vec: Plan) -> Iterator[dict[str, Any]]:
    """Objects of every form, and with every setting."""
    gpu = job("chief", cpu=1.5, memory=3 << 30, gpu=2, secrets=("A_TOKEN",), env={"A_TOKEN": "x"})
    settings = {
        "namespace": "ml",
        "service_account": "trainer",
        "image_pull_policy": "Always",
        "image_pull_secrets": ["registry"],
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "user": 4321,
        "port": 9000,
        "shm_size": 1 << 30,
        "storage": {"size": 1 << 40, "storage_class": "nfs"},
    }
    full = planned(gpu, job("ps", ready=ReadinessCheck("tcp"), service=True), settings=settings)
    for made in (word2vec, full):
        for extra, supervised in (("", False), ("jobset", False), ("", True)):
            yield from objects(rendered(made, extra, supervised=supervised))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(word2vec: Plan, version: str) -> None:
    import jsonschema  # takes two seconds, which every lane would spend at collection
    import kubernetes_validate

    kinds = set()
    for made in all_kinds(word2vec):
        kinds.add(made["kind"])
        if made["kind"] != "JobSet":
            kubernetes_validate.validate(made, version, strict=True)
            continue
        jsonschema.validate(made, JOBSET)
        for one in made["spec"]["replicatedJobs"]:
            inner = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": one["name"]}}
            kubernetes_validate.validate(inner | one["template"], version, strict=True)
    assert kinds == {
        "ConfigMap",
        "Job",
        "JobSet",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Secret",
        "Service",
    }


def test_a_jobset_names_only_jobs_before(word2vec: Plan) -> None:
    made = next(o for o in objects(rendered(word2vec, "jobset")) if o["kind"] == "JobSet")
    before: list[str] = []
    for one in made["spec"]["replicatedJobs"]:
        assert {other["name"] for other in one.get("dependsOn", ())} <= set(before)
        before.append(one["name"])
    assert made["spec"]["successPolicy"]["targetReplicatedJobs"] == ["chief"]


def test_pods_have_no_rights(word2vec: Plan) -> None:
    for made in objects(rendered(word2vec)):
        if made["kind"] != "Job":
            continue
        pod = made["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"] + pod.get("initContainers", []):
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}


def test_only_the_clusters_own_pods_are_let_in(word2vec: Plan) -> None:
    made = next(o for o in objects(rendered(word2vec)) if o["kind"] == "NetworkPolicy")
    own = made["spec"]["podSelector"]
    assert own["matchLabels"]["app.kubernetes.io/name"] == "word2vec"
    assert made["spec"]["ingress"] == [{"from": [{"podSelector": own}]}]


def test_secrets_are_in_no_file() -> None:
    made = planned(
        job("chief", env={"HUB_TOKEN": "s3cret-word"}, secrets=("HUB_TOKEN",)),
        masked=frozenset({"s3cret-word"}),
    )
    for extra, supervised in (("", False), ("jobset", False), ("", True)):
        text = rendered(made, extra, supervised=supervised)
        assert "s3cret-word" not in text
        assert "c-secrets" in text


def test_restarts_are_kubernetes_own() -> None:
    worker = [job(f"worker/{n}", restart=RestartPolicy("on-failure", 4)) for n in range(2)]
    spec = objects(rendered(planned(*worker)))[2]["spec"]
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (4, 0)
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert ignore["action"] == "Ignore"
    assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailIndex", [2])
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # podFailurePolicy demands it


def test_tasks_that_differ_are_jobs_of_their_own() -> None:
    workers = [job(f"worker/{n}", gpu=int(2 <= n < 4)) for n in range(5)]
    made = planned(*workers)
    jobs = [o for o in objects(rendered(made)) if o["kind"] == "Job"]
    names = [(one["metadata"]["name"], one["spec"]["completions"]) for one in jobs]
    assert names == [("c-worker-from-0", 2), ("c-worker-from-2", 2), ("c-worker-from-4", 1)]
    words = runner_words(kubernetes_names.pieces(made)[1])
    assert words[2] == 'exec tenfold task worker/$((JOB_COMPLETION_INDEX + 2)) "$@"'
    addresses = [task.address for task in placed_in_jobs(made).tasks]
    assert addresses[3] == "c-worker-from-2-1.c:8080"
    assert placed_in_set(made).tasks[3].address == "c-worker-from-2-0-1.c:8080"


def test_long_names_fit_and_stay_apart() -> None:
    tasks = [job(f"{'j' * 39}{letter}/{n}") for letter in "ab" for n in range(2)]
    made = CLIENT.place(planned(*tasks, cluster="c" * 63))
    for extra in ("", "jobset"):
        names = {one["kind"]: one["metadata"]["name"] for one in objects(rendered(made, extra))}
        assert len(names.get("Service", "")) <= 63
        assert len(names.get("Job", "")) + len("-0-x7k2p") <= 63
        assert len(names.get("JobSet", "")) <= 24
    for placed in (made, placed_in_jobs(made), placed_in_set(made)):
        hosts = [(task.address or "").partition(".")[0] for task in placed.tasks]
        assert max(map(len, hosts)) <= 63
        assert len(set(hosts)) == len(hosts)
    assert short("word2vec", 24) == "word2vec"


def test_ports_are_numbered() -> None:
    made = CLIENT.place(
        planned(
            job("chief", ports={"a": None, "b": 8081, "c": None}),
            job("tensorboard", ports={"http": None}, publish=("http",), service=True),
        )
    )
    assert made.tasks[0].ports == {"a": 8082, "b": 8081, "c": 8083}
    assert made.tasks[1].ports == {"http": 6006}
    with pytest.raises(InputError, match=r"port 8080 \(x\) is already used by the task"):
        CLIENT.place(planned(job("chief", ports={"x": 8080})))


def test_what_manifests_cannot_express_is_refused() -> None:
    chief = job("chief", after={"corpus": "succeeded"})
    with pytest.raises(InputError, match="the run directory has to be shared") as caught:
        rendered(planned(chief, job("corpus")))
    assert "storage" in str(caught.value.hint)
    assert "dependsOn" in rendered(planned(chief, job("corpus")), "jobset")
    assert rendered(planned(chief, job("corpus")), supervised=True)
    with pytest.raises(InputError, match="no image is set for chief/0"):
        rendered(planned(job("chief", image=None)))
    many = [job(f"w{n}") for n in range(6)]
    last = job("chief", after={task.job: "ready" for task in many})
    with pytest.raises(InputError, match="a JobSet allows 5"):
        rendered(planned(last, *many), "jobset")
    with pytest.raises(InputError, match="a ConfigMap is limited to 1 MiB"):
        rendered(planned(*[job(f"w/{n}", env={"A": "x" * 1000}) for n in range(800)]))
    with pytest.raises(InputError, match="neither a claim nor a size"):
        rendered(planned(job("chief"), settings={"storage": {}}))


def test_an_existing_claim_is_used_and_not_made() -> None:
    made = objects(rendered(planned(job("chief"), settings={"storage": {"claim": "theirs"}})))
    assert "PersistentVolumeClaim" not in [one["kind"] for one in made]
    volumes = made[2]["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["persistentVolumeClaim"] == {"claimName": "theirs"}


def test_comments_are_for_people_only(word2vec: Plan) -> None:
    text = rendered(word2vec)
    assert ": null\n" not in text.partition("kind: ConfigMap")[0]
    assert max(len(line) for line in text.partition("kind: ConfigMap")[0].splitlines()) <= 120


def test_defaults_are_those_of_the_settings() -> None:
    said = KubernetesSettings()
    assert (said.port, said.user) == (kubernetes_names.PORT, kubernetes_names.USER)
