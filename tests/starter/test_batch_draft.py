"""Batch scripts of Slurm and other shell scripts as cluster files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cluster.file import loads
from tenfold.errors import InputError
from tenfold.starter.batch_draft import batch_draft, sbatch_options
from tenfold.starter.drafting import checked_text, draft_from, draft_of
from tests.starter import scripts

JOB = """\
#!/bin/bash
#SBATCH --job-name=My_Net
#SBATCH -N 2
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:a100:4
#SBATCH --cpus-per-task 32
#SBATCH --mem=256G
#SBATCH --time=12:00:00   # half a day
#SBATCH -p gpu
#SBATCH --output=%x-%j.log
#SBATCH --mail-type=END
set -euo pipefail
module load cuda/12.4
source venv/bin/activate
export NCCL_DEBUG=INFO
export MASTER_ADDR=$(scontrol show hostnames $SLURM_JOB_NODELIST | head -n 1)
export MASTER_PORT=29500
LR=0.1
declare -a ARGS=(
    --lr $LR    # the rate
    --name "two words"
)
python prepare.py
echo "starting"
srun --cpu-bind=none torchrun \\
    --nnodes=$SLURM_NNODES \\
    --nproc-per-node=4 \\
    --rdzv-endpoint=$MASTER_ADDR:$MASTER_PORT \\
    train.py "${ARGS[@]}" \\
    > train.log 2>&1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(scripts.DDP)
    return tmp_path


def test_a_batch_script_becomes_one_job(project: Path) -> None:
    draft = batch_draft(JOB, "job.sbatch", project)
    text, warnings = checked_text(draft, project, "s")
    assert warnings == ()
    cluster = loads(text, directory=project).cluster
    assert cluster.cluster == "my-net"
    job = cluster.jobs["worker"]
    assert (cluster.framework, job.tasks) == ("torch", 8)
    assert job.run == ("python", "train.py", "--lr", "0.1", "--name", "two words")
    assert job.env == {"NCCL_DEBUG": "INFO"}
    assert (job.resources.gpu, job.resources.cpu, job.resources.memory) == (1, 8, 64 << 30)
    slurm = cluster.cells.slurm
    assert (slurm.time, slurm.partition) == ("12:00:00", "gpu")
    assert slurm.setup == ("module load cuda/12.4", "source venv/bin/activate")
    assert slurm.options == ("--mail-type=END",)


def test_what_a_batch_script_loses_is_named(project: Path) -> None:
    draft = batch_draft(JOB, "job.sbatch", project)
    told = "\n".join(map(str, draft.notes))
    for what in (
        "--output=%x-%j.log",
        "--nodes=2",
        "module load cuda/12.4",
        "python prepare.py",
        "MASTER_PORT=29500",
        "--rdzv-endpoint=$MASTER_ADDR:$MASTER_PORT",
        "--cpu-bind=none",
    ):
        assert what in told
    assert "echo" not in told
    assert draft.others == ["tenfold up --on slurm"]


def test_options_are_read_in_every_form() -> None:
    text = "#SBATCH -N2 --ntasks 4 -p gpu --exclusive\n#SBATCH --mem=4G -t 1:00\n# SBATCH -A no\n"
    assert sbatch_options(text) == {
        "nodes": "2", "ntasks": "4", "partition": "gpu", "exclusive": "",
        "mem": "4G", "time": "1:00",
    }  # fmt: skip


def test_srun_without_torchrun_starts_a_task_for_each_of_its_tasks(project: Path) -> None:
    text = "#SBATCH --nodes=2 --ntasks-per-node=4 --gpus-per-node=4\nsrun python train.py\n"
    job = batch_draft(text, "job.sh", project).jobs["worker"]
    assert (job.tasks, job.resources) == (8, {"gpu": 1})


def test_a_command_inside_bash_is_found(project: Path) -> None:
    text = (
        "#SBATCH --nodes=2\nexport LR=1\n"
        'srun bash -c "torchrun --nnodes=2 --nproc-per-node=2 --node-rank=\\$SLURM_PROCID '
        'train.py --lr ${LR}"\n'
    )
    job = batch_draft(text, "job.sh", project).jobs["worker"]
    assert (job.tasks, job.run) == (4, ("python", "train.py", "--lr", "1"))


def test_variables_that_hold_several_words_are_split(project: Path) -> None:
    text = 'ARGS="--lr 0.1 \\\n  --x 2"\nLAUNCH="torchrun --nproc-per-node 2"\n'
    text += "$LAUNCH train.py $ARGS\n"
    job = batch_draft(text, "run.sh", project).jobs["worker"]
    assert (job.tasks, job.run) == (2, ("python", "train.py", "--lr", "0.1", "--x", "2"))


def test_definitions_go_along_into_the_shell(project: Path) -> None:
    text = "STAMP=$(date +%s)\nNAME=run-$STAMP\ntorchrun --nproc-per-node 2 train.py --x $NAME\n"
    job = batch_draft(text, "run.sh", project).jobs["worker"]
    assert job.shell == "STAMP=$(date +%s); NAME=run-$STAMP; exec python train.py --x $NAME"


def test_the_directory_of_the_script_is_the_directory_of_the_file(project: Path) -> None:
    text = 'HERE=$(dirname "$0")\ntorchrun --nproc-per-node 2 $HERE/train.py --out `pwd`/x\n'
    job = batch_draft(text, "run.sh", project).jobs["worker"]
    assert job.run == ("python", "./train.py", "--out", "./x")


def test_secrets_of_a_script_are_not_copied(project: Path) -> None:
    text = "export HF_TOKEN=hf_abc\ntorchrun --nproc-per-node 2 train.py\n"
    draft = batch_draft(text, "run.sh", project)
    assert "hf_abc" not in checked_text(draft, project, "s")[0] + str(draft.notes)


def test_loops_conditions_and_here_documents_are_read_over(project: Path) -> None:
    text = (
        "cat <<EOF > hosts\ntorchrun not-this.py\nEOF\n"
        'if [ -z "$1" ]; then\n  echo usage; exit 1\nfi\n'
        "for seed in 1 2; do\n  torchrun --nproc-per-node 2 train.py --seed $seed || true\ndone\n"
    )
    draft = batch_draft(text, "run.sh", project)
    assert draft.jobs["worker"].tasks == 2
    assert "not-this.py" not in str(draft)


def test_a_script_without_a_training_is_an_error(project: Path) -> None:
    (project / "setup.sh").write_text("#!/bin/sh\napt-get update\npip install torch\n")
    with pytest.raises(InputError, match="no command starts a training"):
        draft_from("setup.sh", project)
    (project / "notes.txt").write_text("hello\n")
    with pytest.raises(InputError, match="neither a compose file"):
        draft_from("notes.txt", project)


def test_the_only_shell_script_that_starts_the_training_is_used(project: Path) -> None:
    (project / "run.sh").write_text("torchrun --nproc-per-node 3 train.py --lr 0.5\n")
    draft = draft_of(project)
    assert draft is not None
    assert draft.jobs["worker"].run == ("python", "train.py", "--lr", "0.5")
    assert draft.jobs["worker"].tasks == 3
    (project / "big.sh").write_text("torchrun --nproc-per-node 8 train.py --lr 9\n")
    draft = draft_of(project)
    assert draft is not None
    assert draft.jobs["worker"].run == ("python", "train.py")
    assert draft.others == ["tenfold init --from big.sh", "tenfold init --from run.sh"]
