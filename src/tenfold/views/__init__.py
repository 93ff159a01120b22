"""What people see of a run: read from its run directory, drawn on a terminal.

status.py     the shape of `ps --json`, from the files
tasks.py      the same as a table
lines.py      log lines: prefixes, folding
progress.py   how far a task is, in a line
follow.py     a run as it happens (`up`, `logs -f`)
account.py    how a run ended, its first failure last
plan.py       a plan
faults.py     faults of a file, with the line and a caret
terminal.py   streams, colours
screen.py     lines, talk, and a moving line below
table.py      columns
"""
