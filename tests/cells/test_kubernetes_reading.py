"""What pods' states mean, and logs that come in pieces: pure, without a cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold.cells.kubernetes.api import refused
from tenfold.cells.kubernetes.logs import LogFollower, stamp
from tenfold.cells.kubernetes.pods import End, ended, trouble
from tenfold.cells.kubernetes.watch import Ears, PodWatch
from tenfold.errors import TenfoldError
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory


def pod(state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    """A pod whose task container is in this state."""
    containers = [] if state is None else [{"name": "task", "image": "i:1", "state": state}]
    spec = {"containers": [{"name": "task", "image": "i:1"}]}
    return {
        "metadata": {"name": "p"},
        "spec": spec,
        "status": {"containerStatuses": containers} | status,
    }


def over(code: int, **more: Any) -> dict[str, Any]:
    """A container that ended."""
    return {"terminated": {"exitCode": code} | more}


@pytest.mark.parametrize(
    ("given", "end"),
    [
        (pod(), None),
        (pod({"running": {}}), None),
        (pod(over(0)), End(0, None)),
        (pod(over(7)), End(7, None)),
        (pod(over(143)), End(None, 15)),
        (pod(over(200)), End(200, None)),  # no signal has this number
        (pod(over(137, message='{"exit_code": 137, "signal": null}')), End(137, None)),
        (pod(over(143, message='{"exit_code": null, "signal": 9}')), End(None, 9)),
        (pod(over(1, message="a text of the image's own")), End(1, None)),
    ],
)
def test_the_end_of_a_container_is_read_from_its_pod(
    given: dict[str, Any], end: End | None
) -> None:
    assert ended(given) == end


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (pod(over(137, reason="OOMKilled")), "was killed (out of memory)"),
        (
            pod(over(1, message='{"exit_code": 1, "signal": null, "memory_kills": 2}')),
            "exited with code 1 after 2 processes of it ran out of memory",
        ),
        (pod(over(137), reason="Evicted", message="disk"), "was evicted from its node: disk"),
        (pod(phase="Failed", reason="NodeAffinity"), "was ended by the cluster: NodeAffinity"),
    ],
)
def test_memory_and_node_failures_are_reported_as_the_cause(
    given: dict[str, Any], words: str
) -> None:
    end = ended(given) or End(None, None)
    assert words in str(end.words)
    assert end.cause == ("oom" if "memory" in words else "node")


@pytest.mark.parametrize(
    ("reason", "said", "final"),
    [
        ("ErrImagePull", "manifest unknown", True),
        ("ErrImagePull", "i/o timeout", False),
        ("ImagePullBackOff", "Back-off", True),
        ("InvalidImageName", "", True),
        ("CreateContainerConfigError", 'secret "c-secrets" not found', True),
    ],
)
def test_waiting_reasons_are_reported_as_troubles(reason: str, said: str, final: bool) -> None:
    found = trouble(pod({"waiting": {"reason": reason, "message": said}}))
    assert found is not None
    assert found.final is final
    assert (said or reason) in found.words


def test_a_pod_that_is_only_being_made_is_no_trouble() -> None:
    assert trouble(pod({"waiting": {"reason": "ContainerCreating"}})) is None


def test_refusals_have_a_hint() -> None:
    missing = refused(404, {"message": 'namespaces "ml" not found', "reason": "NotFound"})
    assert "kubectl create namespace" in str(missing.hint)
    assert "log in" in str(refused(401, {"message": "Unauthorized"}).hint)
    assert refused(500, {}).message == "HTTP status 500"


def test_the_time_stamp_of_a_log_line_is_parsed() -> None:
    assert stamp(b"2026-11-25T01:00:00.123456789Z a b") == (1795568400.123456, b"a b")
    assert stamp(b"2026-11-25T03:00:00.000000000+02:00 ") == (1795568400.0, b"")
    assert stamp(b"a line that has none") is None


def _line(second: int, text: str) -> bytes:
    return f"2026-11-25T01:00:{second:02}.000000000Z {text}".encode()


def test_repeated_lines_are_written_once(tmp_path: Path) -> None:
    """A reading breaks off; the next ones begin a second earlier, and after a rotation."""
    same = [_line(3, "same"), _line(3, "same")]
    readings = [
        [_line(1, "a"), _line(2, "b"), *same],
        [_line(2, "b"), *same, _line(3, "same"), _line(3, "c")],
        [_line(3, "c"), _line(4, "d")],  # what was before is rotated away
    ]
    asked: list[str | None] = []

    def open_log(since: str | None) -> Iterator[bytes]:
        asked.append(since)
        yield from readings[len(asked) - 1]
        if len(asked) < len(readings):
            raise TenfoldError("the connection broke")

    done = threading.Event()
    directory = RunDirectory(tmp_path).task("chief-0")
    directory.path.parent.mkdir()
    follower = LogFollower(open_log, directory, 1 << 30, done.set)
    follower.container_ended()
    follower.start()
    assert done.wait(60)
    assert follower.lost is None
    assert last_lines(directory, 99) == ["a", "b", "same", "same", "same", "c", "d"]
    assert asked == [None, "2026-11-25T01:00:02Z", "2026-11-25T01:00:02Z"]


class Replayed:
    """A source of pods that plays what it is given: lists, and watches."""

    def __init__(self, *watches: list[dict[str, Any]]) -> None:
        self.watches = list(watches)
        self.asked: list[str] = []

    def list(self, kind: str, selector: str = "", fields: str = "") -> dict[str, Any]:
        """No pods."""
        del kind, selector, fields
        self.asked.append("list")
        return {"items": [], "metadata": {"resourceVersion": "10"}}

    def watch(
        self, kind: str, selector: str, version: str, seconds: int
    ) -> Iterator[dict[str, Any]]:
        """The next one."""
        del kind, selector, seconds
        self.asked.append(version)
        yield from self.watches.pop(0)


def test_a_watch_continues_at_its_version_and_lists_again_if_that_expired() -> None:
    seen = {"metadata": {"resourceVersion": "12", "uid": "u"}}
    mark = {"metadata": {"resourceVersion": "15"}}
    source = Replayed(
        [{"type": "ADDED", "object": seen}, {"type": "BOOKMARK", "object": mark}],
        [{"type": "ERROR", "object": {"code": 410}}],
        [],
    )
    heard: list[tuple[str, bool]] = []
    ears = Ears(
        lambda pod, deleted: heard.append((pod["metadata"]["uid"], deleted)),
        lambda uids: None,
        lambda words, hint: None,
    )
    watch = PodWatch(source, "a=b", ears)
    for _ in range(3):
        watch.once()
    assert source.asked == ["list", "10", "15", "list", "10"]
    assert heard == [("u", False)]
