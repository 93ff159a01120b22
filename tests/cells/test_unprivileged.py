"""The local cell as an ordinary user: a namespace needs no privilege.

Run as root (CI, containers) it becomes uid 65534, in a mount namespace of its own in which the
interpreter's home can be read; run as anybody else it is what all other tests do already.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold.launch import binds

NOBODY = 65534
ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="not root: every other test is this one already"
)

# Homes are closed to others, and the interpreter may live in one: give the test's own mount
# namespace an empty home that holds nothing but the interpreter.
BECOME_NOBODY = """
set -e
mount --make-rprivate /
if [ "$OPEN" != / ]; then
  spare=$(mktemp -d)
  mount --bind "$OPEN" "$spare"
  mount -t tmpfs -o mode=755 tmpfs "$CLOSED"
  mkdir -p "$OPEN"
  mount --move "$spare" "$OPEN"
  rmdir "$spare"
fi
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
"""

FILE = """
cluster: nobody
jobs:
  chief:
    run: [sh, -c, "id -u; readlink /proc/self/ns/net; ls /proc | grep -c '^[0-9]'"]
    after: [ps]
  ps: {run: sleep 600}
success: chief
"""

FORKED = """
cluster: nobody
jobs:
  chief:
    run: [python, -c, "import os, sys; print(os.getuid(), 'wave' in sys.modules);
          print(os.readlink('/proc/self/ns/net')); print(open('/proc/self/status').read())"]
    preload: wave
  outside:
    run: [python, -c, "import os, sys; print('wave' in sys.modules);
          print(os.readlink('/proc/self/ns/net'))"]
    preload: wave
    network: host
success: [chief, outside]
"""
"""A task that is forked has what one that is started has: the run's network, no capability."""


def closed_home() -> tuple[str, str]:
    """The closed directory above the interpreter, and what below it has to be opened; / if none."""
    real = Path(sys.executable).resolve()
    for parent in reversed(real.parents):
        if not parent.stat().st_mode & 0o001:
            return str(parent), str(parent / real.relative_to(parent).parts[0])
    return "/", "/"


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of nobody's, outside pytest's own, which is closed to others."""
    path = Path("/tmp") / f"tenfold-nobody-{os.getpid()}"
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


def up_as_nobody(
    home: Path, file: str, isolation: str = "namespace"
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """`tenfold up` of a file by uid 65534: lines by task, and the last status."""
    (home / "tenfold.yaml").write_text(file)
    closed, opened = closed_home()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", BECOME_NOBODY, "sh",
         sys.executable, "-m", "tenfold", "up", "--isolation", isolation, "--json"],
        cwd=home,
        env=os.environ | {"CLOSED": closed, "OPEN": opened, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines: dict[str, list[str]] = {}
    for line in done.stderr.splitlines():
        task, bar, text = line.partition("| ")
        if bar:
            lines.setdefault(task.strip(), []).append(text)
    return lines, json.loads(done.stdout)


@ROOT
def test_an_ordinary_user_gets_a_namespace(home: Path) -> None:
    lines, status = up_as_nobody(home, FILE)
    uid, network, processes = lines["chief-0"]
    assert uid == str(NOBODY)
    assert network != str(Path("/proc/self/ns/net").readlink())
    assert int(processes) < 15, "it sees its own processes only"
    assert status["state"] == "succeeded"
    assert status["protection"] == "namespace"


@ROOT
def test_an_ordinary_users_tasks_are_forked(home: Path) -> None:
    lines, status = up_as_nobody(home, FORKED)
    who, network, *rest = lines["chief-0"]
    assert who == f"{NOBODY} True"
    assert network != str(Path("/proc/self/ns/net").readlink())
    capabilities = [
        line.split()[1] for line in rest if line.startswith("Cap") and "Bnd" not in line
    ]
    assert {int(number, 16) for number in capabilities} == {0}
    assert lines["outside-0"] == ["True", str(Path("/proc/self/ns/net").readlink())]
    assert status["state"] == "succeeded"


BOUND = """
cluster: nobody
jobs:
  chief:
    run: &bind [python, -c, "import socket; s = socket.socket(); s.bind(('', 0));
                print(s.getsockname()[0]); print(open('/proc/self/status').read())"]
  forked: {run: *bind, preload: wave}
success: [chief, forked]
"""


@ROOT
def test_an_ordinary_users_binds_go_to_loopback(home: Path) -> None:
    """By seccomp, without any privilege: the tasks can get none either."""
    if refusal := binds.refusal():
        pytest.skip(refusal)
    lines, status = up_as_nobody(home, BOUND, "loopback")
    assert status["state"] == "succeeded"
    assert status["protection"] == "loopback"
    for label in ("chief-0", "forked-0"):
        address, *rest = lines[label]
        assert address == "127.0.0.1"
        assert "NoNewPrivs:\t1" in rest
