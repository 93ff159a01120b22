"""Import a package as if some packages that it tries to import were absent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Let imports of these modules fail inside the block, as if they were absent.

    A module that is imported already stays. After the block all can be imported. For processes of
    tenfold's own: what is imported inside the block does without these modules ever after.
    """
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = cast("ModuleType", None)  # documented: ModuleNotFoundError follows
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
