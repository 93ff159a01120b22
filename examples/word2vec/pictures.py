"""Vectors as files and pictures: word2vec's text format, TensorBoard's projector, a PNG.

Owns: formats. Every file is written whole and renamed into place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluate import Vectors, unit


def save_vectors(path: Path, words: Sequence[str], vectors: Vectors) -> None:
    """Write the word2vec text format: `count dim`, then a word and its numbers on each line."""
    with _whole(path) as part, part.open("w", encoding="utf-8") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n")
        for word, vector in zip(words, vectors, strict=True):
            file.write(f"{word} {' '.join(f'{x:.6g}' for x in vector.tolist())}\n")


def load_vectors(path: Path) -> tuple[list[str], Vectors]:
    """Read what save_vectors (or word2vec, or gensim) wrote: words, float32 [words, dim]."""
    with path.open(encoding="utf-8") as file:
        count, dim = (int(number) for number in file.readline().split())
        words = []
        vectors = np.empty((count, dim), np.float32)
        for row, line in enumerate(file):
            word, *numbers = line.rstrip().split(" ")
            words.append(word)
            vectors[row] = np.array(numbers, np.float32)
    if len(words) != count:
        raise ValueError(f"{path}: expected {count} words, found {len(words)}")
    return words, vectors


def save_projector(directory: Path, words: Sequence[str], vectors: Vectors) -> None:
    """Write what TensorBoard's projector shows, below its log directory: the words given."""
    directory.mkdir(parents=True, exist_ok=True)
    with _whole(directory / "vectors.tsv") as part:
        np.savetxt(part, vectors, fmt="%.5g", delimiter="\t")
    with _whole(directory / "words.tsv") as part:
        part.write_text("\n".join(words) + "\n", encoding="utf-8")
    with _whole(directory / "projector_config.pbtxt") as part:
        part.write_text(
            'embeddings {\n  tensor_name: "words"\n  tensor_path: "vectors.tsv"\n'
            '  metadata_path: "words.tsv"\n}\n'
        )


def flatten(vectors: Vectors, *, seed: int = 1) -> NDArray[np.float32]:
    """Two dimensions that keep neighbours together: float32 [words, 2].

    t-SNE on directions (word2vec's vectors are compared by cosine) if scikit-learn is installed;
    else the two main axes.
    """
    directions = unit(vectors)
    directions -= directions.mean(axis=0)
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        _, _, axes = np.linalg.svd(directions, full_matrices=False)
        return np.asarray(directions @ axes[:2].T, np.float32)
    perplexity = max(1.0, min(20.0, (len(vectors) - 1) / 4))
    tsne = TSNE(perplexity=perplexity, init="pca", metric="cosine", random_state=seed)
    return np.asarray(tsne.fit_transform(directions), np.float32)


def draw(words: Sequence[str], places: NDArray[np.float32]) -> Any:
    """A matplotlib figure of the words at their places; nothing is shown or saved."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 16), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(places[:, 0], places[:, 1], s=6, color="#d97706")
    for word, (x, y) in zip(words, places.tolist(), strict=True):
        axes.annotate(
            word.replace("$", r"\$"),
            (x, y),
            xytext=(3, 2),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set_axis_off()
    axes.set_title(f"the {len(words)} most frequent words")
    return figure


def save_picture(
    path: Path, words: Sequence[str], vectors: Vectors, *, count: int = 500, seed: int = 1
) -> None:
    """Write a PNG of the ``count`` first words. Raises ImportError without matplotlib."""
    figure = draw(words[:count], flatten(vectors[:count], seed=seed))
    with _whole(path) as part:
        figure.savefig(part, dpi=110, format="png")


class _whole:
    """A path to write to, beside the target; it becomes the target if nothing went wrong."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = target.with_name(target.name + ".part")

    def __enter__(self) -> Path:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        return self._part

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._part.replace(self._target)
        else:
            self._part.unlink(missing_ok=True)
