"""Docker: its client, its engine, this user's access to it, and Compose.

Owns: telling the reasons apart, each with the command that mends it. DOCKER_HOST and the client's
own contexts count, since it is the client that is asked. Leaves to others: what is run with it.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.base.quantities import limit_text
from tenfold.cells.probing.ask import Answer, ask
from tenfold.cells.probing.findings import Finding, State
from tenfold.cells.probing.hints import as_root, install, start_service

PAGE = "https://docs.docker.com/engine/install/"
COMPOSE_PAGE = "https://docs.docker.com/compose/install/"
_COMPOSE_S = 10.0
_CALL = re.compile(r"permission denied while trying to connect|dial unix \S+ .*permission denied"
                   r"|connect: permission denied", re.I)  # fmt: skip
_NOBODY = re.compile(r"cannot connect to the docker daemon|failed to connect to the docker api"
                     r"|is the docker daemon running|error during connect", re.I)  # fmt: skip
_SOCKET = re.compile(r"unix://(/[^\s:;\"']*[^\s:;.,\"'])")


def engine(timeout_s: float = 10.0) -> Finding:
    """The engine that `docker` uses: its version, or why it is unusable.

    Ends after about `timeout_s` seconds, even if the client hangs.
    """
    client = shutil.which("docker")
    if client is None:
        return _found("missing", None, "the command docker is not installed", _get_docker())
    start = time.monotonic()
    answer = ask([client, "version", "--format", "{{json .}}"], timeout_s)
    if answer is None:
        return _silent(timeout_s)
    said = _json(answer.out)
    server = said.get("Server")
    if answer.code == 0 and isinstance(server, dict):
        left = timeout_s - (time.monotonic() - start)
        return _answers(server, said.get("Client") or {}, _is_rootless(client, left))
    if answer.code == 0 and "podman" in (answer.out + answer.err).lower():
        return _podman(said)
    return _refused(answer)


def _found(state: State, version: str | None, message: str, hint: str | None) -> Finding:
    return Finding("cell", "docker", state, version, message, hint)


def _json(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(text)
        return value if isinstance(value, dict) else {}
    return {}


def _get_docker() -> str:
    return install(PAGE, apt="docker.io", dnf="moby-engine", zypper="docker", pacman="docker",
                   brew="--cask docker-desktop")  # fmt: skip


def _silent(timeout_s: float) -> Finding:
    where = os.environ.get("DOCKER_HOST")
    message = f"docker does not respond within {limit_text(timeout_s)}"
    if where is None:
        return _found("broken", None, message, _restart_engine())
    hint = "check that host, or unset DOCKER_HOST to use the engine of this machine"
    return _found("broken", None, f"{message} (DOCKER_HOST={where})", hint)


def _restart_engine() -> str:
    if sys.platform == "darwin":
        return "restart Docker Desktop"
    return start_service("docker").replace("start", "restart", 1)


def _is_rootless(client: str, timeout_s: float) -> bool:
    answer = ask([client, "info", "--format", "{{json .SecurityOptions}}"], timeout_s)
    return answer is not None and "name=rootless" in answer.out


def _answers(server: dict[str, Any], client: dict[str, Any], rootless: bool) -> Finding:
    host, context = os.environ.get("DOCKER_HOST"), client.get("Context")
    where = f" at {host}" if host else ""
    if not host and context not in (None, "", "default"):
        where = f" (context {context})"
    why = "it runs without root" if rootless else _access()
    message = f"the engine responds{where}" + (f"; {why}" if why else "")
    return _found("ok", str(server.get("Version") or "") or None, message, None)


def _access() -> str | None:
    """By which right this user reaches the engine of this machine.

    None if this cannot be determined.
    """
    if os.environ.get("DOCKER_HOST") or sys.platform != "linux":
        return None
    if os.geteuid() == 0:
        return "you are root"
    with contextlib.suppress(KeyError):
        if grp.getgrnam("docker").gr_gid in _groups():
            return "you are in the group docker"
    return None


def _groups() -> set[int]:
    return {os.getegid(), *os.getgroups()}


def _podman(said: dict[str, Any]) -> Finding:
    version = (said.get("Client") or {}).get("Version")
    message = "docker is Podman here, which is untested with tenfold"
    return _found("warning", version, message, _get_docker())


def _refused(answer: Answer) -> Finding:
    """Why the installed client got no answer from an engine."""
    text = answer.err + answer.out
    version = (_json(answer.out).get("Client") or {}).get("Version")
    if _CALL.search(text):
        return _forbidden(text, version)
    if _NOBODY.search(text):
        return _nobody_there(text, version)
    message = f"docker does not work: {answer.last_line()}"
    return _found("broken", version, message, _mend_client(answer.err))


def _mend_client(text: str) -> str:
    lowered = text.lower()
    if re.search(r"context \S+ (is )?not found|context not found", lowered):
        return "docker context use default"
    if "parse docker host" in lowered or ("invalid" in lowered and "DOCKER_HOST" in os.environ):
        return "unset DOCKER_HOST, or write it as unix:///PATH, tcp://HOST:PORT or ssh://HOST"
    if "client version" in lowered and "too new" in lowered:
        return "export DOCKER_API_VERSION=" + (_newest_api(text) or "1.41")
    if "client version" in lowered and "too old" in lowered:
        return f"the client is too old for the engine: {_get_docker()}"
    if "DOCKER_HOST" in os.environ:
        return "check the engine there, or unset DOCKER_HOST to use that of this machine"
    return "see docker version"


def _newest_api(text: str) -> str | None:
    found = re.search(r"maximum supported api version is ([\d.]+\d)", text, re.I)
    return found[1] if found else None


def _nobody_there(text: str, version: str | None) -> Finding:
    host = os.environ.get("DOCKER_HOST")
    if host:
        hint = "start it there, or unset DOCKER_HOST to use that of this machine"
        return _found("broken", version, f"no engine responds at DOCKER_HOST={host}", hint)
    found = _SOCKET.search(text)
    message = "docker is installed, but no engine runs" + (f" at {found[1]}" if found else "")
    return _found("broken", version, message, _start_engine())


def _start_engine() -> str:
    if sys.platform == "darwin":
        return "open -a Docker"
    own = _own_socket()
    if own is not None:
        return f"export DOCKER_HOST=unix://{own}"
    if not Path("/run/systemd/system").exists() and not Path("/etc/init.d/docker").exists():
        if shutil.which("dockerd") is None:
            return _get_docker()
        return as_root("dockerd")
    return start_service("docker")


def _own_socket() -> Path | None:
    """The socket of an engine that this user runs without root, if there is one."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "docker.sock"
    with contextlib.suppress(OSError):
        return own if own.is_socket() else None
    return None


def _forbidden(text: str, version: str | None) -> Finding:
    found = _SOCKET.search(text)
    socket = Path(found[1] if found else "/var/run/docker.sock")
    own = _own_socket()
    if own is not None and own != socket:
        message = f"you have no access to the engine at {socket}, but your own engine is running"
        return _found("broken", version, message, f"export DOCKER_HOST=unix://{own}")
    group = _group_of(socket)
    if group is not None and _is_member(group) and group.gr_gid not in _groups():
        message = f"you are in the group {group.gr_name}, but not yet in this login session"
        hint = f"log out and in again; for this shell only: newgrp {group.gr_name}"
        return _found("broken", version, message, hint)
    name = group.gr_name if group is not None else "docker"
    message = f"an engine runs, but you have no access to it: {socket} belongs to the group {name}"
    hint = f"sudo usermod -aG {name} $USER, then log out and in again"
    return _found("broken", version, message, hint)


def _group_of(socket: Path) -> grp.struct_group | None:
    """The group that may use the socket.

    `docker` if the socket is root's alone or cannot be examined.
    """
    with contextlib.suppress(OSError, KeyError):
        gid = socket.stat().st_gid
        if gid != 0:
            return grp.getgrgid(gid)
    with contextlib.suppress(KeyError):
        return grp.getgrnam("docker")
    return None


def _is_member(group: grp.struct_group) -> bool:
    with contextlib.suppress(KeyError):
        user = pwd.getpwuid(os.getuid())
        return user.pw_name in group.gr_mem or user.pw_gid == group.gr_gid
    return False


def compose() -> tuple[tuple[str, ...] | None, Finding]:
    """The command that starts Compose, and the finding.

    The command is None if there is no Compose.

    The plugin, `docker compose`, is preferred; `docker-compose`, of version 1 too, will do.
    """
    for words in (("docker", "compose"), ("docker-compose",)):
        version = _compose_version(words)
        if version is not None:
            old = " (version 1 is no longer maintained)" if version.startswith("1.") else ""
            return words, _compose("ok", version, f"as {' '.join(words)}{old}", None)
    message = "neither docker compose nor docker-compose works"
    return None, _compose("missing", None, message, _get_compose())


def _compose(state: State, version: str | None, message: str, hint: str | None) -> Finding:
    return Finding("cell", "compose", state, version, message, hint)


def _compose_version(words: tuple[str, ...]) -> str | None:
    if shutil.which(words[0]) is None:
        return None
    answer = ask([*words, "version", "--short"], _COMPOSE_S)
    if answer is None or answer.code != 0:
        return None
    found = re.search(r"\d+(\.\d+)+\S*", answer.out)
    return found[0] if found else None


def _get_compose() -> str:
    """The command that installs Compose.

    For Debian and Fedora, Docker's own packages and the distributions' have different names.
    """
    ours = Path("/usr/share/doc/docker-ce-cli").exists()
    linux = "docker-compose-plugin" if ours else "docker-compose"
    other = "docker-compose"
    return install(COMPOSE_PAGE, apt=linux, dnf=linux, zypper=other, pacman=other, brew=other)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of the engine's machine: cores, and memory in bytes."""

    cores: float
    memory: int


def capacity(timeout_s: float = 10.0) -> Capacity | None:
    """The capacity of the engine's machine, or None if nobody answers.

    This may be another machine, or a virtual one.
    """
    answer = ask(["docker", "info", "--format", "{{.NCPU}} {{.MemTotal}}"], timeout_s)
    found = re.fullmatch(r"(\d+) (\d+)", answer.out.strip()) if answer else None
    return Capacity(float(found[1]), int(found[2])) if found and int(found[2]) else None


def has_image(image: str, timeout_s: float = 10.0) -> bool | None:
    """Whether the engine has this image. None if the engine does not answer."""
    answer = ask(["docker", "image", "inspect", "--format", "{{.Id}}", image], timeout_s)
    if answer is None:
        return None
    if answer.code == 0:
        return True
    return False if "no such image" in answer.err.lower() else None


def knows_gpus(timeout_s: float = 10.0) -> bool | None:
    """Whether the engine can give NVIDIA GPUs to containers.

    None if the engine does not answer.
    """
    answer = ask(["docker", "info", "--format", "{{json .}}"], timeout_s)
    if answer is None or answer.code != 0:
        return None
    said = _json(answer.out)
    devices = said.get("DiscoveredDevices") or ()
    return "nvidia" in (said.get("Runtimes") or {}) or "nvidia.com/gpu" in str(devices)
