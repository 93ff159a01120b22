"""Every route of the page on run directories in which tasks have left anything."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tenfold.run.rundir import RunDirectory
from tests.damages import DAMAGES, contents, files_of, full_run
from tests.dashboard.served import served

SEED = 11
FEW = 3
ROUTES = (
    "", "/map", "/events", "/tasks/worker-0", "/training", "/placement",
    "/logs/worker-0/stdout", "/stream",
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = full_run(tmp_path / "runs")
    shutil.copytree(made.path, tmp_path / "kept")
    return made


def test_no_damage_of_a_run_stops_the_page(run: RunDirectory, tmp_path: Path) -> None:
    names = files_of(run)
    with served(tmp_path / "runs") as board:

        def look(what: object) -> None:
            where = f"api/runs/{run.cluster}/{run.run}"
            for path in ("api/runs", "metrics", *(f"{where}{route}" for route in ROUTES)):
                answer = board.ask(path, most=64 if path.endswith("/stream") else 1 << 22)
                assert answer.status in (200, 404), (what, path, answer.body[:300])
                assert b"SECRET" not in answer.body, (what, path)
            lines = board.ask(f"{where}/logs", {"tasks": [], "cursor": None, "direction": "back",
                                                "lines": 50})  # fmt: skip
            assert lines.status in (200, 404), (what, lines.body[:300])

        for damage in DAMAGES:
            only = ["hangs/1/report.json", "tasks/worker-0/status.json"]
            for number, name in enumerate(only if damage.__name__ == "parent_link" else names):
                damage(run.path / name, tmp_path / f"secret-{damage.__name__}-{number}")
            look(damage.__name__)
            shutil.rmtree(run.path)
            shutil.copytree(tmp_path / "kept", run.path)
        chosen = random.Random(SEED)
        for name in [name for name in names if name.endswith((".json", ".jsonl"))]:
            data = (run.path / name).read_bytes()
            if name.startswith("checkpoints"):
                continue
            for what, other in chosen.sample(list(contents(name, data)), FEW):
                (run.path / name).write_bytes(other)
                look((name, what))
            (run.path / name).write_bytes(data)
