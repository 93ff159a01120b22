"""What `check` says of scripts that do something before their imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cluster.file import load

JOBS = "jobs: {worker: {run: python train.py, tasks: 2}}\n"


def told(home: Path, script: str, text: str = JOBS, framework: str = "jax") -> list[str]:
    """Warnings about what is preloaded, in a directory with this script."""
    (home / "train.py").write_text(script)
    file = home / "tenfold.yaml"
    file.write_text(f"cluster: c\nframework: {framework}\n{text}")
    return [fault.message for fault in load(file).warnings]


def of_preload(messages: list[str]) -> list[str]:
    return [message for message in messages if "import" in message]


def test_an_unconditionally_set_variable_is_reported(tmp_path: Path) -> None:
    script = "import os\nos.environ['JAX_ENABLE_X64'] = '1'\nimport jax\n"
    (message,) = of_preload(told(tmp_path, script))
    assert message == ("train.py:2 sets JAX_ENABLE_X64: tenfold sets it before it imports modules")


def test_a_script_that_prevents_a_preload_is_reported(tmp_path: Path) -> None:
    script = "import os, sys\nos.environ['JAX_PLATFORMS'] = sys.argv[1]\nimport jax\n"
    (message,) = of_preload(told(tmp_path, script))
    assert message == (
        "worker starts without a preload: train.py:2 sets JAX_PLATFORMS, "
        "which may affect its imports"
    )  # fmt: skip


def test_a_local_module_that_shadows_another_is_reported(tmp_path: Path) -> None:
    (tmp_path / "csv.py").touch()
    (message,) = of_preload(told(tmp_path, "import jax\n"))
    assert message.endswith("csv.py shadows the module csv that other imports need")


@pytest.mark.parametrize(
    ("text", "framework"),
    [
        ("jobs: {worker: {run: python train.py, preload: none}}", "jax"),
        ("cell: docker\nimage: x\n" + JOBS, "jax"),
        (JOBS, "none"),
    ],
)
def test_no_variable_is_reported_without_a_preload(
    tmp_path: Path, text: str, framework: str
) -> None:
    script = "import os, sys\nos.environ['JAX_PLATFORMS'] = sys.argv[1]\n"
    assert of_preload(told(tmp_path, script, text, framework)) == []


@pytest.mark.parametrize(
    ("script", "env", "warned"),
    [
        ("", "", True),
        ("", "env: {TF_USE_LEGACY_KERAS: '1'}\n", False),
        ("import os\nos.environ['TF_USE_LEGACY_KERAS'] = '1'\n", "", False),
        ("import legacy\n", "", False),
        (
            "import os\nos.environ['TF_USE_LEGACY_KERAS'] = '0'\n",
            "env: {TF_USE_LEGACY_KERAS: '1'}\n",
            True,
        ),
    ],
)
def test_the_keras_that_a_script_asks_for_is_known(
    tmp_path: Path, script: str, env: str, warned: bool
) -> None:
    (tmp_path / "legacy.py").write_text("import os\nos.environ['TF_USE_LEGACY_KERAS'] = '1'\n")
    script += "import tensorflow as tf\ns = tf.distribute.MultiWorkerMirroredStrategy()\n"
    script += "model.compile()\nmodel.fit(x)\n"
    messages = told(tmp_path, script, env + JOBS, "tensorflow")
    assert any("`fit`" in message for message in messages) is warned
