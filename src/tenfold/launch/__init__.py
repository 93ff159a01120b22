"""Starting processes: the launch server, the run's namespace, and what is captured of a task.

namespace.py   a run's own user, network and PID namespace (Linux), and what to do without
wire.py        the messages between the supervisor and the launch server
server.py      the launch server: spawns tasks, reaps them, tells every true exit
client.py      the supervisor's end of it
capture.py     a task's output, from its pipes into the run directory
enter.py       a command beside a running task (`tenfold exec`)
"""
