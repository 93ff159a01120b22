"""Commands for the user to type on this machine.

They depend on its package manager, its services and its pip.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tenfold.cluster.python_probe import install_command


def as_root(command: str) -> str:
    """`command` as this user has to type it for superuser rights."""
    return command if os.geteuid() == 0 else f"sudo {command}"


def install(page: str, **packages: str) -> str:
    """The command that installs a package, else `see PAGE`.

    Packages are named by manager (`apt="slurm-client"`).
    """
    for manager, command in _MANAGERS.items():
        if manager in packages and shutil.which(command.split()[0]):
            whole = f"{command} {packages[manager]}"
            return whole if manager == "brew" else as_root(whole)
    return f"see {page}"


_MANAGERS = {
    "brew": "brew install",
    "apt": "apt-get install",
    "dnf": "dnf install",
    "zypper": "zypper install",
    "pacman": "pacman -S",
}


def start_service(name: str) -> str:
    """The command that starts a system service of this name."""
    if Path("/run/systemd/system").exists():
        return as_root(f"systemctl start {name}")
    return as_root(f"service {name} start")


def pip_install(*requirements: str) -> str:
    """The command that installs packages beside tenfold."""
    return install_command(sys.executable, *requirements)
