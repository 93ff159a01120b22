"""What people see of a run, read from its directory and drawn on a terminal.

status.py     a run and its tasks, from the files: what `ps` shows
knownfiles.py reading a file again only if it changed
tasks.py      the same as a table
runlist.py    many runs, one line each: `ps --all`
traffic.py    who talks to whom: what `map` shows
flows.py      what each task tells of its peers, out of which that is made
map.py        the same as a table
layout.py     where jobs and tasks stand in a picture of it
openlines.py  the newest text of unfinished lines, for the dashboard
picture.py    that picture, as SVG and DOT
usage.py      CPU and memory
placement.py  which variable lies where
training.py   the curves that TensorBoard shows
figures.py    the curves of what tasks report with `tenfold.progress`
inline.py     tasks and logs as HTML, inside a notebook
live.py       a run, with usage and progress of its tasks, for the dashboard
health.py     the verdict of `why` while a run is up, for the dashboard
overview.py   what a run is, and its use over time, for the dashboard
hangreport.py the newest report of a hang, for the dashboard
logpages.py   pages of logs, for the dashboard
eventpages.py pages of events, for the dashboard
eventtexts.py what an event means, as a sentence
compare.py    two runs side by side
inside.py     opening what is in a run directory and nothing else
lines.py      log lines: prefixes, folding
livetext.py   the newest text of unfinished lines, below all others
progress.py   how far a task is, in a line
follow.py     a run as it happens (`up`, `logs -f`)
facts.py      everything a run directory tells about how a run did
report.py     a run, explained: what `why` shows
why.py        that report, out of the facts
troubles.py   what is wrong beside a task's end: hangs, disks, silence, damage
crashes.py    where Python was at a crash in native code
causes.py     what last lines say: known texts, the end of a traceback
endings.py    exit codes and signals in words
account.py    the report on a terminal: `why`, and the end of `up`
plan.py       a plan
faults.py     faults of a file, with the line and a caret
terminal.py   streams, colours
screen.py     lines, talk, and moving lines below
table.py      columns
"""
