"""What all probes of `tenfold doctor` share.

ask.py       runs a command within a time limit, and several probes side by side
findings.py  the result of a probe
hints.py     the command that repairs what is broken
"""
