"""Helpers for every package: processes, text, paths, secrets.

They know of no cluster and no run.

absent.py       Imports during which some modules count as not installed
access.py       Who may use a page that tenfold serves: the rules for hosts, origins and tokens
escapes.py      Terminal escape sequences in text that tasks wrote
interpreter.py  The Python interpreter of tenfold's own processes
json_text.py    JSON as text that can always be written
naming.py       Names of tasks (`worker/3`) and their labels (`worker-3`)
nearest.py      The name that was probably meant
older.py        Names of the standard library that Python 3.10 does not have
paths.py        Paths as people write them: `~` and `~name` stand for home directories
patterns.py     Regular expressions that users write: searched in time linear in the text
procfs.py       What Linux says of processes in /proc: stat, status, environment
quantities.py   Bytes and durations: parsed from text, and written as text for people
secrets.py      Which values are secrets, and how output hides them
streams.py      The standard streams of a command: closed, full, or read by nobody
"""
