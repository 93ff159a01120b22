"""The Slurm cell: every task is a step of one batch job.

client.py      submits the job and speaks for it while no supervisor does
supervisor.py  starts, signals and watches steps, inside the job
settings.py    the model of `cells.slurm`
commands.py    runs sbatch, squeue, scancel and scontrol
ends.py        why a step ended
sbatch.py      renders job.sbatch
doctor.py      what `tenfold doctor` says about Slurm
"""

from __future__ import annotations

from tenfold.cluster.cell_table import CellTraits

TRAITS = CellTraits(
    where="on Slurm",
    shares_files=True,
    absolute=True,
    launcher_prefixes=("SLURM_", "SLURMD_", "SRUN_"),
    launcher_ranks=frozenset(
        {
            "SLURM_NTASKS",
            "SLURM_NPROCS",
            "SLURM_PROCID",
            "SLURM_LOCALID",
            "SLURM_NODEID",
            "SLURM_GTIDS",
            "SLURM_TASKS_PER_NODE",
            "SLURM_NTASKS_PER_NODE",
            "SLURM_STEP_NUM_TASKS",
            "SLURM_STEP_TASKS_PER_NODE",
        }
    ),  # every task is a step of one process, so it would be process 0 of 1
)
