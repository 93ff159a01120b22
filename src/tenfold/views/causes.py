"""What the last lines of a task say of why it ended: a table of texts that are known. Pure.

Nothing is guessed beyond what is there: a finding quotes its line. Where Python wrote a traceback,
the exception at its end counts first; otherwise the last line that matches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.debug.tracebacks import Broken, broken_in

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class CauseLine:
    """A line that says why, what it means, and what to do; the latter None if it is not known.

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


@dataclass(frozen=True, slots=True)
class Known:
    """A text that is known; `{0}` in `cause` and `hint` is the pattern's first group.

    `closer` are texts that say more than this one does if they stand in the lines after it.
    """

    pattern: re.Pattern[str]
    cause: str
    hint: str | None = None
    closer: tuple[Known, ...] = ()

    def found_in(self, line: str) -> CauseLine | None:
        """What `line` means, if this is it."""
        match = self.pattern.search(line)
        if match is None:
            return None
        groups = [group or "" for group in match.groups()] or [""]
        hint = self.hint.format(*groups) if self.hint else None
        return CauseLine(line, self.cause.format(*groups), hint)


def _known(pattern: str, cause: str, hint: str | None = None, *closer: Known) -> Known:
    return Known(re.compile(pattern, re.I), cause, hint, closer)


PEER_GONE = "a task that it talked to was gone, or is not to be reached"

TABLE: tuple[Known, ...] = (
    _known(r"No module named '?([\w.]+)'?", "the Python module {0} is not installed where it runs",
           "pip install the package of {0} there, or name another python in `run`"),
    _known(r"cannot import name '?(\w+)'?", "a package there has no {0}: another version of it",
           "pip show the package; compare with where it works"),
    _known(r"TypeError: Descriptors cannot (?:not )?be created directly|"
           r"Detected (?:incompatible|mismatched) Protobuf|protobuf.*VersionError",
           "the installed protobuf does not fit generated code",
           "pip install --upgrade protobuf and the package that the traceback names"),
    _known(r"GLIBC(?:XX)?_([\d.]+)'? not found",
           "a package was built for a newer system (glibc {0})",
           "install a build for this system, or use a newer image"),
    _known(r"(?:CUDA|HIP) out of memory|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED|"
           r"ResourceExhaustedError.*(?:GPU|device)|OOM when allocating tensor",
           "its GPU or device has no memory left",
           "make the batch smaller, or have fewer tasks on a GPU (nvidia-smi shows who is there)"),
    _known(r"invalid device ordinal", "it asks for a GPU of a number that is not here",
           "as many tasks a machine as it has GPUs, or on the CPU; tenfold doctor counts them"),
    _known(r"NCCL (?:error|WARN)|ncclSystemError|ncclUnhandledCudaError",
           "NCCL could not talk between GPUs", "NCCL_DEBUG=INFO in its env says more",
           _known(r"Duplicate GPU detected", "two ranks use the same GPU, and NCCL refuses that",
                  "a GPU a rank: torch.cuda.set_device(LOCAL_RANK), fewer tasks, or backend gloo")),
    _known(r"CUDA driver version is insufficient|no CUDA-capable device|CUDA_ERROR_NO_DEVICE",
           "it finds no GPU that it can use", "tenfold doctor shows GPUs and drivers"),
    _known(r"No space left on device|Errno 28\b", "a disk is full",
           "df -h; df -i: make room where it writes (checkpoints, /tmp, /dev/shm)"),
    _known(r"Disk quota exceeded|Errno 122\b", "your quota on that disk is used up", "quota -s"),
    _known(r"Read-only file system|Errno 30\b",
           "it may not write there: the file system is read-only",
           "write below $TENFOLD_RUN_DIRECTORY"),
    _known(r"Too many open files|Errno 24\b", "it has too many files open",
           "ulimit -n 65536 before tenfold up; tenfold doctor shows the limit"),
    _known(r"Cannot allocate memory|std::bad_alloc|\bMemoryError\b|Errno 12\b",
           "it got no more memory",
           "free -h; raise its resources.memory, or make the batch smaller"),
    _known(r"Address already in use|Errno 98\b|EADDRINUSE",
           "another process has the port that it wants",
           "listen on the port that tenfold gives (TENFOLD_ADDRESS); while the run is up, "
           "tenfold exec TASK -- ss -ltnp shows who has it"),
    _known(r"Name or service not known|Temporary failure in name resolution|getaddrinfo failed",
           "a host name could not be resolved",
           "in a run's own network there is no internet: fetch before the start, or network: host"),
    _known(r"Network is unreachable|Errno 101\b", "it tried to reach a network that it is not in",
           "in a run's own network there is no internet: fetch before the start, or network: host"),
    _known(r"UnavailableError|failed to connect to all addresses|Connection refused|Errno 111\b|"
           r"Connection reset by peer|Errno 104\b|Socket closed|Broken pipe",
           PEER_GONE,
           "look at that one first: tenfold ps shows who ended before, tenfold map who is silent"),
    _known(r"Deadline ?Exceeded|\bTimeoutError\b|timed out|Watchdog caught collective",
           "it waited for another task in vain", "tenfold map shows who is silent"),
    _known(r"(?:loss|Loss)\S*(?:\s+\S+){0,3}?\s*[=:]?\s*(?:nan|inf)\b|contains? (?:NaN|Inf)|"
           r"(?:is|was|were) not finite|non-finite|Tensor had (?:NaN|Inf)",
           "the training diverged: a value is no finite number",
           "a smaller learning rate; go on from an earlier checkpoint"),
    _known(r"PermissionError|Permission denied|Errno 13\b", "it may not use a file that it wants",
           "ls -l the file that it names; tasks run as you"),
    _known(r"can't open file|FileNotFoundError|No such file or directory|Errno 2\b",
           "a file is not where it looks for it", "paths are relative to the job's `workdir`"),
    _known(r"Illegal instruction", "an instruction this CPU does not have",
           "install a build for this machine's CPU"),
    _known(r"error: (?:unrecognized arguments|the following arguments are required)|^usage: ",
           "its command line is wrong", "compare `run` with what the program's --help says"),
    _known(r"SyntaxError|IndentationError", "the program is no valid Python",
           "python -m py_compile the file that it names"),
)  # fmt: skip
"""The first that matches counts, so what is special stands before what is general."""


def said(lines: Sequence[str], told: Broken | None = None) -> CauseLine | None:
    """The line that says why a task ended; None if none does.

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
    """The last line on stderr, where `SystemExit("…")`, shells and most programs say why they end.

    None if that is a warning, a bar of progress or an indented line: those say nothing of an end.
    """
    line = next((text for text in reversed(stderr) if text.strip()), "")
    return None if _TALK.search(line) else CauseLine(cut(line.strip()))


def known(line: str, *after: str) -> CauseLine | None:
    """What `line` means, if the table knows it; in the lines `after` it may be said closer."""
    text = cut(line.strip())
    for one in TABLE:
        if found := one.found_in(text):
            rest = (cut(other.strip()) for other in after)
            closer = (more.found_in(other) for other in rest for more in one.closer)
            return next((more for more in closer if more), found)
    return None


def exception(lines: Sequence[str]) -> list[str]:
    """The exception at the end of the last Python traceback in `lines`, and the lines after it.

    Empty if there is none.
    """
    found = broken_in(lines)
    return [text.strip() for text in found.message] if found is not None else []


def cut(text: str) -> str:
    """The text, or its beginning where it is too long for a headline."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
