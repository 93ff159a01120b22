"""The Kubernetes cell: every life of a task is a Job of its own.

client.py      what `tenfold` calls before, during and after a run
supervisor.py  starts, signals and watches Jobs
settings.py    the model of `cells.kubernetes`
api.py         requests to the API server, and their errors
watch.py       follows the state of pods
pods.py        what the state of a pod means
logs.py        follows the output of pods
made.py        the objects of a run: created, remembered, removed
manifests.py   renders manifests.yaml from the modules below
objects.py     Jobs, Services, NetworkPolicies, Secrets, ConfigMaps
jobsets.py     the same as a JobSet
pod_specs.py   the pod of a task
names.py       names, labels and domains
yaml_text.py   YAML with comments
doctor.py      what `tenfold doctor` says about the cluster
question.py    the program that asks the API server for doctor.py
"""

from __future__ import annotations

from tenfold.cluster.cell_table import CellTraits

TRAITS = CellTraits(where="on Kubernetes")
