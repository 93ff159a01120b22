"""What works on this machine, and how to fix the rest.

The probes end soon and only look.

Owns: one `Finding` for everything that was looked at. Nothing here starts, installs or changes
anything, imports a framework into this process, or waits longer than its bound. Leaves to others:
tables and exit codes (`views`, `cli`), and what a cell then does with what is there (`cells`).
Each cell has its own probe in its folder, and `cells/probing` has what all probes share.

machine.py      Python, cores, memory, disk, open files, shared memory, ports
cgroup.py       the limits that a container or a batch system sets
memory.py       whether memory limits can be enforced
packages.py     frameworks and pages, as they are installed
together.py     TensorFlow and triton, which do not survive every order in one process
scripts.py      scripts of a file that import both, for `check`
gpus.py         GPUs and their driver
visible.py      which of them a framework sees
fit.py          what a plan asks for, beside what is here
examine.py      all of it, side by side
"""
