"""What each task has sent to whom so far, summed over observed connections.

Pure: it is handed what was seen and who owns what. Totals only grow, over all lives of a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tenfold.traffic.book import AddressBook
from tenfold.traffic.samples import PeerTotal
from tenfold.traffic.sockets import Address, ConnectionEnd

OUTSIDE = "outside:"
"""The prefix of the IP address of a peer that is not a task."""

MOST_OUTSIDE = 200
"""The maximum number of outside addresses distinguished for each task."""

MOST_OVER = 10_000
"""The maximum number of closed connections kept.

They are kept until the news of their last bytes comes.
"""

RETRIES = 20
"""The number of looks at a connection that try to name its peer."""


@dataclass(slots=True)
class Total:
    """A task and one peer.

    Bytes are None if they are not counted. `open` is the number of connections now.
    """

    sent: int | None = 0
    received: int | None = 0
    open: int = 0
    opened: int = 0

    def now(self) -> PeerTotal:
        """The counts as they are now."""
        return PeerTotal(self.sent, self.received, self.open, self.opened)


@dataclass(slots=True)
class _KnownConnection:
    """A connection of a task, and the part of it that is in the totals already.

    `over`: it is in no look any more, and counts as closed; news of its last bytes may come.
    """

    task: str
    peer: str
    sent: int = 0
    received: int = 0
    looks: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """The owners and names for one network's connections.

    Attributes:
        owner: the task that has a socket, by inode; None: no task that is sampled here.
        neighbour: the same, of tasks that somebody else samples.
        book: whose addresses are.
        whole: all sockets of the network are the run's: one without an owner is news, not noise.
        told_elsewhere: a connection to a task's known port, from a host of the run, but from
            nobody who is known here, is told by the sampler of who opened it.
        ignored: whether the socket is one of tenfold's own.
    """

    owner: Callable[[int], str | None]
    book: AddressBook
    neighbour: Callable[[int], str | None] = lambda _: None
    whole: bool = False
    told_elsewhere: bool = False
    ignored: Callable[[ConnectionEnd], bool] = lambda _: False


class Ledger:
    """Totals by task and peer.

    Each network's connections have to be passed under its own name.
    """

    def __init__(self) -> None:
        self._totals: dict[str, dict[str, Total]] = {}
        self._known: dict[tuple[str, object], _KnownConnection | None] = {}
        self._over: dict[tuple[str, object], None] = {}
        self._missed: set[tuple[str, object]] = set()
        """Connections that were missing at the last look.

        Their end has not been reported.
        """
        self._changed: set[str] = set()
        self._cut: dict[str, dict[str, set[str]]] = {}
        """By network and task, the peers that do not acknowledge what is sent."""

    def go_on(self, task: str, peers: Mapping[str, PeerTotal]) -> None:
        """Continue the counts of an earlier sampler of `task`, by peer."""
        known = self._totals.setdefault(task, {})
        for peer, total in peers.items():
            known.setdefault(peer, Total(total.sent, total.received, 0, total.opened))

    def told(self, task: str) -> dict[str, PeerTotal]:
        """A task's totals, by peer."""
        return {peer: total.now() for peer, total in sorted(self._totals[task].items())}

    def cut(self, task: str) -> set[str]:
        """The peers that did not acknowledge a task's data at the last look."""
        return {peer for peers in self._cut.values() for peer in peers.get(task, ())}

    def tasks(self) -> list[str]:
        """The tasks that have totals."""
        return list(self._totals)

    def changed(self) -> set[str]:
        """Tasks whose totals have changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def keep(self, task: str) -> None:
        """Report the task as changed at the next call, too."""
        self._changed.add(task)

    def unowned(
        self, network: str, seen: Iterable[ConnectionEnd], owner: Mapping[int, str]
    ) -> bool:
        """Whether a socket belongs to no known owner and was not looked up."""
        return any(
            one.inode not in owner and one.inode and (network, one.key) not in self._known
            for one in seen
        )

    def look(self, network: str, seen: Iterable[ConnectionEnd], view: View) -> None:
        """Add what was carried since the last look.

        `seen` are all connections there are now.
        """
        seen = list(seen)
        ends = self._ends(network, seen, view)
        here = set()
        for one in seen:
            here.add((network, one.key))
            self._add(network, one, ends, view)
        gone = {key for key in self._known if key[0] == network and key not in here}
        for key in gone & self._missed:
            self._miss(key)
        self._missed = {key for key in self._missed if key[0] != network} | (gone - self._missed)
        self._note_cut(network, seen)

    def _note_cut(self, network: str, seen: Iterable[ConnectionEnd]) -> None:
        now: dict[str, set[str]] = {}
        for one in seen:
            known = self._known.get((network, one.key)) if one.cut else None
            if known is not None:
                now.setdefault(known.task, set()).add(known.peer)
        before = self._cut.get(network, {})
        self._cut[network] = now
        self._changed |= {task for task in {*before, *now} if before.get(task) != now.get(task)}

    def reconsider(self) -> None:
        """Look again at connections without an owner.

        A task may communicate before this object is informed of its start.
        """
        self._known = {key: known for key, known in self._known.items() if known is not None}
        self._missed &= self._known.keys()

    def _miss(self, key: tuple[str, object]) -> None:
        """Handle a connection that two looks in a row did not show.

        What was reset, or shut down on both sides, is in no look until its process closes it;
        only then its end is told, with all it has carried. So it stays known for a while.
        """
        known = self._known[key]
        if known is None:
            del self._known[key]
        elif not known.over:
            self._end(known)
            self._over[key] = None
            if len(self._over) > MOST_OVER:
                self._forget(next(iter(self._over)))

    def close(self, network: str, closed: Iterable[ConnectionEnd], view: View) -> None:
        """Add the last bytes of closed connections."""
        closed = list(closed)
        ends = self._ends(network, closed, view)
        for one in closed:
            key = (network, one.key)
            self._add(network, one, ends, view)
            known = self._known.get(key)
            if known is not None and not known.over:
                self._end(known)
            self._forget(key)

    def _forget(self, key: tuple[str, object]) -> None:
        self._known.pop(key, None)
        self._over.pop(key, None)
        self._missed.discard(key)

    def _end(self, known: _KnownConnection) -> None:
        known.over = True
        self._totals[known.task][known.peer].open -= 1
        self._changed.add(known.task)

    def _again(self, key: tuple[str, object], known: _KnownConnection) -> None:
        """Restore a connection that was considered closed."""
        known.over = False
        self._over.pop(key, None)
        self._totals[known.task][known.peer].open += 1

    def _ends(
        self, network: str, seen: Iterable[ConnectionEnd], view: View
    ) -> dict[tuple[Address, Address], str]:
        """The task at each visible end, by (local, remote) address."""
        found = {}
        for one in seen:
            known = self._known.get((network, one.key))
            task = known.task if known else self._task(one, view) or view.neighbour(one.inode)
            if task is not None:
                found[one.local, one.remote] = task
        return found

    def _task(self, one: ConnectionEnd, view: View) -> str | None:
        """The task of this end. Without an owner, the one that listens on the port."""
        owner = view.owner(one.inode) if one.inode else None
        if owner is not None or view.neighbour(one.inode):
            return owner
        by_port = view.whole or (one.closed and not view.told_elsewhere)
        return view.book.listener(one.local) if by_port else None

    def _add(
        self,
        network: str,
        one: ConnectionEnd,
        ends: Mapping[tuple[Address, Address], str],
        view: View,
    ) -> None:
        key = (network, one.key)
        known = self._known.get(key)
        if known is None:
            known = None if key in self._known else self._first(one, ends, view)
            if known is not None or one.inode:  # without an inode: nobody has accepted it yet
                self._known[key] = known
            if known is None:
                return
        elif known.over and not one.closed:
            self._again(key, known)
        elif known.looks < RETRIES and known.peer.startswith(OUTSIDE):
            known.looks += 1
            self._name_again(known, one, ends, view)
        total = self._totals[known.task][known.peer]
        if one.sent is None or one.received is None:
            return
        sent, received = one.sent - known.sent, one.received - known.received
        if sent > 0 or received > 0:
            total.sent = (total.sent or 0) + max(0, sent)
            total.received = (total.received or 0) + max(0, received)
            known.sent, known.received = (
                max(known.sent, one.sent),
                max(known.received, one.received),
            )
            self._changed.add(known.task)

    def _first(
        self, one: ConnectionEnd, ends: Mapping[tuple[Address, Address], str], view: View
    ) -> _KnownConnection | None:
        """A new connection, with its owner and its peer.

        None if the run does not count it.
        """
        task = self._task(one, view)
        if task is None or view.ignored(one) or (one.closed and not _carried(one)):
            return None
        peer = self._peer(one, ends, view)
        if peer is None:
            ours = view.book.is_ours(one.remote[0])
            if view.told_elsewhere and ours and view.book.listener(one.local) == task:
                return None
            peer = self._outside(task, one.remote[0])
        if peer == task:
            return None
        total = self._totals.setdefault(task, {}).setdefault(peer, Total())
        total.open += 1
        total.opened += 1
        if one.sent is None and not total.sent:
            total.sent = total.received = None
        self._changed.add(task)
        return _KnownConnection(task, peer)

    def _peer(
        self, one: ConnectionEnd, ends: Mapping[tuple[Address, Address], str], view: View
    ) -> str | None:
        return ends.get((one.remote, one.local)) or view.book.task_at(one.remote)

    def _outside(self, task: str, host: str) -> str:
        """The name of a peer that is not a task.

        If there are very many, one name for all.
        """
        known = self._totals.get(task, {})
        name = OUTSIDE + host
        if name not in known and sum(peer.startswith(OUTSIDE) for peer in known) >= MOST_OUTSIDE:
            return OUTSIDE + "others"
        return name

    def _name_again(
        self,
        known: _KnownConnection,
        one: ConnectionEnd,
        ends: Mapping[tuple[Address, Address], str],
        view: View,
    ) -> None:
        """Rename a peer that gets its name after its connection.

        What the connection has carried is moved.
        """
        peer = self._peer(one, ends, view)
        if peer is None or peer in (known.peer, known.task):
            return
        peers = self._totals[known.task]
        before, after = peers[known.peer], peers.setdefault(peer, Total())
        for total, sign in ((before, -1), (after, 1)):
            total.open += sign
            total.opened += sign
            total.sent = (total.sent or 0) + sign * known.sent
            total.received = (total.received or 0) + sign * known.received
        if not before.opened and not before.sent and not before.received:
            del peers[known.peer]
        known.peer = peer
        self._changed.add(known.task)


def _carried(one: ConnectionEnd) -> bool:
    return bool(one.sent or one.received)
