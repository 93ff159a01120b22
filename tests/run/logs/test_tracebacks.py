"""The exception that ended a program, found in what real programs write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.run.exceptions import Broken
from tenfold.run.logs.tracebacks import ExceptionWatch, broken, broken_in, from_json

PROGRAMS = {
    "no message, and a name of no usual kind": (
        "import bdb\ndef f():\n    raise bdb.BdbQuit\nf()", "bdb.BdbQuit", "3 f raise bdb.BdbQuit"),
    "a failed assertion": (
        "def f():\n    assert 1 == 2\nf()", "AssertionError", "2 f assert 1 == 2"),
    "a message of many lines": (
        "raise ValueError('first\\n\\nsecond\\n  third')", "ValueError: first", None),
    "a very long message": ("raise ValueError('x' * 100_000)", "ValueError: xxx", None),
    "notes": ("e = KeyError('lr')\ne.add_note('see the docs')\nraise e", "KeyError: 'lr'", "3"),
    "one that follows from another": (
        "try:\n    {}['lr']\nexcept KeyError as e:\n    raise RuntimeError('bad') from e",
        "RuntimeError: bad", "4"),
    "a group": ("raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])",
                "ExceptionGroup: two (2 sub-exceptions): ValueError: a", "1"),
    "a syntax error": ("def f(:\n    pass", "SyntaxError: invalid syntax", "1"),
    "a wrong indentation": ("if 1:\npass", "IndentationError: expected an indented block", "2"),
    "library code inside": (
        "import json\ndef load():\n    return json.loads('{')\nload()",
        "json.decoder.JSONDecodeError: Expecting property name", "3 load"),
    "deep recursion": (
        "def a():\n    b()\ndef b():\n    a()\na()", "RecursionError: maximum", None),
    "much output from atexit": (
        "import atexit, sys\n"
        "@atexit.register\n"
        "def late():\n    for n in range(100_000): print('closing', n, file=sys.stderr)\n"
        "raise ValueError('bad')", "ValueError: bad", "5"),
    "destructors that fail afterwards": (
        "class A:\n    def __del__(self): raise OSError('late')\na = A()\nraise ValueError('bad')",
        "ValueError: bad", "4"),
    "atexit that fails afterwards": (
        "import atexit\natexit.register(lambda: 1 / 0)\nraise ValueError('bad')",
        "ValueError: bad", "3"),
    "a thread's before the main one's": (
        "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()\n"
        "raise ValueError('bad')", "ValueError: bad", "5"),
    "a thread's alone": (
        "import os, threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()\n"
        "os._exit(1)", "ZeroDivisionError: division by zero", "2 <lambda>"),
    "a process pool's": (
        "import concurrent.futures as futures\ndef f(x): return 1 / x\n"
        "if __name__ == '__main__':\n"
        "    with futures.ProcessPoolExecutor(1) as pool: print(list(pool.map(f, [0])))",
        "ZeroDivisionError: division by zero", "2 f"),
    "logged, then exit": (
        "import logging, sys\ntry:\n    1 / 0\nexcept Exception:\n"
        "    logging.exception('failed')\n    logging.error('bye: %s', 3)\n    sys.exit(1)",
        "ZeroDivisionError: division by zero", "3"),
    "rich's frames": (
        "from rich.traceback import install\ninstall()\ndef f():\n    1 / 0\nf()",
        "ZeroDivisionError: division by zero", "4 f 1 / 0"),
    "asyncio's": (
        "import asyncio\nasync def main():\n    raise OSError('x')\nasyncio.run(main())",
        "OSError: x", "3 main"),
    "coloured": (
        "import sys, traceback\ntry:\n    1 / 0\nexcept Exception:\n    for line in "
        "traceback.format_exc().splitlines():\n        print('\\033[31m' + line + '\\033[0m', "
        "file=sys.stderr)", "ZeroDivisionError: division by zero", "3"),
}  # fmt: skip


def _watched(data: bytes, size: int = 1 << 20) -> Broken | None:
    watch = ExceptionWatch()
    for start in range(0, len(data), size):
        watch.feed(data[start : start + size])
    watch.end()
    return broken(from_json(watch.to_json()))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_exception_of_a_real_program_is_found_with_its_own_frame(
    name: str, tmp_path: Path
) -> None:
    program, line, place = PROGRAMS[name]
    script = tmp_path / "train.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        check=False,
        env=os.environ | {"COLUMNS": "300"},
    )
    for size in (1 << 20, 509):
        found = _watched(done.stderr, size)
        assert found is not None
        assert found.line.startswith(line)
        assert found.frame is not None
        assert found.frame.file.endswith("train.py")
        number, *rest = (place or "any").split(" ", 2)
        assert number in ("any", str(found.frame.line))
        assert rest[:1] in ([], [found.frame.function])
        assert rest[1:] in ([], [found.frame.source])


def test_the_cause_of_an_exception_is_its_root() -> None:
    program = "try:\n    {}['lr']\nexcept KeyError as e:\n    raise RuntimeError('bad') from e"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    found = _watched(done.stderr)
    assert found is not None
    assert (found.line, found.root) == ("RuntimeError: bad", "KeyError: 'lr'")


TORCHRUN = """\
[rank0]: Traceback (most recent call last):
[rank0]:   File "/w/train.py", line 7, in main
[rank0]:     step()
W1129 10:00:00.000000 1 torch/elastic: Sending process 9 closing signal SIGTERM
[rank0]: ValueError: bad batch
Traceback (most recent call last):
  File "/v/bin/torchrun", line 8, in <module>
    sys.exit(main())
  File "/v/lib/python3.11/site-packages/torch/distributed/run.py", line 1, in main
    run(args)
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
"""
SPAWN = """\
Traceback (most recent call last):
  File "/w/train.py", line 9, in <module>
    mp.spawn(main)
torch.multiprocessing.spawn.ProcessRaisedException:

-- Process 0 terminated with the following error:
Traceback (most recent call last):
  File "/v/lib/python3.11/site-packages/torch/multiprocessing/spawn.py", line 90, in _wrap
    fn(i, *args)
  File "/w/train.py", line 4, in main
    1 / 0
ZeroDivisionError: division by zero

"""
INTERLEAVED = """\
Traceback (most recent call last):
  File "/w/train.py", line 9, in <module>
step: 12
    train()
  File "/w/train.py", line 5, in train
    1 / 0
ZeroDivisionError: division by zero
"""
LOGURU = """\
2026-11-29 10:00:00.000 | ERROR    | __main__:<module>:8 - stopped
Traceback (most recent call last):

> File "/w/train.py", line 8, in <module>
    step(x)
    │    └ 0
    └ <function step at 0x7f00>

  File "/w/train.py", line 4, in step
    return 1 / x
               └ 0

ZeroDivisionError: division by zero
"""
GRAPH = """\
Traceback (most recent call last):
  File "/w/train.py", line 20, in <module>
    model.fit(x)
  File "/v/lib/python3.11/site-packages/keras/src/utils/traceback_utils.py", line 122, in handler
    raise e.with_traceback(filtered_tb) from None
tensorflow.python.framework.errors_impl.InvalidArgumentError: Graph execution error:

Detected at node model/dense/MatMul defined at (most recent call last):
  File "/w/train.py", line 20, in <module>

Matrix size-incompatible: In[0]: [8,4], In[1]: [3,1]
\t [[{{node model/dense/MatMul}}]] [Op:__inference_train_function_1]
2026-11-29 10:00:01.000000: W tensorflow/core/data] Local rendezvous is aborting
"""
OTHERS = {
    "torchrun": (TORCHRUN, "ValueError: bad batch", "/w/train.py:7"),
    "torch's spawn": (SPAWN, "ZeroDivisionError: division by zero", "/w/train.py:4"),
    "another thread's line among the frames": (
        INTERLEAVED, "ZeroDivisionError: division by zero", "/w/train.py:5"),
    "loguru": (LOGURU, "ZeroDivisionError: division by zero", "/w/train.py:4"),
    "TensorFlow's graphs": (
        GRAPH, "tensorflow.python.framework.errors_impl.InvalidArgumentError: "
        "Matrix size-incompatible: In[0]: [8,4], In[1]: [3,1]", "/w/train.py:20"),
    "C++": ("terminate called after throwing an instance of 'std::runtime_error'\n"
            "  what():  no shard\n",
            "terminate called after throwing an instance of 'std::runtime_error': no shard", None),
    "Rust": ("thread 'main' panicked at src/main.rs:2:5:\nno shard\nnote: run with `RUST_BACKTRACE",
             "thread 'main' panicked at src/main.rs:2:5: no shard", "src/main.rs:2"),
    "Go": ("panic: no shard\n\ngoroutine 1 [running]:\nmain.main()\n\t/w/main.go:4 +0x1d\n"
           "exit status 2\n", "panic: no shard", "/w/main.go:4"),
    "Java": ('Exception in thread "main" java.lang.IllegalStateException: no shard\n'
             "\tat Train.main(Train.java:3)\n",
             'Exception in thread "main" java.lang.IllegalStateException: no shard',
             "Train.java:3"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_the_exception_is_found_in_texts_of_launchers_loggers_and_other_languages(
    name: str,
) -> None:
    text, line, place = OTHERS[name]
    later = "".join(f"later {n}\n" for n in range(50_000))
    for size in (11, 1 << 20):
        found = _watched((text + (later if size > 11 else "")).encode(), size)
        assert found is not None
        assert found.line == line
        assert place == (found.frame and f"{found.frame.file}:{found.frame.line}")


@pytest.mark.parametrize(
    "line",
    ["step 3 loss 0.2", "INFO: a SyntaxError: in your dreams", "do not panic: all is well", ""],
)
def test_ordinary_lines_are_no_exception(line: str) -> None:
    assert broken_in([line] * 3) is None


def test_a_traceback_that_never_ends_costs_little_memory() -> None:
    watch = ExceptionWatch()
    watch.feed(b"Traceback (most recent call last):\n")
    for _ in range(200):
        watch.feed(b'  File "/w/x.py", line 1, in f\n    f()\n' * 1000)
    watch.feed(b"x" * 1_000_000)
    watch.feed(b"\nRecursionError: deep\n")
    watch.feed(b"more\n" * 100_000)
    assert sum(len(block.stack) + len(block.lines) for block in watch.major) < 200
    found = broken(from_json(watch.to_json()))
    assert found is not None
    assert found.line == "RecursionError: deep"


@pytest.mark.parametrize(
    "data",
    [None, {}, {"blocks": 3}, {"blocks": [3, {}, {"lines": 3, "stack": "x"}, {"lines": []}]},
     {"blocks": [{"lines": [1, None], "stack": {}, "kind": []}]}],
)  # fmt: skip
def test_a_file_written_by_a_task_stops_no_reader(data: dict[str, object] | None) -> None:
    broken(from_json(data))
