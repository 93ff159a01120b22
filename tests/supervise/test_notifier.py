"""Telling a URL or a command about a run: real runs, real servers, slow, dead and redirecting."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tenfold.base import secrets
from tenfold.bringup.api import up
from tenfold.cells import secrets_of
from tenfold.planning.notify import NotifyTarget
from tenfold.planning.plan import HangPolicy, Plan, RestartPolicy
from tenfold.run.eventlog import read_events
from tenfold.run.rundir import RunDirectory
from tenfold.supervise import post
from tenfold.supervise.post import format_of, request_for, send
from tests.plans import plan_of, shell

TOKEN = "T0AAAA9/B0BBBB1/abc12345xyz"
FACTS = {"event": "failed", "title": "c failed", "text": "c failed: <@all> & é", "cluster": "c"}


@dataclass
class Inbox:
    """A web server: the requests it got, and what it does with each."""

    url: str = ""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: reply(handler, 200)


def reply(handler: BaseHTTPRequestHandler, code: int, **headers: str) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@contextlib.contextmanager
def server() -> Iterator[Inbox]:
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            inbox.got.append((self.path, dict(self.headers), body))
            with contextlib.suppress(OSError):
                inbox.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.block_on_close = False
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    inbox.url = f"http://127.0.0.1:{made.server_port}/{TOKEN}"
    try:
        yield inbox
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with server() as made:
        yield made


def events_of(run: RunDirectory) -> list[dict[str, Any]]:
    return [event.to_json() for event in read_events(run.events)[0]]


def told(runs: Path, plan: Plan) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The status of the plan's run after its end, and its events about notifications."""
    run = up(plan, runs=runs)
    status = run.wait(60)
    events = events_of(run.directory)
    for path in run.directory.path.rglob("*"):
        if path.is_file():
            assert b"abc12345xyz" not in path.read_bytes(), path
    return status, [event for event in events if "notif" in event["kind"]]


def failing(target: NotifyTarget, **more: Any) -> Plan:
    return plan_of(shell("chief", "echo begun; exit 3", **more), notify=target)


def test_a_url_is_told_of_restarts_and_of_the_failure(runs: Path, inbox: Inbox) -> None:
    again = RestartPolicy("on-failure", limit=1, backoff_s=0.1)
    target = NotifyTarget(inbox.url, on=("failed", "restarted"))
    status, events = told(runs, failing(target, restart=again))
    assert status["state"] == "failed"
    assert [(event["kind"], event["about"]) for event in events] == [
        ("notified", "restarted"),
        ("notified", "failed"),
    ]
    assert all(event["to"].endswith("/***") for event in events)
    facts = [json.loads(body) for _, _, body in inbox.got]
    assert [one["event"] for one in facts] == ["restarted", "failed"]
    assert facts[1]["run"] == status["run"]
    assert facts[1]["state"] == "failed"
    assert facts[1]["task"] == "chief/0"
    assert facts[1]["text"] == facts[1]["message"] == "c failed: chief/0 exited with code 3"
    assert {path for path, _, _ in inbox.got} == {f"/{TOKEN}"}


def test_events_that_are_not_chosen_are_not_told(runs: Path, inbox: Inbox) -> None:
    _, events = told(runs, failing(NotifyTarget(inbox.url, on=("ended", "hung"))))
    assert (events, inbox.got) == ([], [])


def test_a_run_that_succeeded_is_told(runs: Path, inbox: Inbox) -> None:
    target = NotifyTarget(inbox.url, on=("ended",))
    told(runs, plan_of(shell("chief", "true"), notify=target))
    assert [json.loads(body)["state"] for _, _, body in inbox.got] == ["succeeded"]


def test_a_hang_is_told_while_the_run_goes_on(runs: Path, inbox: Inbox) -> None:
    target = NotifyTarget(inbox.url, on=("hung",))
    script = "echo begun; kill -STOP $$; sleep 1"
    plan = plan_of(shell("chief", script), notify=target, hang=HangPolicy(0.5, "stop"))
    status, events = told(runs, plan)
    assert status["state"] == "failed"
    assert [event["about"] for event in events] == ["hung"]
    assert json.loads(inbox.got[0][2])["text"].startswith("c hangs: ")


def test_a_server_that_never_answers_delays_no_restart(runs: Path, inbox: Inbox) -> None:
    released = threading.Event()

    def never(_: BaseHTTPRequestHandler) -> None:
        released.wait(60)

    inbox.answer = never
    again = RestartPolicy("on-failure", limit=3, backoff_s=0.05)
    run = up(failing(NotifyTarget(inbox.url, on=("restarted",)), restart=again), runs=runs)
    try:
        status = run.wait(60, for_state=("failed",))
        events = events_of(run.directory)
        exits = [event["time"] for event in events if event["kind"] == "task-exited"]
        over = next(event["time"] for event in events if event["kind"] == "cluster-failed")
        answers = [event["time"] for event in events if "notif" in event["kind"]]
        assert len(exits) == 4
        assert status["state"] == "failed"
        assert over < min(answers, default=over + 1), "supervision did not wait for an answer"
        assert {e["message"] for e in events if e["kind"] == "notify-failed"} == {
            "no answer within 10 s"
        }
    finally:
        released.set()


def test_a_dead_server_is_an_event_and_nothing_else(runs: Path) -> None:
    with server() as gone:
        pass
    status, events = told(runs, failing(NotifyTarget(gone.url, on=("failed",))))
    assert status["state"] == "failed"
    assert [event["kind"] for event in events] == ["notify-failed"]
    assert "refused" in events[0]["message"]


def test_a_command_gets_variables_and_json(runs: Path) -> None:
    script = 'echo "$TENFOLD_EVENT $TENFOLD_TASK $TENFOLD_TITLE"; cat > "$TENFOLD_DIRECTORY/told"'
    target = NotifyTarget(command=("sh", "-c", script), on=("failed",))
    status, [event] = told(runs, failing(target))
    assert (event["kind"], event["output"]) == ("notified", "failed chief/0 c failed")
    facts = json.loads((Path(status["directory"]) / "told").read_text())
    assert facts["reason"] == "chief/0 exited with code 3"
    assert facts["version"] == 1


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("no-such-program",), "No such file"),
        (("sh", "-c", "echo wrong >&2; exit 4"), "exit code 4: wrong"),
        (("sh", "-c", "kill -9 $$"), "killed by signal 9"),
        (("sh", "-c", "exec 0<&-; sleep 600 & exec sleep 600"), "no answer within"),
        (("sh", "-c", "yes | head -c 5000000; exit 1"), "exit code 1"),
    ],
)
def test_a_command_that_fails_is_an_event(runs: Path, command: tuple[str, ...], why: str) -> None:
    status, [event] = told(runs, failing(NotifyTarget(command=command, on=("failed",))))
    assert status["state"] == "failed"
    assert event["kind"] == "notify-failed"
    assert why in event["message"]
    assert len(event["message"]) < 10_000


def test_the_format_follows_from_the_host() -> None:
    slack = "https://hooks.slack.com/services/T/B/x"
    discord = "https://discord.com/api/webhooks/1/x"
    formats = {
        slack: "slack",
        "https://chat.googleapis.com/v1/spaces/x/messages?key=1": "slack",
        discord: "discord",
        f"{discord}/slack": "slack",
        "https://ntfy.sh/topic": "ntfy",
        "https://hooks.slack.com.example.org/x": "json",
        "https://example.org/ntfy.sh": "json",
    }
    assert {url: format_of(url) for url in formats} == formats


def test_each_service_gets_what_it_documents() -> None:
    body, headers = request_for("slack", FACTS)
    assert json.loads(body) == {"text": "c failed: &lt;@all&gt; &amp; é"}
    body, _ = request_for("discord", FACTS | {"text": "x" * 3000})
    assert json.loads(body) == {"content": "x" * 2000, "allowed_mentions": {"parse": []}}
    body, headers = request_for("ntfy", FACTS | {"title": "é\nX: y"})
    assert body.decode() == FACTS["text"]
    assert headers["Title"].isascii()
    assert "\n" not in headers["Title"]
    assert headers["Priority"] == "high"
    body, _ = request_for("json", FACTS)
    assert json.loads(body)["text"] == json.loads(body)["message"] == FACTS["text"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_same_host_gets_the_same_request(inbox: Inbox, code: int) -> None:
    inbox.answer = lambda handler: reply(
        handler, *((code,) if len(inbox.got) == 1 else (200,)), Location="/moved"
    )
    assert send(inbox.url, b"{}", {"Content-Type": "application/json"}) is None
    assert [(path, body) for path, _, body in inbox.got] == [
        (f"/{TOKEN}", b"{}"),
        ("/moved", b"{}"),
    ]
    assert inbox.got[1][1]["Content-Type"] == "application/json"


def test_a_redirect_to_another_host_is_not_followed(inbox: Inbox) -> None:
    inbox.answer = lambda handler: reply(handler, 302, Location="http://localhost:9/abc12345xyz")
    why = send(inbox.url, b"{}", {})
    assert why is not None
    assert "redirects to http://localhost:9/***" in why
    assert "abc12345xyz" not in why


def test_an_endless_redirect_ends(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "PAUSES_S", ())
    inbox.answer = lambda handler: reply(handler, 302, Location="/again")
    assert send(inbox.url, b"{}", {})
    assert len(inbox.got) < 20


@pytest.mark.parametrize(("code", "attempts"), [(404, 1), (400, 1), (503, 3), (429, 3)])
def test_only_passing_errors_are_tried_again(
    inbox: Inbox, code: int, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "PAUSES_S", (0.01, 0.01))
    inbox.answer = lambda handler: reply(handler, code)
    assert f"answered {code}" in str(send(inbox.url, b"{}", {}))
    assert len(inbox.got) == attempts


def test_a_server_that_recovers_gets_the_notice(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "PAUSES_S", (0.01, 0.01))
    inbox.answer = lambda handler: reply(handler, 503 if len(inbox.got) < 3 else 204)
    assert send(inbox.url, b"{}", {}) is None


def test_a_url_is_hidden_in_the_plan_and_comes_back_by_its_variable() -> None:
    url = f"https://user:pass1234word@hooks.example.org/{TOKEN}?key=abc123def456"
    plan = plan_of(shell("chief", "true"), notify=NotifyTarget(url, on=("failed",)))
    hidden = json.dumps(plan.to_json())
    for part in ("abc12345xyz", "pass1234word", "abc123def456", "user"):
        assert part not in hidden
    assert "https://hooks.example.org/***" in hidden
    read = Plan.from_json(json.loads(hidden))
    assert read.restored({}).notify is None
    assert read.restored({"TENFOLD_NOTIFY_URL": url}).notify == plan.notify
    assert secrets.veiled(f"error: {url} abc12345xyz") == "error: *** ***"
    assert Plan.from_json(plan.to_json(hide_secrets=False)).notify == plan.notify
    assert url not in str(secrets_of(plan)), "tasks and their containers do not get it"


def test_time_passes_between_a_notice_and_its_answer_without_the_loop_waiting(
    runs: Path, inbox: Inbox
) -> None:
    """`down` ends a run whose server answers slowly, and its tasks end at once."""

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(3)
        reply(handler, 200)

    inbox.answer = slowly
    target = NotifyTarget(inbox.url, on=("ended",))
    run = up(plan_of(shell("chief", "sleep 600"), notify=target), runs=runs)
    run.wait(30, for_state=("running",))
    assert run.stop(timeout_s=30)["state"] == "stopped"
    events = events_of(run.directory)
    assert [event["kind"] for event in events][-2:] == ["cluster-stopped", "notified"]
