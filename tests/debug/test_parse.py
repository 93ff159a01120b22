"""faulthandler's and py-spy's own words → threads."""

from __future__ import annotations

import json

import pytest

from tenfold.debug.parse import from_faulthandler, from_py_spy
from tenfold.debug.stacks import StackFrame, Thread

FORKED = """\
Thread 0x00007f0a (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 327 in wait
  File "/home/me/train.py", line 7 in pull
  File "/usr/lib/python3.11/threading.py", line 982 in run
  File "/usr/lib/python3.11/threading.py", line 1045 in _bootstrap_inner
  File "/usr/lib/python3.11/threading.py", line 1002 in _bootstrap

Current thread 0x00007f0b (most recent call first):
  File "/home/me/with, line 3 in it.py", line ??? in step
  File "<string>", line 1 in <module>
  File "/x/tenfold/launch/script.py", line 83 in _run
  File "/x/tenfold/launch/script.py", line 64 in __call__
  File "<string>", line 1 in <module>
"""


def test_the_main_thread_comes_first_and_ours_below_it_are_left_out() -> None:
    main, other = from_faulthandler(FORKED)
    assert main == Thread(
        (
            StackFrame("step", "/home/me/with, line 3 in it.py"),
            StackFrame("<module>", "<string>", 1),
        ),
        main=True,
    )
    assert [frame.function for frame in other.frames] == ["wait", "pull"]
    assert other.frames[1] == StackFrame("pull", "/home/me/train.py", 7)
    assert not other.main


def test_a_module_that_is_run_has_no_runpy_below_it() -> None:
    text = 'Thread 0x1 (most recent call first):\n  File "a.py", line 1 in <module>\n'
    text += '  File "<frozen runpy>", line 88 in _run_code\n' * 2
    assert [frame.file for frame in from_faulthandler(text)[0].frames] == ["a.py"]


def test_no_thread_is_mistaken_for_the_main_one_if_some_are_missing() -> None:
    """faulthandler writes a hundred, and the main thread would be the last."""
    text = 'Thread 0x1 (most recent call first):\n  File "a.py", line 1 in f\n'
    assert not any(thread.main for thread in from_faulthandler(text * 100 + "...\n"))


@pytest.mark.parametrize("text", ["", "nonsense\n", '  File "a.py", line 1 in f\n'])
def test_nonsense_is_no_thread(text: str) -> None:
    assert from_faulthandler(text) == ()


def test_stacks_of_py_spy_are_parsed() -> None:
    def thread(number: int, name: str | None, *frames: tuple[str, str, int]) -> dict[str, object]:
        keys = ("name", "filename", "line")
        return {
            "pid": 7, "os_thread_id": number, "thread_name": name,
            "frames": [dict(zip(keys, frame, strict=True)) for frame in frames],
        }  # fmt: skip

    said = [
        thread(9, "pool-0", ("Queue.get", "/lib/queue.py", 1)),
        thread(7, None, ("outer.<locals>.step", "t.py", 3), ("read", "libc.so.6", 0)),
    ]
    main, other = from_py_spy(json.dumps(said))
    assert main == Thread(
        (StackFrame("step", "t.py", 3), StackFrame("read", "libc.so.6")), main=True
    )
    assert (other.name, other.frames[0].function) == ("pool-0", "get")


@pytest.mark.parametrize("text", ["", "{}", "Error: no"])
def test_output_that_is_not_from_py_spy_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_py_spy(text)
