"""Whom to tell about a run: `notify` of a plan, and what output shows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.base.secrets import HIDDEN, hide, shown_url

URL_VARIABLE = "TENFOLD_NOTIFY_URL"
"""The variable with the URL for a supervisor that reads its plan from a file."""


@dataclass(frozen=True, slots=True)
class NotifyTarget:
    """A URL or a command, and the events that it receives.

    `url` is a secret. `format` is None where the host of the URL decides.
    """

    url: str | None = None
    command: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    format: str | None = None

    @property
    def shown(self) -> str:
        """The target as output shows it: the host of the URL, or the program."""
        return shown_url(self.url) if self.url is not None else self.command[0]

    def to_json(self, masked: frozenset[str], *, hide_secrets: bool) -> dict[str, Any]:
        """The shape of `notify` in `plan --json`."""
        url = self.url if self.url is None or not hide_secrets else shown_url(self.url)
        command = [hide(word, masked) for word in self.command]
        return {"url": url, "command": command, "on": list(self.on), "format": self.format}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NotifyTarget:
        """The target that `to_json` wrote."""
        command, on = data.get("command") or (), data.get("on") or ()
        return cls(data.get("url"), tuple(command), tuple(on), data.get("format"))

    def restored(self, values: Mapping[str, str]) -> NotifyTarget | None:
        """The target with its URL from `values`, if it was hidden.

        None if it is not there.
        """
        if self.url is None or HIDDEN not in self.url:
            return self
        url = values.get(URL_VARIABLE)
        return None if url is None else NotifyTarget(url, self.command, self.on, self.format)
