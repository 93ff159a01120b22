"""TensorBoard as a task: the run's event files, on loopback, behind a token.

TensorBoard itself has no authentication; it is served here through its own program class, with
a guard around its WSGI application. `python -m tenfold.services.tensorboard`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from tenfold.base.absent import absent
from tenfold.run.rundir import RunDirectory
from tenfold.services.guard import WsgiGuard
from tenfold.services.token import own_token

_IDLE_S = 30 * 24 * 3600
"""Seconds without an event after which TensorBoard stops reading a file.

Its default is a day, and an evaluation may come less often. (It keeps every file that it still
reads open.)
"""


def main() -> None:
    """Serve until asked to end."""
    os.environ.setdefault(
        "TF_ENABLE_ONEDNN_OPTS", "0"
    )  # it computes nothing, and says so at length
    try:
        from tensorboard import default, main_lib, program
    except ImportError:
        sys.exit("TensorBoard is not installed: pip install 'tenfold[tensorboard]'")
    _import_tensorflow()
    token = own_token()
    port = os.environ["TENFOLD_PORT_HTTP"]
    bind = os.environ.get("TENFOLD_BIND", "127.0.0.1")

    class GuardedServer(program.WerkzeugServer):  # type: ignore[misc]
        """TensorBoard's own server, its application behind the guard."""

        def __init__(self, wsgi_app: Any, flags: Any) -> None:
            super().__init__(WsgiGuard(wsgi_app, token, f"tensorboard_{port}"), flags)

    directory = RunDirectory(Path(os.environ["TENFOLD_RUN_DIRECTORY"])).shared("tensorboard")
    main_lib.global_init()
    board = program.TensorBoard(default.get_plugins(), server_class=GuardedServer)
    board.configure([
        "tensorboard", "--logdir", str(directory), "--host", bind, "--port", port,
        "--load_fast", "false",  # the fast loader is a server of its own, without a token
        "--reload_multifile", "true",  # several ranks may write to one directory
        "--reload_multifile_inactive_secs", str(_IDLE_S),
    ])  # fmt: skip
    print(f"serving {directory} on {bind}:{port}", flush=True)
    sys.exit(board.main())


def _import_tensorflow() -> None:
    """Import TensorFlow, if it is installed, without what it imports on the side.

    TensorBoard imports it when it starts. Where jax, scikit-learn and matplotlib are installed,
    Keras and TensorFlow import them for functions that TensorBoard does not call, and the page
    comes up after twice the time.
    """
    with absent("jax", "sklearn", "matplotlib"), contextlib.suppress(ImportError):
        importlib.import_module("tensorflow")


if __name__ == "__main__":
    main()
