"""Which values are secrets, and how they are hidden."""

from __future__ import annotations

import pytest

from tenfold.base import secrets
from tenfold.base.secrets import blot, hide, is_secret, maskable


@pytest.mark.parametrize("name", ["TOKEN", "WANDB_API_KEY", "hub_token", "DB_PASSWORD", "A_SECRET"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["KEYS", "TOKENIZER", "MONKEY", "PASSWORD_FILE", ""])
def test_ordinary_names_are_not_secret(name: str) -> None:
    assert not is_secret(name)


def test_hiding_finds_what_a_template_has_escaped() -> None:
    assert hide("echo $${a}b ${a}b", ["${a}b"]) == "echo *** ***"


def test_hiding_takes_the_longest_first() -> None:
    assert hide("a=secret1 b=secret", ["secret", "secret1"]) == "a=*** b=***"
    assert maskable(["1", "geheim"]) == {"geheim"}


@pytest.mark.parametrize(
    ("line", "blotted"),
    [
        ("env: {API_KEY: hush, A: b}", "env: {API_KEY: ****, A: b}"),
        ('  TOKEN: "a b, c"  # x', "  TOKEN: ********  # x"),
        ("  hub_password: 'it''s'", "  hub_password: *******"),
        ("  API_KEY: ${env.KEY}", "  API_KEY: ${env.KEY}"),
        ("tasks: 3", "tasks: 3"),
    ],
)
def test_lines_keep_their_columns(line: str, blotted: str) -> None:
    assert blot(line) == blotted


@pytest.mark.parametrize(
    "text",
    [
        "postgres://u:pw4711@h/./db",
        "/w/postgres:/u:pw4711@h/db.py",  # as pathlib writes it
        "it is $${postgres}pw4711",  # as a template of ours escapes it
    ],
)
def test_a_secret_is_hidden_in_the_ways_it_is_written(text: str) -> None:
    secrets.remember(["postgres://u:pw4711@h/./db", "${postgres}pw4711"])
    try:
        assert "pw4711" not in secrets.veiled(text)
    finally:
        secrets.forget()
