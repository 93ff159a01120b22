"""What frameworks see, asked of stand-ins that see what a test says, and of the real TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tenfold.doctor import visible as module
from tenfold.doctor.visible import visible
from tenfold.frameworks import framework

TORCH = (
    "class cuda:\n  is_available = lambda: {0} > 0\n  device_count = lambda: {0}\nprint('hello')\n"
)
JAX = "class D: platform = 'gpu'\nlocal_devices = lambda: [D] * {0}\n"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for modules that a child finds first."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


@pytest.mark.parametrize(("name", "text"), [("torch", TORCH), ("jax", JAX)])
@pytest.mark.parametrize(
    ("sees", "here", "state", "message"),
    [
        (2, 2, "ok", "sees 2 GPUs"),
        (1, 1, "ok", "sees 1 GPU"),
        (0, 0, "ok", "can be imported; sees no GPU, and there is none"),
        (0, 1, "warning", "sees none of the 1 GPU here"),
        (1, 4, "warning", "sees 1 of the 4 GPUs here"),
    ],
)
def test_doctor_shows_how_many_gpus_a_framework_sees(
    stand_in: Path, name: str, text: str, sees: int, here: int, state: str, message: str
) -> None:
    (stand_in / f"{name}.py").write_text(text.format(sees))
    found = visible(name, here)
    assert (found.area, found.name, found.state) == ("gpu", name, state)
    assert found.message == message
    assert (found.hint is not None) == (state == "warning")


def test_the_way_out(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stand_in / "torch.py").write_text(TORCH.format(0))
    assert "--index-url https://download.pytorch.org/whl/cu" in (visible("torch", 1).hint or "")
    (stand_in / "jax.py").write_text(JAX.format(0))
    assert (visible("jax", 1).hint or "").endswith("pip install 'jax[cuda12]'")
    monkeypatch.setattr(module, "_has", lambda python, name: True)
    question = framework("tensorflow").gpus
    assert question is not None
    hint = module._with_cuda(question, sys.executable)
    assert "uninstall -y tensorflow-cpu && " in hint
    assert hint.endswith("pip install 'tensorflow[and-cuda]'")


def test_a_variable_hides_them(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stand_in / "torch.py").write_text(TORCH.format(0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    found = visible("torch", 1)
    assert found.message.endswith("(CUDA_VISIBLE_DEVICES=-1)")
    assert found.hint == "unset CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    "text", ["raise ImportError('torn')", "import os; os.kill(os.getpid(), 9)"]
)
def test_it_cannot_be_imported(stand_in: Path, text: str) -> None:
    (stand_in / "torch.py").write_text(text)
    found = visible("torch", 1)
    assert (found.area, found.state) == ("framework", "broken")
    assert found.message.startswith("cannot be imported: ")
    assert "import torch" in (found.hint or "")


def test_the_import_hangs(stand_in: Path) -> None:
    (stand_in / "torch.py").write_text("import time; time.sleep(600)")
    found = visible("torch", 1, timeout_s=1)
    assert (found.area, found.state) == ("framework", "broken")
    assert found.message == "was not imported within 1 s"


def test_the_real_tensorflow_reports_its_gpus() -> None:
    found = visible("tensorflow", 0)
    assert (found.area, found.state) == ("gpu", "ok")
