"""Create a directory that works without tenfold: cell files and a run directory.

`tenfold render -o DIR` writes what this gives; the tool is then needed in the image only.
"""

from __future__ import annotations

from tenfold.base.json_text import json_text
from tenfold.cells.rendering import File
from tenfold.planning.plan import Plan
from tenfold.run.rundir import SHARED

RUN = "run"
"""The run directory, beside the rendered files."""


def run_files(plan: Plan) -> list[File]:
    """The run directory's plan, and the directories that tasks write to."""
    text = json_text(plan.to_json(), indent=1) + "\n"
    kept = [File(f"{RUN}/{name}/.keep", "") for name in (*SHARED, "tasks", "cell")]
    return [File(f"{RUN}/plan.json", text), *kept]
