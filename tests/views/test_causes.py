"""The table of texts that are known, with the lines that programs really print."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tenfold.views.causes import PEER_GONE, TABLE, exception, said

LINES = [
    ("ModuleNotFoundError: No module named 'torch'", "module torch is not installed"),
    ("/usr/bin/python3: No module named nosuch.thing", "module nosuch.thing is not installed"),
    ("ImportError: cannot import name 'Adam' from 'keras' (/x/keras.py)", "has no Adam"),
    ("TypeError: Descriptors cannot be created directly.", "protobuf does not match"),
    ("google.protobuf.runtime_version.VersionError: Detected mismatched Protobuf Gencode/Runtime",
     "protobuf does not match"),
    ("python: /lib/libc.so.6: version `GLIBC_2.38' not found (required by x.so)", "(glibc 2.38)"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "out of memory"),
    ("tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor"
     " with shape[9,9]", "out of memory"),
    ("torch.distributed.DistBackendError: NCCL error in: ../NCCLUtils.hpp",
     "NCCL could not communicate"),
    ("RuntimeError: CUDA error: no CUDA-capable device is detected", "no usable GPU"),
    ("torch.AcceleratorError: CUDA error: invalid device ordinal", "a GPU that does not exist"),
    ("OSError: [Errno 28] No space left on device", "a disk is full"),
    ("OSError: [Errno 122] Disk quota exceeded", "quota"),
    ("OSError: [Errno 30] Read-only file system: '/data'", "read-only"),
    ("OSError: [Errno 24] Too many open files", "too many files are open"),
    ("MemoryError", "out of memory"),
    ("terminate called after throwing an instance of 'std::bad_alloc'", "out of memory"),
    ("OSError: [Errno 12] Cannot allocate memory", "out of memory"),
    ("OSError: [Errno 98] Address already in use", "uses its port"),
    ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "could not be resolved"),
    ("OSError: [Errno 101] Network is unreachable", "no route to that network"),
    ("tensorflow.python.framework.errors_impl.UnavailableError: failed to connect to all addresses",
     PEER_GONE),
    ("ConnectionRefusedError: [Errno 111] Connection refused", PEER_GONE),
    ("RuntimeError: [../gloo/pair.cc:534] Connection closed by peer; Connection reset by peer",
     PEER_GONE),
    ("tensorflow.python.framework.errors_impl.DeadlineExceededError: Deadline Exceeded",
     "without response"),
    ("FloatingPointError: loss is not finite", "diverged"),
    ("step 1200  loss nan", "diverged"),
    ("Epoch 3/9 - loss: nan", "diverged"),
    ("PermissionError: [Errno 13] Permission denied: '/data/x'", "no permission for a file"),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'corpus.txt'",
     "a file does not exist"),
    ("python: can't open file '/w/train.py': [Errno 2] No such file or directory",
     "does not exist"),
    ("Illegal instruction (core dumped)", "the CPU does not support"),
    ("train.py: error: unrecognized arguments: --sped 3", "command line is invalid"),
    ("SyntaxError: invalid syntax", "not valid Python"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "cause"), LINES, ids=[line[:40] for line, _ in LINES])
def test_known_error_texts_have_a_cause_and_a_hint(line: str, cause: str) -> None:
    found = said(["starting", line])
    assert found is not None
    assert found.line == line
    assert cause in str(found.cause)
    assert found.hint


def test_every_line_of_the_table_is_tried_here() -> None:
    tried = [next(one for one in TABLE if one.pattern.search(line)) for line, _ in LINES]
    assert [one.cause for one in TABLE if one not in tried] == []


@pytest.mark.parametrize(
    "lines", [[], ["step 3 loss 0.2"], ["the losses of infants, nannies"], ["ValueError: bad"]]
)
def test_nothing_is_guessed(lines: list[str]) -> None:
    assert said(lines) is None


def test_the_last_line_that_is_known_counts() -> None:
    found = said(["Connection refused, trying again", "No space left on device", "bye"])
    assert found is not None
    assert found.line == "No space left on device"


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("import nosuchmodule", "ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("try:\n  1/0\nexcept Exception as e:\n  raise ValueError('two\\nlines') from e",
         "ValueError: two"),
        ("import threading\ndef f(): raise OSError(28, 'No space left on device')\n"
         "t = threading.Thread(target=f); t.start(); t.join()",
         "OSError: [Errno 28] No space left on device"),
        ("class Odd(Exception): pass\nraise Odd('so')", "Odd: so"),
    ],
)  # fmt: skip
def test_the_last_line_of_a_python_traceback_is_found(program: str, line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    first, *_, last = exception([*done.stderr.splitlines(), "and more: later"])
    assert (first, last) == (line, "and more: later")


def test_the_message_of_nccl_below_its_exception_counts() -> None:
    lines = ["[rank0]: Traceback (most recent call last):", "[rank0]:   File \"x\", line 1",
             "[rank0]: torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:93, "
             "invalid usage (run with NCCL_DEBUG=WARN for details), NCCL version 2.28.9",
             "[rank0]: Last error:",
             "[rank0]: Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 60",
             "[rank0]:[W1] closing"]  # fmt: skip
    found = said(lines)
    assert found is not None
    assert found.line == "Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 60"
    assert "the same GPU" in str(found.cause)
    found = said(lines[:3])
    assert found is not None
    assert "could not communicate" in str(found.cause)


def test_a_prefix_on_every_line_is_no_trouble() -> None:
    lines = ["[rank0]: Traceback (most recent call last):", "[rank0]:   File \"x\", line 1",
             "[rank0]: torch.OutOfMemoryError: CUDA out of memory.", "[W1] closing"]  # fmt: skip
    found = said(lines)
    assert found is not None
    assert found.line == "torch.OutOfMemoryError: CUDA out of memory."
