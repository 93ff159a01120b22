"""The JSON Schema of a cluster file, and the reference page generated from it.

Owns: the shape that editors read (draft-07, with `${…}` and null allowed where the loader allows
them) and docs/file.md. Leaves to others: what the keys are (`spec`, from which all of this comes).

    python -m tenfold.cluster.schema schema/tenfold.schema.json docs/file.md      writes both anew
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tenfold.cluster.cell_settings import CELL_SETTINGS
from tenfold.cluster.spec import Cluster

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"

_VAR = {"type": "string", "pattern": r"\$\{[^}]+\}"}
"""The value of a var, where a type other than text is required."""

_ANNOTATIONS = ("description", "default", "title")


def json_schema() -> Schema:
    """The JSON Schema (draft-07) of a cluster file."""
    made = Cluster.model_json_schema(ref_template="#/definitions/{model}")
    definitions = made.pop("$defs")
    top = _model(made)
    top["anyOf"] = [{"required": top.pop("required")}, {"required": ["extends"]}]
    return {
        "$schema": DRAFT,
        "title": "tenfold cluster file",
        **top,
        "definitions": {name: _model(schema) for name, schema in sorted(definitions.items())},
    }


def schema_text() -> str:
    """The schema as the published file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _model(schema: Schema) -> Schema:
    """A mapping: every key may be a `${…}`, or null if another file is extended."""
    result = {key: value for key, value in schema.items() if key != "title"}
    result["description"] = _one_line(result["description"])
    result["properties"] = {name: _property(inner) for name, inner in schema["properties"].items()}
    return result


def _property(schema: Schema) -> Schema:
    kept = {key: value for key, value in schema.items() if key in ("description", "default")}
    kept["description"] = _one_line(kept["description"])
    if kept.get("default", 0) in (None, {}, [], ()) or isinstance(kept.get("default"), dict):
        del kept["default"]
    rest = _plain({key: value for key, value in schema.items() if key not in _ANNOTATIONS})
    choices = [choice for choice in rest.get("anyOf", [rest]) if choice != {"type": "null"}]
    if not any(_takes_text(choice) for choice in choices):
        choices.append(_VAR)
    return {**kept, "anyOf": [*choices, {"type": "null"}]}


def _takes_text(schema: Schema) -> bool:
    return "string" in schema.get("type", ()) and not {"enum", "const", "pattern"} & schema.keys()


def _plain(schema: Any) -> Any:
    """A schema without Python's extras, with the names of draft-07."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: _plain(value) for key, value in schema.items() if key not in ("title", "default")
    }
    if schema.get("type") == "object" and "patternProperties" in schema:
        result["additionalProperties"] = False
        for pattern, inner in result["patternProperties"].items():
            choices = inner.get("anyOf", [inner])
            text = any(_takes_text(choice) for choice in choices)
            more = [{"type": "null"}] if text else [_VAR, {"type": "null"}]
            result["patternProperties"][pattern] = {"anyOf": [*choices, *more]}
    return result


def _one_line(text: str) -> str:
    return " ".join(text.split())


# The reference page.


def markdown() -> str:
    """The contents of docs/file.md."""
    schema = json_schema()
    return "\n".join(_page(schema))


_OPENING = """\
# The cluster file

<!-- Made by `python -m tenfold.cluster.schema` from src/tenfold/cluster/spec.py; do not edit. -->

`tenfold.yaml` describes one cluster: the jobs that run together. This is a complete file:

```yaml
cluster: word2vec
framework: tensorflow
jobs:
  chief:  {run: python train.py}
  ps:     {tasks: 4}          # no `run`: the framework's standard server
  worker: {tasks: 8}
tensorboard: true
```

`tenfold check` lists all errors with their lines. `tenfold plan` shows what `tenfold up` would
start. `tenfold schema` prints the JSON Schema (draft-07) for editors. To use it, put
`# yaml-language-server: $schema=PATH` in the first line, as `tenfold init` does.
"""

_CLOSING = """\
## Values

- The file is UTF-8 YAML 1.2: `no`, `on` and `0777` are text, `true` and `8` are not. Values of `env`
  and words of `run` are passed to the task exactly as written (`1.10`, `22:22`, `1e3`).
- Times: `500ms`, `10s`, `1m30s`, `2h`, or a number of seconds. Sizes: `512MiB`, `2GiB`, `1.5GB`, or a
  number of bytes.
- Anchors, aliases and `<<` are supported. Duplicate keys, unknown keys and unknown tags are errors. The
  limits are 512 KiB, 30,000 values, 50 levels and 100,000 tasks.

## Commands

`run` is one command, which is started without a shell. Quotes work as in a shell. A `\\` at the end of a line
joins it with the next line. A line that begins with an option (`--rate 1`) is joined with the line above.

Syntax of a shell is an error: several lines, `&&`, `|`, `>`, `$(…)`, `A=1 x`, comments, and commands such as
`cd`. To use a shell, start it:

```yaml
run: [sh, -c, "set -e\\npython prepare.py\\npython train.py"]
run: [sh, -c, "python prepare.py && python train.py"]
```

`tenfold check` warns about text that a shell would expand and tenfold does not: `$HOME`, `~`, `*.txt`, `{1..3}`.
Write `${env.HOME}` instead, or quote literal text. The same applies to `ready.command`, and to `$NAME` and `~` in
values of `env`.

## Paths

`~` and `~name` at the beginning of a path are home directories: in `runs`, `python`, `workdir`, `extends`, `build` and
`mounts`, in `--runs`, `-o` and FILE, in TENFOLD_RUNS and in the settings file. `~` is HOME of the user who runs
tenfold. For a directory named `~`, write `./~`. `$HOME` in a path is an error: write `~` or `${env.HOME}`.

Relative paths in the file are relative to its directory, except `runs`, which is relative to the directory in which
tenfold is started. Containers have other home directories. On docker and kubernetes `~` in `workdir` therefore works
only for the directory of the project, and `~` in `mounts` and `build` is the home directory where Docker runs.

## `${…}`

| name | value |
|---|---|
| `${NAME}` | the var `NAME`; alone it keeps its type (`tasks: ${workers}`), in a longer text it becomes text |
| `${env.NAME}`, `${env.NAME:-default}` | an environment variable of the user who runs tenfold |
| `${task.job}`, `${task.index}`, `${task.name}`, `${task.label}` | `worker`, `3`, `worker/3`, `worker-3` |
| `${task.address}`, `${task.ports.NAME}` | `host:port` of the task; the number of one of its ports |
| `${jobs.JOB.addresses}`, `${jobs.JOB.tasks}` | all addresses of a job, separated by commas; its number of tasks |
| `${jobs.JOB.addresses.0}`, `${jobs.JOB.hosts.0}`, `${jobs.JOB.ports.0}` | `host:port` of one task of a job, by its index; only the host; only the port |
| `${run.directory}`, `${run.tensorboard}`, `${run.checkpoints}`, `${run.results}` | directories of the run |

`${task.…}`, `${jobs.…}` and `${run.…}` are allowed in `run`, `env`, `workdir` and `ready`. `$${` is a literal `${`.
`run` is split into words before values are inserted, so a value with spaces stays one word. A var with a list becomes
several words. Inside `[…]` and `{…}` YAML requires quotes: `"${n}"`.

## `extends` and `--set`

`extends: base.yaml` (or a list) extends other files, relative to this one. Mappings are merged key by key. Lists and
single values are replaced. `null` removes a key: `jobs: {evaluator: null}`. Later files take precedence over earlier
ones, this file over all of them, and `--set jobs.worker.tasks=16` or `--set vars.epochs=3` over everything.

## Python

You can also write a Python file (`.py`) that defines `cluster`, or a function `cluster` that returns a cluster:

```python
from tenfold.cluster.spec import Cluster, Job

cluster = Cluster(
    cluster="word2vec",
    framework="tensorflow",
    jobs={"chief": Job(run="python train.py"), "ps": Job(tasks=4), "worker": Job(tasks=8)},
)
```
"""  # noqa: E501


def _page(schema: Schema) -> Iterator[str]:
    yield _OPENING
    yield from _table("The file", schema)
    order = (
        *(
            "Job",
            "Resources",
            "Restart",
            "Ready",
            "Hang",
            "Notify",
            "Override",
            "Service",
            "Build",
            "Cells",
        ),
        *(title for model in CELL_SETTINGS.values() for title in (model.__name__, *model.titles)),
    )
    titles = {
        "Job": "A job: `jobs.NAME`",
        "Resources": "`resources`",
        "Restart": "`restart` as a mapping",
        "Ready": "`ready` as a mapping",
        "Hang": "`hang` as a mapping",
        "Notify": "`notify` as a mapping",
        "Override": "`overrides.INDEX`",
        "Service": "`tensorboard` and `jupyter` as mappings",
        "Build": "`build` as a mapping",
        "Cells": "`cells`",
    }
    for cell, model in CELL_SETTINGS.items():
        titles[model.__name__] = f"`cells.{cell}`"
        titles |= {name: f"`cells.{cell}.{key}`" for name, key in model.titles.items()}
    definitions = schema["definitions"]
    assert set(order) == set(definitions)
    for name in order:
        yield from _table(titles[name], definitions[name])
    yield _CLOSING.rstrip() + "\n"


def _table(title: str, schema: Schema) -> Iterator[str]:
    yield f"## {title}\n"
    yield schema["description"] + "\n"
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    needed = schema.get("required", [])
    for choice in schema.get("anyOf", []):
        needed += choice["required"] if "extends" not in choice["required"] else []
    for name, inner in schema["properties"].items():
        default = "**required**" if name in needed else _default(inner)
        kinds = " or ".join(dict.fromkeys(_kinds(inner)))
        yield f"| `{name}` | {kinds} | {default} | {inner['description']} |"
    yield ""


def _default(schema: Schema) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text}`"


def _kinds(schema: Schema) -> Iterator[str]:
    """The types of values that a key accepts, as text."""
    if schema in (_VAR, {"type": "null"}):
        return
    if "anyOf" in schema:
        for choice in schema["anyOf"]:
            yield from _kinds(choice)
    elif "$ref" in schema:
        yield "mapping"
    elif "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"])
    elif "const" in schema:
        yield f"`{schema['const']}`"
    elif schema.get("type") == "array":
        inner = " or ".join(_kinds(schema["items"]))
        yield f"list of {inner}"
    elif schema.get("type") == "object":
        yield "mapping"
    else:
        yield _single_kind(schema)


def _single_kind(schema: Schema) -> str:
    words = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}
    kind = schema.get("type")
    word = words.get(kind, "any") if isinstance(kind, str) else "text"
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum")
    return f"{word} {low:,} to {high:,}" if low is not None and high is not None else word


if __name__ == "__main__":
    for target in sys.argv[1:]:
        text = schema_text() if target.endswith(".json") else markdown()
        Path(target).write_text(text, encoding="utf-8")
