"""The run directory: where its files are, who writes them and who reads them.

annotations.py  `annotations.json`: the tags and the note that the user gave a run
appending.py    Files that only grow, a line at a time, by one writer each: whole lines or none
barfile.py      `bar.json` of a task: what its progress bar says
elsewhere.py    `elsewhere.json` of a run: who runs its supervisor
eventlog.py     `events.jsonl` of a run: its one writer and its reader
exceptions.py   The exception that ended a program, as files hold it
files.py        The only way to open, list, write and remove files where tasks can write too
filesystem.py   Whether a file system can hold a run: it needs locks of files, and sockets
jsonfiles.py    JSON files of a run directory: written whole, read tolerantly
leftovers.py    What killed writers and failing disks leave of files that are renamed into place
lives.py        `life.json` of a task: what its runner last reported
locks.py        Who holds a lock file, told by the kernel, and ending exactly that process
logs/           Reading what tasks wrote, for the terminal, the page and the supervisor
placements.py   `placement.json` of a task: where the variables that it made are placed
planfile.py     `plan.json` of a run: the plan, with secrets hidden
progress.py     `progress.json` of a task: how far it is, and its figures
records.py      The types of what the files of a run directory hold
rendezvous.py   How tasks find each other: published addresses
resumed.py      `resumed.json` of a run: the earlier run, and what is taken over
rundir.py       The run directory: the cluster's memory, as plain files
sizes.py        How much disk space runs take, and how much their removal would free
states.py       The states of runs and tasks: one table for the supervisor, the cells
turns.py        One command at a time starts or removes runs of a cluster
statusfiles.py  `status.json` of a run and of its tasks: their contents
"""
