"""Measures on vectors whose answers are known; files that others read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import evaluate
import pictures

WORDS = ("king", "queen", "man", "woman", "apple")
VECTORS = np.array([[1, 1, 0], [1, -1, 0.1], [0.2, 1, 0], [0.2, -1, 0.1], [0, 0, 1]], np.float32)
INDEX = {word: place for place, word in enumerate(WORDS)}


def test_neighbours_are_sorted_by_similarity() -> None:
    [near_king, near_apple] = evaluate.neighbours(VECTORS, [0, 4], count=3)
    assert next(WORDS[i] for i, _ in near_king) == "man"
    assert near_king == sorted(near_king, key=lambda pair: -pair[1])
    assert len(near_apple) == 3
    assert 4 not in [i for i, _ in near_apple]
    assert near_king[0][1] == pytest.approx(1.2 / np.sqrt(2 * 1.04))


def test_more_neighbours_than_words() -> None:
    assert len(evaluate.neighbours(VECTORS, [0], count=100)[0]) == 4


def test_unit_of_zero() -> None:
    assert evaluate.unit(np.zeros((2, 3), np.float32)).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("count", [1, 3, 60, 5000])
def test_interesting_words_exist(count: int) -> None:
    words = tuple(f"word{n}" for n in range(count))
    chosen = evaluate.interesting(words)
    assert chosen
    assert len(chosen) <= 12
    assert all(0 <= n < count for n in chosen)


def test_analogies_count_only_questions_of_known_words() -> None:
    sections = evaluate.questions(
        [": family", "Man King Woman Queen", "man king woman unknown", ": fruit", "x y z apple"]
    )
    assert list(sections) == ["family", "fruit"]
    family, fruit = evaluate.analogies(VECTORS, INDEX, sections)
    assert (family.asked, family.right) == (1, 1)
    assert (fruit.asked, fruit.right) == (0, 0)


def test_vectors_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "vectors.txt"
    pictures.save_vectors(path, WORDS, VECTORS)
    words, vectors = pictures.load_vectors(path)
    assert tuple(words) == WORDS
    assert np.allclose(vectors, VECTORS)
    assert [file.name for file in path.parent.iterdir()] == ["vectors.txt"]


def test_gensim_reads_the_vectors(tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models")
    pictures.save_vectors(tmp_path / "v.txt", WORDS, VECTORS)
    read = models.KeyedVectors.load_word2vec_format(str(tmp_path / "v.txt"))
    assert read.most_similar("king", topn=1)[0][0] == "man"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    pictures.save_vectors(path, WORDS, VECTORS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="zip"):
        pictures.save_vectors(path, WORDS[:3], VECTORS)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_projector_files_hold_words_and_vectors(tmp_path: Path) -> None:
    pictures.save_projector(tmp_path / "words", WORDS, VECTORS)
    assert "tensor_path" in (tmp_path / "words" / "projector_config.pbtxt").read_text()
    assert (tmp_path / "words" / "words.tsv").read_text().split() == list(WORDS)
    assert np.allclose(np.loadtxt(tmp_path / "words" / "vectors.tsv"), VECTORS)


@pytest.mark.filterwarnings("ignore")
def test_the_picture_is_written_as_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(1)
    words = [f"w{n}" for n in range(40)] + ["$x", "ä"]
    vectors = rng.normal(size=(42, 8)).astype(np.float32)
    pictures.save_picture(tmp_path / "words.png", words, vectors)
    assert (tmp_path / "words.png").read_bytes().startswith(b"\x89PNG")
    assert pictures.flatten(vectors[:2]).shape == (2, 2)
