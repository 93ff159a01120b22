"""No fault, warning or error shows a secret, in whatever field of the file it stands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tenfold.base import secrets
from tenfold.bringup.api import planned
from tenfold.cli import run
from tenfold.cluster.file import loads
from tenfold.errors import Fault, InputError, SourcePosition, TenfoldError
from tenfold.planning.plan import Plan
from tenfold.planning.planner import plan
from tenfold.run.eventlog import EventLog

LONG = "hush-H4sh-hush"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    secrets.forget()
    yield tmp_path
    secrets.forget()


FIELDS = [
    ("cluster", "{}"),
    ("cluster", "A {}"),
    ("framework", "{}"),
    ("cell", "{}"),
    ("runs", "/dev/null/{}"),
    ("image", "{} !"),
    ("success", "{}"),
    ("stop_grace", "{}"),
    ("hang.after", "{}"),
    ("log_limit", "{}"),
    ("notify.on", "{}"),
    ("notify.format", "{}"),
    ("notify.url", "ftp://x/{}"),
    ("build.context", "~{}/x"),
    ("tensorboard.port", "{}"),
    ("cells.docker.shm_size", "{}"),
    ("cells.docker.mounts", "x:~{}"),
    ("env.{}", "x"),
    ("jobs.a.run", "{}"),
    ("jobs.a.run", "python {}.py"),
    ("jobs.a.run", "sh/{}/x.sh"),
    ("jobs.a.workdir", "/data/{}"),
    ("jobs.a.workdir", "~{}"),
    ("jobs.a.tasks", "{}"),
    ("jobs.a.after", "{}"),
    ("jobs.a.restart", "{}"),
    ("jobs.a.ready.log", "({}"),
    ("jobs.a.ready.http", "{}"),
    ("jobs.a.ready.command", "x && {}"),
    ("jobs.a.ready.tcp", "{}"),
    ("jobs.a.publish", "{}"),
    ("jobs.a.preload", "{}"),
    ("jobs.a.secret", "{}"),
    ("jobs.a.resources.memory", "{}"),
    ("jobs.a.network", "{}"),
    ("jobs.a.ports.web", "{}"),
    ("jobs.a.overrides.0.workdir", "/data/{}"),
    ("jobs.a.overrides.0.run", "{} && x"),
    ("jobs.a.env.DATA", "~{}"),
]
"""Values of keys; `{}` is where the secret goes."""


def said(capfd: pytest.CaptureFixture[str]) -> str:
    out, err = capfd.readouterr()
    return out + err


@pytest.mark.parametrize(("key", "value"), FIELDS)
@pytest.mark.parametrize("secret", [LONG, "q7-"], ids=["long", "short"])
def test_no_field_shows_its_secret(
    key: str,
    value: str,
    secret: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MY_TOKEN", secret)
    data: dict[str, object] = {"cluster": "x", "jobs": {"a": {"run": "true"}}}
    here = data
    *keys, last = key.replace("{}", "X").split(".")
    for part in keys:
        here = here.setdefault(part, {})  # type: ignore[assignment]
    here[last] = value.replace("{}", "${env.MY_TOKEN}")
    Path("x.yaml").write_text(json.dumps(data))
    commands = [["check"], ["check", "--json"], ["plan"], ["plan", "--json"], ["doctor"]]
    for command in [*commands, ["up", "--no-dashboard", "--runs=runs"], ["up", "--debug"]]:
        if command[0] == "up" and key in ("jobs.a.preload", "jobs.a.env.DATA"):
            continue  # it runs, or fails as a task of the user's
        if secret != LONG and command[0] in ("plan", "up"):
            continue  # a plan shows what it starts, and a short secret may be any word of it
        run([*command, "x.yaml"])
        assert secret not in said(capfd), command


def test_secrets_by_name_by_list_and_by_var() -> None:
    environment = {"PLAIN": LONG, "LISTED": "another-one", "A_KEY": "the-third"}
    text = """
cluster: x
vars: {password: ${env.PLAIN}, dir: "/d/${password}"}
jobs:
  a: {run: x, secret: [LISTED], workdir: "${dir}", tasks: "${dir}"}
  b: {run: x, tasks: "${env.LISTED}", env: {TOKEN: in-the-file, OTHER: x}}
  c: {run: x, restart: "${env.A_KEY}", network: in-the-file}
"""
    with pytest.raises(InputError) as caught:
        loads(text.replace("${env.PLAIN}", '"${env.PLAIN}"'), environment=environment)
    shown = str(caught.value)
    assert len(caught.value.faults) == 4
    assert not any(value in shown for value in (*environment.values(), "in-the-file"))


def test_a_set_option_is_not_repeated_with_its_secret() -> None:
    with pytest.raises(InputError) as caught:
        loads("cluster: x\njobs: {a: {run: x}}\n", settings=[f"jobs.b.env.TOKEN={LONG}"])
    assert "--set jobs.b.env.TOKEN=***" in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    ['it\'s "a" \\back', "a b&c=d/e%f", "äöü-über", "line1\nline2 is long enough", "q" * 200],
)
def test_secrets_are_found_however_they_are_written(secret: str) -> None:
    secrets.remember([secret])
    spellings = [
        secret,
        repr(secret),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        shlex.quote(secret),
        quote(secret),
        quote(secret, safe=""),
        f"{secret[:50]}…",
    ]
    for spelling in spellings:
        error = TenfoldError(f"there is no {spelling} here", hint=f"try {spelling}")
        assert "***" in f"{error}"
        assert secret[:20] not in f"{error} {error.hint}"
    fault = Fault(
        SourcePosition(f"--set a={secret}"), "a", secret, secret, source_line=f"a: {secret}"
    ).veiled()
    assert secret[:20] not in f"{fault} {fault.hint} {fault.source_line}"
    assert fault.source_line is not None
    assert len(fault.source_line) == len(f"a: {secret}")


def test_short_values_spoil_no_message() -> None:
    loaded = loads(
        'cluster: x\njobs: {a: {run: "x ${env.A_KEY} *", tasks: 11}}', environment={"A_KEY": "1"}
    )
    (warning,) = (w for w in loaded.warnings if "is not expanded" in w.message)
    assert "* is not expanded" in warning.message
    assert str(TenfoldError("11 tasks on 1 core")) == "11 tasks on 1 core"


def test_a_supervisor_knows_the_secrets_of_its_plan(tmp_path: Path) -> None:
    job = dict.fromkeys(("run", "workdir", "preload"), "/${env.A_KEY}")
    made = loads(json.dumps({"cluster": "x", "jobs": {"a": job}}), environment={"A_KEY": LONG})
    orders = json.dumps(plan(made).to_json(hide_secrets=False))
    assert LONG not in json.dumps(plan(made).to_json())
    secrets.forget()
    Plan.from_json(json.loads(orders))
    log = EventLog(tmp_path / "events.jsonl")
    log.write("note", words=f"cannot enter /{LONG}", more=[{"path": f"/{LONG}"}])
    log.close()
    assert LONG not in (tmp_path / "events.jsonl").read_text()


def test_python_code_gets_no_secret_in_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", LONG)
    Path("x.yaml").write_text('cluster: x\njobs: {a: {run: "./${env.A_KEY}"}}')
    with pytest.raises(InputError) as caught:
        planned("x.yaml")
    assert LONG not in f"{caught.value} {caught.value!r} {caught.value.faults}"
