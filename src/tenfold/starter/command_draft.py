"""A draft from the command line that starts a training today.

Owns: finding the script of a command, and the number of ranks that its launchers start. Leaves to
others: options of launchers (`launchers`), and what the script needs (`script_jobs`).
"""

from __future__ import annotations

import re
from pathlib import Path

from tenfold.base.secrets import is_secret
from tenfold.cluster.file.document import MappingNode, Scalar, read_bytes, read_document
from tenfold.cluster.programs import python_command
from tenfold.cluster.scripts.sources import module_files
from tenfold.errors import InputError
from tenfold.starter.draft import Draft, DraftJob, literal, one_line
from tenfold.starter.launchers import Launch, launch_of
from tenfold.starter.script_facts import ScriptFacts, script_facts
from tenfold.starter.script_jobs import RankCount, add_script_jobs, gpus_here, with_kept_launcher
from tenfold.starter.shell_text import ShellCommand, commands

MOST_RANKS = 100_000


def command_draft(text: str, directory: Path, wanted: str | None = None) -> Draft:
    """The draft that starts what the command line `text` starts in `directory`.

    Raises InputError if there is no command in it.
    """
    draft = Draft(origin=f"the command: {one_line(text, 250)}")
    found = [command for command in commands(text) if command.words]
    starts = [command for command in found if is_start(command)] or found
    if not starts:
        raise InputError(
            f"--from has no command: {one_line(text, 80)}",
            hint='example: tenfold init --from "torchrun --nproc-per-node 4 train.py"',
        )
    main = starts[-1]
    for other in found:
        if other is not main and not set_directory(draft, other):
            draft.note(other.raw, "only one command becomes the job; add the others to the file")
    add_start(draft, main, directory, wanted)
    return draft


def set_directory(draft: Draft, command: ShellCommand) -> bool:
    """Remember the directory of a `cd`. Returns whether it is one."""
    words = [word.text for word in command.words]
    if words[:1] != ["cd"] or len(words) != 2 or not command.words[1].known:
        return False
    draft.workdir = words[1]
    return True


def add_start(
    draft: Draft,
    command: ShellCommand,
    directory: Path,
    wanted: str | None = None,
    ranks: RankCount | None = None,
) -> None:
    """Add the jobs that run what `command` runs."""
    launch = launch_of(command)
    if not launch.words:
        raise InputError(
            f"no program follows the options of {launch.launchers[-1]}",
            hint="write the whole command, as in: torchrun --nproc-per-node 4 train.py",
        )
    base = directory / (draft.workdir or ".")
    _read_accelerate(draft, launch, base)
    for note in launch.notes:
        draft.note(note.what, note.why)
    _leave_secrets(draft, launch)
    if (kept := with_kept_launcher(launch)) is not None:
        words = tuple(word.text for word in launch.words)
        draft.jobs["worker"] = DraftJob(run=words, env=launch.env)
        draft.reasons.append(f"one task runs {kept}, which starts its own processes")
        draft.framework = wanted or "none"
        return
    facts = launch_facts(launch, base)
    add_script_jobs(draft, launch, facts, ranks or rank_count(draft, launch), wanted)
    for job in draft.jobs.values():
        job.workdir = draft.workdir
        if launch.restarts:
            job.restart = {"policy": "on-failure", "limit": launch.restarts}


def _leave_secrets(draft: Draft, launch: Launch) -> None:
    """Take secrets from the shell: a cluster file is committed with the code."""
    for name in launch.env:
        if is_secret(name) and not launch.env[name].startswith("${"):
            launch.env[name] = f"${{env.{name}:-}}"
            draft.note(name, "not copied, as it is a secret: set it in your shell")


def is_start(command: ShellCommand) -> bool:
    """Whether a command probably starts a training: a launcher or a script."""
    launch = launch_of(command)
    if launch.launchers or with_kept_launcher(launch) is not None:
        return bool(launch.words)
    return _python_target(launch) is not None


def script_name(command: ShellCommand) -> str | None:
    """The script that a command runs, or None."""
    python = _python_target(launch_of(command))
    return python[1] if python is not None and python[0] == "script" else None


def _python_target(launch: Launch) -> tuple[str, str] | None:
    """(`script` or `module`, its name) of the Python command in a launch."""
    words = tuple(word.text for word in launch.words)
    for begin in range(min(len(words), 40)):
        python = python_command(words[begin:])
        if python is not None and python.kind != "code":
            if python.kind == "module" and python.target in _TOOLS:
                return None
            return python.kind, python.target
    if words and words[0].endswith(".py"):
        return "script", words[0]
    return None


_TOOLS = ("pip", "venv", "http.server", "pytest", "build", "ensurepip", "virtualenv", "json.tool")


def launch_facts(launch: Launch, base: Path) -> ScriptFacts | None:
    """The facts about the script of a launch, if it can be found."""
    target = _python_target(launch)
    if target is None:
        return None
    kind, name = target
    if kind == "script":
        return script_facts(base / name, base)
    files = module_files(f"{name}.__main__", (base,)) or module_files(name, (base,))
    return script_facts(files[-1], base) if files else None


def rank_count(draft: Draft, launch: Launch, nodes: int = 1) -> RankCount | None:
    """The number of processes that launchers start, or None without any."""
    if not launch.launchers:
        return None
    slurm = {name: _whole(value) for name, value in launch.slurm.items()}
    nodes = launch.nodes or slurm.get("nodes") or nodes
    name = " ".join(launch.launchers)
    if launch.total is not None:
        return _checked(launch.total, f"{name} starts as many")
    each = launch.per_node
    if each is not None and each.isdigit():
        on = f" on each of {nodes} nodes" if nodes > 1 else ""
        return _checked(int(each) * nodes, f"{name} starts {each}{on}")
    if each is None and (tasks := slurm.get("ntasks")):
        return _checked(tasks, f"{name} starts as many")
    if each is None and (tasks := slurm.get("ntasks-per-node")):
        return _checked(tasks * nodes, f"{name} starts {tasks} on each of {nodes} nodes")
    if each is None and launch.launchers[-1] in _ONE_EACH:
        return _checked(nodes, f"{name} starts one process on each node")
    gpus = gpus_here()
    draft.note(
        f"{name}: one process per GPU",
        f"set tasks; there are {max(1, gpus) * nodes}, as this machine has {gpus or 'no'} GPUs",
    )
    return RankCount(max(1, gpus) * nodes, f"{name} starts one for each GPU of this machine")


_ONE_EACH = ("torchrun", "torch.distributed.launch", "srun", "mpirun", "fabric run")
"""Launchers that start one process on each node if they are not told a number."""


def _whole(value: str) -> int | None:
    found = re.match(r"\d+", value)
    return int(found[0]) if found else None


def _checked(number: int, why: str) -> RankCount:
    if not 1 <= number <= MOST_RANKS:
        raise InputError(f"{number} processes: tenfold starts 1 to {MOST_RANKS}")
    return RankCount(number, why)


# The configuration of accelerate.

_ACCELERATE_KEYS = {
    "mixed_precision": "ACCELERATE_MIXED_PRECISION",
    "gradient_accumulation_steps": "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
    "gradient_clipping": "ACCELERATE_GRADIENT_CLIPPING",
    "zero_stage": "ACCELERATE_DEEPSPEED_ZERO_STAGE",
    "offload_optimizer_device": "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE",
    "offload_param_device": "ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE",
    "zero3_init_flag": "ACCELERATE_DEEPSPEED_ZERO3_INIT",
    "zero3_save_16bit_model": "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL",
    "deepspeed_config_file": "ACCELERATE_DEEPSPEED_CONFIG_FILE",
    "gpu_ids": "CUDA_VISIBLE_DEVICES",
    "fsdp_transformer_layer_cls_to_wrap": "FSDP_TRANSFORMER_CLS_TO_WRAP",
}
_ACCELERATE_TYPES = {
    "FSDP": "ACCELERATE_USE_FSDP",
    "DEEPSPEED": "ACCELERATE_USE_DEEPSPEED",
    "MEGATRON_LM": "ACCELERATE_USE_MEGATRON_LM",
}


def _read_accelerate(draft: Draft, launch: Launch, base: Path) -> None:
    """Carry over the file of `accelerate launch --config_file`."""
    if launch.config_file is None:
        if "accelerate launch" in launch.launchers and launch.total is None:
            draft.note(
                "the default configuration of accelerate",
                "not read; name it: accelerate launch --config_file FILE …",
            )
        return
    name = launch.config_file
    try:
        document = read_document(read_bytes(base / name, name), name)
    except InputError as error:
        draft.note(f"--config_file {name}", f"{error}; its settings are missing")
        return
    if document.faults or not isinstance(document.root, MappingNode):
        draft.note(f"--config_file {name}", "cannot be read as YAML; its settings are missing")
        return
    _obey_accelerate(launch, document.root)


def _obey_accelerate(launch: Launch, node: MappingNode) -> None:
    for key, entry in node.entries.items():
        if isinstance(entry.node, MappingNode):
            _obey_accelerate(launch, entry.node)
        if not isinstance(entry.node, Scalar) or entry.node.text in ("", "null", "all"):
            continue
        text = entry.node.text
        if key == "num_processes" and text.isdigit():
            launch.total = launch.total or int(text)
        elif key == "distributed_type" and text in _ACCELERATE_TYPES:
            launch.env.setdefault(_ACCELERATE_TYPES[text], "true")
        elif key == "use_cpu" and entry.node.value is True:
            launch.env.setdefault("ACCELERATE_USE_CPU", "true")
        elif key in _ACCELERATE_KEYS:
            launch.env.setdefault(_ACCELERATE_KEYS[key], literal(text))
        elif key.startswith("fsdp_"):
            launch.env.setdefault(key.upper(), literal(text))
