"""Start processes: the launch server, its preloads, and the run's namespace.

namespace.py   a run's own user, network and PID namespace (Linux), and what to do without
wire.py        the messages between the supervisor and the launch server
server.py      the launch server: parent of all tasks, tells every true exit; and the gate
tasks.py       its tasks, from their start to the end of the last process of each
birth.py       how a task's process begins, whoever forks it
client.py      the supervisor's end of it; channel.py is one connection
signals.py     signals to tasks, and what tenfold's own processes let reach themselves
filters.py     filters at the end of a task's pipe, which end last
enter.py       a command beside a running task (`tenfold exec`)
"""
