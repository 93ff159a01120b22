"""Which of the things in a directory `tenfold init` takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenfold.errors import InputError
from tenfold.starter import survey as surveys
from tenfold.starter.drafting import draft_from, draft_of
from tenfold.starter.survey import survey
from tests.starter import scripts


def test_the_script_with_the_usual_name_is_taken(tmp_path: Path) -> None:
    for name in ("a.py", "train.py", "sample.py", "test_train.py"):
        (tmp_path / name).write_text(scripts.DDP)
    (tmp_path / "plain.py").write_text(scripts.PLAIN_TORCH)
    draft = draft_of(tmp_path)
    assert draft is not None
    assert draft.origin == "train.py"
    assert draft.others == [
        f"tenfold init --from {name}" for name in ("a.py", "sample.py", "plain.py")
    ]


def test_of_several_equal_scripts_the_user_names_one(tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(scripts.DDP)
    with pytest.raises(InputError, match=r"several trainings here: one\.py, two\.py") as caught:
        draft_of(tmp_path)
    assert "--from one.py" in (caught.value.hint or "")


def test_a_module_of_another_script_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.DDP)
    (tmp_path / "start.py").write_text("import torch\nimport train\n\ntrain.main()\n")
    draft = draft_of(tmp_path)
    assert draft is not None
    assert draft.origin == "start.py"


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.DDP)
    (tmp_path / "broken.py").write_text("import torch\ndef (\n")
    (tmp_path / "latin.py").write_bytes(b"import torch\nx = '\xe9'\n")
    (tmp_path / "nul.py").write_bytes(b"import torch\0\n")
    (tmp_path / "deep.py").write_text("import torch\nx = " + "(" * 5000)
    (tmp_path / "run.sh").write_bytes(b"torchrun \xff\xfe\0 '\n")
    (tmp_path / "gone.py").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "dir.py").mkdir()
    draft = draft_of(tmp_path)
    assert draft is not None
    assert draft.origin == "train.py"
    assert "broken.py cannot be parsed as Python and was left out" in draft.reasons


def test_loops_of_links_and_environments_are_not_entered(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    for place in ("venv", "my-env", ".hidden", "node_modules", "a/b/c/d/e"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "train.py").write_text(scripts.DDP)
    (tmp_path / "my-env" / "pyvenv.cfg").touch()
    assert draft_of(tmp_path) is None


def test_a_huge_directory_is_looked_at_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveys, "MOST_ENTRIES", 50)
    (tmp_path / "a_train.py").write_text(scripts.DDP)
    for number in range(200):
        (tmp_path / f"image{number}.png").touch()
    assert not survey(tmp_path).cut
    for number in range(60):
        (tmp_path / f"part{number}").mkdir()
    (tmp_path / "part0" / "b.py").touch()
    found = survey(tmp_path)
    assert found.cut
    draft = draft_of(tmp_path)
    assert draft is not None
    assert "the directory is large: not all of it was looked at" in draft.reasons


def test_notebooks_are_named_with_the_way_to_use_them(tmp_path: Path) -> None:
    (tmp_path / "train.ipynb").write_text("{}")
    with pytest.raises(InputError, match="is a notebook") as caught:
        draft_from("train.ipynb", tmp_path)
    assert "jupyter nbconvert --to script train.ipynb" in (caught.value.hint or "")


def test_nothing_of_the_user_is_run(tmp_path: Path) -> None:
    bait = "open('RAN', 'w').close()\n"
    (tmp_path / "train.py").write_text(f"{bait}{scripts.DDP}")
    (tmp_path / "torch.py").write_text(bait)
    (tmp_path / "sitecustomize.py").write_text(bait)
    (tmp_path / "run.sh").write_text("touch RAN; torchrun --nproc-per-node 2 train.py $(touch RAN)")
    assert draft_of(tmp_path) is not None
    assert not (tmp_path / "RAN").exists()
