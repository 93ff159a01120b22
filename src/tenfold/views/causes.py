"""Find why a task ended in its last lines: a table of known texts. Pure.

Nothing is guessed beyond what is there: a finding quotes its line. Where Python wrote a traceback,
the exception at its end counts first; otherwise the last line that matches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.run.exceptions import Broken
from tenfold.run.logs.tracebacks import broken_in

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class CauseLine:
    """A line that explains an end, its meaning, and what to do.

    What to do is None if it is not known.

    Of an exception also `where` it was raised, as far as the user's own code goes, the `source`
    line there, its whole `message`, and the line of the exception from which it followed (`root`).
    """

    line: str
    cause: str | None = None
    hint: str | None = None
    where: str | None = None
    source: str | None = None
    message: tuple[str, ...] = ()
    root: str | None = None

    def to_json(self) -> dict[str, object]:
        """The shape of `error` in `why --json`. The hint is that of the whole report."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "hint"}


@dataclass(frozen=True, slots=True)
class Known:
    """A known text. `{0}` in `cause` and `hint` is the pattern's first group.

    `closer` are texts that say more than this one does if they stand in the lines after it.
    """

    pattern: re.Pattern[str]
    cause: str
    hint: str | None = None
    closer: tuple[Known, ...] = ()

    def found_in(self, line: str) -> CauseLine | None:
        """What `line` means, if it matches."""
        match = self.pattern.search(line)
        if match is None:
            return None
        groups = [group or "" for group in match.groups()] or [""]
        hint = self.hint.format(*groups) if self.hint else None
        return CauseLine(line, self.cause.format(*groups), hint)


def _known(pattern: str, cause: str, hint: str | None = None, *closer: Known) -> Known:
    return Known(re.compile(pattern, re.I), cause, hint, closer)


PEER_GONE = "a task it communicates with has ended or cannot be reached"

TABLE: tuple[Known, ...] = (
    _known(r"No module named '?([\w.]+)'?", "the Python module {0} is not installed where it runs",
           "install the package of {0} there with pip, or use another Python in `run`"),
    _known(r"cannot import name '?(\w+)'?", "the installed version of a package has no {0}",
           "check the version with `pip show`, and install the one that works elsewhere"),
    _known(r"TypeError: Descriptors cannot (?:not )?be created directly|"
           r"Detected (?:incompatible|mismatched) Protobuf|protobuf.*VersionError",
           "the installed protobuf does not match generated code",
           "pip install --upgrade protobuf and the package that the traceback names"),
    _known(r"GLIBC(?:XX)?_([\d.]+)'? not found",
           "a package was built for a newer system (glibc {0})",
           "install a build for this system, or use a newer image"),
    _known(r"(?:CUDA|HIP) out of memory|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED|"
           r"ResourceExhaustedError.*(?:GPU|device)|OOM when allocating tensor",
           "the GPU is out of memory",
           "use a smaller batch, or fewer tasks per GPU (see `nvidia-smi`)"),
    _known(r"invalid device ordinal", "it requests a GPU that does not exist here",
           "use at most one task per GPU, or the CPU; count GPUs with `tenfold doctor`"),
    _known(r"NCCL (?:error|WARN)|ncclSystemError|ncclUnhandledCudaError",
           "NCCL could not communicate between GPUs", "set NCCL_DEBUG=INFO in its env for details",
           _known(r"Duplicate GPU detected", "two ranks use the same GPU, which NCCL rejects",
                  "use one GPU per rank (torch.cuda.set_device(LOCAL_RANK)), fewer tasks, or "
                  "backend gloo")),
    _known(r"CUDA driver version is insufficient|no CUDA-capable device|CUDA_ERROR_NO_DEVICE",
           "no usable GPU was found", "check GPUs and drivers with `tenfold doctor`"),
    _known(r"No space left on device|Errno 28\b", "a disk is full",
           "free space where it writes (checkpoints, /tmp, /dev/shm); check with df -h and df -i"),
    _known(r"Disk quota exceeded|Errno 122\b", "your quota on that disk is exceeded", "quota -s"),
    _known(r"Read-only file system|Errno 30\b",
           "the file system is read-only",
           "write below $TENFOLD_RUN_DIRECTORY"),
    _known(r"Too many open files|Errno 24\b", "too many files are open",
           "run ulimit -n 65536 before tenfold up; check the limit with `tenfold doctor`"),
    _known(r"Cannot allocate memory|std::bad_alloc|\bMemoryError\b|Errno 12\b",
           "it is out of memory",
           "raise its resources.memory, or use a smaller batch; check with free -h"),
    _known(r"Address already in use|Errno 98\b|EADDRINUSE",
           "another process uses its port",
           "listen on the port of TENFOLD_ADDRESS; to find the process during the run: "
           "tenfold exec TASK -- ss -ltnp"),
    _known(r"Name or service not known|Temporary failure in name resolution|getaddrinfo failed",
           "a host name could not be resolved",
           "the network of a run has no internet: download before the start, or set network: host"),
    _known(r"Network is unreachable|Errno 101\b", "it has no route to that network",
           "the network of a run has no internet: download before the start, or set network: host"),
    _known(r"UnavailableError|failed to connect to all addresses|Connection refused|Errno 111\b|"
           r"Connection reset by peer|Errno 104\b|Socket closed|Broken pipe",
           PEER_GONE,
           "check that task first: see which ended with `tenfold ps`, and which is silent with "
           "`tenfold map`"),
    _known(r"Deadline ?Exceeded|\bTimeoutError\b|timed out|Watchdog caught collective",
           "it waited for another task without response",
           "see which task is silent with `tenfold map`"),
    _known(r"(?:loss|Loss)\S*(?:\s+\S+){0,3}?\s*[=:]?\s*(?:nan|inf)\b|contains? (?:NaN|Inf)|"
           r"(?:is|was|were) not finite|non-finite|Tensor had (?:NaN|Inf)",
           "the training diverged: a value is not finite",
           "use a smaller learning rate; resume from an earlier checkpoint"),
    _known(r"PermissionError|Permission denied|Errno 13\b", "it has no permission for a file",
           "check the file with ls -l; tasks run as your user"),
    _known(r"can't open file|FileNotFoundError|No such file or directory|Errno 2\b",
           "a file does not exist", "check the path; it is relative to `workdir` of the job"),
    _known(r"Illegal instruction", "the CPU does not support an instruction",
           "install a build for the CPU of this machine"),
    _known(r"error: (?:unrecognized arguments|the following arguments are required)|^usage: ",
           "its command line is invalid", "compare `run` with --help of the program"),
    _known(r"SyntaxError|IndentationError", "the program is not valid Python",
           "check the file with python -m py_compile"),
)  # fmt: skip
"""The first match counts, so special texts stand before general ones."""


def said(lines: Sequence[str], told: Broken | None = None) -> CauseLine | None:
    """The line that explains why a task ended, or None.

    Args:
        lines: the task's last ones.
        told: the exception that ended it, where that is known; else it is looked for in `lines`.
    """
    if (found := told or broken_in(lines)) is not None:
        return _of(found)
    for place in reversed(range(len(lines))):
        if finding := known(*lines[place:]):
            return finding
    return None


def _of(found: Broken) -> CauseLine:
    line = CauseLine(cut(found.line))
    if finding := known(found.line, *found.message):
        return finding
    root = found.root and known(found.root)
    return CauseLine(line.line, root.cause, root.hint) if root else line


_TALK = re.compile(
    r"\d+%\|.*\||\bit/s\b|\b(?:DEBUG|INFO|WARN(?:ING)?)\b|Warning:|^[ \t]|^\[?[IW]\d{4}|^\[W|^\W*$"
    r"|^\[tenfold: "
)


def last_words(stderr: Sequence[str]) -> CauseLine | None:
    """The last line on stderr.

    `SystemExit("…")`, shells and most programs explain their end there.

    None if that is a warning, a bar of progress or an indented line: those say nothing of an end.
    """
    line = next((text for text in reversed(stderr) if text.strip()), "")
    return None if _TALK.search(line) else CauseLine(cut(line.strip()))


def known(line: str, *after: str) -> CauseLine | None:
    """What `line` means, if the table contains it.

    The lines `after` it may be more precise.
    """
    text = cut(line.strip())
    for one in TABLE:
        if found := one.found_in(text):
            rest = (cut(other.strip()) for other in after)
            closer = (more.found_in(other) for other in rest for more in one.closer)
            return next((more for more in closer if more), found)
    return None


def exception(lines: Sequence[str]) -> list[str]:
    """The exception of the last Python traceback, and the lines after it.

    The traceback is looked for in `lines`.

    Empty if there is none.
    """
    found = broken_in(lines)
    return [text.strip() for text in found.message] if found is not None else []


def cut(text: str) -> str:
    """The text, or its beginning if it is too long for a headline."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
