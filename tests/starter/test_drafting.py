"""What `tenfold init` does with something that cannot become a cluster file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.errors import InputError
from tenfold.starter.batch_draft import batch_draft
from tenfold.starter.drafting import checked_text


def test_a_value_that_no_cluster_file_can_have_is_an_error_about_its_source(
    tmp_path: Path,
) -> None:
    text = "#SBATCH --mem=99999999999999G\nsrun python train.py\n"
    draft = batch_draft(text, "job.sbatch", tmp_path)
    with pytest.raises(InputError, match=r"job\.sbatch .* cannot become a cluster file") as caught:
        checked_text(draft, tmp_path, "s")
    assert "jobs.worker.resources.memory" in str(caught.value)


def test_nul_bytes_in_a_script_change_nothing(tmp_path: Path) -> None:
    text = "#SBATCH --parti\0tion=gpu\nexport A\0=1\nsrun -n 2 python train.py\n"
    draft = batch_draft(text, "job.sbatch", tmp_path)
    assert "partition: gpu" in checked_text(draft, tmp_path, "s")[0]
