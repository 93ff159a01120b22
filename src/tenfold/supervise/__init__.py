"""Keeping a run alive: desired minus actual, and small policies.

    state.py       what is known of a run and its tasks, and what may be observed of them
    reconcile.py   state and time → the next actions; calls the policies
    start.py       policy: which tasks may start now
    restart.py     policy: whether and when a task that ended is started again
    success.py     policy: whether the cluster has ended, and how
    failure.py     policy: which death came first, and which only followed
    stop.py        policy: whom to signal next, and how hard
    loop.py        the clock, the cell and the run directory around all that
    control.py     requests from other commands (`restart`, `down`)
    __main__.py    the supervisor process

Policies are pure functions: tests replay histories without a process.
"""
