"""What runs beside a task: its environment, output, readiness and memory.

agent.py        `tenfold task worker/3 --held`: a task runner that stays
awaited.py      The line of a task's output that says that the task can be used
beside.py       `python -m tenfold.tasks.beside worker/3 COMMAND…`: a command beside a task
capture.py      A task's output: from its pipes into the run directory, byte for byte
bars.py         What a progress bar says: how far, how fast, and its figures
barwatch.py     Finds the bars in the output of a task, and writes `bar.json`
container.py    `tenfold task worker/3` in a container: one life of a task, told in its directory
environment.py  The whole environment of a task: whose variables it gets, and who wins
figures.py      The rate of a progress, and which of its figures are not finite
inherited.py    What a task inherits of the environment of whoever typed `up`
library.py      The part of tenfold that travels with a run, for interpreters that lack tenfold
listening.py    Where a task's processes listen, out of /proc: to say why a task is not ready
member.py       Inside a task: who am I, where are my peers, how far am I
memory.py       A task's own limit of memory, by a control group
progresslog.py  What a task reported over time, for curves: `progress.jsonl`
readiness.py    Whether something answers: one try, on a socket that is connected already
remainder.py    What is left of a task when its own process has ended: the grace that it gets
runner.py       The task runner: one task, in the place where a cell has put it
unready.py      Why a task is not ready yet, in its directory: `unready.json`
"""
