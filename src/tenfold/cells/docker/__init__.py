"""The Docker cell: every task is a container of this machine's engine.

supervisor.py  starts, signals and watches containers
engine.py      requests to the engine
ends.py        why a container ended
compose.py     renders compose.yaml
doctor.py      what `tenfold doctor` says about the engine and compose
"""
