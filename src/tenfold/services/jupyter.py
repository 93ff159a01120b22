"""Jupyter as a task: in the run's network, rooted at the cluster file.

Its notebooks can become the cluster's chief (`tenfold.attach()`). This module hands over to
JupyterLab's own command, with the token in the environment and never among the arguments.
`python -m tenfold.services.jupyter`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping

from tenfold.services.token import own_token


def arguments(environment: Mapping[str, str], superuser: bool) -> list[str]:
    """The command line of JupyterLab for a task with this environment."""
    chosen = [
        sys.executable,
        *(["-P"] if sys.version_info >= (3, 11) else []),
        "-m",
        "jupyterlab",
        "--no-browser",
        f"--ServerApp.ip={environment.get('TENFOLD_BIND', '127.0.0.1')}",
        "--ServerApp.allow_remote_access=False",
        "--ServerApp.allow_unauthenticated_access=False",  # of extensions that forgot to ask
        "--IdentityProvider.cookie_options={'samesite': 'Strict'}",
        f"--ServerApp.port={environment['TENFOLD_PORT_HTTP']}",
        "--ServerApp.port_retries=0",
        "--Application.log_level=WARN",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=",
    ]
    return [*chosen, "--allow-root"] if superuser else chosen


def main() -> None:
    """Execute JupyterLab in this process."""
    if importlib.util.find_spec("jupyterlab") is None:
        sys.exit("JupyterLab is not installed: pip install 'tenfold[jupyter]'")
    environment = os.environ | {"JUPYTER_TOKEN": own_token(), "JUPYTER_PLATFORM_DIRS": "1"}
    argv = arguments(environment, os.geteuid() == 0)
    sys.stdout.flush()
    os.execve(sys.executable, argv, environment)


if __name__ == "__main__":
    main()
