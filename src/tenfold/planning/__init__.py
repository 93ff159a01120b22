"""From a `Cluster` to a `Plan`: the facts about every task before a run.

edges.py    Who is to talk to whom, as the plan implies it
late.py     Values of `${…}` that only the plan or a placed task knows
notify.py   Whom to tell about a run, and what output shows of it
plan.py     A cluster, fully resolved: every task with its command, environment and order of start
planner.py  Cluster → Plan: what is true of every task
"""
