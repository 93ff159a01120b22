"""What each task has sent to whom so far: connections, looked at again and again, added up.

Pure: it is handed what was seen and who owns what. Totals only grow, over all lives of a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tenfold.traffic.sockets import Address, Seen

OUTSIDE = "outside:"
"""Before the IP address of a peer that is no task."""


@dataclass(slots=True)
class Total:
    """A task and one peer. Bytes are None where they are not counted; `open` is now."""

    sent: int | None = 0
    received: int | None = 0
    open: int = 0
    opened: int = 0

    def to_json(self) -> list[int | None]:
        """`[sent, received, open, opened]`."""
        return [self.sent, self.received, self.open, self.opened]


@dataclass(slots=True)
class _Known:
    task: str
    peer: str
    sent: int | None
    received: int | None


@dataclass(frozen=True, slots=True)
class View:
    """What one network's connections are seen with.

    Attributes:
        owner: the task that has a socket, by inode; None: no task that is sampled here.
        task_at: the task whose address it is (`AddressBook.task_at`).
        whole: all sockets of the network are the run's: one without an owner is news, not noise.
        told_elsewhere: whether a peer with no name is a task that somebody else samples, and who
            tells of the connection from its own end.
        ignored: whether the socket is one of tenfold's own.
    """

    owner: Callable[[int], str | None]
    task_at: Callable[[Address], str | None]
    whole: bool = False
    told_elsewhere: Callable[[str], bool] = lambda _: False
    ignored: Callable[[Seen], bool] = lambda _: False


class Ledger:
    """Totals by task and peer. Each network's connections have to be shown under its own name."""

    def __init__(self) -> None:
        self.totals: dict[str, dict[str, Total]] = {}
        self._known: dict[tuple[str, object], _Known | None] = {}
        self._missed: set[tuple[str, object]] = set()
        """Connections that were not there at the last look, and of whose end nothing was heard."""
        self._changed: set[str] = set()

    def go_on(self, task: str, peers: Mapping[str, Sequence[int | None]]) -> None:
        """Count on from what an earlier sampler of `task` had: its `Total.to_json` by peer."""
        known = self.totals.setdefault(task, {})
        for peer, (sent, received, _, opened) in peers.items():
            known.setdefault(peer, Total(sent, received, 0, opened or 0))

    def changed(self) -> set[str]:
        """Tasks whose totals are not what they were at the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def unowned(self, network: str, seen: Iterable[Seen], owner: Mapping[int, str]) -> bool:
        """Whether there is a socket that nobody is known to have and that was not looked up."""
        return any(
            one.inode not in owner and one.inode and (network, one.key) not in self._known
            for one in seen
        )

    def look(self, network: str, seen: Iterable[Seen], view: View) -> None:
        """Add what was carried since the last look. `seen` are all connections there are now."""
        seen = list(seen)
        ends = self._ends(network, seen, view)
        here = set()
        for one in seen:
            here.add((network, one.key))
            self._add(network, one, ends, view)
        gone = {key for key in self._known if key[0] == network and key not in here}
        for key in gone & self._missed:  # the news of its end may come a little later than that
            self._close(self._known.pop(key))
        self._missed = {key for key in self._missed if key[0] != network} | (gone - self._missed)

    def close(self, network: str, closed: Iterable[Seen], view: View) -> None:
        """Add what connections that are gone have carried since they were last seen."""
        closed = list(closed)
        ends = self._ends(network, closed, view)
        for one in closed:
            self._add(network, one, ends, view)
            self._missed.discard((network, one.key))
            self._close(self._known.pop((network, one.key), None))

    def _ends(
        self, network: str, seen: Iterable[Seen], view: View
    ) -> dict[tuple[Address, Address], str]:
        """The task at each end that is seen, by (local, remote) address."""
        found = {}
        for one in seen:
            known = self._known.get((network, one.key))
            task = known.task if known else self._task(one, view)
            if task is not None:
                found[one.local, one.remote] = task
        return found

    def _task(self, one: Seen, view: View) -> str | None:
        owner = view.owner(one.inode) if one.inode else None
        return owner or (view.task_at(one.local) if view.whole or one.closed else None)

    def _add(
        self, network: str, one: Seen, ends: Mapping[tuple[Address, Address], str], view: View
    ) -> None:
        key = (network, one.key)
        known = self._known.get(key)
        if known is None:
            known = self._first(one, ends, view)
            if known is not None or one.inode:  # without an inode: nobody has accepted it yet
                self._known[key] = known
            if known is None:
                return
        total = self.totals[known.task][known.peer]
        if one.sent is None or one.received is None:
            return
        sent, received = one.sent - (known.sent or 0), one.received - (known.received or 0)
        if sent > 0 or received > 0:
            total.sent = (total.sent or 0) + max(0, sent)
            total.received = (total.received or 0) + max(0, received)
            known.sent, known.received = one.sent, one.received
            self._changed.add(known.task)

    def _first(
        self, one: Seen, ends: Mapping[tuple[Address, Address], str], view: View
    ) -> _Known | None:
        """A connection that is new: whose, and to whom. None if it is not the run's to tell."""
        task = ends.get((one.local, one.remote))
        if task is None or view.ignored(one) or (one.closed and not _carried(one)):
            return None
        peer = ends.get((one.remote, one.local)) or view.task_at(one.remote)
        if peer is None:
            if view.told_elsewhere(one.remote[0]):
                return None
            peer = OUTSIDE + one.remote[0]
        if peer == task:
            return None
        total = self.totals.setdefault(task, {}).setdefault(peer, Total())
        total.open += 1
        total.opened += 1
        if one.sent is None and not total.sent:
            total.sent = total.received = None
        self._changed.add(task)
        return _Known(task, peer, None, None)

    def _close(self, known: _Known | None) -> None:
        if known is not None:
            self.totals[known.task][known.peer].open -= 1
            self._changed.add(known.task)


def _carried(one: Seen) -> bool:
    return bool(one.sent or one.received)
