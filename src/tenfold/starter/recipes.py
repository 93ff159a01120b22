"""What a script needs from its launcher, recognised by what it calls.

Owns: the table of the libraries that people train with, in the order in which they are looked for,
and what each means for a cluster file. To add a library, add one `Recipe`.

Sources of what libraries read are named beside each recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tenfold.starter.script_facts import ScriptFacts

Recognise = Callable[[ScriptFacts], str | None]
"""Gives what shows that a script is of this kind, or None."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How scripts of one kind are started.

    Attributes:
        name: for people: `Lightning`.
        framework: the `framework:` of the file.
        recognise: see `Recognise`.
        distributed: whether several tasks train together.
        jobs: names of the jobs, with whether each runs the script, and its number of tasks; 0 is
            the number of ranks.
        weight: what is started first if a directory has scripts of several kinds.
        through: a launcher that stays, before the command.
        advice: a sentence for the file about what the reader may have to change.
    """

    name: str
    framework: str
    recognise: Recognise
    distributed: bool = True
    jobs: tuple[tuple[str, bool, int], ...] = (("worker", True, 0),)
    weight: int = 3
    through: tuple[str, ...] = ()
    advice: str | None = None


def recipe_of(facts: ScriptFacts) -> tuple[Recipe, str] | None:
    """The first recipe that fits, and what shows it. None for what trains nothing."""
    for recipe in RECIPES:
        if (shown := recipe.recognise(facts)) is not None:
            return recipe, shown
    return None


def _calls(*names: str, package: str | tuple[str, ...] = ()) -> Recognise:
    """Recognise a call by the end of its full name, if a package is imported."""
    packages = (package,) if isinstance(package, str) else package

    def recognise(facts: ScriptFacts) -> str | None:
        if packages and not facts.imports_any(*packages):
            return None
        call = facts.called(*names)
        return None if call is None else f"calls {call.name}"

    return recognise


def _hugging_face(facts: ScriptFacts) -> str | None:
    if not facts.imports_any("transformers", "trl", "sentence_transformers", "setfit"):
        return None
    for name in facts.calls:
        if name.partition(".")[0] in ("transformers", "trl", "sentence_transformers", "setfit"):
            last = name.rpartition(".")[2]
            if last.endswith("Trainer"):
                return f"calls {name}"
    return None


def _lightning(facts: ScriptFacts) -> str | None:
    packages = {"lightning", "pytorch_lightning", "lightning_fabric"}
    if not facts.imports & packages:
        return None
    for name in facts.calls:
        if name.partition(".")[0] in packages and name.rpartition(".")[2] in (
            "Trainer",
            "Fabric",
            "LightningCLI",
        ):
            return f"calls {name}"
    return None


def _spawns(facts: ScriptFacts) -> str | None:
    """A script that starts its own ranks: torch.multiprocessing.spawn or Process."""
    if not facts.imports_any("torch"):
        return None
    call = facts.called("multiprocessing.spawn", "mp.spawn", "multiprocessing.start_processes")
    if call is not None:
        return f"starts its own ranks with {call.name}"
    made = facts.called("multiprocessing.Process", "mp.Process")
    if made is not None and facts.called("init_process_group", "init_rpc"):
        return f"starts its own ranks with {made.name}"
    return None


def _process_group(facts: ScriptFacts) -> str | None:
    if not facts.imports_any("torch"):
        return None
    call = facts.called("init_process_group", "init_device_mesh", "init_rpc", "init_distributed")
    if call is not None:
        return f"calls {call.name}"
    found = facts.called("DistributedDataParallel", "FullyShardedDataParallel", "fully_shard")
    if found is not None:
        return f"uses {found.name}"
    return "calls tenfold.torch.initialize" if "tenfold.torch.initialize" in facts.calls else None


def _legacy_cluster(facts: ScriptFacts) -> str | None:
    """TensorFlow 1: a script that every task runs with --job_name and --task_index."""
    if facts.called("train.Server", "distribute.Server") is None:
        return None
    names = {"ps_hosts", "worker_hosts", "job_name", "task_index"}
    return "reads --job_name and --task_index" if names <= set(facts.options) else None


def _parameter_servers(facts: ScriptFacts) -> str | None:
    call = facts.called(
        "ParameterServerStrategy", "ParameterServerStrategyV2", "ClusterCoordinator"
    )
    return None if call is None else f"calls {call.name}"


def _tenfold_strategy(facts: ScriptFacts) -> str | None:
    found = "tenfold.tensorflow.strategy" in facts.calls
    return "calls tenfold.tensorflow.strategy" if found else None


def _plain_torch(facts: ScriptFacts) -> str | None:
    if not facts.imports_any("torch"):
        return None
    if any(name.startswith("torch.optim.") for name in facts.calls) or "backward" in _methods(
        facts
    ):
        return "trains with torch in one process"
    return None


def _plain_keras(facts: ScriptFacts) -> str | None:
    if not facts.imports_any("tensorflow", "keras", "tf_keras"):
        return None
    trains = {
        "fit",
        "fit_generator",
        "apply_gradients",
        "GradientTape",
        "minimize",
        "train_on_batch",
    }
    return "trains with TensorFlow in one process" if trains & _methods(facts) else None


def _plain_jax(facts: ScriptFacts) -> str | None:
    if not facts.imports_any("jax"):
        return None
    found = facts.called("jax.grad", "jax.value_and_grad", "value_and_grad", "grad")
    return None if found is None else "trains with JAX in one process"


def _methods(facts: ScriptFacts) -> set[str]:
    return {name.rpartition(".")[2] for name in facts.calls}


_ALONE = (("worker", True, 1),)
_CHIEF = (("chief", True, 1),)
_SERVERS = (("chief", True, 1), ("ps", False, 2), ("worker", False, 2))

RECIPES = (
    Recipe(
        "TensorFlow 1 cluster flags",
        "tensorflow",
        _legacy_cluster,
        jobs=(("ps", True, 1), ("worker", True, 0)),
    ),
    Recipe(
        "Horovod",
        "none",
        _calls("torch.init", "keras.init", "tensorflow.init", "hvd.init", package="horovod"),
        distributed=False,
        jobs=(("worker", True, 1),),
        weight=2,
        through=("horovodrun", "-np", "2"),
        advice="horovodrun starts the ranks of Horovod, so tenfold sees one task.",
    ),
    Recipe(
        "DeepSpeed",
        "torch",
        _calls("deepspeed.initialize", "deepspeed.init_distributed", package="deepspeed"),
    ),
    Recipe("Lightning", "torch", _lightning),
    Recipe("Accelerate", "torch", _calls("Accelerator", "PartialState", package="accelerate")),
    Recipe("Hugging Face Trainer", "torch", _hugging_face),
    Recipe(
        "torch.multiprocessing",
        "none",
        _spawns,
        distributed=False,
        jobs=_ALONE,
        weight=2,
        advice="The script starts its own ranks, so tenfold sees one task. For one task per "
        "rank, let it read RANK and WORLD_SIZE, as under torchrun, and set framework: torch.",
    ),
    Recipe("PyTorch process group", "torch", _process_group),
    Recipe("ParameterServerStrategy", "tensorflow", _parameter_servers, jobs=_SERVERS),
    Recipe("tenfold.tensorflow.strategy", "tensorflow", _tenfold_strategy, jobs=_SERVERS),
    Recipe(
        "MultiWorkerMirroredStrategy",
        "tensorflow",
        _calls("MultiWorkerMirroredStrategy", "CollectiveAllReduceStrategy"),
    ),
    Recipe(
        "jax.distributed",
        "jax",
        _calls(
            "distributed.initialize", "tenfold.jax.initialize", package=("jax", "flax", "tenfold")
        ),
    ),
    Recipe("PyTorch", "torch", _plain_torch, distributed=False, jobs=_ALONE, weight=1),
    Recipe(
        "Keras or TensorFlow", "tensorflow", _plain_keras, distributed=False, jobs=_CHIEF, weight=1
    ),
    Recipe("JAX", "jax", _plain_jax, distributed=False, jobs=_ALONE, weight=1),
)
"""The recipes, in the order in which they are tried."""
