"""Start a cluster: the call behind `tenfold up`, and resuming an earlier run.

api.py      Bringing a cluster up from Python: what `tenfold up` does, without a terminal
earlier.py  What the files of a cluster's earlier runs say of them, however they ended
running.py  A cluster that is already running when it is started again
resume.py   Going on where an earlier run of the cluster broke off: which run, whether
"""
