"""Which source of a setting wins, and what a bad value says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.cluster import settings
from tenfold.errors import InputError


@pytest.fixture(autouse=True)
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's own file, not there yet, and no variable of tenfold's."""
    for name in settings.SETTINGS:
        monkeypatch.delenv(settings.variable(name), raising=False)
    path = tmp_path / "config.yaml"
    monkeypatch.setattr(settings, "user_file", lambda: path)
    settings._user_settings.cache_clear()
    yield path
    settings._user_settings.cache_clear()


def test_a_flag_overrides_variable_file_and_default(
    user_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(flag: str | None = None, file: str | None = None) -> tuple[str, str]:
        resolved = settings.resolve("runs", flag, {"runs": file})
        return resolved.value, resolved.origin

    assert found() == (".tenfold/runs", "default")
    user_file.write_text("runs: theirs\n")
    settings._user_settings.cache_clear()
    assert found() == ("theirs", str(user_file))
    assert found(file="in-file") == ("in-file", "the cluster file")
    monkeypatch.setenv("TENFOLD_RUNS", "variable")
    assert found(file="in-file") == ("variable", "TENFOLD_RUNS")
    assert found("flag", "in-file") == ("flag", "--runs")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("color: pink\n", "invalid value for color: 'pink'"),
        ("colour: auto\n", "unknown setting colour"),
        ("runs: [a\n", "is not valid YAML"),
        ("- runs\n", "must be a mapping"),
        ("runs: {a: 1}\n", "runs must be a single value"),
        ("runs: ''\n", "runs is empty"),
        ("\x00", "is not valid YAML"),
    ],
)
def test_bad_user_file_is_named(user_file: Path, text: str, message: str) -> None:
    user_file.write_text(text)
    with pytest.raises(InputError) as raised:
        _ = {name: settings.resolve(name) for name in settings.SETTINGS}
    assert str(user_file) in raised.value.message
    assert message in raised.value.message


def test_bad_user_file_that_is_no_text(user_file: Path) -> None:
    user_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read"):
        settings.resolve("runs")


def test_bad_flag_and_variable_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--isolation: invalid value for isolation: 'some'"):
        settings.resolve("isolation", "some")
    monkeypatch.setenv("TENFOLD_KEEP", "perhaps")
    with pytest.raises(
        InputError, match="TENFOLD_KEEP: invalid value for keep: 'perhaps'"
    ) as raised:
        settings.resolve("keep")
    assert raised.value.hint == "use yes, no"


@pytest.mark.parametrize(
    ("said", "meant"), [("1", "yes"), ("True", "yes"), ("0", "no"), ("", "no")]
)
def test_yes_and_no_have_many_spellings(
    monkeypatch: pytest.MonkeyPatch, said: str, meant: str
) -> None:
    monkeypatch.setenv("TENFOLD_KEEP", said)
    assert settings.resolve("keep").value == meant


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_RUNS", "")
    assert settings.resolve("runs").origin == "default"


def test_yaml_truth_is_yes(user_file: Path) -> None:
    user_file.write_text("keep: on\n")
    assert settings.resolve("keep").value == "yes"


HOOK = "https://hooks.slack.com/services/T0AAAA9/B0BBBB1/abc12345xyz"


def test_a_url_in_the_settings_file_is_never_shown(user_file: Path) -> None:
    user_file.write_text(f"notify: {HOOK}\n")
    found = settings.resolve("notify")
    assert (found.value, found.shown) == (HOOK, "https://hooks.slack.com/***")
    user_file.write_text(f"notify: {HOOK}: {{\n")
    settings._user_settings.cache_clear()
    with pytest.raises(InputError, match="is not valid YAML: line 1") as raised:
        settings.resolve("notify")
    assert "abc12345xyz" not in raised.value.message


@pytest.mark.parametrize(
    ("in_file", "variable", "user", "url", "on"),
    [
        (None, None, None, None, None),
        (None, None, HOOK, HOOK, ("ended", "failed", "hung")),
        ("https://a.example/x", None, HOOK, "https://a.example/x", ("ended", "failed", "hung")),
        ("none", None, HOOK, None, None),
        ("https://a.example/x", HOOK, None, HOOK, ("ended", "failed", "hung")),
        ("https://a.example/x", "none", HOOK, None, None),
        (
            "{url: 'https://a.example/x', on: failed}",
            None,
            HOOK,
            "https://a.example/x",
            ("failed",),
        ),
    ],
)
def test_the_file_overrides_the_user_and_the_variable_overrides_the_file(
    user_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_file: str | None,
    variable: str | None,
    user: str | None,
    url: str | None,
    on: tuple[str, ...] | None,
) -> None:
    from tenfold.bringup.api import planned
    from tenfold.cluster.file import loads

    if user is not None:
        user_file.write_text(f"notify: {user}\n")
    if variable is not None:
        monkeypatch.setenv("TENFOLD_NOTIFY", variable)
    line = f"notify: {in_file}\n" if in_file is not None else ""
    made = planned(loads(f"cluster: x\n{line}jobs: {{a: {{run: 'true'}}}}\n"))
    assert (made.notify and made.notify.url) == url
    assert (made.notify and made.notify.on) == on
    assert "abc12345xyz" not in str(made.to_json())


def test_the_events_are_a_setting_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from tenfold.bringup.api import planned
    from tenfold.cluster.file import loads

    loaded = loads("cluster: x\njobs: {a: {run: 'true'}}\n")
    monkeypatch.setenv("TENFOLD_NOTIFY", "notify-send 'a run'")
    monkeypatch.setenv("TENFOLD_NOTIFY_ON", "failed, restarted")
    made = planned(loaded)
    assert made.notify is not None
    assert made.notify.command == ("notify-send", "a run")
    assert made.notify.on == ("failed", "restarted")
    for name, value in (("TENFOLD_NOTIFY_ON", "sometimes"), ("TENFOLD_NOTIFY", "https:// x")):
        monkeypatch.setenv(name, value)
        with pytest.raises(InputError, match=name):
            planned(loaded)
