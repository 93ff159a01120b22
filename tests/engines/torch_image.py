"""The image with PyTorch for tests: built without PyTorch, which is mounted from this machine.

PyPI's build for Linux brings CUDA, 5.5 GB in a venv, so no image holds a copy. The image is built
of `docker/Dockerfile` as a user would, but in its base pip finds a `torch` that is only a line in
a `.pth` file. That line names `PLACE`, where containers have this machine's packages mounted.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import packages
from tests.engines.daemons import new_directory
from tests.engines.docker import LABEL, docker
from tests.engines.image import Built, build

BASE_TAG = "tenfold-test-base:torch"
TAG = "tenfold-test:torch"
INDEX = "/opt/wheels"
PLACE = "/opt/torch"
"""Where containers see PyTorch, triton and CUDA."""

PYTHON = (3, 11)
"""The Python of the base, whose native modules this machine's have to fit."""

_MOUNTED = re.compile(r"torch|triton|nvidia-.*|cuda-.*")


@pytest.fixture(scope="session")
def torch_image(base_image: str) -> Built:
    """What examples/digits-torch asks for, with this machine's PyTorch, of whichever build."""
    if sys.version_info[:2] != PYTHON:
        packages.missing("the image's Python 3.11 cannot import this Python's PyTorch", False)
    try:
        found = importlib.metadata.distribution("torch")
    except importlib.metadata.PackageNotFoundError:
        packages.missing("PyTorch is not installed: make test brings it")
    _make_base(base_image, found)
    arguments = {"BASE_IMAGE": BASE_TAG, "PIP_EXTRA_INDEX_URL": f"file://{INDEX}"}
    build(BASE_TAG, TAG, "torch,tensorboard,examples", arguments)
    return Built(TAG, arguments, tuple(_mounts()))


def _mounts() -> Iterator[str]:
    """`HOST:CONTAINER:ro` for each directory of packages that is not in the image."""
    for directory in sorted({place for name in _mounted("torch") for place in _directories(name)}):
        yield f"{directory}:{PLACE}/{directory.name}:ro"


def _mounted(name: str) -> set[str]:
    """The distribution `name`, and those it needs that are for PyTorch only."""
    found: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one not in found and (needs := _requirements(one)) is not None:
            found.add(one)
            left += [need for need in needs if _MOUNTED.fullmatch(need)]
    return found


def _requirements(name: str) -> list[str] | None:
    """What a distribution needs, by name; None if it is not installed (another system's)."""
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines]


def _directories(name: str) -> Iterator[Path]:
    found = importlib.metadata.distribution(name)
    for file in found.files or ():
        first = file.parts[0]
        if len(file.parts) > 1 and first != ".." and not first.endswith(".dist-info"):
            yield Path(str(found.locate_file(first))).resolve()


def _make_base(base: str, torch: importlib.metadata.Distribution) -> None:
    """The base, and in it an index whose only package is a `torch` that points to `PLACE`.

    The constraint has a build fail rather than fetch another PyTorch.
    """
    version = torch.version.partition("+")[0] + "+mounted"
    place = new_directory("torch")
    try:
        wheel = _wheel(place, version, torch)
        (place / "index.html").write_text(f'<a href="{wheel.replace("+", "%2B")}">{wheel}</a>\n')
        (place / "constraint").write_text(f"torch=={version}\n")
        (place / "Dockerfile").write_text(
            f"FROM {base}\nCOPY index.html *.whl {INDEX}/torch/\n"
            f"COPY constraint {INDEX}/\nENV PIP_CONSTRAINT={INDEX}/constraint\n"
        )
        label = f"{LABEL}={BASE_TAG}"
        docker("build", "--force-rm", "--label", label, "--tag", BASE_TAG, str(place))
        docker("image", "prune", "--force", "--filter", f"label={label}")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _wheel(place: Path, version: str, torch: importlib.metadata.Distribution) -> str:
    """Write the wheel into `place`; its name. It needs what PyTorch needs and no mount holds."""
    needs = [
        line for line in torch.requires or () if not _MOUNTED.match(line) and "extra" not in line
    ]
    metadata = ["Metadata-Version: 2.1", "Name: torch", f"Version: {version}"]
    metadata += [f"Requires-Dist: {line}" for line in needs]
    info = f"torch-{version}.dist-info"
    files = {
        "torch-mounted.pth": f"{PLACE}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    name = f"torch-{version}-py3-none-any.whl"
    # One and the same file each time, so that Docker finds the layers of an earlier build.
    with zipfile.ZipFile(place / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return name
