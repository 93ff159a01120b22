"""TensorFlow: TF_CONFIG, thread limits, and what its jobs survive.

Also its standard server.

Owns everything that the parent of a TensorFlow task must know; it never imports TensorFlow.
What runs inside a task is in `tenfold.tensorflow`.

Facts here were seen on TensorFlow 2.21 (see the design page): an evaluator in the cluster spec
hangs the chief for ever; with one inter-op thread everywhere the word2vec cluster hung, with
four it did not; a worker that is killed and restarted on its address takes work again.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tenfold.base.naming import job_of
from tenfold.frameworks import Addresses, Advice, JobDefaults, JobFacts, Talk
from tenfold.frameworks.packages import GpuQuestion, MemoryCost, Package, text_of
from tenfold.frameworks.ranks import NO_SAVE

CHIEFS = ("chief", "master")
SERVERS = (*CHIEFS, "worker", "ps")
"""Jobs that TensorFlow itself knows and that have a standard server."""

_READ_LATER = frozenset({"TF_CONFIG", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"})
"""Read when the first device or server is made, not at the import."""

_CHIEF = JobDefaults(standard_server=True, restart="on-failure", crashes_only=True, scope="cluster")
_WORKER = JobDefaults(standard_server=True, restart="on-failure")
_DEFAULTS = {
    "ps": JobDefaults(
        standard_server=True, service=True, ready="tcp", restart="on-failure", scope="cluster"
    ),
    "worker": _WORKER,
    "chief": _CHIEF,
    "master": _CHIEF,
    "evaluator": JobDefaults(restart="on-failure", needed=False, member=False),
}


def _build(place: Path, version: str | None) -> str | None:
    """What TensorFlow was built for.

    The module `build_info`, which its build writes, contains it.
    """
    del version
    said = text_of(place / "python" / "platform" / "build_info.py")
    if re.search(r"'is_rocm_build', True", said):
        return "built for AMD GPUs"
    if re.search(r"'is_cuda_build', True", said):
        cuda = re.search(r"'cuda_version', '([\d.]+)'", said)
        return f"built for CUDA {cuda[1]}" if cuda else "built for CUDA"
    return "built for the CPU alone" if "'is_cuda_build', False" in said else None


class TensorFlow:
    """See `tenfold.frameworks.Framework` for what each method promises."""

    name = "tensorflow"
    package = Package(
        "tensorflow",
        (
            *("tensorflow", "tensorflow-cpu", "tf-nightly", "tf-nightly-cpu", "tensorflow-rocm"),
            *("tensorflow-macos", "tensorflow-aarch64", "tensorflow-cpu-aws"),
        ),
        "tenfold[tensorflow]",
        _build,
    )
    gpus = GpuQuestion(
        "import tensorflow as f; n = len(f.config.list_physical_devices('GPU'))",
        "tensorflow[and-cuda]",
        replaces="tensorflow-cpu",
    )
    memory = MemoryCost(600 << 20, 320 << 20, 48 << 20)
    """A fit through docs/performance.md, 5 to 64 servers, TensorFlow 2.21."""
    peers = True
    corrects_launcher = False

    def job_defaults(self, job: str, jobs: Collection[str]) -> JobDefaults:
        """Defaults of the jobs of TensorFlow: ps never end.

        A worker of theirs is restarted in its place. When a ps or a chief is killed, or a worker of
        a cluster without ps, all start again, from the last checkpoint.
        """
        found = _DEFAULTS.get(job, JobDefaults(member=False))
        together = found is _WORKER and "ps" not in jobs
        return replace(found, crashes_only=True, scope="cluster") if together else found

    def success_jobs(self, jobs: Sequence[str]) -> tuple[str, ...]:
        """The chief's end ends the cluster; without a chief all workers' end does."""
        for choice in (("chief",), ("master",), ("worker",)):
            if choice[0] in jobs:
                return choice
        return tuple(job for job in jobs if not self.job_defaults(job, jobs).service)

    def ends_together(self, jobs: Collection[str]) -> bool:
        """Members of a mirrored training do; workers of parameter servers need not."""
        return "ps" not in jobs

    def roles(self, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """What each task does that is no parameter server."""
        jobs = Counter(job_of(task) for task in tasks)
        for task in tasks:
            if (job := job_of(task)) != "ps":
                yield task, _role(job, jobs)

    def talks(self, jobs: Mapping[str, int]) -> Iterable[Talk]:
        """Which tasks communicate, with and without parameter servers.

        With parameter servers: the chief with all of them and all workers, each worker with each
        server. A notebook may be the chief. Without: all with the first, at which the others meet.
        Perhaps any two: a few greetings, or as the ring of the collectives goes.
        """
        chiefs = tuple(job for job in CHIEFS if job in jobs)[:1]
        members = tuple(job for job in (*chiefs, "worker", "ps") if job in jobs)
        if "ps" in jobs:
            heads, sure = (chiefs, True) if chiefs else (("jupyter",), False)
            yield Talk(heads, ("ps", "worker"), sure)
            yield Talk(("worker",), ("ps",))
        elif members:
            yield Talk((f"{members[0]}/0",), members)
        yield Talk(members, members, sure=False)  # any server may greet any other (seen on 2.21)

    def variables(self, job: str) -> tuple[str, ...]:
        """TF_CONFIG, for the jobs that TensorFlow knows."""
        return ("TF_CONFIG",) if job in (*SERVERS, "evaluator") else ()

    def environment(self, job: str, index: int, addresses: Addresses) -> dict[str, str]:
        """TF_CONFIG for the jobs that TensorFlow knows; any other job gets none.

        The evaluator is never a member of the others' cluster: it gets a spec that holds them
        and itself, they get one without it (an evaluator in it hangs the chief).
        """
        if not self.variables(job):
            return {}
        spec = {name: list(addresses[name]) for name in SERVERS if name in addresses}
        if job == "evaluator":
            spec["evaluator"] = list(addresses["evaluator"])
        config = {"cluster": spec, "task": {"type": job, "index": index}}
        return {"TF_CONFIG": json.dumps(config)}

    def process_environment(self, job: str, tasks: int, cores: int) -> dict[str, str]:
        """Quiet start-up; intra-op threads share the cores out, inter-op stay at four."""
        del job
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "1"}
        if tasks <= 1:
            return quiet
        each = str(max(1, cores // tasks))
        return quiet | {
            "TF_NUM_INTRAOP_THREADS": each,
            "TF_NUM_INTEROP_THREADS": "4",
            "OMP_NUM_THREADS": each,
        }

    def preload(self) -> tuple[str, ...]:
        """TensorFlow itself.

        It survives a fork as long as nothing has used it (seen on 2.21).
        """
        return ("tensorflow",)

    def reads_at_import(self, name: str) -> bool:
        """TensorFlow's, XLA's, gRPC's and Keras' own, but for those about the cluster."""
        return name.startswith(("TF_", "XLA_", "GRPC_", "KERAS_")) and name not in _READ_LATER

    def holds_ports(self) -> dict[str, str]:
        """The variables without which TensorFlow cannot join a held port.

        Either half alone fails (seen on 2.21).
        """
        return {"TF_GRPC_REUSE_PORT": "true"}

    def standard_server(self, job: str) -> tuple[str, ...]:
        """`tf.distribute.Server` with the task's own address in TF_CONFIG."""
        if job not in SERVERS:
            raise KeyError(job)
        return ("-m", "tenfold.tensorflow")

    def requirement(self) -> tuple[str, str] | None:
        """TensorFlow itself, in whichever of its packages."""
        return ("tensorflow", "tenfold[tensorflow]")

    def advice(self, jobs: Sequence[JobFacts]) -> Iterable[Advice]:
        """Keras `fit` over several tasks, evaluators, and scripts that save nothing."""
        for facts in jobs:
            if facts.job == "evaluator":
                yield Advice(
                    "jobs.evaluator",
                    "an evaluator inside the cluster spec hangs the chief",
                    "tenfold omits it from the TF_CONFIG of the others; "
                    "do not build a spec by hand",
                )
            if facts.source is None:
                continue
            if (strategy := _unfit(facts, jobs)) is not None:
                yield Advice(
                    f"jobs.{facts.job}.run",
                    f"Keras 3 `fit` does not work with {strategy}",
                    "use a custom training loop (tenfold init shows one), or Keras 2: "
                    'pip install tf-keras, and env: {TF_USE_LEGACY_KERAS: "1"}',
                )
            if facts.job in CHIEFS and "checkpoint" not in facts.source.lower():
                yield Advice(
                    f"jobs.{facts.job}.run",
                    NO_SAVE,
                    "save and resume it with tenfold.checkpoint.tensorflow; "
                    "see docs/checkpoints.md",
                )


def _role(job: str, jobs: Mapping[str, int]) -> str:
    if job == "evaluator":
        return "evaluates next to the training, outside its cluster"
    if job not in SERVERS:
        return "not a member of the TensorFlow cluster"
    if "ps" in jobs and job in CHIEFS:
        return f"coordinates: sends work to {_count(jobs.get('worker', 0), 'worker')}"
    if "ps" in jobs:
        return f"computes with variables of {_count(jobs['ps'], 'server')}"
    if sum(jobs.get(name, 0) for name in (*CHIEFS, "worker")) > 1:
        return "no parameter servers: holds its own copy of mirrored variables"
    return "trains alone: it holds all variables"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _nodes(source: str) -> Iterable[ast.AST]:
    """Everything in a script; nothing if it is no Python."""
    try:
        return ast.walk(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError):
        return ()


def _unfit(facts: JobFacts, jobs: Sequence[JobFacts]) -> str | None:
    """The strategy that a job's script uses with Keras 3's `fit`, which fails with it.

    Seen on TensorFlow 2.21 with Keras 3.15 and tf-keras 2.21: with either strategy `fit` fails in
    Keras 3 and works in Keras 2.
    """
    source = facts.source or ""
    methods = _methods(source)
    of_keras = "compile" in methods or "sklearn" not in source  # scikit-learn has a `fit`, too
    if "fit" not in methods or not of_keras or _uses_keras_2(facts):
        return None
    if any(other.job == "ps" for other in jobs):
        return "parameter servers"
    tasks = sum(other.tasks for other in jobs if other.job in SERVERS)
    mirrored = "MultiWorkerMirroredStrategy" in source or "tenfold.tensorflow.strategy" in source
    of_keras = "compile" in methods or "keras" in source
    mirrors = facts.job in SERVERS and tasks > 1 and mirrored and of_keras
    return "MultiWorkerMirroredStrategy" if mirrors else None


def _uses_keras_2(facts: JobFacts) -> bool:
    """Whether the job uses Keras 2.

    It is `tf_keras`, or `tf.keras` with the variable. `import keras` is Keras 3 all the same.
    """
    source = facts.source or ""
    if "tf_keras" in source:
        return True
    modules = [
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in _nodes(source)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    ]
    legacy = facts.variables.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True")  # as TensorFlow
    return legacy and not any(name.partition(".")[0] == "keras" for name in modules)


def _methods(source: str) -> set[str]:
    """Names of the methods that a script uses, without `re.compile`."""
    return {
        node.attr
        for node in _nodes(source)
        if isinstance(node, ast.Attribute)
        and not (isinstance(node.value, ast.Name) and node.value.id == "re")
    }


FRAMEWORK = TensorFlow()
