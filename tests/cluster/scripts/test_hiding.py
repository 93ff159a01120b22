"""Local modules with the name of an installed one."""

from __future__ import annotations

from pathlib import Path

from tenfold.cluster.scripts.hiding import first_hidden, hidden_by
from tenfold.cluster.scripts.wording import report
from tenfold.frameworks import framework

NAMES = {"csv", "numpy", "keras", "http", "six"}


def test_files_packages_and_extensions_hide(tmp_path: Path) -> None:
    for name in ("csv.py", "other.py", "csv.txt", "six.cpython-311-x86_64-linux-gnu.so"):
        (tmp_path / name).touch()
    for name in ("numpy", "http"):
        (tmp_path / name).mkdir()
    (tmp_path / "numpy" / "__init__.py").touch()
    assert hidden_by(tmp_path, NAMES) == {
        "csv": "csv.py",
        "numpy": "numpy",
        "six": "six.cpython-311-x86_64-linux-gnu.so",
    }
    assert first_hidden([tmp_path / "none", tmp_path], NAMES) == ("csv", tmp_path / "csv.py")
    assert first_hidden([tmp_path], {"os"}) is None


def test_it_is_reported_before_anything_starts(tmp_path: Path) -> None:
    frame = framework("torch")

    def words(*command: str, **environment: str) -> str | None:
        modules = frame.preload()
        found = report(("python", *command), tmp_path, environment, frame, "worker", modules)
        return found.words if found is not None else None

    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("import torch\n")
    (tmp_path / "src" / "csv.py").touch()
    told = f"{tmp_path}/src/csv.py shadows the module csv that other imports need"
    assert words("src/train.py") == told
    assert words("-m", "src.train") is None
    assert words("-P", "src/train.py") is None
    assert words("src/train.py", PYTHONSAFEPATH="1") is None
