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

import pytest

NOBODY = 65534

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


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: every other test is this one already")
def test_an_ordinary_user_gets_a_namespace(home: Path) -> None:
    (home / "tenfold.yaml").write_text(FILE)
    closed, opened = closed_home()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", BECOME_NOBODY, "sh",
         sys.executable, "-m", "tenfold", "up", "--isolation", "namespace", "--json"],
        cwd=home,
        env=os.environ | {"CLOSED": closed, "OPEN": opened, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.partition("| ")[2] for line in done.stdout.splitlines() if " | " in line]
    assert lines[0] == str(NOBODY)
    assert lines[1] != str(Path("/proc/self/ns/net").readlink())
    assert int(lines[2]) < 15, "it sees its own processes only"
    status = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert status["state"] == "succeeded"
    assert status["protection"] == "namespace"
