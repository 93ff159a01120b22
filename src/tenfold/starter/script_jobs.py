"""The jobs that run a script: how many tasks, which arguments and variables.

Owns: the number of ranks, flags and variables by which a script learns its rank, and arguments that
are still missing. Leaves to others: what the script is (`recipes`) and what started it before
(`launchers`).
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tenfold.frameworks import NO_FRAMEWORK, framework
from tenfold.starter.draft import Draft, DraftJob, literal, one_line
from tenfold.starter.launchers import KEPT_LAUNCHERS, Launch
from tenfold.starter.recipes import Recipe, recipe_of
from tenfold.starter.script_facts import ScriptFacts
from tenfold.starter.shell_text import ShellWord

RANKS_WITHOUT_GPU = 2
"""The number of ranks if neither the script nor the machine tells one."""

_RANK_VARIABLES = {
    "SLURM_PROCID": "${task.index}",
    "SLURM_NTASKS": "${jobs.JOB.tasks}",
    "SLURM_NPROCS": "${jobs.JOB.tasks}",
    "SLURM_LOCALID": "${task.index}",
    "OMPI_COMM_WORLD_RANK": "${task.index}",
    "OMPI_COMM_WORLD_SIZE": "${jobs.JOB.tasks}",
    "OMPI_COMM_WORLD_LOCAL_RANK": "${task.index}",
    "PMI_RANK": "${task.index}",
    "PMI_SIZE": "${jobs.JOB.tasks}",
}
"""Variables of srun and mpirun from which scripts read their rank."""

_RANK_FLAGS = {
    "rank": "${task.index}",
    "world_size": "${jobs.JOB.tasks}",
    "init_method": "env://",
    "coordinator_address": "${jobs.JOB.addresses.0}",
    "num_processes": "${jobs.JOB.tasks}",
    "process_id": "${task.index}",
}
"""Arguments that tell a group its ranks, and their values here."""

_JAX_ARGUMENTS = ("coordinator_address", "num_processes", "process_id")

_CLUSTER_FLAGS = (
    ("ps_hosts", "${jobs.ps.addresses}"),
    ("worker_hosts", "${jobs.worker.addresses}"),
    ("job_name", "${task.job}"),
    ("task_index", "${task.index}"),
)
"""Flags of TensorFlow 1 scripts, as in its documentation of distributed training."""


RANK_LAUNCHERS = frozenset(
    ("torchrun", "torch.distributed.launch", "accelerate launch", "deepspeed", "fabric run")
)
"""Launchers that set the variables of torchrun."""


@dataclass(frozen=True, slots=True)
class RankCount:
    """A number of ranks, and where it comes from."""

    number: int
    why: str


def gpus_here() -> int:
    """The number of NVIDIA GPUs of this machine, from its device files."""
    try:
        return sum(re.fullmatch(r"nvidia\d+", name) is not None for name in os.listdir("/dev"))
    except OSError:
        return 0


def add_script_jobs(
    draft: Draft,
    launch: Launch,
    facts: ScriptFacts | None,
    ranks: RankCount | None,
    wanted: str | None = None,
) -> None:
    """Add the jobs that run `launch.words` to the draft.

    `ranks` is the number of processes that a launcher or batch script started, `wanted` the
    framework that the user named.
    """
    found = recipe_of(facts) if facts is not None else None
    recipe = found[0] if found is not None else None
    if recipe is not None and wanted is not None and recipe.framework != wanted:
        recipe = None
    of_torch = bool(RANK_LAUNCHERS & set(launch.launchers))
    draft.framework = wanted or ("torch" if of_torch or not recipe else recipe.framework)
    if wanted is None and recipe is None and not of_torch:
        draft.framework = NO_FRAMEWORK
    if found is not None and facts is not None and recipe is found[0]:
        draft.reasons.append(f"{facts.file.name} {found[1]} ({recipe.name})")
    shape = recipe.jobs if recipe is not None else (("worker", True, 0),)
    count = _ranks(facts, recipe, ranks)
    for name, runs_script, tasks in shape:
        alone = ranks is not None and len(shape) == 1
        job = DraftJob(tasks=count.number if alone or not tasks else tasks)
        draft.jobs[name] = job
        if runs_script:
            _set_command(draft, job, launch)
            _add_environment(draft, name, job, launch)
    main = next(name for name, runs, _ in reversed(shape) if runs)
    if facts is not None:
        _add_rank_arguments(draft, main, launch, facts, recipe)
        _name_missing_arguments(draft, draft.jobs[main], facts)
    _explain(draft, main, recipe, count, alone=launch.starts_ranks)


def _ranks(facts: ScriptFacts | None, recipe: Recipe | None, given: RankCount | None) -> RankCount:
    if given is not None:
        return given
    if recipe is None or not recipe.distributed:
        return RankCount(1, "")
    devices = _devices(facts) if facts is not None else None
    if devices is not None:
        return devices
    if (gpus := gpus_here()) > 1:
        return RankCount(gpus, f"this machine has {gpus} GPUs")
    return RankCount(RANKS_WITHOUT_GPU, "neither the script nor this machine tells a number")


def _devices(facts: ScriptFacts) -> RankCount | None:
    """The number of ranks that Lightning checks: devices × num_nodes of its Trainer.

    Source: TorchElasticEnvironment.validate_settings, which refuses any other number.
    """
    call = facts.called("Trainer", "Fabric")
    if call is None or not facts.imports & {"lightning", "pytorch_lightning", "lightning_fabric"}:
        return None
    devices = facts.value(call.keywords.get("devices"))
    nodes = facts.value(call.keywords.get("num_nodes"))
    if isinstance(devices, list):
        devices = len(devices)
    if isinstance(devices, str) and devices.isdigit():
        devices = int(devices)
    if isinstance(devices, bool) or not isinstance(devices, int) or devices < 1:
        number = gpus_here() or 1
        return RankCount(number, f"{call.name} takes all GPUs, or one process without any")
    total = devices * (nodes if type(nodes) is int and nodes > 0 else 1)
    return RankCount(total, f"line {call.line} starts {call.name.rpartition('.')[2]} with as many")


def _set_command(draft: Draft, job: DraftJob, launch: Launch) -> None:
    """`run`: the words, or a shell if only a shell knows them."""
    unknown = [word for word in launch.words if not word.known]
    if not unknown:
        job.run = tuple(word.text for word in launch.words)
        return
    command = "exec " + " ".join(_for_shell(word) for word in launch.words)
    job.shell = "; ".join([*(literal(line) for line in launch.prelude), command])
    what = ", ".join(dict.fromkeys(word.raw for word in unknown))
    draft.note(what, "only a shell knows it, so run starts one; check what it stands for")


def _for_shell(word: ShellWord) -> str:
    """A word for a shell: as it was written if only the shell knows it."""
    return (
        shlex.quote(word.text)
        if word.known and " " in word.text
        else (word.text if word.known else literal(word.raw))
    )


def _add_environment(draft: Draft, name: str, job: DraftJob, launch: Launch) -> None:
    """Variables of the launch, without those that tenfold sets."""
    frame = framework(draft.framework)
    own = {*frame.variables(name), "MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "NCCL_SOCKET_IFNAME"}
    for variable, value in launch.env.items():
        if variable == "NCCL_SOCKET_IFNAME":
            draft.note(f"{variable}={value}", "set it under env where this interface exists")
        elif variable in own or variable.startswith("TENFOLD_"):
            draft.note(f"{variable}={value}", "tenfold sets it for each task")
        else:
            job.env[variable] = value


def _add_rank_arguments(
    draft: Draft, main: str, launch: Launch, facts: ScriptFacts, recipe: Recipe | None
) -> None:
    """Tell the script its rank in the way in which it reads it."""
    job = draft.jobs[main]
    through = recipe.through if recipe is not None and not launch.launchers else ()
    if through and job.run is not None:
        job.run = (*through, *job.run)
    for name, value in _CLUSTER_FLAGS if facts.called("train.Server", "distribute.Server") else ():
        if name in facts.options:
            for each in draft.jobs.values():
                _append(each, f"--{name}", value)
    if launch.local_rank and (option := facts.options.get("local_rank")) and job.run is not None:
        words = " ".join(_for_shell(word) for word in launch.words)
        job.run, job.shell = None, f'exec {words} {option.option}="$LOCAL_RANK"'
    if not launch.launchers:
        _add_rank_flags(main, job, facts)
    for variable in sorted(facts.variables & set(_RANK_VARIABLES)):
        if not _reads_ranks(facts) or set(launch.launchers) & {"srun", "mpirun"}:
            job.env.setdefault(variable, _RANK_VARIABLES[variable].replace("JOB", main))


def _reads_ranks(facts: ScriptFacts) -> bool:
    """Whether the script reads the variables of torchrun."""
    return bool(facts.variables & {"RANK", "LOCAL_RANK", "WORLD_SIZE"})


def _add_rank_flags(main: str, job: DraftJob, facts: ScriptFacts) -> None:
    """Pass `--rank` and the like if the script gives them to its process group."""
    call = facts.called("init_process_group", "distributed.initialize")
    if call is None or _reads_ranks(facts):
        return
    given = dict(call.keywords)
    if call.name.endswith("distributed.initialize"):
        given = dict(zip(_JAX_ARGUMENTS, call.arguments, strict=False)) | given
    for name, value in _RANK_FLAGS.items():
        option = facts.option_of(given.get(name))
        if option is not None and option.option:
            _append(job, option.option, value.replace("JOB", main))


def _append(job: DraftJob, option: str, value: str) -> None:
    if job.run is None or any(word.split("=")[0] == option for word in job.run):
        return
    job.run = (*job.run, f"{option}={value}")


def _name_missing_arguments(draft: Draft, job: DraftJob, facts: ScriptFacts) -> None:
    """Name arguments without which the script does not start."""
    words = job.run or ()
    flags = {word.split("=")[0] for word in words}
    given = len(words) > 2
    missing = [
        option.option or option.dest.upper()
        for option in facts.options.values()
        if option.required and (option.option not in flags if option.option else not given)
    ]
    if missing and job.run is not None:
        listed = one_line(", ".join(missing), 120)
        draft.note(f"{facts.file.name} requires {listed}", "add the values to run")
        job.comment = f"TODO: {facts.file.name} requires {listed}."


def _explain(
    draft: Draft, main: str, recipe: Recipe | None, count: RankCount, *, alone: bool
) -> None:
    tasks = draft.jobs[main].tasks
    if count.why and tasks == count.number:
        draft.reasons.append(f"{tasks} task{'s' if tasks != 1 else ''} of {main}: {count.why}")
    if recipe is not None and recipe.advice is not None:
        draft.jobs[main].comment = recipe.advice
    if recipe is not None and not recipe.distributed and not alone and recipe.advice is None:
        draft.reasons.append("one task: the script does not share its work with others")


def with_kept_launcher(launch: Launch) -> str | None:
    """The launcher that is kept as the command of one task, or None."""
    names = [Path(word.text).name for word in launch.words[:3]]
    return next((name for name in names if name in KEPT_LAUNCHERS), None)
