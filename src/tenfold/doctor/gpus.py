"""NVIDIA's GPUs on this machine, their driver, and which framework sees them.

Owns: what nvidia-smi says, in a table, and a bounded child that imports a framework and asks it:
the 2016 talk's `deviceQuery`. GPUs of other makers are not looked for.
"""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tenfold.base.quantities import limit_text, memory_text
from tenfold.cells.probing.ask import Answer, ask
from tenfold.cells.probing.findings import Finding
from tenfold.cells.probing.hints import as_root

DRIVER_PAGE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"
_FIELDS = "index,name,memory.total,driver_version"
_CUDA = re.compile(r"CUDA(?: UMD)? Version\s*:\s*([\d.]+)")
_PCI = "bus/pci/devices"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; `memory` in bytes, None where it has none of its own."""

    index: str
    name: str
    memory: int | None
    driver: str | None
    cuda: str | None


def gpus(timeout_s: float = 10.0) -> tuple[list[Gpu], list[Finding]]:
    """The GPUs, and the findings about them. One finding if there are none.

    Ends after about `timeout_s` seconds, even if the driver hangs.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return [], [_without_tool()]
    answer = ask([tool, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"], timeout_s)
    if answer is None:
        message = f"nvidia-smi gives no response within {limit_text(timeout_s)}: the driver hangs"
        return [], [_fault(message, as_root("dmesg | grep -i nvrm") + " says why; then reboot")]
    if answer.code != 0:
        return [], [_refused(answer)]
    found = list(_parse(answer.out, _cuda(tool, timeout_s)))
    return found, [_words(gpu) for gpu in found] or [_none()]


def _fault(message: str, hint: str) -> Finding:
    return Finding("gpu", "nvidia", "broken", None, message, hint)


def _none() -> Finding:
    return Finding(
        "gpu", "nvidia", "ok", None, "no NVIDIA GPU found; everything runs on the CPU", None
    )


def _without_tool(root: Path = Path("/")) -> Finding:
    if (root / "proc/driver/nvidia").exists() or (root / "dev/nvidia0").exists():
        message = "an NVIDIA driver is loaded, but nvidia-smi cannot be found"
        hint = "install the tools of the driver (in Docker: run --gpus all)"
        return Finding("gpu", "nvidia", "warning", None, message, hint)
    if _has_card(root / "sys"):
        message = "an NVIDIA GPU was found, but its driver is not installed"
        return Finding("gpu", "nvidia", "missing", None, message, f"see {DRIVER_PAGE}")
    return _none()


def _has_card(sysfs: Path) -> bool:
    """Whether a display controller or accelerator of NVIDIA is plugged in.

    Its class is 03xxxx, its vendor 10de.
    """
    with contextlib.suppress(OSError):
        for device in (sysfs / _PCI).iterdir():
            with contextlib.suppress(OSError):
                kind = (device / "class").read_text().strip()
                if kind.startswith("0x03") and _vendor(device) == "0x10de":
                    return True
    return False


def _vendor(device: Path) -> str:
    return (device / "vendor").read_text().strip()


def _refused(answer: Answer) -> Finding:
    text = (answer.out + answer.err).lower()
    if "no devices were found" in text:
        return _none()
    if "version mismatch" in text:
        message = "the loaded NVIDIA driver and its library have different versions"
        return _fault(message, as_root("reboot"))
    if "couldn't communicate" in text:
        message = "the NVIDIA driver is installed but not loaded"
        return _fault(message, f"{as_root('modprobe nvidia')}; if that fails, see {DRIVER_PAGE}")
    return _fault(f"nvidia-smi fails: {answer.last_line()}", f"see {DRIVER_PAGE}")


def _cuda(tool: str, timeout_s: float) -> str | None:
    """The newest CUDA that the driver can run; only the long report has it."""
    answer = ask([tool, "-q", "-d", "COMPUTE"], timeout_s)
    found = _CUDA.search(answer.out) if answer else None
    return found[1] if found else None


def _parse(text: str, cuda: str | None) -> Iterable[Gpu]:
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) >= 4 and row[0].strip().isdecimal():
            index, name, memory, driver = (cell.strip() for cell in row[:4])
            mib = int(memory) if memory.isdecimal() else None
            version = driver if driver[:1].isdecimal() else None
            yield Gpu(index, name, None if mib is None else mib << 20, version, cuda)


def _words(gpu: Gpu) -> Finding:
    parts = [
        gpu.name,
        "memory shared with the machine" if gpu.memory is None else memory_text(gpu.memory),
        f"driver {gpu.driver}" if gpu.driver else "",
        f"CUDA up to {gpu.cuda}" if gpu.cuda else "",
    ]
    message = ", ".join(part for part in parts if part)
    return Finding("gpu", gpu.index, "ok", gpu.driver, message, None)
