"""Watch a run's pods in a thread: a list, then every change from there on.

A watch that breaks off goes on where it was; one whose place is too old (410 Gone) begins with a
new list, which also tells what is there no longer. Silence of the API server is told once, and so
is its end; nothing ends because of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tenfold.errors import TenfoldError

_WATCH_S = 50
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 8.0
_SILENT_S = 5.0
_GONE = 410


class PodSource(Protocol):
    """The source of pods: an `Api`."""

    def list(self, kind: str, selector: str = "", fields: str = "") -> dict[str, Any]:
        """`items` and `metadata`."""

    def watch(
        self, kind: str, selector: str, version: str, seconds: int
    ) -> Iterator[dict[str, Any]]:
        """`type` and `object` of each change."""


@dataclass(frozen=True, slots=True)
class Ears:
    """The callbacks of the watch. They are called in its own thread.

    Attributes:
        on_pod: a pod as it is now; True if it was deleted.
        on_all: the uids of all pods there are.
        on_word: what people should know of the connection, and what to do.
    """

    on_pod: Callable[[Mapping[str, Any], bool], None]
    on_all: Callable[[frozenset[str]], None]
    on_word: Callable[[str, str | None], None]


class PodWatch:
    """Watches the pods that `selector` selects, from `start` to `stop`."""

    def __init__(self, source: PodSource, selector: str, ears: Ears) -> None:
        self._source = source
        self._selector = selector
        self._ears = ears
        self._stopped = threading.Event()
        self._version = ""
        self._silent_since: float | None = None
        self._told = False

    def start(self) -> None:
        """Start watching."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Stop: report nothing that comes later."""
        self._stopped.set()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopped.is_set():
            try:
                self.once()
                pause_s = _FIRST_PAUSE_S
            except (TenfoldError, ValueError) as error:
                self._silent(error)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                self._stopped.wait(pause_s)

    def once(self) -> None:
        """List pods if there is no version to start from, then watch until the end.

        The server ends the watch.
        """
        if not self._version:
            self._list()
        for event in self._source.watch("Pod", self._selector, self._version, _WATCH_S):
            if self._stopped.is_set():
                return
            self._heard()
            if event.get("type") == "ERROR":
                if event.get("object", {}).get("code") == _GONE:
                    self._version = ""
                    return
                raise TenfoldError(str(event.get("object", {}).get("message") or "watch failed"))
            self._take(event)

    def _list(self) -> None:
        found = self._source.list("Pod", self._selector)
        self._heard()
        self._version = str(found["metadata"]["resourceVersion"])
        for pod in found["items"]:
            self._ears.on_pod(pod, False)
        self._ears.on_all(frozenset(pod["metadata"]["uid"] for pod in found["items"]))

    def _take(self, event: Mapping[str, Any]) -> None:
        pod = event["object"]
        self._version = str(pod["metadata"]["resourceVersion"])
        if event["type"] != "BOOKMARK":
            self._ears.on_pod(pod, event["type"] == "DELETED")

    def _silent(self, error: Exception) -> None:
        """Report a connection that is lost for long.

        If the server answers `too old`, a list is requested.
        """
        if getattr(error, "status", None) == _GONE:
            self._version = ""
            return
        self._silent_since = self._silent_since or time.monotonic()
        if not self._told and time.monotonic() - self._silent_since >= _SILENT_S:
            self._told = True
            words = f"the connection to the cluster is lost: {error}"
            self._ears.on_word(words, getattr(error, "hint", None) or "tenfold retries")

    def _heard(self) -> None:
        if self._told:
            self._ears.on_word("the connection to the cluster is restored", None)
        self._silent_since, self._told = None, False
