"""The fields of JobSet v1alpha2, as a JSON Schema that knows no others.

Written by hand after api/jobset/v1alpha2/jobset_types.go of kubernetes-sigs/jobset (its main branch
in 2026): the project publishes no schema on PyPI. Only the fields that tenfold may use are here,
with their types, enumerations and limits; `template.spec` is checked as a Job's by the caller.
"""

from __future__ import annotations

from typing import Any


def _object(required: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


_TEXT = {"type": "string", "minLength": 1}
_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
_NAMES = {"type": "array", "items": _NAME}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 2_147_483_647}

_DEPENDS_ON = _object(("name", "status"), name=_NAME, status={"enum": ["Ready", "Complete"]})

_REPLICATED_JOB = _object(
    ("name", "template"),
    name=_NAME,
    replicas=_COUNT,
    dependsOn={"type": "array", "items": _DEPENDS_ON, "minItems": 1, "maxItems": 5},
    template=_object(("spec",), spec={"type": "object"}, metadata={"type": "object"}),
)

_SPEC = _object(
    ("replicatedJobs",),
    network=_object(
        (),
        enableDNSHostnames={"type": "boolean"},
        subdomain=_NAME,
        publishNotReadyAddresses={"type": "boolean"},
    ),
    successPolicy=_object(
        ("operator",), operator={"enum": ["All", "Any"]}, targetReplicatedJobs=_NAMES
    ),
    failurePolicy=_object((), maxRestarts=_COUNT),
    replicatedJobs={"type": "array", "items": _REPLICATED_JOB, "minItems": 1},
    ttlSecondsAfterFinished=_COUNT,
    suspend={"type": "boolean"},
)

_LABELS = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}}

JOBSET = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=_object(("name",), name=_NAME, namespace=_TEXT, labels=_LABELS),
    spec=_SPEC,
)
