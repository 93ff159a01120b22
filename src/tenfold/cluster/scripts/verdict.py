"""Whether, and from which process, a task may be forked.

The process has imported the task's framework.

Pure over what the task's files do (`early`). A task may not if a file does something that the
import may look at, and it is not sure what the import would have seen. Where that is sure, the
import can have it: the process is started with the variables that the script sets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.cluster.scripts.early import Action
from tenfold.frameworks import Framework

_NATIVE = (
    "OMP_", "OPENBLAS_", "MKL_", "GOTO_", "BLIS_", "KMP_", "GOMP_", "VECLIB_", "NUMEXPR_", "NPY_",
    "NUMPY_", "NUMBA_", "SCIPY_", "SKLEARN_", "JOBLIB_", "LOKY_", "SYMPY_", "MPMATH_", "MPL",
    "MATPLOTLIB", "PILLOW_", "HDF5_", "ABSL_", "PROTOCOL_BUFFERS_", "WRAPT_", "OPENSSL_", "XDG_",
    "JAX_", "JAX2TF_", "TPU_", "LIBTPU_", "GCS_", "KERAS_", "TRITON_", "LLVM_", "NVRTC_",
    "LIBNVVM_", "CUBLAS_LOG", "CUBLASLT_", "CUTLASS_", "CUTEDSL_", "CUDA_ROOT", "PTXAS_", "PT2_",
    "FX_", "PARTITIONER_", "COMPILE_STROBELIGHT_", "I_MPI_", "OMPI_", "MPITRAMPOLINE_", "ACC_",
    "GFORTRAN_",
)  # fmt: skip
"""Beginnings of variables that native libraries read when imported.

Observed (getenv and os.environ, traced) in libraries below the frameworks. TensorFlow brings Keras,
which imports JAX and scikit-learn.
"""

_ALSO = frozenset(
    """
    HOME PATH TMPDIR TMP TEMP TZ TERM CI USER LOGNAME CXX CHECK_VMA EAGER_CONSTANT_FOLDING
    UNSAFE_SKIP_FSDP_MODULE_GUARDS FAKE_ALLOW_META DUMP_AOTI_MINIFIER LOG_AUTOTUNE_RESULTS
    LOG_TLPARSE ENABLE_RUNTIME_UPTIME_TELEMETRY TEMPORARILY_DISABLE_PROTOBUF_VERSION_CHECK
    """.split()  # noqa: SIM905
)

_STARTED_WITH = ("PYTHON", "LD_", "MALLOC_", "GLIBC_")
"""Variables that are read when a process starts.

A script that sets them changes only the processes that it starts.
"""


@dataclass(frozen=True, slots=True)
class PreloadVerdict:
    """The consequence for a task.

    Attributes:
        obstacle: the first action that keeps it from being forked; None if it may be.
        values: variables that the import has to see, beside those of the task.
        actions: the sure ones that set these.
        directories: what the script puts before others on `sys.path`.
    """

    obstacle: Action | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()
    directories: tuple[Path, ...] = ()


Matters = Callable[[str], bool]


def matters(frame: Framework, job: str, modules: Collection[str]) -> Matters:
    """Whether a variable may be read while `modules` are imported.

    Of other modules than the framework's nobody knows what they read: any variable but those by
    which a task learns who it is.
    """
    late = frozenset(frame.variables(job))
    known = set(modules) <= set(frame.preload())

    def matters_to_them(name: str) -> bool:
        if name in late or name.startswith(("TENFOLD_", *_STARTED_WITH)):
            return False
        if not known:
            return True
        if name.startswith(f"{frame.name.upper()}_"):
            return frame.reads_at_import(name)
        return frame.reads_at_import(name) or name.startswith(_NATIVE) or name in _ALSO

    return matters_to_them


def verdict(
    actions: Iterable[Action],
    read_by_import: Matters,
    environment: Mapping[str, str],
    modules: Collection[str] = (),
) -> PreloadVerdict:
    """The consequence of `actions`, in order.

    `environment` is the task's own.

    A doubt counts only until the packages of `modules` have surely been imported.
    """
    packages = {name.partition(".")[0] for name in modules} - {"tenfold"}
    values: dict[str, str] = {}
    sure: list[Action] = []
    directories: list[Path] = []
    for action in actions:
        if action.about == "doubt" and packages and packages <= action.imported:
            continue
        if action.about == "path" and action.paths:
            directories += [Path(path) for path in action.paths]
        elif action.about != "environment" or action.variable is None:
            return PreloadVerdict(obstacle=action)
        elif not read_by_import(action.variable):
            continue
        elif not action.sure or action.value is None:
            return PreloadVerdict(obstacle=action)
        elif {**environment, **values}.get(action.variable) == action.value:
            continue  # the file sets it already
        elif not action.default or action.variable not in {*values, *environment}:
            values[action.variable] = action.value
            sure.append(action)
    return PreloadVerdict(None, values, tuple(sure), tuple(directories))
