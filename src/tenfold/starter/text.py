"""The text of a draft: a commented cluster file.

Owns the order, the comments and the quoting. What it writes loads as what the draft says.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from tenfold.cluster.command_line import WordsError, split
from tenfold.cluster.file.document import resolve
from tenfold.starter.draft import MOST_NOTES, Draft, DraftJob, one_line

_REFERENCE = re.compile(r"\$\{[A-Za-z_][\w.:/-]*\}")
_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_WIDTH = 96


class _Dumper(yaml.SafeDumper):
    """Writes text so that YAML 1.2 reads it as text."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    style = None if resolve(value) == value and value not in ("<<", "=") else '"'
    if "'" in value and '"' not in value:
        style = '"'  # a single quote in single quotes is written twice
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def draft_text(draft: Draft, schema: str) -> str:
    """The cluster file of the draft. `schema` is the path for the modeline."""
    lines = [f"# yaml-language-server: $schema={schema}"]
    lines += _heading(draft)
    lines += ["", *_block({"cluster": draft.cluster, "framework": draft.framework})]
    if draft.image is not None or draft.build is not None:
        lines += ["", "# For --on docker and --on kubernetes. The image must contain tenfold."]
        lines += _block(_given({"image": draft.image, "build": draft.build}))
    if draft.env:
        lines += ["", *_block({"env": draft.env})]
    lines += ["", "jobs:"]
    for name, job in draft.jobs.items():
        lines += _job(name, job)
    services = {"tensorboard": draft.tensorboard, "jupyter": draft.jupyter}
    rest = {name: True for name, on in services.items() if on}
    more = rest | _given({"success": draft.success or None})
    lines += ["", *_block(more)] if more else []
    if draft.cells:
        lines += ["", *_block({"cells": draft.cells})]
    return "\n".join(lines) + "\n"


def _heading(draft: Draft) -> list[str]:
    lines = _comment(f"Made by `tenfold init` from {one_line(draft.origin, 300)}")
    lines += _comment(
        "All fields: tenfold schema --markdown. Check this file: tenfold check. Start: tenfold up."
    )
    if draft.notes:
        lines += ["#", "# Not carried over as it was:"]
        for note in draft.notes[:MOST_NOTES]:
            lines += _comment(f"- {note}", indent="  ")
        if len(draft.notes) > MOST_NOTES:
            lines.append(f"#   and {len(draft.notes) - MOST_NOTES} more")
    return lines


def _comment(text: str, indent: str = "", margin: str = "") -> list[str]:
    """A text as lines of a comment, wrapped at spaces."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and len(f"{margin}# {line} {word}") > _WIDTH:
            lines.append(f"{margin}# {line}")
            line = f"{indent}{word}"
        else:
            line = f"{line} {word}" if line else word
    return [*lines, f"{margin}# {line}"] if line else lines


def _job(name: str, job: DraftJob) -> list[str]:
    comment = _comment(job.comment, margin="  ") if job.comment else []
    fields = _given(
        {
            "run": _command(job),
            "tasks": job.tasks if job.tasks != 1 else None,
            "env": job.env or None,
            "workdir": job.workdir,
            "resources": job.resources or None,
            "after": job.after or None,
            "ready": job.ready,
            "ports": job.ports or None,
            "publish": job.publish or None,
            "restart": job.restart,
            "image": job.image,
            "network": job.network,
            "preload": job.preload,
        }
    )
    if not fields:
        return [*comment, f"  {name}: {{}}"]
    return [*comment, f"  {name}:", *(f"    {line}" for line in _block(fields))]


def _command(job: DraftJob) -> object:
    """The command as one line if that reads as the same words, else as a list."""
    if job.shell is not None:
        return ["sh", "-c", job.shell]
    if job.run is None:
        return None
    line = " ".join(word if _plain(word) else shlex.quote(word) for word in job.run)
    try:
        same = split(line) == job.run
    except WordsError:
        same = False
    return line if same and "\n" not in line else list(job.run)


def _plain(word: str) -> bool:
    """Whether a word needs no quotes in a command line."""
    return _SAFE.fullmatch(_REFERENCE.sub("x", word)) is not None


def _given(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _block(fields: Mapping[str, object]) -> list[str]:
    """YAML lines of a mapping. Small mappings and lists inside of it take one line."""
    lines: list[str] = []
    for name, value in fields.items():
        flow = isinstance(value, (dict, list)) and _is_small(value)
        text = yaml.dump(
            {name: value},
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=1_000_000,
            default_flow_style=None if flow else False,
        )
        lines += text.rstrip("\n").split("\n")
    return lines


def _is_small(value: Mapping[str, object] | list[object]) -> bool:
    """Whether a value is short and holds single values only."""
    inner: Iterable[object] = value.values() if isinstance(value, Mapping) else value
    return all(not isinstance(one, (dict, list)) for one in inner) and len(str(value)) < 70
