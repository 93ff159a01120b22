"""What a script is recognised as, and the jobs that it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cluster.file import loads
from tenfold.cluster.spec import Cluster
from tenfold.starter.draft import Draft
from tenfold.starter.drafting import checked_text, draft_from, draft_of
from tests.starter import scripts


def made(draft: Draft | None, directory: Path) -> Cluster:
    """The cluster of a draft, whose file has neither faults nor warnings."""
    assert draft is not None
    text, warnings = checked_text(draft, directory, "schema.json")
    assert [str(warning) for warning in warnings] == []
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    return loads(text, directory=directory, environment={}).cluster


def of_script(tmp_path: Path, text: str) -> Cluster:
    (tmp_path / "train.py").write_text(text)
    return made(draft_of(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("text", "framework", "jobs"),
    [
        (scripts.DDP, "torch", {"worker": 2}),
        (scripts.LIGHTNING, "torch", {"worker": 8}),
        (scripts.ACCELERATE, "torch", {"worker": 2}),
        (scripts.TRAINER, "torch", {"worker": 2}),
        (scripts.DEEPSPEED, "torch", {"worker": 2}),
        (scripts.SPAWN, "none", {"worker": 1}),
        (scripts.MIRRORED, "tensorflow", {"worker": 2}),
        (scripts.PARAMETER_SERVERS, "tensorflow", {"chief": 1, "ps": 2, "worker": 2}),
        (scripts.TENSORFLOW_1, "tensorflow", {"ps": 1, "worker": 2}),
        (scripts.JAX, "jax", {"worker": 2}),
        (scripts.KERAS, "tensorflow", {"chief": 1}),
        (scripts.PLAIN_TORCH, "torch", {"worker": 1}),
    ],
)
@pytest.mark.usefixtures("no_gpus")
def test_a_script_gets_the_framework_and_jobs_it_needs(
    tmp_path: Path, text: str, framework: str, jobs: dict[str, int]
) -> None:
    cluster = of_script(tmp_path, text)
    assert cluster.framework == framework
    assert {name: job.tasks for name, job in cluster.jobs.items()} == jobs


def test_horovod_keeps_its_launcher(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.HOROVOD)
    draft = draft_of(tmp_path)
    assert draft is not None
    assert draft.framework == "none"
    assert draft.jobs["worker"].run == ("horovodrun", "-np", "2", "python", "train.py")


def test_a_script_that_trains_nothing_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.NOTHING)
    assert draft_of(tmp_path) is None


@pytest.fixture
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.starter.script_jobs.gpus_here", lambda: 0)


def test_a_machine_with_gpus_has_one_rank_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.starter.script_jobs.gpus_here", lambda: 6)
    assert of_script(tmp_path, scripts.DDP).jobs["worker"].tasks == 6
    assert of_script(tmp_path, scripts.LIGHTNING).jobs["worker"].tasks == 8


def test_flags_for_a_rank_get_the_values_of_each_task(tmp_path: Path) -> None:
    assert of_script(tmp_path, scripts.JAX).jobs["worker"].run == (
        "python",
        "train.py",
        "--coordinator=${jobs.worker.addresses.0}",
        "--num-processes=${jobs.worker.tasks}",
        "--process-id=${task.index}",
    )
    run = of_script(tmp_path, scripts.TENSORFLOW_1).jobs["ps"].run
    assert run == (
        "python",
        "train.py",
        "--ps_hosts=${jobs.ps.addresses}",
        "--worker_hosts=${jobs.worker.addresses}",
        "--job_name=${task.job}",
        "--task_index=${task.index}",
    )


def test_required_arguments_are_named_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.TRAINER)
    draft = draft_of(tmp_path)
    assert draft is not None
    text, _ = checked_text(draft, tmp_path, "s")
    assert "# TODO: train.py requires --model, OUTPUT." in text
    assert "train.py requires --model, OUTPUT: add the values to run" in map(str, draft.notes)


def test_a_local_module_counts_for_the_script_that_imports_it(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text("import engine\n\nengine.main()\n")
    (tmp_path / "engine.py").write_text(scripts.DDP)
    draft = draft_from("start.py", tmp_path)
    assert made(draft, tmp_path).framework == "torch"
    assert "start.py calls torch.distributed.init_process_group (PyTorch process group)" in (
        draft.reasons
    )


def test_a_named_framework_is_used(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.DDP)
    assert made(draft_from("train.py", tmp_path, "none"), tmp_path).framework == "none"
    (tmp_path / "keras_train.py").write_text(scripts.KERAS)
    assert made(draft_of(tmp_path, "tensorflow"), tmp_path).jobs["chief"].run == (
        "python",
        "keras_train.py",
    )


def test_a_script_that_acts_before_its_imports_gets_no_warning(tmp_path: Path) -> None:
    text = f"import os\n\nos.environ['OMP_NUM_THREADS'] = '1'\n{scripts.DDP}"
    job = of_script(tmp_path, text).jobs["worker"]
    assert job.preload == () or job.env.get("OMP_NUM_THREADS") == "1"


def test_a_script_that_reads_the_rank_of_srun_gets_it(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import os\n\nimport torch.distributed as dist\n\n"
        "dist.init_process_group('gloo', rank=int(os.environ['SLURM_PROCID']),\n"
        "                        world_size=int(os.environ['SLURM_NTASKS']))\n"
        "checkpoint = None\n"
    )
    job = made(draft_from("srun -n 4 python train.py", tmp_path), tmp_path).jobs["worker"]
    assert job.tasks == 4
    assert job.env == {"SLURM_NTASKS": "${jobs.worker.tasks}", "SLURM_PROCID": "${task.index}"}
