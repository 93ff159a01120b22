"""Names of the standard library that Python 3.10 does not have.

tenfold itself needs Python 3.11. The modules that travel with a run (`tasks.library`) are also
imported by interpreters of users, from Python 3.10 on, and take these names from here.
"""

from __future__ import annotations

import sys
from datetime import timezone

UTC = timezone.utc  # noqa: UP017 - `datetime.UTC` is new in Python 3.11

if sys.version_info >= (3, 11):  # noqa: UP036 - see above
    from enum import StrEnum
    from typing import Self
else:
    from enum import Enum
    from typing import Any as Self

    class StrEnum(str, Enum):  # noqa: UP042
        """`enum.StrEnum` of Python 3.11, without `auto`."""

        __str__ = str.__str__
        __format__ = str.__format__


SAFE_PATH: bool = getattr(sys.flags, "safe_path", False)
"""`sys.flags.safe_path` of Python 3.11: the option `-P`."""

__all__ = ["SAFE_PATH", "UTC", "Self", "StrEnum"]
