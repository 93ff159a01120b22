"""Whether a run gets a namespace here, and the words where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cells.local.doctor import local
from tenfold.launch import namespace


def test_doctor_shows_the_isolation_of_a_run() -> None:
    found = local()
    assert (found.area, found.name) == ("cell", "local")
    assert found.state == ("ok" if namespace.refusal() is None else "warning")


@pytest.mark.parametrize(
    ("file", "value", "hint"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1",
         "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/unprivileged_userns_clone", "0",
         "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
        ("user/max_user_namespaces", "100", "in a container"),
    ],
)  # fmt: skip
def test_a_refused_namespace_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, value: str, hint: str
) -> None:
    path = tmp_path / "sys" / file
    path.parent.mkdir(parents=True)
    path.write_text(f"{value}\n")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(namespace, "refusal", lambda: "unshare: Operation not permitted")
    found = local(tmp_path)
    assert found.state == "warning"
    assert "unshare: Operation not permitted" in found.message
    assert "survive a simultaneous kill -9 of supervisor and launch server" in found.message
    assert (found.hint or "").startswith(hint)
