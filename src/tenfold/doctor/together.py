"""The finding of `doctor` about TensorFlow and triton installed side by side.

Why the combination is dangerous, and what tasks of a run do about it, is in
`tenfold.launch.together`.
"""

from __future__ import annotations

import os
import sys

from tenfold.cells.probing.findings import Finding
from tenfold.launch import together

ADVICE = "tenfold up loads triton's library first; without tenfold, write `import triton` first"


def combination(python: str | None = None) -> list[Finding]:
    """A warning if TensorFlow and triton are both installed.

    `python` is the interpreter, tenfold's own if None.
    """
    found = together.found_by(os.environ, [python or sys.executable], "/")
    if found is None:
        return []
    message = (
        f"{together.versions(found)}: a process that imports TensorFlow first and triton "
        "(which PyTorch's optimizers import) later ends by SIGSEGV"
    )
    return [Finding("framework", "tensorflow and triton", "warning", None, message, ADVICE)]
