"""Interpreters for tests: virtual environments, a conda layout, and other versions."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VENV_TIME_S = 60


def base() -> str:
    """The interpreter that this one's virtual environment is made of."""
    return str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")


def venv(path: Path, python: str | None = None) -> Path:
    """A virtual environment without any package, and its interpreter."""
    command = [python or base(), "-m", "venv", "--without-pip", str(path)]
    subprocess.run(command, check=True, timeout=VENV_TIME_S, capture_output=True)
    return path / "bin" / "python"


def conda(path: Path) -> Path:
    """A directory that is laid out like an environment of conda, and its interpreter."""
    (path / "conda-meta").mkdir(parents=True)
    (path / "bin").mkdir()
    for name in ("python", "python3"):
        (path / "bin" / name).symlink_to(base())
    return path / "bin" / "python"


def site_packages(python: Path) -> Path:
    """The package directory of a virtual environment."""
    (found,) = python.parents[1].glob("lib/python3.*/site-packages")
    return found


def script(path: Path, text: str) -> Path:
    """A program in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def distribution(site: Path, name: str, version: str) -> None:
    """An installed package with one module, whose name is that of the package."""
    (site / name).mkdir()
    (site / name / "__init__.py").write_text(f"__version__ = {version!r}\n")
    meta = site / f"{name}-{version}.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def of_version(*versions: str) -> str | None:
    """An interpreter of one of these versions (`3.12`), if this machine has one."""
    for version in versions:
        for path in _places(version):
            if path.is_file() and _works(path):
                return str(path)
    return None


def _places(version: str) -> Iterator[Path]:
    yield from sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    yield from sorted(Path.home().glob(f".local/share/uv/python/cpython-{version}.*/bin/python3"))
    yield from (Path(home, f"python{version}") for home in ("/usr/bin", "/usr/local/bin"))


def _works(path: Path) -> bool:
    done = subprocess.run([path, "-c", ""], timeout=VENV_TIME_S, capture_output=True, check=False)
    return done.returncode == 0


_NOT_THERE = re.compile(
    r"_?tenfold|__editable__|(pydantic|rich|click|starlette|uvicorn|_?yaml|re2|_re2|google_re2"
    r"|prometheus_client|platformdirs|py_spy)\b|.*\.pth$",
    re.I,
)
"""What an environment of a user need not have: tenfold and its own dependencies."""


def with_packages(python: Path) -> Path:
    """`python`, with links to all packages of this interpreter but tenfold and what it needs.

    The versions of both must be the same.
    """
    here, there = site_packages(Path(sys.executable)), site_packages(python)
    for entry in here.iterdir():
        if not _NOT_THERE.match(entry.name) and not (there / entry.name).exists():
            (there / entry.name).symlink_to(entry)
    return python
