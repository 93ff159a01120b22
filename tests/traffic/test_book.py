"""Which task an address belongs to, on loopback, by host and port, and in containers."""

from __future__ import annotations

from tenfold.traffic.book import AddressBook, AddressEntry, entries_of, resolve


def test_loopback_goes_by_the_port() -> None:
    book = AddressBook(
        [AddressEntry("ps/0", "127.0.0.1", 2222), AddressEntry("ps/1", "localhost", 2223)]
    )
    assert book.task_at(("127.0.0.1", 2222)) == "ps/0"
    assert book.task_at(("::1", 2223)) == "ps/1"
    assert book.task_at(("127.0.0.1", 40_000)) is None
    assert book.task_at(("10.0.0.1", 2222)) is None
    assert book.is_ours("127.0.0.1")


def test_hosts_are_looked_up_when_they_are_needed_and_again() -> None:
    now, known = [0.0], {"n1": ["10.0.0.1"]}
    book = AddressBook(
        [AddressEntry("ps/0", "n1", 2222), AddressEntry("worker/0", "n2", 2222)],
        resolve=lambda host: known.get(host, []),
        clock=lambda: now[0],
    )
    assert book.task_at(("10.0.0.1", 2222)) == "ps/0"
    known["n2"] = ["10.0.0.2"]
    assert book.task_at(("10.0.0.2", 2222)) is None  # asked a moment ago
    now[0] = 2.0
    assert book.task_at(("10.0.0.2", 2222)) == "worker/0"
    assert book.is_ours("10.0.0.2")
    assert not book.is_ours("10.0.0.3")


def test_any_port_of_a_host_with_one_task_is_the_tasks() -> None:
    hosts = {"worker-0": ["172.18.0.5"], "n1": ["10.0.0.1"]}
    book = AddressBook(
        [
            AddressEntry("worker/0", "worker-0", 8080),
            AddressEntry("a/0", "n1", 1),
            AddressEntry("a/1", "n1", 2),
        ],
        resolve=lambda host: hosts[host],
    )
    assert book.task_at(("172.18.0.5", 51_234)) == "worker/0"
    assert book.listener(("172.18.0.5", 51_234)) is None
    assert book.listener(("172.18.0.5", 8080)) == "worker/0"
    assert book.task_at(("172.18.0.1", 51_234)) is None
    assert book.task_at(("10.0.0.1", 51_234)) is None
    assert book.task_at(("10.0.0.1", 2)) == "a/1"


def test_tasks_that_swap_addresses_are_found_at_their_new_ones() -> None:
    now, known = [0.0], {"worker-0": ["172.18.0.5"], "worker-1": ["172.18.0.6"]}
    book = AddressBook(
        [AddressEntry(f"worker/{n}", f"worker-{n}", 8080) for n in range(2)],
        resolve=lambda host: known[host],
        clock=lambda: now[0],
    )
    assert book.task_at(("172.18.0.5", 1)) == "worker/0"
    known |= {"worker-0": ["172.18.0.6"], "worker-1": ["172.18.0.5"]}
    now[0] = 30.0
    assert book.task_at(("172.18.0.5", 1)) == "worker/1"
    assert book.task_at(("172.18.0.6", 1)) == "worker/0"


def test_slow_name_lookups_are_not_repeated_all_the_time() -> None:
    now, asked = [0.0], []

    def slow(host: str) -> list[str]:
        asked.append(host)
        now[0] += 5.0
        return []

    book = AddressBook([AddressEntry("a/0", "n1", 1)], resolve=slow, clock=lambda: now[0])
    for _ in range(50):
        now[0] += 1.0
        book.task_at(("10.0.0.9", 1))
    assert len(asked) == 1


def test_an_invalid_host_name_resolves_to_nothing() -> None:
    assert resolve("a" * 64) == []
    assert resolve("no such host at all") == []


def test_entries_of_addresses() -> None:
    found = list(entries_of({"ps": ["n1:2222", "[fe80::1]:2223"], "chief": ["n1:2224"]}))
    assert found == [
        AddressEntry("ps/0", "n1", 2222),
        AddressEntry("ps/1", "fe80::1", 2223),
        AddressEntry("chief/0", "n1", 2224),
    ]
