"""What the command of a launcher, such as torchrun, would start.

Owns: the options of each launcher, and what becomes of them. `launch_of` peels launchers off a
command (`srun torchrun train.py`) until the program itself is left.

Sources: torch/distributed/run.py (PyTorch 2.13), accelerate/utils/launch.py (which variables the
options of `accelerate launch` set), deepspeed/launcher/runner.py, and the manual pages of srun(1)
and mpirun(1). The tables are in `launcher_options`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath

from tenfold.starter.draft import Note
from tenfold.starter.launcher_options import LAUNCHERS, LauncherOptions
from tenfold.starter.shell_text import ShellCommand, ShellWord

_PYTHON = re.compile(r"python[0-9.]*")
_MODULES = {
    "torch.distributed.run": "torchrun",
    "torch.distributed.launch": "torch.distributed.launch",
    "torch.distributed.elastic.agent": "torchrun",
    "accelerate.commands.launch": "accelerate launch",
    "accelerate.commands.accelerate_cli": "accelerate",
    "deepspeed.launcher.runner": "deepspeed",
    "deepspeed": "deepspeed",
}
"""Launchers that run as modules of Python."""

_SUBCOMMANDS = {
    "accelerate": ("launch", "accelerate launch"),
    "fabric": ("run", "fabric run"),
    "lightning": ("run", "fabric run"),
}
_ALIASES = {"mpiexec": "mpirun", "orterun": "mpirun", "torchrun-script": "torchrun"}

_WRAPPERS = {"uv": "run", "poetry": "run", "pipenv": "run", "pdm": "run", "hatch": "run"}
"""Programs that start another one in the environment of a project. They are kept."""

_CONTAINERS = ("singularity", "apptainer")
_CONTAINER_VALUES = (
    "-B",
    "--bind",
    "--env",
    "--pwd",
    "-H",
    "--home",
    "--env-file",
    "-W",
    "--overlay",
)

KEPT_LAUNCHERS = (
    "horovodrun",
    "ray",
    "colossalai",
    "bagua",
    "bagua.distributed.run",
    "dlrover-run",
)
"""Launchers that stay: their processes find each other in their own way."""


@dataclass(slots=True)
class Launch:
    """A command without its launchers.

    Attributes:
        words: the program and its arguments.
        launchers: names of the launchers, outermost first.
        per_node: processes on each node; `gpu`, `cpu` and `auto` are what torchrun calls so.
        nodes, total: numbers of nodes and of processes of all nodes, if they were given.
        prelude: assignments that a shell must make first, if a word is unknown.
        local_rank: whether the launcher passes `--local_rank=N` to the script.
    """

    words: list[ShellWord]
    env: dict[str, str] = field(default_factory=dict)
    launchers: list[str] = field(default_factory=list)
    per_node: str | None = None
    nodes: int | None = None
    total: int | None = None
    restarts: int | None = None
    local_rank: bool = False
    config_file: str | None = None
    slurm: dict[str, str] = field(default_factory=dict)
    prelude: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def starts_ranks(self) -> bool:
        """Whether a launcher would have started several processes."""
        return bool(self.launchers)


def launch_of(command: ShellCommand) -> Launch:
    """What a command starts. Without a launcher it is the command itself."""
    launch = Launch(list(command.words), prelude=command.prelude)
    for name, word in command.env.items():
        _set(launch, name, word)
    for _ in range(5):
        if not _peel(launch):
            break
    return launch


def _set(launch: Launch, name: str, word: ShellWord) -> None:
    if word.known:
        launch.env[name] = word.text
    else:
        own = name in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "NODE_RANK")
        why = "tenfold sets it for each task" if own else "set it under env, if the script needs it"
        launch.notes.append(Note(f"{name}={word.raw}", why))


def _peel(launch: Launch) -> bool:
    """Take one launcher off the command. Returns whether there was one."""
    _environment_words(launch)
    wrapper = _wrapper_length(launch.words)
    before, words = launch.words[:wrapper], launch.words[wrapper:]
    found = _launcher(words)
    if found is None:
        return False
    name, length, python = found
    options = LAUNCHERS[name]
    rest = _options(launch, options, words[length:])
    launch.launchers.append(name)
    if rest is None:
        launch.words = []
        return False
    launch.words = [*before, *_program(options, rest, python)]
    launch.local_rank = launch.local_rank or rest.local_rank
    return True


def _environment_words(launch: Launch) -> None:
    """Take `env A=1` off the command."""
    while launch.words and PurePath(launch.words[0].text).name in ("env", "nohup", "time", "exec"):
        del launch.words[0]
        while launch.words and re.match(r"[A-Za-z_]\w*=", launch.words[0].text):
            word = launch.words.pop(0)
            name, _, value = word.text.partition("=")
            _set(launch, name, ShellWord(value, word.raw.partition("=")[2], word.known))


def _wrapper_length(words: list[ShellWord]) -> int:
    """The number of words of `uv run` and the like before the program."""
    texts = [word.text for word in words[:40]]
    if texts and PurePath(texts[0]).name in _CONTAINERS:
        return _container_length(texts)
    if len(texts) < 3 or _WRAPPERS.get(texts[0]) != texts[1]:
        return 0
    length = 2
    while length < len(texts) and texts[length].startswith("-"):
        length += 2 if texts[length] in ("--with", "--extra", "--group", "-p", "--python") else 1
    return length


def _container_length(texts: list[str]) -> int:
    """The number of words of `apptainer exec --nv image.sif` before the program."""
    if texts[1:2] != ["exec"]:
        return 0
    length = 2
    while length < len(texts) and texts[length].startswith("-"):
        length += 2 if texts[length] in _CONTAINER_VALUES else 1
    return length + 1


def _launcher(words: list[ShellWord]) -> tuple[str, int, str] | None:
    """The launcher of a command, its number of words, and the Python to use."""
    if not words:
        return None
    path = PurePath(words[0].text)
    name = _ALIASES.get(path.name, path.name)
    beside = str(path.parent / "python") if path.parent != PurePath() else "python"
    if _PYTHON.fullmatch(path.name):
        return _module_launcher(words)
    if name in _SUBCOMMANDS:
        word, launcher = _SUBCOMMANDS[name]
        if len(words) > 1 and words[1].text == word:
            length = 3 if len(words) > 2 and words[2].text == "model" else 2
            return launcher, length, beside
        return None
    return (name, 1, beside) if name in LAUNCHERS else None


def _module_launcher(words: list[ShellWord]) -> tuple[str, int, str] | None:
    position = 1
    while position < len(words) and re.fullmatch(r"-[uBEsSIO]+", words[position].text):
        position += 1
    texts = [word.text for word in words[position : position + 3]]
    if texts[:1] != ["-m"] or len(texts) < 2 or texts[1] not in _MODULES:
        return None
    name, length = _MODULES[texts[1]], position + 2
    if name in _SUBCOMMANDS:
        if texts[2:3] != [_SUBCOMMANDS[name][0]]:
            return None
        name, length = _SUBCOMMANDS[name][1], length + 1
    return name, length, words[0].text


@dataclass(slots=True)
class _AfterOptions:
    """The words after a launcher's options, and what its flags say about them."""

    words: list[ShellWord]
    module: bool = False
    no_python: bool = False
    local_rank: bool = False


def _program(options: LauncherOptions, rest: _AfterOptions, python: str) -> list[ShellWord]:
    """The command that the launcher runs in each process."""
    if rest.no_python or not options.runs_python or not rest.words:
        return rest.words
    if not rest.module and _PYTHON.fullmatch(PurePath(rest.words[0].text).name):
        return rest.words  # as `accelerate launch python train.py` never means
    first = [ShellWord(python, python), *([ShellWord("-m", "-m")] if rest.module else [])]
    return [*first, *rest.words]


def _options(
    launch: Launch, options: LauncherOptions, words: list[ShellWord]
) -> _AfterOptions | None:
    """Obey and note the options of a launcher. None if no program follows them."""
    rest = _AfterOptions([], local_rank=options.local_rank)
    words = list(words)
    while words and words[0].text.startswith("-") and words[0].text != "-":
        word = words.pop(0)
        if word.text == "--":
            break
        name, separator, value = word.text.partition("=")
        raw, known = word.raw, word.known
        key = options.canonical(name)
        wanted = options.arguments(key, [each.text for each in words])
        if separator or not wanted:
            values = [value] if separator else []
        else:
            taken, words = words[:wanted], words[wanted:]
            values = [each.text for each in taken]
            raw = " ".join([raw, *(each.raw for each in taken)])
            known = all(each.known for each in taken)
        _obey(launch, options, rest, key, values, raw, known=known)
    rest.words = words
    return rest if words else None


def _obey(
    launch: Launch,
    options: LauncherOptions,
    rest: _AfterOptions,
    key: str,
    values: list[str],
    raw: str,
    *,
    known: bool,
) -> None:
    meaning = options.meaning(key)
    value = values[0] if values else ""
    if meaning == "module":
        rest.module = True
    elif meaning == "no-python":
        rest.no_python = True
    elif meaning == "use-env":
        rest.local_rank = False
    elif meaning.startswith("env:") and known:
        launch.env[meaning[4:]] = value if values else "true"
    elif meaning == "export" and known:
        name, separator, text = value.partition("=")
        launch.env[name] = text if separator else f"${{env.{name}:-}}"
    elif meaning in _NUMBERS and known:
        if why := _number(launch, meaning, value):
            launch.notes.append(Note(raw, why))
    elif meaning == "config-file" and known:
        launch.config_file = value
    elif meaning.startswith("slurm:") and known:
        launch.slurm[meaning[6:]] = value
    elif meaning != "silent":
        launch.notes.append(Note(raw, _why(meaning)))


def _why(meaning: str) -> str:
    if " " in meaning:
        return meaning
    if meaning == "unknown":
        return "tenfold init does not know this option"
    return "only a shell knows its value; set it in the file"


_NUMBERS = ("per-node", "nodes", "total", "restarts")


def _number(launch: Launch, meaning: str, value: str) -> str | None:
    """Store a number of processes. Returns why it could not be stored as it was."""
    if meaning == "per-node":
        launch.per_node = value
        fits = value.isdigit() or value in ("gpu", "cpu", "auto", "xpu")
        return None if fits else "not a number; set tasks"
    if meaning == "nodes" and (found := re.fullmatch(r"(\d+):(\d+)", value)):
        launch.nodes = int(found[2])
        return (
            f"the file starts all {found[2]} nodes; for a group that may shrink see "
            "docs/torch.md, Elastic torchrun"
        )
    found = re.match(r"\d+", value)
    if not found:
        return "not a number; set tasks"
    attribute = {"nodes": "nodes", "total": "total", "restarts": "restarts"}[meaning]
    setattr(launch, attribute, int(found[0]))
    return None
