"""`tenfold schema`."""

from __future__ import annotations

import json

import pytest

from tenfold.cli import run
from tenfold.cluster.schema import json_schema, markdown


def test_schema_prints_the_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_schema_prints_markdown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--markdown"]) == 0
    assert capsys.readouterr().out == markdown()
