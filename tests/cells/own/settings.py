"""`cells.own` of a cluster file."""

from __future__ import annotations

from tenfold.cluster.units import CellSettings, Text


class OwnSettings(CellSettings):
    """`cells.own`: plain processes."""

    summary = "Plain processes."

    protection: Text = "nothing protects the tasks' ports"
    """What the status says of the ports."""


SETTINGS = OwnSettings
