"""Modules that are hidden from an import."""

from __future__ import annotations

import importlib
import sys

import pytest

from tenfold.base.absent import absent


def test_a_hidden_module_is_not_found_and_can_be_imported_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.setattr("builtins.print", lambda *_: None)
    with absent("this", "json"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("this")
        assert importlib.import_module("json").loads("1") == 1, "it was imported before"
    assert "this" not in sys.modules
    assert importlib.import_module("this").d


def test_modules_are_shown_again_after_an_error() -> None:
    with pytest.raises(KeyError), absent("antigravity"):
        raise KeyError
    assert "antigravity" not in sys.modules
