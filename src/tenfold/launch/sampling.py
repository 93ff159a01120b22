"""The sampler of a task runner, which depends on where the runner samples.

In a container the network is the task's own, and so is its address. On a host that tasks share,
every runner tells of its own task's connections, and of those that others opened to it, they tell.
"""

from __future__ import annotations

from collections.abc import Iterable

from tenfold.frameworks.ranks import host_of
from tenfold.planning.plan import Plan, Task
from tenfold.run.lives import TaskLife
from tenfold.run.rundir import RunDirectory
from tenfold.traffic.book import AddressBook, AddressEntry, resolve
from tenfold.traffic.sampler import Sampler, own_network


def sampler_of(plan: Plan, task: Task, run: RunDirectory) -> Sampler:
    """For the runner of a task in its own container, like its peers."""
    book = AddressBook(
        (
            AddressEntry(peer.name, host_of(peer.address), port)
            for peer in plan.tasks
            if peer.address is not None
            for port in {int(peer.address.rpartition(":")[2]), *filter(None, peer.ports.values())}
        ),
        resolve=lambda host: _addresses(run, host),
    )
    return Sampler(run, own_network(book, whole=task.network == "cluster"))


def _addresses(run: RunDirectory, host: str) -> Iterable[str]:
    """The address that the task named like its host published.

    Otherwise the addresses that the name resolves to.

    Where the run directory is shared, a name that nobody spoke for has no meaning yet, and asking
    for it could take seconds.
    """
    if (life := TaskLife.read(run.task(host).life)) is not None:
        return life.ips
    return [] if len(run.tasks()) > 1 else resolve(host)


def shared_sampler(run: RunDirectory) -> Sampler:
    """For a runner on a host shared with other runners.

    It gets the addresses later.
    """
    return Sampler(run, own_network(AddressBook(), whole=False), told_elsewhere=True)
