"""The command of an image, read from its Dockerfile."""

from __future__ import annotations

import json
import re
import shlex

from tenfold.cluster.file.document import read_bytes
from tenfold.errors import InputError
from tenfold.starter.compose_file import ComposeFile, Plain, evaluated, inside
from tenfold.starter.draft import literal


def image_command(
    made: ComposeFile, build: Plain, name: str
) -> tuple[list[str], list[str], str | None] | None:
    """ENTRYPOINT, CMD and WORKDIR of the last stage, or None without a file."""
    given = {"context": build} if isinstance(build, str) else build
    if not isinstance(given, dict):
        return None
    context = evaluated(made, str(given.get("context") or "."))
    file = evaluated(made, str(given.get("dockerfile") or "Dockerfile"))
    if ":" in context:
        return None
    path = inside(made, f"{context}/{file}")
    if path is None:
        return None
    try:
        text = read_bytes(path, f"{context}/{file}").decode("utf-8", "replace")
    except InputError as error:
        made.note(f"the Dockerfile of {name}", str(error))
        return None
    return _stage(text, given.get("target"))


def _stage(text: str, target: Plain) -> tuple[list[str], list[str], str | None]:
    """ENTRYPOINT, CMD and WORKDIR of the stage `target`, or of the last one."""
    entry: list[str] = []
    command: list[str] = []
    workdir: str | None = None
    stages: dict[str, tuple[list[str], list[str], str | None]] = {}
    stage = ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        match word.upper():
            case "FROM":
                stages[stage] = (entry, command, workdir)
                words = rest.split()
                entry, command, workdir = stages.get(words[0] if words else "", ([], [], None))
                stage = words[-1] if len(words) == 3 else ""
                stages.pop("", None)
            case "ENTRYPOINT":
                entry, command = _words(rest), []
            case "CMD":
                command = _words(rest)
            case "WORKDIR":
                workdir = rest.strip()
    stages[stage] = (entry, command, workdir)
    return stages.get(target, stages[stage]) if isinstance(target, str) else stages[stage]


def _words(text: str) -> list[str]:
    """The words of an instruction, in its form with brackets or its form for a shell."""
    try:
        listed = json.loads(text)
        if isinstance(listed, list):
            return [literal(str(word)) for word in listed]
    except ValueError:
        pass
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if not words or re.search(r"[|&;<>$`]", text):
        return ["sh", "-c", literal(text.strip())]
    return [literal(word) for word in words]
