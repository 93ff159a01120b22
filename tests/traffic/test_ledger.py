"""Connections added up: each byte once, whatever came and went between two looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.traffic.book import AddressBook, AddressEntry
from tenfold.traffic.ledger import MOST_OUTSIDE, MOST_OVER, Ledger, View
from tenfold.traffic.samples import PeerTotal
from tenfold.traffic.sockets import Address, ConnectionEnd

PS = ("127.0.0.1", 2222)
OWNERS = {1: "worker/0", 2: "ps/0", 3: "worker/1"}


def near(port: int) -> Address:
    return ("127.0.0.1", port)


def seen(local: Address, remote: Address, inode: int, sent: int | None, received: int | None,
         *, key: object = None, closed: bool = False) -> ConnectionEnd:  # fmt: skip
    return ConnectionEnd(key or (local, remote), local, remote, inode, sent, received, closed)


def both(port: int, sent: int, received: int, inode: int = 1, **more: Any) -> list[ConnectionEnd]:
    """A worker's connection to the ps, and the ps's end of it."""
    return [
        seen(near(port), PS, 0 if more.get("closed") else inode, sent, received, **more),
        seen(PS, near(port), 0 if more.get("closed") else 2, received, sent, **more),
    ]


def view(owners: Mapping[int, str] = OWNERS, **more: Any) -> View:
    book = AddressBook([AddressEntry("ps/0", "127.0.0.1", 2222)])
    values: dict[str, Any] = {"owner": owners.get, "book": book}
    return View(**(values | more))


WHOLE = view(whole=True)


def totals(ledger: Ledger) -> dict[tuple[str, str], list[int | None]]:
    return {
        (task, peer): list(total)
        for task in ledger.tasks()
        for peer, total in ledger.told(task).items()
    }


def test_both_ends_are_named_and_deltas_added() -> None:
    ledger = Ledger()
    ledger.look("net", both(40_000, 100, 10), WHOLE)
    ledger.look("net", both(40_000, 300, 20), WHOLE)
    assert totals(ledger) == {
        ("worker/0", "ps/0"): [300, 20, 1, 1],
        ("ps/0", "worker/0"): [20, 300, 1, 1],
    }
    assert ledger.changed() == {"worker/0", "ps/0"}
    ledger.look("net", both(40_000, 300, 20), WHOLE)
    assert ledger.changed() == set()


def test_last_bytes_come_with_the_end() -> None:
    ledger = Ledger()
    ledger.look("net", both(40_000, 100, 10), WHOLE)
    ledger.look("net", [], WHOLE)  # gone, and its end not heard of yet
    ledger.close("net", both(40_000, 500, 50, closed=True), WHOLE)
    assert totals(ledger)["worker/0", "ps/0"] == [500, 50, 0, 1]
    ledger.look("net", [], WHOLE)
    assert totals(ledger)["worker/0", "ps/0"] == [500, 50, 0, 1]


def test_a_connection_that_disappears_is_counted_as_closed_once() -> None:
    ledger = Ledger()
    ledger.look("net", both(40_000, 100, 10), WHOLE)
    for _ in range(4):
        ledger.look("net", [], WHOLE)
    assert totals(ledger)["worker/0", "ps/0"] == [100, 10, 0, 1]


def test_a_connection_shorter_than_a_sample_counts_by_the_port_it_went_to() -> None:
    ledger = Ledger()
    ledger.close("net", both(40_000, 100, 10, closed=True), WHOLE)
    assert totals(ledger) == {("ps/0", "outside:127.0.0.1"): [10, 100, 0, 1]}


def test_a_probe_that_carries_nothing_is_no_traffic() -> None:
    ledger = Ledger()
    ledger.close("net", both(40_000, 0, 0, closed=True), WHOLE)
    assert totals(ledger) == {}


def test_ignored_connections_are_not_counted() -> None:
    ledger = Ledger()
    own = view(whole=True, ignored=lambda one: 40_000 in (one.local[1], one.remote[1]))
    ledger.look("net", both(40_000, 100, 10), own)
    ledger.close("net", both(40_000, 100, 10, closed=True), own)
    assert totals(ledger) == {}


def test_outside_is_named_by_its_address() -> None:
    ledger = Ledger()
    far = seen(("10.0.0.2", 40_000), ("93.184.216.34", 443), 1, 100, 5_000)
    ledger.look("net", [far], view())
    assert totals(ledger) == {("worker/0", "outside:93.184.216.34"): [100, 5_000, 1, 1]}


def test_connections_of_other_programs_on_a_shared_network_belong_to_no_task() -> None:
    ledger = Ledger()
    stranger = seen(near(40_001), near(5432), 99, 100, 100)
    ledger.look("net", [stranger], view())
    ledger.close("net", [seen(near(40_002), near(5432), 0, 9, 9, closed=True)], view())
    assert totals(ledger) == {}


def test_on_a_shared_host_the_opener_reports_a_connection() -> None:
    ledger = Ledger()
    server = view({2: "ps/0"}, told_elsewhere=True)
    ledger.look("net", both(40_000, 100, 10), server)
    assert totals(ledger) == {}
    client = Ledger()
    client.look("net", both(40_000, 100, 10), view({1: "worker/0"}, told_elsewhere=True))
    assert totals(client) == {("worker/0", "ps/0"): [100, 10, 1, 1]}


def test_tasks_that_others_sample_on_the_same_host_are_named_and_not_counted() -> None:
    """Between two ports that nobody knows, as the sockets of a collective are."""
    ledger = Ledger()
    ends = [
        seen(near(50_001), near(50_002), 1, 100, 10),
        seen(near(50_002), near(50_001), 3, 10, 100),
    ]
    others = {3: "worker/1"}
    ledger.look("net", ends, view({1: "worker/0"}, neighbour=others.get, told_elsewhere=True))
    assert totals(ledger) == {("worker/0", "worker/1"): [100, 10, 1, 1]}


def test_a_reset_connection_reports_its_last_bytes_when_it_is_closed() -> None:
    """Until then no look shows it, and it counts as closed."""
    ledger = Ledger()
    ledger.look("net", both(40_000, 100, 10), WHOLE)
    for _ in range(5):
        ledger.look("net", [], WHOLE)
    assert totals(ledger)["worker/0", "ps/0"] == [100, 10, 0, 1]
    ledger.close("net", both(40_000, 500, 50, closed=True), WHOLE)
    assert totals(ledger) == {
        ("worker/0", "ps/0"): [500, 50, 0, 1],
        ("ps/0", "worker/0"): [50, 500, 0, 1],
    }


def test_a_peer_that_gets_its_name_late_takes_its_bytes_along() -> None:
    known: dict[str, list[str]] = {}
    now = [0.0]
    book = AddressBook(
        [AddressEntry("ps/0", "ps-0", 2222)],
        resolve=lambda host: known.get(host, []),
        clock=lambda: now[0],
    )
    far = ("172.18.0.7", 2222)
    ledger = Ledger()
    ledger.look("net", [seen(near(40_000), far, 1, 100, 10)], view(book=book))
    assert list(totals(ledger)) == [("worker/0", "outside:172.18.0.7")]
    known["ps-0"] = ["172.18.0.7"]
    now[0] = 30.0
    ledger.look("net", [seen(near(40_000), far, 1, 300, 30)], view(book=book))
    assert totals(ledger) == {("worker/0", "ps/0"): [300, 30, 1, 1]}


def test_very_many_addresses_outside_are_one() -> None:
    ledger = Ledger()
    many = [seen(near(n), (f"10.{n // 256}.{n % 256}.1", 80), 1, 1, 1) for n in range(1, 1_001)]
    ledger.look("net", many, view())
    told = ledger.told("worker/0")
    assert len(told) == MOST_OUTSIDE + 1
    assert told["outside:others"][0] == 1_000 - MOST_OUTSIDE


def test_connections_that_are_over_are_not_kept_for_ever() -> None:
    ledger = Ledger()
    for n in range(3):
        ends = [seen(near(p), PS, 1, 1, 1, key=(n, p)) for p in range(20_000, 30_000)]
        ledger.look("net", ends, WHOLE)
    ledger.look("net", [], WHOLE)
    ledger.look("net", [], WHOLE)
    assert len(ledger._known) <= MOST_OVER + 10_000


def test_a_task_does_not_talk_to_itself() -> None:
    ledger = Ledger()
    ledger.look("net", both(40_000, 100, 10, inode=2), WHOLE)
    assert totals(ledger) == {}


def test_a_connection_that_is_not_accepted_yet_is_read_again() -> None:
    ledger = Ledger()
    waiting = [both(40_000, 5, 0)[0], seen(near(2223), near(40_003), 0, 0, 7)]
    ledger.look("net", waiting, view())
    accepted = seen(near(2223), near(40_003), 3, 0, 7)
    ledger.look("net", [waiting[0], accepted], view())
    assert totals(ledger)["worker/1", "outside:127.0.0.1"] == [0, 7, 1, 1]


def test_bytes_are_unknown_where_only_connections_are_seen() -> None:
    ledger = Ledger()
    ledger.look("net", [seen(near(40_000), PS, 1, None, None)], WHOLE)
    assert totals(ledger) == {("worker/0", "ps/0"): [None, None, 1, 1]}


def test_totals_continue_from_an_earlier_sampler() -> None:
    ledger = Ledger()
    ledger.go_on("worker/0", {"ps/0": PeerTotal(1_000, 2_000, 3, 4)})
    ledger.look("net", both(40_000, 100, 10), WHOLE)
    assert totals(ledger)["worker/0", "ps/0"] == [1_100, 2_010, 1, 5]


def test_the_same_ports_in_two_networks_are_two_connections() -> None:
    ledger = Ledger()
    ledger.look("one", both(40_000, 100, 10), WHOLE)
    ledger.look("two", both(40_000, 100, 10), WHOLE)
    ledger.look("two", [], WHOLE)
    assert totals(ledger)["worker/0", "ps/0"] == [200, 20, 2, 2]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 1_000), st.booleans(), st.booleans()),
        max_size=30,
    )
)
def test_every_byte_counts_once(steps: list[tuple[int, int, bool, bool]]) -> None:
    """Connections grow, are looked at or not, and end: the totals are what was carried."""
    ledger, carried, alive, lives, paid = Ledger(), [0] * 4, [False] * 4, [0] * 4, 0
    for place, more, ends, looked in steps:
        alive[place] = True
        carried[place] += more
        paid += more
        key = (place, lives[place])
        if looked:
            living = [n for n in range(4) if alive[n]]
            ledger.look("net", [
                end for n in living
                for end in _keyed(both(40_000 + n, carried[n], 0), (n, lives[n]))
            ], WHOLE)  # fmt: skip
        if looked and more % 3 == 0:  # it is in no look for a while: reset, and not closed yet
            ledger.look("net", [], WHOLE)
            ledger.look("net", [], WHOLE)
        if ends:
            ledger.close("net", _keyed(both(40_000 + place, carried[place], 0, closed=True), key),
                         WHOLE)  # fmt: skip
            alive[place], carried[place] = False, 0
            lives[place] += 1
    living = [n for n in range(4) if alive[n]]
    last = [end for n in living for end in _keyed(both(40_000 + n, carried[n], 0), (n, lives[n]))]
    ledger.look("net", last, WHOLE)
    told = [total for (task, _), total in totals(ledger).items() if task == "ps/0"]
    assert sum(received or 0 for _, received, _, _ in told) == paid
    assert sum(now_open or 0 for _, _, now_open, _ in told) == len(living)


def _keyed(ends: list[ConnectionEnd], key: object) -> list[ConnectionEnd]:
    return [
        ConnectionEnd(
            (key, n), end.local, end.remote, end.inode, end.sent, end.received, end.closed
        )
        for n, end in enumerate(ends)
    ]


def test_traffic_before_a_task_is_known_is_counted_when_it_is_known() -> None:
    ledger = Ledger()
    early = view({}, whole=True, neighbour={1: "worker/0", 2: "ps/0"}.get)
    ledger.look("net", both(40_000, 100, 10), early)
    ledger.look("net", both(40_000, 200, 20), WHOLE)
    assert totals(ledger) == {}
    ledger.reconsider()
    ledger.look("net", both(40_000, 300, 30), WHOLE)
    assert totals(ledger)["worker/0", "ps/0"] == [300, 30, 1, 1]


def test_a_kept_task_counts_as_changed_again() -> None:
    ledger = Ledger()
    ledger.look("net", both(40_000, 100, 10), WHOLE)
    assert ledger.changed() == {"worker/0", "ps/0"}
    ledger.keep("ps/0")
    assert ledger.changed() == {"ps/0"}


def test_an_edge_is_cut_as_long_as_its_peer_does_not_acknowledge() -> None:
    ledger = Ledger()
    near_end, far_end = both(40_000, 100, 10)
    ledger.look("net", [near_end, far_end], WHOLE)
    ledger.changed()
    ledger.look("net", [replace(near_end, cut=True), far_end], WHOLE)
    assert (ledger.cut("worker/0"), ledger.cut("ps/0")) == ({"ps/0"}, set())
    assert ledger.changed() == {"worker/0"}
    ledger.look("other", [], WHOLE)  # says nothing of this one
    ledger.look("net", [replace(near_end, cut=True), far_end], WHOLE)
    assert (ledger.cut("worker/0"), ledger.changed()) == ({"ps/0"}, set())
    ledger.look("net", [near_end, far_end], WHOLE)
    assert (ledger.cut("worker/0"), ledger.changed()) == (set(), {"worker/0"})
