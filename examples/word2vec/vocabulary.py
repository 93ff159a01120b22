"""From text to numbers: tokenising and the dictionary, without a Python loop over words.

A word is a run of letters (Unicode letters and their combining marks), lower case; everything else
separates words. Every word gets a 64-bit hash, computed for all words at once by NumPy: each
(letter, position) pair has a random 64-bit number, and a word's hash is their sum (tabulation
hashing; among a million different words two share a hash with a probability of about 3e-8). The
dictionary is then one sort of the hashes.

Owns: tokenising, counting, ranking. Leaves to others: where the text comes from (corpus.py), and
subsampling and negative sampling (sampling.py).
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

LONGEST_WORD = 64
"""Letters. A longer run of letters is data (base64, DNA), not a word, and is left out."""

_CHUNK = 4_000_000  # characters looked at in one go: bounds the memory at about 150 MB
_CODE_POINTS = 0x110000


@dataclass(frozen=True)
class Vocabulary:
    """The words kept, most frequent first: a word's rank is its id.

    ``counts[i]`` is how often ``words[i]`` occurs; ``left_out`` counts the occurrences of all
    words that were too rare to be kept.
    """

    words: tuple[str, ...]
    counts: NDArray[np.int64]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def index(self) -> dict[str, int]:
        """word → id."""
        return {word: rank for rank, word in enumerate(self.words)}

    @property
    def fingerprint(self) -> str:
        """Eight characters that differ between vocabularies: of words, counts, and order."""
        digest = hashlib.sha256("\n".join(self.words).encode("utf-8", "surrogatepass"))
        digest.update(self.counts.tobytes())
        return digest.hexdigest()[:8]

    @property
    def total(self) -> int:
        """Occurrences of all kept words."""
        return int(self.counts.sum())


def build(
    text: str, *, size: int = 50_000, min_count: int = 5
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Return the dictionary of ``text`` and the text as ids, in order.

    At most ``size`` words are kept, each seen at least ``min_count`` times; occurrences of other
    words are dropped from the ids (as word2vec and gensim do), so neighbours move together. Words
    of equal count are ranked by their first appearance. The same text gives the same result.
    """
    hashes, starts, lengths = _words(text)
    if not len(hashes):
        return Vocabulary((), np.zeros(0, np.int64)), np.zeros(0, np.int32)
    _, first, inverse, counts = np.unique(
        hashes, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -counts))
    order = order[counts[order] >= min_count][:size]
    rank = np.full(len(counts), -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    ids = rank[inverse]
    ids = ids[ids >= 0]
    lowered = _lower(text)
    words = tuple(
        lowered[start : start + length]
        for start, length in zip(
            starts[first[order]].tolist(), lengths[first[order]].tolist(), strict=True
        )
    )
    vocabulary = Vocabulary(words, counts[order].astype(np.int64), left_out=len(hashes) - len(ids))
    return vocabulary, ids


def tokens(text: str) -> list[str]:
    """The words of ``text`` as strings: for looking at, and for tests. Slow on long texts."""
    _, starts, lengths = _words(text)
    lowered = _lower(text)
    return [
        lowered[start : start + length]
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]


def _lower(text: str) -> str:
    # 'İ'.lower() is two characters; both are letters or marks, so positions stay consistent as
    # long as everything below looks at the lowered text only.
    return text.lower()


def _words(text: str) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Hash, start and length (in characters of the lowered text) of every word, in order."""
    points = np.frombuffer(_lower(text).encode("utf-32-le", "surrogatepass"), np.uint32)
    letter_of, table = _alphabet(points)
    pieces = [
        _words_between(points, begin, end, letter_of, table)
        for begin, end in _pieces(points, letter_of)
    ]
    if not pieces:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    hashes, starts, lengths = zip(*pieces, strict=True)
    return np.concatenate(hashes), np.concatenate(starts), np.concatenate(lengths)


def _alphabet(points: NDArray[np.uint32]) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """code point → letter number (0: no letter), and the random table [letter, position]."""
    seen = np.zeros(_CODE_POINTS, bool)
    seen[points] = True
    letters = [point for point in np.flatnonzero(seen).tolist() if _is_letter(chr(point))]
    letter_of = np.zeros(_CODE_POINTS, np.int32)
    letter_of[letters] = np.arange(1, len(letters) + 1)
    # Drawn for each letter by itself, so a word's hash does not depend on the rest of the text.
    table = np.zeros((len(letters) + 1, LONGEST_WORD + 1), np.uint64)
    for number, point in enumerate(letters, start=1):
        table[number] = np.random.default_rng(point).integers(
            0, 2**64, LONGEST_WORD + 1, dtype=np.uint64
        )
    return letter_of, table


def _is_letter(character: str) -> bool:
    return character.isalpha() or unicodedata.category(character).startswith("M")


def _pieces(points: NDArray[np.uint32], letter_of: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Cut the text into pieces of about _CHUNK characters, never inside a word."""
    pieces = []
    begin = 0
    while begin < len(points):
        end = min(begin + _CHUNK, len(points))
        while end < len(points) and letter_of[points[end]]:
            end += 1
        pieces.append((begin, end))
        begin = end
    return pieces


def _words_between(
    points: NDArray[np.uint32],
    begin: int,
    end: int,
    letter_of: NDArray[np.int32],
    table: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    letters = letter_of[points[begin:end]]
    edges = np.diff((letters > 0).astype(np.int8), prepend=0, append=0)
    starts = np.flatnonzero(edges == 1)
    lengths = np.flatnonzero(edges == -1) - starts
    letters = letters[letters > 0]  # the words, one behind the other
    offsets = np.cumsum(lengths) - lengths
    positions = np.arange(len(letters)) - np.repeat(offsets, lengths)
    numbers = table[letters, np.minimum(positions, LONGEST_WORD)]
    hashes = np.add.reduceat(numbers, offsets) if len(offsets) else np.zeros(0, np.uint64)
    words = lengths <= LONGEST_WORD
    return hashes[words], starts[words] + begin, lengths[words]
