"""Writes dev.lock: the newest versions of everything that `make test` installs, that fit together.

`make lock`. It is a file of constraints for pip: pyproject.toml says what is wanted, this file
which version of it. pip finds them for the Python that runs this; nothing is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

EXTRAS = "tensorflow,tensorboard,jupyter,charts,examples"
HEAD = """\
# Versions that are installed for development and `make demo`, for pip --constraint: made by
# `make lock` on Python {python}, tried by `make test`. Without them: make test LOCK=
"""


def resolved() -> list[dict[str, Any]]:
    """What pip would install into an empty environment."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.json")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet",
             "--report", str(report), "--editable", f".[{EXTRAS}]", "--group", "dev"],
            check=True,
        )  # fmt: skip
        found: list[dict[str, Any]] = json.loads(report.read_text())["install"]
        return [one["metadata"] for one in found]


def pin(metadata: dict[str, Any]) -> str:
    """`name==version`. Of `2.13.0+cpu` the part that every index has: a pin of it lets both in."""
    name = str(metadata["name"]).lower().replace("_", "-")
    return f"{name}=={str(metadata['version']).partition('+')[0]}"


def main() -> None:
    """Write the file beside this one."""
    pins = sorted(pin(one) for one in resolved() if one["name"] != "tenfold")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = HEAD.format(python=python) + "\n".join(pins) + "\n"
    Path(__file__).with_name("dev.lock").write_text(text)
    print(f"{len(pins)} versions in requirements/dev.lock; make test tries them")


if __name__ == "__main__":
    main()
