"""What a directory has that could become a cluster.

Owns: which files are looked at, the limits that keep this quick in any directory, and the order of
what is found. Links to directories are not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.cluster.scripts.sources import MOST_BYTES
from tenfold.starter.command_draft import is_start, script_name
from tenfold.starter.recipes import Recipe, recipe_of
from tenfold.starter.script_facts import ScriptFacts, own_facts, script_facts
from tenfold.starter.shell_text import ShellCommand, commands

MOST_ENTRIES = 20_000
MOST_SCANNED = 1_000_000
MOST_PARSED = 200
DEEPEST = 4

_SKIPPED = frozenset(
    [
        "node_modules",
        "site-packages",
        "__pycache__",
        "venv",
        "env",
        "build",
        "dist",
        "tests",
        "test",
        "docs",
        "wandb",
        "mlruns",
        "lightning_logs",
        "runs",
        "outputs",
        "checkpoints",
        "data",
        "datasets",
        "target",
        "third_party",
    ]
)
"""Directories that hold no training script, or very many files."""

_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_BATCH = (".sbatch", ".slurm", ".sh", ".sub", ".batch")
_SUFFIXES = (".py", ".ipynb", ".yaml", ".yml", *_BATCH)
_TEST = re.compile(r"(?:test_.*|.*_test|conftest|setup)\.py")
_WORDS = (b"torch", b"tensorflow", b"keras", b"jax", b"transformers", b"lightning", b"accelerate")
_LAUNCHING = (b"python", b"torchrun", b"accelerate", b"deepspeed", b"srun", b"mpirun", b"fabric")
_USUAL = ("train", "main", "finetune", "fine_tune", "pretrain", "run", "sft", "trainer")


@dataclass(frozen=True, slots=True)
class FoundScript:
    """A script that trains, with what shows it."""

    path: Path
    facts: ScriptFacts
    recipe: Recipe
    shown: str


@dataclass(frozen=True, slots=True)
class FoundStart:
    """A command in a shell script that starts a training."""

    path: Path
    command: ShellCommand
    script: str | None


@dataclass(slots=True)
class Survey:
    """What was found, best first. `cut` tells that not everything was looked at."""

    scripts: list[FoundScript] = field(default_factory=list)
    starts: list[FoundStart] = field(default_factory=list)
    compose: list[Path] = field(default_factory=list)
    notebooks: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)
    cut: bool = False


def survey(directory: Path) -> Survey:
    """Look through `directory`. All paths are relative to it."""
    found = Survey()
    python: list[Path] = []
    for path in _files(directory, found):
        name = path.name.lower()
        if name.endswith(".py") and not _TEST.fullmatch(name):
            python.append(path)
        elif name in _COMPOSE and len(path.parts) == 1:
            found.compose.append(path)
        elif name.endswith(_BATCH):
            found.starts += _starts(directory, path)
        elif name.endswith(".ipynb"):
            found.notebooks.append(path)
    found.compose.sort(key=lambda path: _COMPOSE.index(path.name.lower()))
    _read_scripts(directory, python, found)
    return found


def _files(directory: Path, found: Survey) -> Iterator[Path]:
    """Regular files below the directory, nearest first."""
    level, entries = [Path()], 0
    for _ in range(DEEPEST):
        following: list[Path] = []
        for place in level:
            for entry in _entries(directory / place):
                entries += 1
                if entries > MOST_ENTRIES:
                    found.cut = True
                    return
                path = place / entry.name
                if _is_directory(entry):
                    if not _is_skipped(entry):
                        following.append(path)
                elif _is_file(entry):
                    yield path
        level = following


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            listed: list[os.DirEntry[str]] = []
            for number, entry in enumerate(entries):
                if number >= MOST_SCANNED or len(listed) > MOST_ENTRIES:
                    break
                if entry.name.lower().endswith(_SUFFIXES) or _is_directory(entry):
                    listed.append(entry)
            return sorted(listed, key=lambda entry: (_is_directory(entry), entry.name))
    except OSError:
        return []


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_skipped(entry: os.DirEntry[str]) -> bool:
    name = entry.name.lower()
    if name.startswith(".") or name in _SKIPPED or name.endswith(".egg-info"):
        return True
    return os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))  # noqa: PTH110, PTH118


def _read_scripts(directory: Path, python: list[Path], found: Survey) -> None:
    candidates = [path for path in python if _mentions_framework(directory / path)]
    candidates.sort(key=_by_name)
    if len(candidates) > MOST_PARSED:
        found.cut = True
    imported: set[Path] = set()
    for path in candidates[:MOST_PARSED]:
        own = own_facts(directory / path)
        if own is None:
            found.unreadable.append(path)
            continue
        facts = script_facts(directory / path, directory) if own.runs else None
        if facts is None:
            continue
        imported |= {Path(os.path.realpath(module)) for module in facts.modules}
        recipe = recipe_of(facts)
        if recipe is not None:
            found.scripts.append(FoundScript(path, facts, *recipe))
    found.scripts = [
        one for one in found.scripts if Path(os.path.realpath(directory / one.path)) not in imported
    ]
    found.scripts.sort(
        key=lambda one: (len(one.path.parts), -one.recipe.weight, _by_name(one.path))
    )


def usual_name(path: Path) -> bool:
    """Whether the name of a script tells that it is the one to start: `train.py`."""
    return path.stem.lower() in _USUAL[:5]


def _by_name(path: Path) -> tuple[int, int, str]:
    """Near files first, then those with a usual name."""
    stem = path.stem.lower()
    rank = next((at for at, word in enumerate(_USUAL) if stem == word), None)
    if rank is None:
        rank = next((at + 20 for at, word in enumerate(_USUAL) if stem.startswith(word)), 90)
    return len(path.parts), rank, str(path)


def _mentions_framework(file: Path) -> bool:
    text = _bytes(file)
    return any(word in text for word in _WORDS)


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST_BYTES:
            return b""
        return file.read_bytes()
    except (OSError, ValueError):
        return b""


def _starts(directory: Path, path: Path) -> list[FoundStart]:
    """The commands of a shell script that start a training."""
    data = _bytes(directory / path)
    if not any(word in data for word in _LAUNCHING):
        return []
    text = data.decode("utf-8", "replace")
    return [
        FoundStart(path, command, script_name(command))
        for command in commands(text)
        if command.words and is_start(command)
    ]
