"""The supervisor's clock: seconds since 1970, unaffected by clock changes.

Everything that the policies measure (pauses, graces, deadlines) is measured with it, so that a
machine whose clock is set forward starts no storm of restarts, and one whose clock is set back
does not stop restarting. It stands still while the machine sleeps, as time.monotonic does on Linux.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def steady_clock() -> Callable[[], float]:
    """A clock that starts at the machine's time and then runs independently."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset
