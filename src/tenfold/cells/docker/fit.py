"""What the engine lacks for a plan: images, and GPUs in containers."""

from __future__ import annotations

from tenfold.cells.docker import doctor
from tenfold.cells.probing.findings import Finding, State
from tenfold.planning.plan import Plan


def images(plan: Plan) -> list[Finding]:
    """The images that the tasks name, and whether the engine has them."""
    names = dict.fromkeys(task.image for task in plan.tasks if task.image)
    return [_image(name, plan) for name in names]


def container_gpus(plan: Plan) -> list[Finding]:
    """Whether the engine can give containers the GPUs that the plan asks for."""
    if not any(task.gpu for task in plan.tasks) or doctor.knows_gpus() is not False:
        return []
    message = "the tasks request GPUs, but the engine does not support NVIDIA GPUs"
    page = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/"
    return [_said("gpus", "broken", message, f"install nvidia-container-toolkit: {page}")]


def _said(name: str, state: State, message: str, hint: str | None = None) -> Finding:
    return Finding("file", name, state, None, message, hint)


def _image(name: str, plan: Plan) -> Finding:
    has = doctor.has_image(name)
    if has:
        return _said("image", "ok", f"the engine has {name}")
    if has is None:
        return _said("image", "warning", f"whether the engine has {name} is unknown")
    if plan.build is not None and name == plan.image:
        return _said("image", "ok", f"{name} is not built yet; tenfold up builds it")
    return _said("image", "warning", f"the engine does not have {name}", f"docker pull {name}")
