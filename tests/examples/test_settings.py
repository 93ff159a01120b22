"""Hyper-parameters that cannot be, and what is chosen by itself."""

from __future__ import annotations

from typing import Any

import pytest

from settings import LONGEST_STRETCH, Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"dim": 0},
        {"window": 0},
        {"epochs": -1},
        {"stretch": 33},
        {"stretch": -16},
        {"shared": -1},
        {"rate": 0.0},
        {"rate": 1e-9},
    ],
)
def test_invalid_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


@pytest.mark.parametrize("tokens", [1, 1_000, 300_000, 17_000_000])
def test_stretch_is_whole_batches(tokens: int) -> None:
    settings = Settings()
    stretch = settings.stretch_for(tokens, workers=8)
    assert stretch % settings.batch == 0
    assert settings.batch <= stretch <= LONGEST_STRETCH


@pytest.mark.parametrize(("negatives", "shared"), [(5, 32), (40, 40), (64, 64), (500, 64)])
def test_negatives_of_a_batch(negatives: int, shared: int) -> None:
    assert Settings(negatives=negatives).negatives_shared == shared
    assert Settings(negatives=negatives, shared=7).negatives_shared == 7


def test_rate_falls_linearly() -> None:
    settings = Settings(rate=0.03, least_rate=0.01)
    assert settings.rate_at(0.0) == pytest.approx(0.03)
    assert settings.rate_at(0.5) == pytest.approx(0.02)
    assert settings.rate_at(1.0) == pytest.approx(0.01)
