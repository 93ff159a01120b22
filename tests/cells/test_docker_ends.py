"""What the engine's State of a container that ended means: texts and flags in a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tenfold.cells import Ended
from tenfold.cells.docker.ends import REMOVED, with_reason
from tests.plans import shell

TASK = replace(shell("ps/1", "true"), memory=512 << 20)
KILLED = Ended(None, 9)


@pytest.mark.parametrize(
    ("ended", "state", "left", "reason", "cause"),
    [
        (KILLED, {}, False, None, None),
        (KILLED, {"Status": "exited", "OOMKilled": False}, False, None, None),
        (KILLED, {"OOMKilled": True}, False,
         "was killed (out of memory at its limit of 512MiB)", "oom"),
        (Ended(1), {"OOMKilled": True}, False,
         "exited with code 1 after a process of it ran out of memory at its limit of 512MiB",
         "oom"),
        (Ended(0), {"OOMKilled": True}, False, None, None),
        (KILLED, {"Status": "removing"}, False,
         "ended: its container was removed from outside", "removed"),
        (KILLED, REMOVED, True, "ended: its container was removed from outside", "removed"),
        (KILLED, {"Status": "exited"}, True, "ended because the Docker engine stopped",
         "node"),
    ],
)  # fmt: skip
def test_the_end_of_a_container_is_explained(
    ended: Ended, state: dict[str, Any], left: bool, reason: str | None, cause: str | None
) -> None:
    told = with_reason(ended, TASK, state, engine_left=left)
    assert (told.exit_code, told.signal) == (ended.exit_code, ended.signal)
    assert (told.reason, told.cause) == (reason, cause)
