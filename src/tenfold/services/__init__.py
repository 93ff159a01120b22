"""Pages that come with a cluster: TensorBoard and Jupyter, run as tasks.

tensorboard.py   TensorBoard behind a token; reads files, so it stays on the host's network
jupyter.py       Jupyter in the run's network, where a notebook can be the chief
guard.py         token, cookie, host and origin checks around a WSGI page
token.py         the secret of a page, in a file of the task's directory
"""

from __future__ import annotations

REQUIREMENTS = {
    "tensorboard": ("tensorboard", "tenfold[tensorboard]"),
    "jupyter": ("jupyterlab", "tenfold[jupyter]"),
}
"""By job: the module that has to be there, and what to install to have it."""
