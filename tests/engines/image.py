"""Images for tests, made here from Debian's packages: no image registry is needed.

Owns the base and how `docker/Dockerfile` is built on it. What the image is made of is the
Dockerfile's business.

TENFOLD_TEST_BASE_IMAGE=python:3.11-slim-bookworm takes that base instead, where one can be pulled.
"""

from __future__ import annotations

import ast
import configparser
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines import packages
from tests.engines.daemons import new_directory
from tests.engines.docker import LABEL, DockerEngine, docker

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
CONTENT = ("python3", "python3-venv", "python-is-python3", "ca-certificates")
LEFT_OUT = ("./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/doc/*", "./usr/share/man/*")
BASE_TAG = f"tenfold-test-base:{SUITE}"
LIGHT_TAG = "tenfold-test:light"
FULL_TAG = "tenfold-test:tensorflow"
JAX_TAG = "tenfold-test:jax"

DEBOOTSTRAP_LIMIT_S = 560.0
BUILD_LIMIT_S = 560.0

CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
"""Where Debian keeps the authorities that it trusts."""
CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
INDEXES = ("index-url", "extra-index-url", "find-links")
PIP_KEYS = (*INDEXES, "trusted-host", "proxy", "default-timeout", "timeout", "retries")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@pytest.fixture(scope="session")
def base_image(docker_engine: DockerEngine) -> str:
    """The tag of a Debian with `python`, `sh` and `sleep`; pip reaches in it what it reaches here.

    Made once a machine: as long as its recipe does not change, later sessions find it.
    """
    del docker_engine
    if given := os.environ.get("TENFOLD_TEST_BASE_IMAGE"):
        return given
    files = host_files()
    recipe = _recipe(files)
    if not docker("images", "--quiet", "--filter", f"label={LABEL}={recipe}", BASE_TAG):
        _make_base(files, recipe)
    return BASE_TAG


@pytest.fixture(scope="session")
def light_image(base_image: str) -> str:
    """The tag of an image with this tree's tenfold and no framework. Seconds."""
    return build(base_image, LIGHT_TAG, extras="")


@pytest.fixture(scope="session")
def tenfold_image(base_image: str) -> str:
    """The tag of the image that `docker/Dockerfile` makes if asked for nothing else: TensorFlow,
    TensorBoard, Jupyter. Two minutes the first time on a machine, seconds after that."""
    return build(base_image, FULL_TAG)


@dataclass(frozen=True)
class Built:
    """An image of `docker/Dockerfile`: its tag, and the build arguments that made it.

    `mounts`, as `cells: {docker: {mounts: …}}` takes them, hold what the image lacks.
    """

    tag: str
    arguments: Mapping[str, str]
    mounts: tuple[str, ...] = ()


@pytest.fixture(scope="session")
def jax_image(base_image: str) -> Built:
    """What examples/digits-jax asks for."""
    return Built(build(base_image, JAX_TAG, "jax,examples"), {"BASE_IMAGE": base_image})


def build(
    base: str, tag: str, extras: str | None = None, more: Mapping[str, str] | None = None
) -> str:
    """Build `docker/Dockerfile` from this tree as `tag` and return the tag.

    `extras` as the Dockerfile's EXTRAS, None for its default; `more` arguments. The build uses the
    host's network and proxies, as pip here does. The image that had the tag before is removed if
    nothing uses it.
    """
    arguments = {"BASE_IMAGE": base} | {
        name: os.environ[name] for name in PROXIES & os.environ.keys()
    }
    if extras is not None:
        arguments["EXTRAS"] = extras
    arguments |= more or {}
    docker(
        *("build", "--network", "host", "--force-rm", "--label", f"{LABEL}={tag}", "--tag", tag),
        *(word for item in arguments.items() for word in ("--build-arg", "=".join(item))),
        *("--file", str(ROOT / "docker/Dockerfile"), str(ROOT)),
        timeout_s=BUILD_LIMIT_S,
    )
    docker("image", "prune", "--force", "--filter", f"label={LABEL}={tag}")
    return tag


def host_files() -> dict[str, bytes]:
    """What the base takes over from this machine so that pip works in it too: path → content.

    The authorities that pip trusts here, and its settings of where packages are: no directory of
    this machine, which a container does not see.
    """
    settings = _pip_settings()
    files = {}
    named = (
        settings.pop("cert", ""),
        *(os.environ.get(name, "") for name in CERTIFICATE_VARIABLES),
    )
    for name in named:
        if name and Path(name).is_file():
            files[CERTIFICATES] = Path(name).read_bytes()
            settings["cert"] = f"/{CERTIFICATES}"
            break
    files["etc/pip.conf"] = _pip_conf(settings)
    return files


def _pip_settings() -> dict[str, str]:
    """pip's settings here, as far as a build needs them."""
    found = _pip_config()
    for key in INDEXES:
        if key in found:
            found[key] = " ".join(url for url in found[key].split() if url.startswith("http"))
    return {key: value for key, value in found.items() if value}


def _pip_config() -> dict[str, str]:
    """pip's settings here, from its files, then the environment."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    found: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, equals, value = line.partition("=")
        key = name.rpartition(".")[2]
        if equals and key in ("cert", *PIP_KEYS):
            found[key] = str(ast.literal_eval(value))
    return found


def _pip_conf(settings: dict[str, str]) -> bytes:
    parser = configparser.RawConfigParser()
    parser["global"] = {**settings, "disable-pip-version-check": "true"}
    text = io.StringIO()
    parser.write(text)
    return text.getvalue().encode()


def _recipe(files: dict[str, bytes]) -> str:
    """A hash of all that the base is made of, but for the moment's state of Debian's archive."""
    parts = repr((SUITE, CONTENT, LEFT_OUT, sorted(files.items())))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _make_base(files: dict[str, bytes], recipe: str) -> None:
    if os.geteuid() != 0:
        packages.missing("no base image yet, and only root can debootstrap one", False)
    packages.need(packages.DEBOOTSTRAP)
    place = new_directory("base")
    try:
        _debootstrap(place / "root")
        for path, content in files.items():
            (place / "root" / path).write_bytes(content)
        _import(place / "root", recipe)
    finally:
        if _unmounted(place):
            shutil.rmtree(place, ignore_errors=True)


def _unmounted(place: Path) -> bool:
    """Unmount what an interrupted debootstrap left mounted below `place`; whether nothing is.

    Removing the tree would otherwise go through this machine's own /proc.
    """
    for target in reversed(_mounts_below(place)):
        subprocess.run(["umount", target], check=False, capture_output=True, timeout=60)
    return not _mounts_below(place)


def _mounts_below(place: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    targets = [line.split()[4] for line in lines]
    return [target for target in targets if target.startswith(f"{place}/")]


def _debootstrap(root: Path) -> None:
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={','.join(CONTENT)}", SUITE, str(root)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEBOOTSTRAP_LIMIT_S,
    )
    if done.returncode:
        packages.missing(f"debootstrap failed:\n{done.stdout[-2000:]}")


def _import(root: Path, recipe: str) -> None:
    """Make an image of the tree: one layer, without what only apt and people read."""
    excluded = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    with tempfile.TemporaryFile() as archive:
        subprocess.run(
            ["tar", "-C", str(root), *excluded, "-c", "."], stdout=archive, check=True, timeout=120
        )
        archive.seek(0)
        subprocess.run(
            ["docker", "import", "--change", f"LABEL {LABEL}={recipe}", "-", BASE_TAG],
            stdin=archive,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )
