"""The sampler of a task runner: what is to be known of the place in which it samples.

In a container the network is the task's own, and so is its address. On a host that tasks share,
every runner tells of its own task's connections, and of those that others opened to it, they tell.
"""

from __future__ import annotations

from collections.abc import Iterable

from tenfold.frameworks.ranks import host_of
from tenfold.plans import Plan, Task
from tenfold.rundir import RunDirectory, read_json
from tenfold.traffic.book import AddressBook, Entry, resolve
from tenfold.traffic.sampler import Sampler, own_network


def sampler_of(plan: Plan, task: Task, run: RunDirectory) -> Sampler:
    """For the runner of `task` in its own container, its peers in theirs."""
    book = AddressBook(
        (
            Entry(peer.name, host_of(peer.address), port)
            for peer in plan.tasks
            if peer.address is not None
            for port in {int(peer.address.rpartition(":")[2]), *filter(None, peer.ports.values())}
        ),
        apart=True,
        resolve=lambda host: _addresses(run, host),
    )
    return Sampler(run, book, own_network(whole=task.network == "cluster"))


def _addresses(run: RunDirectory, host: str) -> Iterable[str]:
    """What the task that is called like its host said of itself; else what its name means.

    Where the run directory is shared, a name that nobody spoke for has no meaning yet, and asking
    for it could take seconds.
    """
    life = read_json(run.task(host).life)
    if life is not None:
        return [ip for ip in life.get("ips", ()) if isinstance(ip, str)]
    return [] if len(run.tasks()) > 1 else resolve(host)


def shared_sampler(run: RunDirectory, book: AddressBook) -> Sampler:
    """For a runner on a host that it shares with others'; addresses are put in the book later."""
    return Sampler(run, book, own_network(whole=False), told_elsewhere=book.is_ours)
