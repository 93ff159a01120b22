"""The Slurm cell: every task is a step of one batch job.

client.py      submits the job and speaks for it while no supervisor does
supervisor.py  starts, signals and watches steps, inside the job
commands.py    runs sbatch, squeue, scancel and scontrol
ends.py        why a step ended
sbatch.py      renders job.sbatch
doctor.py      what `tenfold doctor` says about Slurm
"""
