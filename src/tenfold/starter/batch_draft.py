"""A draft from a shell script that starts a training.

Owns: which of its commands is the training, what the others become, and the options of sbatch.
Leaves to others: reading shell (`shell_text`) and launchers (`command_draft`).

Source: the manual page of sbatch(1).
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tenfold.errors import InputError
from tenfold.starter.command_draft import add_start, is_start, rank_count, set_directory
from tenfold.starter.draft import Draft, job_name, literal, one_line
from tenfold.starter.launcher_options import LAUNCHERS
from tenfold.starter.launchers import launch_of
from tenfold.starter.script_jobs import RankCount
from tenfold.starter.shell_text import ShellCommand, ShellWord, commands

_SETUP = ("module", "ml", "source", ".", "conda", "mamba", "micromamba", "spack", "ulimit")
"""Commands that prepare the environment of a batch job."""

_QUIET = frozenset(
    [
        "echo",
        "printf",
        "set",
        "date",
        "hostname",
        "mkdir",
        "cat",
        "ls",
        "env",
        "printenv",
        "nvidia-smi",
        "sleep",
        "true",
        "exit",
        "wait",
        "which",
        "pwd",
        "test",
        "[",
        "trap",
        ":",
        "scontrol",
        "squeue",
        "sinfo",
        "head",
        "tail",
        "grep",
        "sed",
        "awk",
        "cut",
        "export",
        "unset",
        "declare",
        "typeset",
        "readonly",
        "shift",
        "cp",
        "rm",
    ]
)
"""Commands without which the training is the same."""

_LOGS = ("output", "error", "open-mode", "input")
_LAYOUT = ("nodes", "ntasks", "ntasks-per-node", "gpus-per-node", "gpus", "gres", "gpus-per-task")
_OWN = ("partition", "account", "qos", "constraint", "time")
_SHORT = {
    "N": "nodes", "n": "ntasks", "p": "partition", "A": "account", "t": "time", "J": "job-name",
    "o": "output", "e": "error", "c": "cpus-per-task", "G": "gpus", "q": "qos", "C": "constraint",
    "a": "array", "d": "dependency", "D": "chdir", "w": "nodelist", "x": "exclude", "i": "input",
}  # fmt: skip

_MEMORY_UNITS = {"": "MiB", "k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}


def batch_draft(text: str, name: str, directory: Path, wanted: str | None = None) -> Draft:
    """The draft that starts what a shell script starts. `name` is for messages.

    Raises InputError if no command of it starts a training.
    """
    text = text.replace("\0", "")
    options = sbatch_options(text)
    draft = Draft(origin=f"{name} (a batch script of Slurm)" if options else name)
    known = _known_variables(options)
    found = _inner(commands(text, known), known)
    starts = [command for command in found if command.words and is_start(command)]
    if not starts:
        raise InputError(
            f"{name}: no command starts a training",
            hint="name the command: tenfold init --from "
            '"torchrun --nproc-per-node 4 train.py"; or the script: tenfold init --from train.py',
        )
    main = next((one for one in reversed(starts) if launch_of(one).launchers), starts[-1])
    if name != one_line(text, len(name)):
        draft.reasons.append(f"{name}:{main.line} starts the training: {one_line(main.raw, 90)}")
    if "job-name" in options:
        draft.cluster = job_name(options["job-name"])
    exported = _others(draft, found, main, slurm=bool(options))
    main.env = exported | main.env
    launch = launch_of(main)
    layout = {**options, **launch.slurm}
    add_start(draft, main, directory, wanted, _ranks(draft, main, layout))
    if options or launch.slurm:
        _obey_options(draft, layout)
    return draft


def sbatch_options(text: str) -> dict[str, str]:
    """The options of the `#SBATCH` lines, by their long names without dashes."""
    found: dict[str, str] = {}
    for line in text.splitlines()[:2000]:
        if not line.startswith("#SBATCH"):
            continue
        try:
            words = shlex.split(line[len("#SBATCH") :], comments=True)
        except ValueError:
            continue
        while words:
            word = words.pop(0)
            key, separator, value = word.lstrip("-").partition("=")
            if not word.startswith("--") and len(word) > 2 and word[0] == "-" and not separator:
                key, value, separator = word[1], word[2:], "="
            if not separator and words and not words[0].startswith("-"):
                value = words.pop(0)
            found[_SHORT.get(key, key)] = value
    return found


def _known_variables(options: dict[str, str]) -> dict[str, str]:
    """Variables that Slurm would set from these options."""
    nodes = options.get("nodes", "1").split("-")[-1]
    known = {"SLURM_NNODES": nodes, "SLURM_JOB_NUM_NODES": nodes}
    names = {
        "SLURM_NTASKS": "ntasks",
        "SLURM_NPROCS": "ntasks",
        "SLURM_NTASKS_PER_NODE": "ntasks-per-node",
        "SLURM_CPUS_PER_TASK": "cpus-per-task",
        "SLURM_JOB_NAME": "job-name",
    }
    known |= {name: literal(options[key]) for name, key in names.items() if key in options}
    known["SLURM_PROCID"] = "${task.index}"
    if (gpus := _gpus_per_node(options, int(nodes) if nodes.isdigit() else 1)) is not None:
        known |= {"SLURM_GPUS_ON_NODE": str(gpus), "SLURM_GPUS_PER_NODE": str(gpus)}
    return known if options else {}


def _gpus(value: str) -> int | None:
    """The number of GPUs in `4`, `a100:4` and `gpu:a100:4`."""
    found = re.search(r"(?:^|:)(\d+)(?:\(|,|$)", value)
    return int(found[1]) if found else None


def _gpus_per_node(options: dict[str, str], nodes: int) -> int | None:
    gres = options.get("gres", "")
    if gres.startswith("gpu"):
        return _gpus(gres) or 1
    if "gpus-per-node" in options:
        return _gpus(options["gpus-per-node"])
    if "gpus" in options and (total := _gpus(options["gpus"])) is not None:
        return max(1, total // nodes)
    if "gpus-per-task" in options and (each := _gpus(options["gpus-per-task"])) is not None:
        return each * int(re.sub(r"\D", "", options.get("ntasks-per-node", "1")) or 1)
    return None


def _inner(found: list[ShellCommand], known: dict[str, str]) -> list[ShellCommand]:
    """The commands, with the text of `srun bash -c "…"` read as commands, too."""
    result: list[ShellCommand] = []
    for command in found:
        words = launch_of(command).words
        texts = [word.text for word in words]
        if len(texts) >= 3 and Path(texts[0]).name in ("bash", "sh") and texts[1] in _SCRIPTED:
            text = texts[2].replace("$${", "${")
            inner = [each for each in commands(text, known) if each.words]
            for each in inner:
                each.line = command.line
                before = command.words[: len(command.words) - len(words)]
                each.words = [*before, *each.words] if is_start(each) else each.words
                each.env = command.env | each.env
            result += inner
        else:
            result.append(command)
    return result


_SCRIPTED = ("-c", "-lc", "-ec", "-euc", "-xc")


def _others(
    draft: Draft, found: list[ShellCommand], main: ShellCommand, *, slurm: bool
) -> dict[str, ShellWord]:
    """What becomes of the other commands. Returns exported variables before `main`."""
    exported: dict[str, ShellWord] = {}
    setup: list[str] = []
    before = True
    for command in found:
        if command is main:
            before = False
            continue
        name = command.words[0].text if command.words else ""
        if name == "export":
            exported |= _exported(command) if before else {}
        elif name in _SETUP:
            setup.append(command.raw)
        elif before and set_directory(draft, command):
            continue
        elif command.words and Path(name).name not in _QUIET:
            draft.note(
                command.raw, "runs once, before or after the training; add a job for it, or run it"
            )
    if setup and slurm:
        draft.cells.setdefault("slurm", {})["setup"] = [literal(line) for line in setup]
        draft.note("; ".join(setup), "done on Slurm (cells.slurm.setup); elsewhere do it before up")
    elif setup:
        draft.note("; ".join(setup), "do it in your shell before tenfold up")
    return exported


def _exported(command: ShellCommand) -> dict[str, ShellWord]:
    """The variables of `export A=1 B=2`."""
    made: dict[str, ShellWord] = {}
    for word in command.words[1:]:
        name, separator, value = word.text.partition("=")
        if separator and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            made[name] = ShellWord(value, word.raw.partition("=")[2], word.known)
    return made


def _ranks(draft: Draft, main: ShellCommand, layout: dict[str, str]) -> RankCount | None:
    """The number of ranks: from the launcher inside, or from the options of Slurm."""
    launch = launch_of(main)
    nodes = _number(layout.get("nodes", "1").split("-")[-1]) or 1
    inside = [name for name in launch.launchers if LAUNCHERS[name].runs_python]
    gpus = _gpus_per_node(layout, nodes)
    if inside and launch.per_node is None and launch.total is None and gpus is None:
        return rank_count(draft, launch, nodes)
    if inside:
        launch.per_node = launch.per_node or str(gpus)
        if not launch.per_node.isdigit() and gpus is not None:
            launch.per_node = str(gpus)
        return rank_count(draft, launch, nodes)
    if not layout or "srun" not in launch.launchers:
        return rank_count(draft, launch, nodes)
    tasks = _number(layout.get("ntasks", "")) or nodes * (
        _number(layout.get("ntasks-per-node", "1")) or 1
    )
    return RankCount(tasks, f"srun starts {tasks}")


def _number(text: str) -> int | None:
    found = re.match(r"\d+", text)
    return int(found[0]) if found else None


def _obey_options(draft: Draft, options: dict[str, str]) -> None:
    """Carry the options of sbatch over to resources and `cells.slurm`."""
    slurm = draft.cells.setdefault("slurm", {})
    extra: list[str] = []
    _add_resources(draft, options)
    for key, value in options.items():
        shown = f"#SBATCH --{key}" + (f"={value}" if value else "")
        if key in _OWN:
            slurm[key] = literal(value)
        elif key in ("requeue", "no-requeue"):
            slurm["requeue"] = key == "requeue"
        elif key in _LOGS:
            draft.note(shown, "tenfold keeps the output of every task: tenfold logs")
        elif key == "nodes" and value != "1":
            draft.note(shown, "Slurm places each task where its resources are free")
        elif key == "array":
            draft.note(shown, "one run is one cluster; start several with --set")
        elif key == "chdir":
            draft.note(shown, "run tenfold there, or set workdir")
        elif (
            key in ("signal", "dependency", "exclusive", "nodelist", "exclude")
            or (key.startswith(("mail", "comment", "reservation", "licenses", "nice", "export")))
            or key
            not in (*_LAYOUT, "job-name", "cpus-per-task", "mem", "mem-per-cpu", "mem-per-gpu")
        ):
            extra.append(literal(f"--{key}" + (f"={value}" if value else "")))
    if extra:
        slurm["options"] = extra
    if not slurm:
        del draft.cells["slurm"]
    draft.others.append("tenfold up --on slurm")


def _add_resources(draft: Draft, options: dict[str, str]) -> None:
    """GPUs, processors and memory of each task, from those of a node."""
    job = next((job for job in draft.jobs.values() if job.run or job.shell), None)
    if job is None:
        return
    nodes = _number(options.get("nodes", "1").split("-")[-1]) or 1
    each = max(1, job.tasks // nodes)
    processes = _number(options.get("ntasks-per-node", "")) or max(
        1, (_number(options.get("ntasks", "")) or nodes) // nodes
    )
    if (gpus := _gpus_per_node(options, nodes)) is not None and gpus >= each:
        job.resources["gpu"] = gpus // each
    elif gpus is not None:
        draft.note(f"{gpus} GPUs for {each} tasks", "a task of tenfold asks for whole GPUs")
    if cpus := _number(options.get("cpus-per-task", "")):
        job.resources["cpu"] = max(1, cpus * processes // each)
    memory = re.fullmatch(r"(\d+)([kmgt]?)b?", options.get("mem", "").lower())
    if memory and int(memory[1]):
        size = int(memory[1]) / each
        text = f"{int(size)}" if size == int(size) else f"{size:.1f}"
        job.resources["memory"] = f"{text}{_MEMORY_UNITS[memory[2]]}"
    for key in ("mem-per-cpu", "mem-per-gpu"):
        if key in options:
            draft.note(f"#SBATCH --{key}={options[key]}", "set resources.memory of each task")
