"""Explain pydantic's validation errors in tenfold's own words.

Owns: the message and hint for each kind of validation error, which key it is about, and the nearest
key to one that does not exist. Leaves to others: the rules (`spec`, `units`) and places (`load`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tenfold.base.nearest import did_you_mean
from tenfold.cluster import spec
from tenfold.cluster.file.places import Remark
from tenfold.cluster.foreign_words import foreign_key, foreign_value
from tenfold.errors import MOST_FAULTS, shown

Path = tuple[str | int, ...]


_EXPECTED = {
    "tasks": "a positive integer",
    "limit": "zero or a positive integer",
    "gpu": "zero or a positive integer",
    "cpu": "a positive number",
    "port": "a port, 1 to 65535",
    "run": "a command line or a list of words",
    "after": "a job, a list of jobs, or a mapping of jobs to started, ready or succeeded",
    "tensorboard": "true, false or {port: …}",
    "jupyter": "true, false or {port: …}",
    "restart": "never, on-failure, always or a mapping",
    "ready": "tcp, or a mapping with tcp, http, command or log",
    "extends": "a file or a list of files",
    "success": "a job or a list of jobs",
    "preload": "a module, a list of modules, or none",
}

_EXPECTED_BELOW = {
    "ports": "a port, 1 to 65535, or auto",
    "env": "text",
    "vars": "a text, a number, true or false, or a list of them",
    "run": "text",
}

_BY_TYPE = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "finite_number": "a number that is not infinite",
    "needs_python_object": "text",
}

_PASTE = {
    "cluster": "add a line such as\ncluster: my-cluster",
    "jobs": "add lines such as\njobs:\n  worker: {run: python train.py}",
    "policy": "add policy: never, on-failure or always",
}


def findings(error: ValidationError, data: Any, got: Callable[[Path], str]) -> list[Remark]:
    """All findings of `error`, which was raised when `data` was validated.

    `got` tells, for a path in `data`, what was written there.
    """
    errors = error.errors(include_url=False, include_input=False)
    placed = [(_located(item, data), item) for item in errors]
    paths = {path for path, _ in placed}
    deeper = {path[:length] for path in paths for length in range(len(path))}
    result: dict[Path, Remark] = {}
    for path, item in placed:
        about_branch = path in deeper and item["type"] not in ("missing", "extra_forbidden")
        if path in result or (about_branch and item["type"] != "tenfold"):
            continue
        if len(result) >= MOST_FAULTS:
            break
        result[path] = _finding(path, item, data, got)
    return list(result.values())


def _located(item: ErrorDetails, data: Any) -> Path:
    """The path in `data` of an error.

    It is the error's location without the names of types it went through.
    """
    path: list[str | int] = []
    here = data
    for part in item["loc"]:
        if isinstance(here, dict) and str(part) in here:
            here = here[str(part)]
            path.append(str(part))
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
            path.append(part)
    if item["type"] == "missing":
        path.append(str(item["loc"][-1]))
    return tuple(path)


def _finding(path: Path, item: ErrorDetails, data: Any, got: Callable[[Path], str]) -> Remark:
    if item["type"] == "extra_forbidden":
        return Remark(path, "unknown key", _nearest_key(path), about_key=True)
    if item["type"] == "missing":
        name = str(path[-1])
        return Remark(path, "is missing", _PASTE.get(name, f"add {name}: …"), about_key=True)
    context = item.get("ctx", {})
    about_key = "[key]" in item["loc"]
    if about_key:
        expected, hint = _expected_key(path, item)
        name = shown(path[-1])
        return Remark(path, f"expected {expected}, got {name}", hint, about_key=True)
    expected = _expected(path, item, context)
    hint = context.get("hint") or _hint(path, item, data)
    return Remark(path, f"expected {expected}, got {got(path)}", hint)


def _expected_key(path: Path, item: ErrorDetails) -> tuple[str, str | None]:
    context = item.get("ctx", {})
    if item["type"] == "tenfold":
        return str(context["expected"]), context.get("hint")
    if item["type"] == "literal_error":
        return f"one of {_listed(context)}", _nearest(str(path[-1]), _choices(context))
    if path[-2:-1] == ("overrides",):
        return "the index of a task (0) or a range of them (2-5)", None
    return "a name of letters, digits, - and _, beginning with a letter", None


def _expected(path: Path, item: ErrorDetails, context: Mapping[str, Any]) -> str:
    kind = item["type"]
    if kind == "tenfold":
        return str(context["expected"])
    if kind == "literal_error" and not _below(path, "ports"):
        return f"one of {_listed(context)}"
    if kind in ("less_than_equal", "greater_than_equal") and not _below(path, "ports"):
        return _limit(path, kind, context)
    if kind in ("too_short", "too_long") and path[-1] == "run":
        return "a command of at least one word"
    if kind in ("too_short", "too_long"):
        return "at least one"
    if kind == "string_pattern_mismatch":
        return "a path that begins with /" if path[-1] == "http" else "another form"
    if kind == "string_too_long":
        return f"at most {context.get('max_length')} characters"
    return _by_key(path) or _BY_TYPE.get(kind, "something else")


def _by_key(path: Path) -> str | None:
    if path and path[0] == "cells" and len(path) < 3:
        return "a mapping of settings"
    for parent, expected in _EXPECTED_BELOW.items():
        if _below(path, parent):
            return expected
    name = path[-1] if path else ""
    return _EXPECTED.get(name) if isinstance(name, str) and len(path) != 2 else None


def _below(path: Path, parent: str) -> bool:
    in_list = len(path) > 2 and path[-3] == parent == "vars"
    return in_list or (len(path) > 1 and path[-2] == parent)


def _limit(path: Path, kind: str, context: Mapping[str, Any]) -> str:
    name = path[-1] if path else ""
    if kind == "greater_than_equal" and isinstance(name, str) and name in _EXPECTED:
        return _EXPECTED[name]
    bound = context.get("le", context.get("ge"))
    return f"at most {bound}" if kind == "less_than_equal" else f"at least {bound}"


def _hint(path: Path, item: ErrorDetails, data: Any) -> str | None:
    value = _value(path, data)
    if (foreign := foreign_value(path, value)) is not None:
        return foreign
    if item["type"] == "literal_error" and isinstance(value, str):
        return _nearest(value, _choices(item.get("ctx", {})))
    expected = _expected(path, item, item.get("ctx", {}))
    if isinstance(value, float) and value.is_integer() and "integer" in expected:
        return f"write {int(value)}"
    if isinstance(value, str) and ("integer" in expected or "number" in expected):
        digits = value.lstrip("0")
        if digits.isascii() and digits.isdigit() and len(digits) < 10:
            return f"write {digits}, without quotes or leading zeros"
        return None
    if isinstance(value, list) and expected == "a mapping":
        return "write `name: …` lines, without `- `"
    return None


def _value(path: Path, data: Any) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _listed(context: Mapping[str, Any]) -> str:
    return ", ".join(_choices(context))


def _choices(context: Mapping[str, Any]) -> list[str]:
    text = str(context.get("expected", "")).replace(" or ", ", ")
    return [choice.strip("' ") for choice in text.split(",")]


def _nearest(name: str, names: Sequence[str]) -> str | None:
    return did_you_mean(name.lower() if len(name) < 200 else name, names)


def _nearest_key(path: Path) -> str | None:
    """The key that was probably meant, or all keys that exist."""
    model = model_at(path[:-1])
    if model is None:
        return None
    if (foreign := foreign_key(path)) is not None:
        return str(foreign)
    names = list(model.model_fields)
    near = _nearest(str(path[-1]), names)
    if near is None and path[:-1] == () and str(path[-1]) in spec.Job.model_fields:
        return "it belongs to a job: move it below jobs.NAME"
    return near or f"keys here: {', '.join(names)}"


def meant(found: Remark) -> Path:
    """The path of the key that an unknown key was probably meant to be.

    Otherwise the path of the key itself.
    """
    near = re.match(r"did you mean ([^?]+)\?", found.hint or "")
    if found.message != "unknown key" or near is None:
        return found.path
    return (*found.path[:-1], near[1])


def model_at(path: Path) -> type[BaseModel] | None:
    """The model in the specification that lists the keys of the mapping at `path`."""
    match path:
        case ():
            return spec.Cluster
        case ("tensorboard" | "jupyter",):
            return spec.Service
        case ("jobs", _):
            return spec.Job
        case ("jobs", _, "overrides", _):
            return spec.Override
        case ("jobs", _, "ready"):
            return spec.Ready
        case ("jobs", _, "resources") | ("jobs", _, "overrides", _, "resources"):
            return spec.Resources
        case ("jobs", _, "restart") | ("jobs", _, "overrides", _, "restart"):
            return spec.Restart
    return None
