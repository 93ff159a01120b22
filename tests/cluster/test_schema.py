"""The JSON Schema and the reference page, and that neither is behind the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tenfold.cluster.file import loads
from tenfold.cluster.schema import json_schema, markdown, schema_text
from tenfold.errors import InputError

if TYPE_CHECKING:
    import jsonschema

ROOT = Path(__file__).parents[2]
AGAIN = "write it anew: python -m tenfold.cluster.schema schema/tenfold.schema.json docs/file.md"


def validator() -> jsonschema.Draft7Validator:
    """A validator of the schema."""
    import jsonschema  # takes two seconds, which every lane would spend at collection

    return jsonschema.Draft7Validator(json_schema())


def test_the_published_files_are_made_of_the_code() -> None:
    assert (ROOT / "schema/tenfold.schema.json").read_text("utf-8") == schema_text(), AGAIN
    assert (ROOT / "docs/file.md").read_text("utf-8") == markdown(), AGAIN


def test_it_is_a_schema_of_draft_07() -> None:
    validator().check_schema(json_schema())
    assert "$defs" not in json.dumps(json_schema())


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("cluster: x\njobs: {a: {run: y}}", True),
        ("cluster: x\nvars: {n: 1, l: [a]}\njobs: {a: {run: y, tasks: '${n}'}}", True),
        (
            "cluster: x\njobs: {a: {run: [y], after: [b], restart: always}, b: {run: y}}",
            True,
        ),
        ("cluster: x\njobs: {a: {run: y, env: {A: 1, B: true}, ports: {b: auto, c: 80}}}", True),
        (
            "cluster: x\njobs: {a: {run: y, overrides: {'0': {env: {A: b}}}}}\ntensorboard: true",
            True,
        ),
        ("cluster: x", False),
        ("cluster: x\njobs: {}", False),
        ("cluster: X\njobs: {a: {run: y}}", False),
        ("cluster: x\njobs: {a: {rnu: y}}", False),
        ("cluster: x\njobs: {a: {run: y, tasks: 0}}", False),
        ("cluster: x\njobs: {a: {run: y, tasks: two}}", False),
        ("cluster: x\njobs: {a: {run: y, restart: sometimes}}", False),
        ("cluster: x\njobs: {A: {run: y}}", False),
    ],
)
def test_the_schema_accepts_what_the_loader_accepts(text: str, good: bool) -> None:
    valid = validator().is_valid(yaml.safe_load(text))
    try:
        loads(text)
        loaded = True
    except InputError:
        loaded = False
    assert (valid, loaded) == (good, good)


def test_a_file_that_extends_may_leave_out_and_remove() -> None:
    text = "extends: base.yaml\njobs: {a: null, b: {env: {A: null}}}"
    validator().validate(yaml.safe_load(text))


def test_every_key_has_a_description() -> None:
    schema = json_schema()
    for part in (schema, *schema["definitions"].values()):
        assert part["description"]
        assert all(inner["description"] for inner in part["properties"].values())
