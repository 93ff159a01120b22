"""Remove runs that have ended, and never one that is needed.

limits.py    which runs the user's limits select: the newest, an age, a total size. Pure
needs.py     what a run is needed for, from its files, its locks and its cell
removal.py   renames runs away, then deletes them: whole or not at all for every reader
selection.py both together: what goes, what stays, and why
"""
