"""TensorFlow and triton side by side are named by `doctor` and by `check`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.cluster.file import loads
from tenfold.doctor.scripts import imports_of, warnings_here
from tenfold.doctor.together import combination
from tenfold.launch import together
from tests.own_process import require

WRITER = "import torch\nfrom torch.utils.tensorboard import SummaryWriter\n"


def site(directory: Path, *packages: str) -> Path:
    """A venv's packages, with the metadata that pip writes."""
    place = directory / "venv/lib/python3.11/site-packages"
    for package in packages:
        name, version = package.split("-")
        (place / name.removesuffix("_cpu")).mkdir(parents=True)
        (place / f"{name}-{version}.dist-info").mkdir()
    return directory / "venv/bin/python"


def warned(directory: Path, run: str, source: str) -> list[str]:
    (directory / "train.py").write_text(source)
    loaded = loads(f"cluster: c\njobs: {{w: {{run: {run}}}}}\n", directory=directory)
    found = warnings_here(loaded)
    assert all(fault.severity == "warning" for fault in found)
    return [f"{fault.path}: {fault.message}; {fault.hint}" for fault in found]


RUNS = ("{} train.py", "{} -m train", '[sh, -c, "exec {} train.py && true"]', "{} -u train.py")
SOURCES = (
    WRITER,
    "import torch, tensorflow as tf",
    "import torch.nn as nn\nfrom keras import layers",
    "def later():\n    import tensorboard\nfrom torch import optim",
    "import helper",
)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_script_that_imports_both_is_named(run: str, source: str, tmp_path: Path) -> None:
    require("tensorflow")
    require("triton")
    (tmp_path / "helper.py").write_text(WRITER)
    (found,) = warned(tmp_path, run.format("python"), source)
    assert found.startswith("jobs.w.run: train.py imports PyTorch and TensorFlow (TensorFlow 2.")
    assert "SIGSEGV; tenfold up loads triton's library first" in found


@pytest.mark.parametrize("source", ["import torch", "import tensorflow", "import tensorboard", "("])
def test_a_script_that_imports_only_one_of_them_gets_no_warning(
    source: str, tmp_path: Path
) -> None:
    assert warned(tmp_path, "python train.py", source) == []


def test_an_interpreter_that_ignores_pythonpath_gets_another_hint(tmp_path: Path) -> None:
    python = site(tmp_path, "tensorflow_cpu-2.21.0", "triton-3.7.1")
    (found,) = warned(tmp_path, f"{python} -I train.py", WRITER)
    assert "python -E and -I disable" in found


def test_versions_are_those_of_the_jobs_own_interpreter(tmp_path: Path) -> None:
    python = site(tmp_path, "tensorflow-9.9.0", "triton-8.8.0")
    found = together.found_by({"PATH": ""}, [str(python)], "/")
    assert found is not None
    assert together.versions(found) == "TensorFlow 9.9.0 and triton 8.8.0"


def test_without_triton_there_is_no_warning(tmp_path: Path) -> None:
    python = site(tmp_path, "tensorflow-9.9.0", "torch-2.0")
    assert together.found_by({"PATH": ""}, [str(python)], "/") is None


def test_imports_go_through_local_modules(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("import tensorflow\nimport train\n")
    (tmp_path / "train.py").write_text("from package import part\n")
    assert {"tensorflow", "package"} <= imports_of(tmp_path / "train.py")


def test_doctor_and_check_print_it(tmp_path: Path) -> None:
    require("tensorflow")
    require("triton")
    (finding,) = combination()
    assert (finding.state, finding.name) == ("warning", "tensorflow and triton")
    (tmp_path / "train.py").write_text(WRITER)
    (tmp_path / "tenfold.yaml").write_text("cluster: c\njobs: {w: {run: python train.py}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "tenfold", "check", "--json", str(tmp_path / "tenfold.yaml")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "SIGSEGV" in json.loads(done.stdout)["warnings"][-1]["message"]
