"""What the vectors know: nearest words, and the analogies of Mikolov et al. 2013.

Owns: measures on finished vectors (NumPy only). Leaves to others: pictures, training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def unit(vectors: Vectors) -> Vectors:
    """The vectors scaled to length 1, shape as before; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def neighbours(
    vectors: Vectors, which: Sequence[int], *, count: int = 8
) -> list[list[tuple[int, float]]]:
    """For each word of ``which``, its ``count`` nearest by cosine: (word, cosine), best first."""
    directions = unit(vectors)
    count = min(count, len(vectors) - 1)
    cosines = directions[list(which)] @ directions.T
    cosines[np.arange(len(which)), list(which)] = -np.inf
    return [
        [(int(other), float(row[other])) for other in np.argsort(-row, kind="stable")[:count]]
        for row in cosines
    ]


def interesting(words: Sequence[str], count: int = 12) -> list[int]:
    """Words worth a line in the table: frequent ones that mean something by themselves.

    Among the 50th to 1000th most frequent words of five letters and more, evenly spread.
    """
    long = [rank for rank, word in enumerate(words[:1000]) if rank >= 50 and len(word) >= 5]
    long = long or list(range(len(words)))
    step = max(1, len(long) // count)
    return long[::step][:count]


@dataclass(frozen=True)
class Section:
    """One kind of analogy: how many questions could be asked, and how many came out right."""

    name: str
    asked: int
    right: int


def questions(lines: Iterable[str]) -> dict[str, list[tuple[str, str, str, str]]]:
    """The file questions-words.txt: section → (a, b, c, d) with a : b = c : d, lower case."""
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    current: list[tuple[str, str, str, str]] = []
    for line in lines:
        if line.startswith(":"):
            current = sections.setdefault(line[1:].strip(), [])
        elif len(parts := line.lower().split()) == 4:
            current.append((parts[0], parts[1], parts[2], parts[3]))
    return sections


def analogies(
    vectors: Vectors,
    index: Mapping[str, int],
    sections: Mapping[str, Sequence[tuple[str, str, str, str]]],
    *,
    block: int = 1024,
) -> list[Section]:
    """Ask every question whose four words are known: is d the nearest word to b - a + c?

    As in word2vec, the three words of the question cannot be the answer.
    """
    directions = unit(vectors)
    results = []
    for name, asked in sections.items():
        known = np.array(
            [[index[word] for word in four] for four in asked if all(w in index for w in four)],
            np.int64,
        ).reshape(-1, 4)
        right = sum(
            _right(directions, known[begin : begin + block])
            for begin in range(0, len(known), block)
        )
        results.append(Section(name, len(known), right))
    return results


def _right(directions: Vectors, asked: NDArray[np.int64]) -> int:
    a, b, c, d = asked.T
    cosines = unit(directions[b] - directions[a] + directions[c]) @ directions.T
    rows = np.arange(len(asked))[:, None]
    cosines[rows, asked[:, :3]] = -np.inf
    return int((cosines.argmax(axis=1) == d).sum())
