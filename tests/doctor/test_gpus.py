"""GPUs as nvidia-smi tells of them, and as it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.doctor import gpus as module
from tenfold.doctor.gpus import gpus
from tests.doctor.conftest import Programs

H100 = "0, NVIDIA H100 80GB HBM3, 81559, 550.54.15\n1, NVIDIA H100 80GB HBM3, 81559, 550.54.15\n"
REPORT = "==============NVSMI LOG==============\n\nCUDA Version                          : 12.4\n"


def smi(programs: Programs, table: str) -> None:
    (programs.directory / "table").write_text(table)
    (programs.directory / "report").write_text(REPORT)
    here = programs.directory
    programs.put(
        "nvidia-smi", f"case $1 in -q) /bin/cat {here}/report;; *) /bin/cat {here}/table;; esac"
    )


def test_each_gpu_is_listed_with_memory_and_driver(programs: Programs) -> None:
    smi(programs, H100)
    found, words = gpus()
    assert [(gpu.index, gpu.memory, gpu.driver, gpu.cuda) for gpu in found] == [
        ("0", 81559 << 20, "550.54.15", "12.4"),
        ("1", 81559 << 20, "550.54.15", "12.4"),
    ]
    assert [(each.area, each.name, each.state, each.version) for each in words] == [
        ("gpu", "0", "ok", "550.54.15"),
        ("gpu", "1", "ok", "550.54.15"),
    ]
    assert words[0].message == "NVIDIA H100 80GB HBM3, 79.6 GiB, driver 550.54.15, CUDA up to 12.4"


def test_a_gpu_that_shares_the_machines_memory(programs: Programs) -> None:
    smi(programs, '0, "NVIDIA GB10, Spark", [N/A], [Unknown Error]\n')
    (gpu,), (words,) = gpus()
    assert (gpu.name, gpu.memory, gpu.driver) == ("NVIDIA GB10, Spark", None, None)
    assert words.message == "NVIDIA GB10, Spark, memory shared with the machine, CUDA up to 12.4"


@pytest.mark.parametrize(
    ("words", "code", "state", "message", "hint"),
    [
        ("No devices were found", 6, "ok", "no NVIDIA GPU", None),
        ("Failed to initialize NVML: Driver/library version mismatch", 18, "broken",
         "different versions", "reboot"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9,
         "broken", "not loaded", "modprobe nvidia"),
        ("Unable to determine the device handle for GPU: GPU is lost.", 15, "broken",
         "nvidia-smi fails: Unable to determine", "see https://"),
    ],
)  # fmt: skip
def test_a_failing_nvidia_smi_is_reported(
    programs: Programs, words: str, code: int, state: str, message: str, hint: str | None
) -> None:
    programs.says("nvidia-smi", words + "\n", "", code)
    found, (told,) = gpus()
    assert not found
    assert told.state == state
    assert message in told.message
    assert (hint is None) == (told.hint is None)
    assert (hint or "") in (told.hint or "")


def test_a_hanging_nvidia_smi_is_reported(programs: Programs) -> None:
    programs.put("nvidia-smi", "/bin/sleep 600; exit 0")
    found, (told,) = gpus(0.5)
    assert not found
    assert told.state == "broken"
    assert "hangs" in told.message


def test_without_the_tool(tmp_path: Path) -> None:
    assert module._without_tool(tmp_path).state == "ok"
    device = tmp_path / "sys" / module._PCI / "0000:01:00.0"
    device.mkdir(parents=True)
    (device / "class").write_text("0x030200\n")
    (device / "vendor").write_text("0x8086\n")
    assert module._without_tool(tmp_path).state == "ok", "it is not NVIDIA's"
    (device / "vendor").write_text("0x10de\n")
    assert module._without_tool(tmp_path).state == "missing"
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").write_text("")
    assert module._without_tool(tmp_path).state == "warning"
