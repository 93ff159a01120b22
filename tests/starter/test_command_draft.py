"""Command lines of launchers as cluster files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cluster.file import loads
from tenfold.cluster.spec import Cluster
from tenfold.errors import InputError
from tenfold.starter.draft import Draft
from tenfold.starter.drafting import checked_text, draft_from
from tests.starter import scripts


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(scripts.DDP)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "train.py").write_text(scripts.DDP)
    return tmp_path


def made(draft: Draft, directory: Path) -> Cluster:
    text, _ = checked_text(draft, directory, "s")
    return loads(text, directory=directory, environment={"HOME": "/home/ann"}).cluster


def notes(draft: Draft) -> str:
    return "\n".join(map(str, draft.notes))


@pytest.mark.parametrize(
    ("command", "tasks", "run"),
    [
        ("torchrun --nproc-per-node 4 train.py --lr 0.1", 4, "python train.py --lr 0.1"),
        ("torchrun --nproc_per_node=2 --nnodes=3 train.py", 6, "python train.py"),
        ("torchrun train.py", 1, "python train.py"),
        ("torchrun --standalone --nproc-per-node 2 -m package.train", 2, "python -m package.train"),
        ("torchrun --nproc-per-node 2 --no-python ./run.sh a", 2, "./run.sh a"),
        ("venv/bin/torchrun --nproc-per-node 2 train.py", 2, "venv/bin/python train.py"),
        ("python -m torch.distributed.run --nproc_per_node 3 train.py", 3, "python train.py"),
        ("python3.11 -u -m torch.distributed.run --nproc_per_node 3 train.py", 3,
         "python3.11 train.py"),
        ("python -m torch.distributed.launch --use_env --nproc_per_node=2 train.py", 2,
         "python train.py"),
        ("accelerate launch --num_processes 2 train.py --lr 1", 2, "python train.py --lr 1"),
        ("accelerate launch --multi_gpu --num_processes=4 --num_machines 2 -m package.train", 4,
         "python -m package.train"),
        ("deepspeed --num_gpus 2 train.py --lr 1", 2, "python train.py --lr 1"),
        ("mpirun -np 4 --allow-run-as-root python train.py", 4, "python train.py"),
        ("mpiexec -n 4 -mca btl tcp,self python train.py", 4, "python train.py"),
        ("srun -N 2 --ntasks-per-node=4 -l python -u train.py", 8, "python -u train.py"),
        ("srun --ntasks 4 torchrun --nproc-per-node 2 --nnodes 4 train.py", 8, "python train.py"),
        ("uv run torchrun --nproc-per-node 2 train.py", 2, "uv run python train.py"),
        ("fabric run --devices=2 --strategy=ddp train.py", 2, "python train.py"),
        ("apptainer exec --nv -B /data image.sif torchrun --nproc-per-node 2 train.py", 2,
         "apptainer exec --nv -B /data image.sif python train.py"),
        ("env A=1 torchrun --nproc-per-node 2 train.py", 2, "python train.py"),
        ("python train.py --lr 1", 2, "python train.py --lr 1"),
        ("nohup torchrun --nproc-per-node 2 train.py > out.log 2>&1 &", 2, "python train.py"),
        ("torchrun \\\n  --nproc-per-node 2 \\\n  train.py \\\n  --lr 1", 2,
         "python train.py --lr 1"),
    ],
)  # fmt: skip
def test_a_launcher_becomes_tasks(project: Path, command: str, tasks: int, run: str) -> None:
    draft = draft_from(command, project)
    cluster = made(draft, project)
    assert cluster.framework == "torch"
    assert cluster.jobs["worker"].tasks == tasks
    assert cluster.jobs["worker"].run == tuple(run.split())


def test_what_has_no_place_in_the_file_is_named(project: Path) -> None:
    draft = draft_from(
        "MASTER_ADDR=node0 torchrun --nnodes 1:4 --nproc-per-node 2 --max-restarts 3 "
        "--rdzv-backend c10d --rdzv-endpoint $HOST:29400 --log-dir logs --unheard-of train.py",
        project,
    )
    told = notes(draft)
    for what in ("--rdzv-backend c10d", "--rdzv-endpoint $HOST:29400", "--log-dir logs", "1:4"):
        assert what in told
    assert "MASTER_ADDR=node0: tenfold sets it for each task" in told
    assert "--unheard-of: tenfold init does not know this option" in told
    text, _ = checked_text(draft, project, "s")
    assert "--rdzv-backend c10d" in text
    restart = made(draft, project).jobs["worker"].restart
    assert restart is not None
    assert (restart.policy, restart.limit) == ("on-failure", 3)


def test_options_of_accelerate_become_its_variables(project: Path) -> None:
    (project / "fsdp.yaml").write_text(
        "distributed_type: FSDP\nnum_processes: 4\nmixed_precision: bf16\n"
        "fsdp_config:\n  fsdp_version: 2\n  fsdp_offload_params: false\n"
    )
    draft = draft_from("accelerate launch --config_file fsdp.yaml train.py", project)
    job = made(draft, project).jobs["worker"]
    assert job.tasks == 4
    assert job.env == {
        "ACCELERATE_USE_FSDP": "true",
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "FSDP_VERSION": "2",
        "FSDP_OFFLOAD_PARAMS": "false",
    }
    draft = draft_from("accelerate launch --config_file gone.yaml --num_processes 2 x.py", project)
    assert "gone.yaml" in notes(draft)


def test_variables_and_paths_of_the_shell_are_translated(project: Path) -> None:
    draft = draft_from(
        "CUDA_VISIBLE_DEVICES=0,1 torchrun --nproc-per-node 2 train.py --a ~/x --b $HOME/y "
        "--c ${RATE:-0.5} --d '$literal' --e \"two words\" --f '${braces}'",
        project,
    )
    job = made(draft, project).jobs["worker"]
    assert job.env == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert job.run == (
        *("python", "train.py", "--a", "/home/ann/x", "--b", "/home/ann/y", "--c", "0.5"),
        *("--d", "$literal", "--e", "two words", "--f", "$${braces}"),
    )


def test_what_only_a_shell_knows_starts_a_shell(project: Path) -> None:
    draft = draft_from("torchrun --nproc-per-node 2 train.py --seed $(date +%s)", project)
    assert made(draft, project).jobs["worker"].run == (
        *("sh", "-c"),
        "exec python train.py --seed $(date +%s)",
    )
    assert "$(date +%s)" in notes(draft)


def test_a_local_rank_is_passed_to_a_script_that_reads_it(project: Path) -> None:
    (project / "ds.py").write_text(scripts.DEEPSPEED)
    run = made(draft_from("deepspeed --num_gpus 2 ds.py --x", project), project).jobs["worker"].run
    assert run == ("sh", "-c", 'exec python ds.py --x --local_rank="$LOCAL_RANK"')
    draft = draft_from("deepspeed --num_gpus 2 --no_local_rank ds.py", project)
    assert made(draft, project).jobs["worker"].run == ("python", "ds.py")


def test_secrets_are_neither_copied_nor_shown(project: Path) -> None:
    draft = draft_from("WANDB_API_KEY=abc123 torchrun --nproc-per-node 2 train.py", project)
    text, _ = checked_text(draft, project, "s")
    assert "abc123" not in text + notes(draft) + "".join(draft.reasons)
    assert made(draft, project).jobs["worker"].env == {"WANDB_API_KEY": ""}


def test_an_unknown_launcher_stays_as_the_command_of_one_task(project: Path) -> None:
    cluster = made(draft_from("horovodrun -np 4 python train.py", project), project)
    assert cluster.framework == "none"
    assert cluster.jobs["worker"].run == ("horovodrun", "-np", "4", "python", "train.py")
    assert cluster.jobs["worker"].tasks == 1


def test_a_directory_before_the_command_becomes_the_workdir(project: Path) -> None:
    draft = draft_from("cd package && torchrun --nproc-per-node 2 train.py", project)
    assert made(draft, project).jobs["worker"].workdir == "package"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("torchrun --nproc-per-node 4", "no program follows the options of torchrun"),
        ("   ", "--from has no command"),
        ("# a comment", "--from has no command"),
        ("torchrun --nproc-per-node 9999999 train.py", "9999999 processes"),
        ("train.yaml", "there is no file train.yaml"),
        ("sub/train.py", "there is no file sub/train.py"),
    ],
)
def test_a_source_without_a_training_is_an_error(project: Path, command: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("-", "[-]")):
        draft_from(command, project)


def test_a_missing_script_is_told(project: Path) -> None:
    draft = draft_from("torchrun --nproc-per-node 2 trian.py", project)
    _, warnings = checked_text(draft, project, "s")
    assert [warning.message for warning in warnings] == ['there is no script "trian.py"']
    assert warnings[0].hint == "did you mean train.py?"
