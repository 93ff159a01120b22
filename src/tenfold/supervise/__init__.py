"""Keep a run alive: desired minus actual, and small policies.

    state.py       what is known of a run and its tasks, and what may be observed of them
    reconcile.py   state and time → the next actions; calls the policies
    deaths.py      how a task died, in words
    unready.py     policy: which tasks were not ready in time
    start.py       policy: which tasks may start now
    restart.py     policy: whether and when a task that ended is started again
    success.py     policy: whether the cluster has ended, and how
    failure.py     policy: which death came first, and which only followed
    stop.py        policy: whom to signal next, and how hard
    lingering.py   policy: which ranks still run when the others have ended well
    hang.py        policy: whether the cluster hangs, and what is restarted or stopped then
    signs.py       the signs that a training goes on, out of the run directory and /proc
    watch.py       looks at them, finds out who holds up the others, writes the report
    standstill.py  connects the watch to the supervisor's loop
    journal.py     the events of a step's actions
    waits.py       why a task is not ready yet
    figures.py     figures that are not finite
    scalars.py     reads the scalars of event files
    presence.py    keeps the run directory and its lock where others look for them
    statuses.py    what is written of a run: status.json, and each task's
    past.py        what is there from before: budgets, the run that it goes on from
    notices.py     policy: what to tell people who are not watching
    notifier.py    tells them: a process for each notice, with a time limit
    post.py        that process, for a URL
    clock.py       a clock that nobody can set
    loop.py        the clock, the cell and the run directory around all that; decides nothing
    control.py     requests from other commands (`restart`, `down`)
    __main__.py    the supervisor process

The loop tells the state what happens, takes a step, and carries out its actions. Policies are pure
functions: tests replay histories without a process.
"""
