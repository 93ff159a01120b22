"""Frameworks as they can be installed, told without importing them."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.doctor.packages import PACKAGES, package
from tenfold.frameworks.packages import Package, installed

CUDA = "build_info = collections.OrderedDict([('cuda_version', '12.5.1'), ('is_cuda_build', True)])"


def install(site: Path, name: str, version: str, files: dict[str, str]) -> None:
    """What pip would leave of a package."""
    meta = site / f"{name.replace('-', '_')}-{version}.dist-info"
    meta.mkdir(parents=True)
    (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for packages that wins over what is really installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "version", "files", "message"),
    [
        ("tensorflow", "99.1", {"python/platform/build_info.py": CUDA}, "built for CUDA 12.5.1"),
        ("tensorflow", "99.1", {"python/platform/build_info.py": "'is_cuda_build', False"},
         "built for the CPU alone"),
        ("tensorflow", "99.1", {}, None),
        ("torch", "99.1+cpu", {}, "built for the CPU alone"),
        ("torch", "99.1", {"version.py": "cuda: Optional[str] = '12.6'\nhip = None\n"},
         "built for CUDA 12.6"),
        ("torch", "99.1", {"version.py": "cuda = None\nhip: Optional[str] = '6.2'\n"},
         "built for AMD GPUs, ROCm 6.2"),
        ("torch", "99.1", {"version.py": "cuda: Optional[str] = None\n"},
         "built for the CPU alone"),
    ],
)  # fmt: skip
def test_doctor_shows_what_a_package_was_built_for(
    site: Path,
    name: str,
    version: str,
    files: dict[str, str],
    message: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, name, raising=False)  # other tests may have imported the real
    inside = {f"{name}/{path}": text for path, text in files.items()}
    install(site, name, version, {f"{name}/__init__.py": "raise ImportError", **inside})
    found = package(name)
    assert (found.area, found.name, found.state) == ("framework", name, "ok")
    assert found.version == version
    assert found.message == (f"installed, {message}" if message else "installed")


def test_jax_and_its_plug_in(site: Path) -> None:
    install(site, "jax", "99.1", {"jax/__init__.py": ""})
    install(site, "jax-cuda12-plugin", "99.1", {})
    assert package("jax").message == "installed, with its plug-in for CUDA 12"


def ghost(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Package("ghost_module", ("ghost-package",), "ghost-package")
    monkeypatch.setitem(PACKAGES, "ghost_module", made)


def test_a_missing_package_has_a_command_that_installs_it(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ghost(monkeypatch)
    found = package("ghost_module")
    assert (found.state, found.version) == ("missing", None)
    assert (found.hint or "").endswith("-m pip install ghost-package")
    (site / "ghost_module").mkdir()
    assert package("ghost_module").state == "missing", "a directory is no package"


def test_an_installed_package_without_files_is_broken(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ghost(monkeypatch)
    install(site, "ghost-package", "1.0", {})
    found = package("ghost_module")
    assert (found.state, found.version) == ("broken", "1.0")
    assert "install --force-reinstall ghost-package" in (found.hint or "")


def test_a_package_without_metadata_is_ok(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ghost(monkeypatch)
    (site / "ghost_module").mkdir()
    (site / "ghost_module" / "__init__.py").write_text("")
    found = package("ghost_module")
    assert (found.state, found.version) == ("ok", None)


def test_nothing_is_imported() -> None:
    code = (
        "import sys; from tenfold.doctor.packages import *;"
        "print([f.name for f in map(package, PACKAGES) if f.usable]);"
        "print([name for name in PACKAGES if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"


def test_the_real_tensorflow() -> None:
    found = package("tensorflow")
    assert found.state == "ok", "the tests' own environment has it"
    assert found.version == importlib.metadata.version(
        next(d for d in PACKAGES["tensorflow"].distributions if installed((d,)))
    )
    assert found.message.startswith("installed, built for ")
