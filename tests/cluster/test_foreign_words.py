"""Words of compose, torchrun and Slurm in a cluster file lead to the words of tenfold."""

from __future__ import annotations

import pytest

from tenfold.cluster.file import loads
from tenfold.cluster.foreign_words import _OF_FILES, _OF_READY, _OF_RESOURCES, _OF_TASKS
from tenfold.cluster.spec import Cluster, Job, Ready, Resources
from tenfold.errors import InputError


def told(text: str) -> dict[str, str]:
    """The hint of each fault of `text`, by `line:column path`."""
    with pytest.raises(InputError) as caught:
        loads(text, environment={})
    return {
        f"{fault.place.line}:{fault.place.column} {fault.path}": fault.hint or ""
        for fault in caught.value.faults
        if fault.place is not None
    }


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("command: python train.py", "did you mean run? (from compose)"),
        ("replicas: 4", "did you mean tasks? (from compose)"),
        ("nproc_per_node: 4", "did you mean tasks? It counts the tasks of all nodes"),
        ("nproc-per-node: 4", "did you mean tasks? It counts the tasks of all nodes"),
        ("nnodes: 2", "did you mean tasks?"),
        ("environment: {A: 1}", "did you mean env? (from compose)"),
        ("depends_on: [b]", "did you mean after? As in after: {ps: ready}"),
        ("working_dir: src", "did you mean workdir? (from compose)"),
        ("healthcheck: {test: x}", "did you mean ready?"),
        ("entrypoint: x", "did you mean run?"),
        ("volumes: ['.:/x']", "write cells: {docker: {mounts: [HOST:CONTAINER]}} at the top"),
        ("gpus: 1", "write resources: {gpu: 1}"),
        ("mem_limit: 2g", "write resources: {memory: 2GiB}"),
        ("master_port: 29500", "remove it: tenfold knows the addresses of all tasks"),
        ("partition: gpu", "write cells: {slurm: {partition: gpu}} at the top"),
        ("restart: unless-stopped", "write always"),
        ("restart: on-failure:3", "write {policy: on-failure, limit: 3}"),
        ("env: [A=1]", 'write env: {A: "1"}'),
        ("env: [HF_TOKEN=abc]", 'write env: {HF_TOKEN: "…"}'),
        ('ports: ["8080:80"]', "write ports: {http: 80}, and publish: http"),
        ("after: {b: {condition: service_healthy}}", "write b: ready"),
        ("after: {b: service_completed_successfully}", "write succeeded"),
        ("tasks: gpu", "write the number of tasks, one for each GPU"),
        ("resources: {gpus: 1}", "did you mean gpu?"),
        ("ready: {test: x}", "did you mean command?"),
    ],
)
def test_a_word_of_another_tool_in_a_job_gets_its_tenfold_name(line: str, hint: str) -> None:
    found = told(f"cluster: x\njobs:\n  a:\n    run: x\n    {line}\n  b: {{run: x}}\n")
    assert any(hint in each for each in found.values()), found
    assert all(where.startswith("5:") for where in found), found


def test_a_compose_file_is_recognised_by_its_first_words() -> None:
    found = told('version: "3"\nservices:\n  a: {image: x}\nvolumes: {}\nnproc_per_node: 2\n')
    assert found["1:1 version"] == "remove it (from compose)"
    assert "did you mean jobs?" in found["2:1 services"]
    assert "tenfold init --from compose.yaml" in found["2:1 services"]
    assert "mounts" in found["4:1 volumes"]
    assert found["5:1 nproc_per_node"] == "write tasks below jobs.NAME (from torchrun)"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("framework: pytorch", "write torch"),
        ("framework: Keras", "write tensorflow"),
        ("framework: torhc", "did you mean torch?"),
        ("cell: k8s", "write kubernetes"),
        ("cell: compose", "write docker"),
    ],
)
def test_other_names_of_frameworks_and_cells_lead_to_theirs(line: str, hint: str) -> None:
    assert hint in told(f"cluster: x\n{line}\njobs: {{a: {{run: x}}}}\n").values()


@pytest.mark.parametrize(
    ("words", "model"),
    [(_OF_TASKS, Job), (_OF_FILES, Cluster), (_OF_RESOURCES, Resources), (_OF_READY, Ready)],
)
def test_every_suggested_key_exists_and_no_word_hides_one(words: dict, model: type) -> None:  # type: ignore[type-arg]
    fields = set(model.model_fields)  # type: ignore[attr-defined]
    assert {word.key for word in words.values()} - {None} <= fields
    assert not set(words) & fields
