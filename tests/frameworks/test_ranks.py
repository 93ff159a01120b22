"""Which tasks form a group, and each one's place in it, whatever the cell calls its hosts."""

from __future__ import annotations

import pytest

from tenfold.frameworks import JobFacts, framework
from tenfold.frameworks.ranks import NO_SAVE, decisive, host_of, is_loopback, is_member, place

LOCAL = {
    "worker": ("127.0.0.1:2223", "127.0.0.1:2224"),
    "chief": ("127.0.0.1:2222",),
    "fetch": ("127.0.0.1:2225",),
    "tensorboard": ("127.0.0.1:2226",),
}
DOCKER = {"worker": ("worker-0:2222", "worker-1:2222", "worker-2:2222")}
SLURM = {"worker": ("n1:20001", "n1:20002", "n2:20001", "n2:20002", "n2:20003")}


def test_workers_alone_are_the_group() -> None:
    found = [place("worker", index, DOCKER) for index in range(3)]
    assert [own.rank for own in found] == [0, 1, 2]
    assert {own.size for own in found} == {3}
    assert {(own.head_host, own.head_port) for own in found} == {("worker-0", 2222)}
    assert not any(own.on_loopback for own in found)


def test_a_chief_is_rank_0_before_the_workers() -> None:
    assert place("chief", 0, LOCAL).rank == 0
    assert [place("worker", index, LOCAL).rank for index in range(2)] == [1, 2]
    assert place("worker", 1, LOCAL).head_port == 2222
    assert place("worker", 1, LOCAL).on_loopback


def test_another_job_is_a_group_of_its_own() -> None:
    alone = place("fetch", 0, LOCAL)
    assert (alone.rank, alone.size, alone.head_port) == (0, 1, 2225)
    assert place("worker", 0, LOCAL).size == 3


def test_local_ranks_count_those_on_the_same_host() -> None:
    found = [place("worker", index, SLURM) for index in range(5)]
    assert [own.local_rank for own in found] == [0, 1, 0, 1, 2]
    assert [own.local_size for own in found] == [2, 2, 3, 3, 3]
    assert [own.host for own in found] == [0, 0, 1, 1, 1]
    assert {own.hosts for own in found} == {2}
    in_containers = [place("worker", index, DOCKER) for index in range(3)]
    assert [(own.local_rank, own.local_size, own.host) for own in in_containers] == [
        (0, 1, 0), (0, 1, 1), (0, 1, 2)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "host", "loopback"),
    [
        ("127.0.0.1:1", "127.0.0.1", True),
        ("[::1]:1", "::1", True),
        ("[fd00::7]:1", "fd00::7", False),
        ("worker-0:1", "worker-0", False),
        ("localhost:1", "localhost", True),
    ],
)
def test_the_head_host_is_read_from_the_first_address(
    address: str, host: str, loopback: bool
) -> None:
    assert host_of(address) == host
    assert is_loopback(host) is loopback
    assert place("worker", 0, {"worker": (address,)}).head_host == host


def test_services_are_no_members() -> None:
    assert not is_member("tensorboard")
    assert not is_member("jupyter")
    assert is_member("anything")


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        (("worker",), ("worker",)),
        (("chief", "worker", "fetch"), ("chief", "worker")),
        (("fetch", "trainer"), ("fetch", "trainer")),
    ],
)
def test_the_success_jobs_are_those_of_the_framework(
    jobs: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert decisive(jobs) == expected


@pytest.mark.parametrize("name", ["torch", "jax"])
@pytest.mark.parametrize(
    ("job", "source", "warned"),
    [
        ("worker", "train()", True),
        ("worker", "tenfold.checkpoint.arrays()", False),
        ("worker", "torch.save(model)", False),
        ("worker", "model.save_pretrained(path)", False),
        ("worker", "write_snapshot(step)", False),
        ("worker", None, False),
        ("fetch", "download()", False),
    ],
)
def test_ranks_that_save_nothing_are_warned_of(
    name: str, job: str, source: str | None, warned: bool
) -> None:
    facts = JobFacts(job, 2, ("python", "train.py"), source)
    messages = [advice.message for advice in framework(name).advice([facts])]
    assert messages == [NO_SAVE] * warned
