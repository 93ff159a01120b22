"""Tokenising and the dictionary, against the obvious slow way."""

from __future__ import annotations

import collections
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vocabulary

TEXT = "The cat, the DOG; the bird! Don't: naïve Ünïts x2y cat_dog"


def test_text_is_split_into_lowercase_words() -> None:
    assert vocabulary.tokens(TEXT) == (
        [
            "the",
            "cat",
            "the",
            "dog",
            "the",
            "bird",
            "don",
            "t",
            "naïve",
            "ünïts",
            "x",
            "y",
            "cat",
            "dog",
        ]
    )


def test_ids_in_order_of_frequency_then_of_appearance() -> None:
    words, ids = vocabulary.build(TEXT, min_count=1)
    assert words.words[:4] == ("the", "cat", "dog", "bird")
    assert words.counts[:4].tolist() == [3, 2, 2, 1]
    assert [words.words[i] for i in ids] == vocabulary.tokens(TEXT)
    assert words.index["bird"] == 3
    assert words.total == 14
    assert words.left_out == 0


def test_rare_words_are_left_out() -> None:
    words, ids = vocabulary.build(TEXT, min_count=2)
    assert words.words == ("the", "cat", "dog")
    assert words.left_out == 7
    assert [words.words[i] for i in ids] == ["the", "cat", "the", "dog", "the", "cat", "dog"]
    assert len(vocabulary.build(TEXT, size=2, min_count=1)[0]) == 2


@pytest.mark.parametrize("text", ["", "  ", "1 2 3", "!", "\0"])
def test_text_without_words_gives_an_empty_vocabulary(text: str) -> None:
    words, ids = vocabulary.build(text)
    assert len(words) == len(ids) == 0


def test_too_long_words_are_skipped() -> None:
    assert vocabulary.tokens("a" * 64 + " " + "b" * 65 + " c") == ["a" * 64, "c"]


def test_words_across_chunk_boundaries_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = vocabulary.build(TEXT * 20, min_count=1)
    monkeypatch.setattr(vocabulary, "_CHUNK", 7)
    words, ids = vocabulary.build(TEXT * 20, min_count=1)
    assert words.words == whole[0].words
    assert np.array_equal(ids, whole[1])


@settings(deadline=None)
@given(st.text(max_size=200))
def test_as_the_slow_way(text: str) -> None:
    plain = "".join(c if vocabulary._is_letter(c) else " " for c in text.lower()).split()
    assert vocabulary.tokens(text) == [word for word in plain if len(word) <= 64]
    words, ids = vocabulary.build(text, min_count=1)
    assert dict(zip(words.words, words.counts.tolist(), strict=True)) == collections.Counter(
        vocabulary.tokens(text)
    )
    assert [words.words[i] for i in ids] == vocabulary.tokens(text)


def test_a_million_words_take_no_loop() -> None:
    rng = np.random.default_rng(1)
    text = " ".join(f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(676))
    text = " ".join(np.array(text.split())[rng.integers(0, 676, 200_000)].tolist())
    words, ids = vocabulary.build(text)
    assert len(ids) == 200_000
    assert words.counts.tolist() == sorted(
        collections.Counter(re.findall(r"\w+", text)).values(), reverse=True
    )


def test_the_fingerprint_depends_on_the_words_and_counts() -> None:
    one, _ = vocabulary.build("a b a b a", min_count=1)
    same, _ = vocabulary.build("a b a b a", min_count=1)
    other, _ = vocabulary.build("a b a b", min_count=1)
    assert one.fingerprint == same.fingerprint != other.fingerprint
