"""Which tasks communicate, and how much: measured during the run.

The results are kept in the run directory.

    sockets.py     the kernel's account of TCP connections in one network, bytes included
    processes.py   which processes are a task's, what sockets, CPU time and memory they have
    book.py        which task an address belongs to
    ledger.py      from both, what each task has sent to whom so far; pure
    samples.py     the files that hold it
    sampler.py     does all that once a second

On the local cell the supervisor samples, elsewhere the task runner, where the task is. A task's
file says what *it* sent and received; `tenfold.views.traffic` puts both ends together.
"""
