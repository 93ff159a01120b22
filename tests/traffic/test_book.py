"""Which task an address belongs to, on loopback, by host and port, and in containers."""

from __future__ import annotations

from tenfold.traffic.book import AddressBook, Entry, entries_of


def test_loopback_goes_by_the_port() -> None:
    book = AddressBook([Entry("ps/0", "127.0.0.1", 2222), Entry("ps/1", "localhost", 2223)])
    assert book.task_at(("127.0.0.1", 2222)) == "ps/0"
    assert book.task_at(("::1", 2223)) == "ps/1"
    assert book.task_at(("127.0.0.1", 40_000)) is None
    assert book.task_at(("10.0.0.1", 2222)) is None
    assert book.is_ours("127.0.0.1")


def test_hosts_are_looked_up_when_they_are_needed_and_again() -> None:
    now, known = [0.0], {"n1": ["10.0.0.1"]}
    book = AddressBook(
        [Entry("ps/0", "n1", 2222), Entry("worker/0", "n2", 2222)],
        resolve=lambda host: known.get(host, []),
        clock=lambda: now[0],
    )
    assert book.task_at(("10.0.0.1", 2222)) == "ps/0"
    assert book.task_at(("10.0.0.1", 2223)) is None
    known["n2"] = ["10.0.0.2"]
    assert book.task_at(("10.0.0.2", 2222)) is None  # asked a moment ago
    now[0] = 2.0
    assert book.task_at(("10.0.0.2", 2222)) == "worker/0"
    assert book.is_ours("10.0.0.2")
    assert not book.is_ours("10.0.0.3")


def test_apart_every_port_of_a_host_is_the_tasks() -> None:
    book = AddressBook(
        [Entry("worker/0", "worker-0", 8080)], apart=True, resolve=lambda _: ["172.18.0.5"]
    )
    assert book.task_at(("172.18.0.5", 51_234)) == "worker/0"
    assert book.task_at(("172.18.0.1", 51_234)) is None


def test_a_task_that_moved_is_found_at_its_new_address() -> None:
    now, known = [0.0], {"worker-0": ["172.18.0.5"]}
    book = AddressBook([Entry("worker/0", "worker-0", 8080)], apart=True,
                       resolve=lambda host: known[host], clock=lambda: now[0])  # fmt: skip
    assert book.task_at(("172.18.0.5", 1)) == "worker/0"
    known["worker-0"] = ["172.18.0.9"]
    now[0] = 10.0
    assert book.task_at(("172.18.0.9", 1)) == "worker/0"


def test_entries_of_addresses() -> None:
    found = list(entries_of({"ps": ["n1:2222", "[fe80::1]:2223"], "chief": ["n1:2224"]}))
    assert found == [
        Entry("ps/0", "n1", 2222),
        Entry("ps/1", "fe80::1", 2223),
        Entry("chief/0", "n1", 2224),
    ]
