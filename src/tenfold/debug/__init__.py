"""Where every task is right now: stacks, process states, and the culprit.

    answers.py     inside a task: write all stacks to a file when a signal comes
    processes.py   what /proc says of a task's processes: stopped, waiting where, listening for what
    stacks.py      the words for it: frames, threads, processes, tasks; JSON and back
    parse.py       faulthandler's and py-spy's text → threads
    ask.py         the stacks of one task's processes, each source with a bound
    collect.py     those of many tasks at once; none holds up another
    dump.py        the same in the place of a task, for cells where that is not this machine
    groups.py      identical stacks put together
    silence.py     planned edges on which nothing flows
    suspect.py     who is the likely culprit, and why; pure
    words.py       all that as text

Nothing here knows what is done about a hang: that is `tenfold.supervise.hang`.
"""
