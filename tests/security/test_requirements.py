"""The lock for development holds what it should, and an audit that asked nobody is no good news."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from requirements.audit import Audit, pinned, read
from requirements.lock import pin

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "dev.lock"
EXTRAS = ("tensorflow", "tensorboard", "jupyter", "charts", "examples")


def test_everything_that_is_wanted_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted += [line for name in EXTRAS for line in extras[name] if "!=" not in line]
    names = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-") for line in wanted}
    locked = {line.partition("==")[0] for line in pinned((LOCK,))}
    assert names - locked == set(), "make lock"
    assert len(locked) > 100, "what these need is locked, too"


def test_every_line_of_the_lock_is_one_version() -> None:
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9.-]+==[0-9][A-Za-z0-9.!-]*", line) for line in lines)
    assert lines == sorted(lines)
    assert pin({"name": "Torch_X", "version": "2.13.0+cpu"}) == "torch-x==2.13.0"


SAFE = {"name": "click", "version": "8.1", "vulns": []}
BAD = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2", "3"]}]}
SKIPPED = {"name": "b", "skip_reason": "not found on PyPI"}


def test_an_audit_succeeds_only_if_every_version_was_checked() -> None:
    assert read({"dependencies": [SAFE]}).exit_code == 0
    assert read({"dependencies": [SAFE, SKIPPED]}) == Audit({}, {"b": "not found on PyPI"})
    assert read({"dependencies": [SAFE, SKIPPED]}).exit_code == 2
    found = read({"dependencies": [SAFE, SKIPPED, BAD]})
    assert found.known == {"a 1": ["CVE-1, mended in 2, 3"]}
    assert found.exit_code == 1
