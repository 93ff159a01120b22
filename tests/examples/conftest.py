"""The word2vec example's modules lie beside its train.py, and are imported from there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
WORD2VEC = ROOT / "examples" / "word2vec"
SPEECHES = ROOT.parent / "shared" / "data" / "speeches.txt"

if str(WORD2VEC) not in sys.path:
    sys.path.append(str(WORD2VEC))


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of 60,000 words about eight topics; see ``planted_topics``."""
    rng = np.random.default_rng(7)
    topics = planted_topics()
    shared = ["the", "of", "and", "to", "in"]
    lines = []
    for topic in rng.integers(0, len(topics), 3_000):
        words = rng.choice(topics[topic], 12).tolist()
        words.extend(rng.choice(shared, 8).tolist())
        rng.shuffle(words)
        lines.append(" ".join(words) + ".")
    path = tmp_path_factory.mktemp("planted") / "planted text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def planted_topics() -> list[list[str]]:
    """Eight topics of fifteen made-up words; a sentence keeps to one of them."""
    letters = "abcdefghijklmno"
    return [[f"topic{letters[t]}{letter}" for letter in letters] for t in range(8)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of the test's own."""
    place = tmp_path / "cache"
    monkeypatch.setenv("TENFOLD_WORD2VEC_CACHE", str(place))
    return place
