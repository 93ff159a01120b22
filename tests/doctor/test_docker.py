"""Docker as it can be found: absent, silent, forbidden, hanging, and as it is here."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.cells.docker import doctor as docker
from tenfold.cells.probing.findings import Finding
from tests.doctor.conftest import Programs

CLIENT = '{"Client":{"Version":"28.2.2","Context":"default"},"Server":null}\n'
SERVER = '{"Client":{"Version":"28.2.2","Context":"%s"},"Server":{"Version":"27.0.1"}}\n'
NO_ENGINE = "Cannot connect to the Docker daemon at unix://%s. Is the docker daemon running?\n"
NO_API = (
    "failed to connect to the docker API at unix://%s; check if the path is correct and if the "
    "daemon is running: dial unix %s: connect: no such file or directory\n"
)
FORBIDDEN = (
    "WARNING: Error loading config file: open /root/.docker/config.json: permission denied\n"
    "permission denied while trying to connect to the Docker daemon socket at unix://%s: Get "
    '"http://%%2Fvar%%2Frun%%2Fdocker.sock/v1.50/version": dial unix %s: connect: permission '
    "denied\n"
)


def said(finding: Finding) -> tuple[str, str, str | None]:
    assert (finding.area, finding.name) == ("cell", "docker")
    return finding.state, finding.message, finding.hint


def test_a_missing_docker_client_is_reported(programs: Programs) -> None:
    state, message, hint = said(docker.engine())
    assert (state, message) == ("missing", "the command docker is not installed")
    assert hint == f"see {docker.PAGE}"
    programs.put("apt-get", "")
    assert (docker.engine().hint or "").endswith("apt-get install docker.io")


def test_an_engine_that_answers(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.says("docker", SERVER % "default")
    found = docker.engine()
    assert (found.state, found.version, found.hint) == ("ok", "27.0.1", None)
    assert found.message.startswith("the engine responds")
    programs.says("docker", SERVER % "far")
    assert "(context far)" in docker.engine().message
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    assert docker.engine().message == "the engine responds at tcp://10.0.0.1:2375"


def test_an_engine_without_root(programs: Programs) -> None:
    programs.put(
        "docker",
        f"""case $1 in version) echo '{(SERVER % "rootless").strip()}';;
        info) echo '["name=seccomp,profile=builtin","name=rootless"]';; esac""",
    )
    assert docker.engine().message == "the engine responds (context rootless); it runs without root"


@pytest.mark.parametrize("words", [NO_ENGINE, NO_API])
def test_a_stopped_docker_engine_is_reported(programs: Programs, words: str) -> None:
    socket = "/var/run/docker.sock"
    programs.says("docker", CLIENT, words.replace("%s", socket), 1)
    state, message, hint = said(docker.engine())
    assert (state, docker.engine().version) == ("broken", "28.2.2")
    assert message == f"docker is installed, but no engine runs at {socket}"
    assert hint == f"see {docker.PAGE}" or (hint and "docker" in hint and "start" in hint)


def test_doctor_suggests_a_rootless_engine_of_the_user(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.says("docker", CLIENT, NO_ENGINE % "/var/run/docker.sock", 1)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "docker.sock"))
        own = f"export DOCKER_HOST=unix://{tmp_path}/docker.sock"
        assert docker.engine().hint == own
        programs.says("docker", CLIENT, FORBIDDEN.replace("%s", "/var/run/docker.sock"), 1)
        assert docker.engine().hint == own


def test_an_engine_elsewhere_that_is_not_there(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    programs.says(
        "docker", CLIENT, "Cannot connect to the Docker daemon at tcp://10.0.0.1:2375.", 1
    )
    state, message, hint = said(docker.engine())
    assert (state, message) == ("broken", "no engine responds at DOCKER_HOST=tcp://10.0.0.1:2375")
    assert hint is not None
    assert "unset DOCKER_HOST" in hint


def forbidden_by(programs: Programs, tmp_path: Path, gid: int) -> Finding:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chown(path, -1, gid)
        programs.says("docker", CLIENT, FORBIDDEN.replace("%s", str(path)).replace("%%", "%"), 1)
        return docker.engine()


def test_not_in_the_group(programs: Programs, tmp_path: Path) -> None:
    """The group is that of the socket, whatever it is called."""
    mine = {os.getegid(), *os.getgroups()}
    group = next((g for g in grp.getgrall() if g.gr_gid and g.gr_gid not in mine), None)
    if group is None or os.geteuid() != 0:
        pytest.skip("a socket of another group cannot be made here")
    state, message, hint = said(forbidden_by(programs, tmp_path, group.gr_gid))
    assert state == "broken"
    assert f"{tmp_path}/d.sock belongs to the group {group.gr_name}" in message
    assert hint == f"sudo usermod -aG {group.gr_name} $USER, then log out and in again"


def test_in_the_group_but_not_in_this_session(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    group = grp.struct_group(("docker", "x", 64_999, [user]))
    monkeypatch.setattr(docker, "_group_of", lambda path: group)
    state, message, hint = said(forbidden_by(programs, tmp_path, os.getegid()))
    assert state == "broken"
    assert message == "you are in the group docker, but not yet in this login session"
    assert hint == "log out and in again; for this shell only: newgrp docker"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ('Current context "x" is not found on the file system', "docker context use default"),
        ("unable to parse docker host `nonsense`", "unset DOCKER_HOST, or write it as"),
        ("Error response from daemon: client version 1.50 is too new. Maximum supported API "
         "version is 1.41", "export DOCKER_API_VERSION=1.41"),
        ("client version 1.24 is too old. Minimum supported API version is 1.44",
         "the client is too old for the engine"),
        ("request returned 404 Not Found for API route and version", "see docker version"),
    ],
)  # fmt: skip
def test_a_client_that_does_not_work(programs: Programs, words: str, hint: str) -> None:
    programs.says("docker", CLIENT, words + "\n", 1)
    found = docker.engine()
    assert found.state == "broken"
    assert found.message == f"docker does not work: {words}"
    assert (found.hint or "").startswith(hint)


def test_a_server_that_is_no_docker_engine_is_reported(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:80")
    programs.says("docker", CLIENT, "request returned 404 Not Found for API route\n", 1)
    assert "unset DOCKER_HOST" in (docker.engine().hint or "")


def test_a_client_that_hangs(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.put("docker", "/bin/sleep 600; exit 0")
    state, message, hint = said(docker.engine(0.5))
    assert (state, message) == ("broken", "docker does not respond within 0.5 s")
    assert "docker" in (hint or "")
    assert "start" in (hint or "")
    monkeypatch.setenv("DOCKER_HOST", "ssh://far")
    assert "DOCKER_HOST=ssh://far" in docker.engine(0.5).message


def test_podman_as_docker_is_a_warning(programs: Programs) -> None:
    emulates = "Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.\n"
    programs.says("docker", '{"Client":{"Version":"4.3.1"}}\n', emulates)
    found = docker.engine()
    assert (found.state, found.version) == ("warning", "4.3.1")
    assert "Podman" in found.message


def test_compose_as_a_plugin_comes_first(programs: Programs) -> None:
    programs.says("docker", "2.29.1-desktop.1\n")
    programs.says("docker-compose", "1.29.2\n")
    words, found = docker.compose()
    assert words == ("docker", "compose")
    assert (found.state, found.version) == ("ok", "2.29.1-desktop.1")


def test_compose_as_a_command(programs: Programs) -> None:
    programs.says("docker", "", "docker: 'compose' is not a docker command.\n", 1)
    assert docker.compose()[0] is None
    programs.says("docker-compose", "1.29.2\n")
    words, found = docker.compose()
    assert words == ("docker-compose",)
    assert found.version == "1.29.2"
    assert "no longer maintained" in found.message


def test_missing_docker_compose_is_reported(programs: Programs) -> None:
    programs.put("apt-get", "")
    words, found = docker.compose()
    assert words is None
    assert (found.area, found.name, found.state) == ("cell", "compose", "missing")
    assert "apt-get install docker-compose" in (found.hint or "")


@pytest.mark.usefixtures("docker_engine")
def test_the_engine_here() -> None:
    found = docker.engine()
    assert found.state == "ok"
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    assert found.version == done.stdout.strip()


@pytest.mark.usefixtures("docker_engine")
def test_the_capacity_of_the_local_engine_is_read() -> None:
    there = docker.capacity()
    assert there is not None
    assert there.cores >= 1
    assert there.memory > 1 << 20
    assert docker.has_image("tenfold-no-such-image:never") is False
    assert docker.knows_gpus() in (True, False)


@pytest.mark.usefixtures("docker_engine")
def test_the_installed_docker_compose_is_found() -> None:
    words, found = docker.compose()
    assert (words is None) == (found.state == "missing")
    if words is not None:
        done = subprocess.run([*words, "version"], capture_output=True, timeout=60, check=True)
        assert found.version is not None
        assert found.version in done.stdout.decode()


@pytest.mark.usefixtures("docker_engine")
def test_the_engine_here_refuses_who_is_not_in_its_group(
    as_nobody: Callable[[Callable[[], Finding]], Finding],
) -> None:
    path = Path("/var/run/docker.sock")
    if os.environ.get("DOCKER_HOST") or not path.exists() or path.stat().st_mode & 0o002:
        pytest.skip("the engine here is not behind the usual socket")
    state, message, hint = said(as_nobody(docker.engine))
    assert state == "broken"
    assert message.startswith("an engine runs, but you have no access to it")
    assert "usermod -aG" in (hint or "")


@pytest.mark.usefixtures("docker_engine")
def test_a_socket_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
    state, message, _ = said(docker.engine())
    assert (state, message) == (
        "broken",
        f"no engine responds at DOCKER_HOST=unix://{tmp_path}/d.sock",
    )
    assert docker.capacity() is None
    assert docker.has_image("x") is None
    assert docker.knows_gpus() is None


def test_findings_are_json() -> None:
    found = Finding("cell", "docker", "ok", None, "x", None)
    assert json.loads(json.dumps(found.to_json()))["state"] == "ok"
