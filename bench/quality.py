"""How good word vectors are: two measures with known answers, and gensim to compare with.

*Planted*: a text made so that the answer is known. Its words belong to clusters; a sentence keeps
to one cluster, and stop words that all clusters share are mixed in. A word's ten nearest (cosine,
over all words) should be of its own cluster; the share of those that are, over many words of a
band, is the score (``precision``). Random vectors score about 1 / clusters.

    text = planted(Path("planted.txt"), seed=1)    # 50,000 words in 500 clusters
    words, vectors = pictures.load_vectors(path)   # or train_gensim(text.path, settings, …)
    precision(words, vectors, text)                # {"frequent": 1.0, "middling": …, "rare": …}
    finite(vectors)                                # 1.0: NaN must not pass for a score

gensim finds 1.00, 1.00, .80 of them after one epoch with window 1 and 64 negatives (1.00, 1.00,
.99 with window 5 and 5 negatives): easy where words are frequent, hard where they are rare.

*Twins*, on any real text: words are chosen, and every occurrence of each is replaced, at random, by
one of two made-up words. The two are used exactly alike, so each should be among the other's ten
nearest; the share of those that are is the score (``twinned``, ``twins_found``). Unlike analogies
it can be asked of any corpus, hundreds of times in each band, so that differences of a few
hundredths are no accident.

From a shell, `python bench/quality.py plant FILE [--seed N] [--tokens N]` writes a planted text,
and `python bench/quality.py score FILE VECTORS …`, with the same options, scores a vectors.txt.

Owns: the texts, the measures, gensim's training. Leaves to others: what is compared (train.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from word2vec_example import Settings, corpus, evaluate, pictures, sampling, vocabulary

NEIGHBOURS = 10
TOKENS = 5_000_000
SENTENCE = 20
"""Tokens of a sentence of the planted text."""

PLANTED_BANDS = {"frequent": (0.0, 0.1), "middling": (0.1, 0.4), "rare": (0.4, 1.0)}
"""Parts of the vocabulary of a planted text, the most frequent word first."""

TWIN_BANDS = {"frequent": (1_000, 10**9), "middling": (100, 1_000), "rare": (20, 100)}
"""Occurrences in a real text."""

Ids = NDArray[np.int32]
Vectors = evaluate.Vectors


@dataclass(frozen=True)
class Planted:
    """A planted text, as a file.

    ``words``: all words that were meant to be there; ``clusters``: int32 [words], the cluster of
    each, -1 for a stop word; ``counts``: int64 [words], how often each occurs.
    """

    path: Path
    words: list[str]
    clusters: Ids
    counts: NDArray[np.int64]


def planted(
    path: Path,
    *,
    seed: int,
    tokens: int = TOKENS,
    words: int = 50_000,
    clusters: int = 500,
    stop_words: int = 200,
    stop_share: float = 0.3,
    noise: float = 0.1,
) -> Planted:
    """Write a planted text to ``path``, a sentence a line; the same seed gives the same text.

    A token is a stop word with probability ``stop_share``; else a word of the sentence's cluster,
    or, with probability ``noise``, of a cluster drawn for it alone. Within a cluster and among the
    stop words, the word of rank r is drawn in proportion to 1 / r (Zipf); clusters are alike.
    """
    rng = np.random.default_rng(seed)
    sentences = tokens // SENTENCE
    shape = (sentences, SENTENCE)
    size = (words - stop_words) // clusters
    home = np.broadcast_to(rng.integers(0, clusters, sentences)[:, None], shape)
    home = np.where(rng.random(shape) < noise, rng.integers(0, clusters, shape), home)
    ids = stop_words + home * size + zipf(size, shape, rng)
    ids = np.where(rng.random(shape) < stop_share, zipf(stop_words, shape, rng), ids)
    spelling = made_up(stop_words + clusters * size)
    text = np.full((sentences, SENTENCE, spelling.shape[1] + 1), ord(" "), np.uint8)
    text[:, :, :-1] = spelling[ids]
    text[:, -1, -1] = ord("\n")
    path.write_bytes(text.tobytes())
    return Planted(
        path,
        words=spelling.view(f"S{spelling.shape[1]}").ravel().astype(str).tolist(),
        clusters=np.maximum((np.arange(len(spelling)) - stop_words) // size, -1).astype(np.int32),
        counts=np.bincount(ids.ravel(), minlength=len(spelling)).astype(np.int64),
    )


def zipf(size: int, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
    """Ranks 0 … size - 1, rank r in proportion to 1 / (r + 1)."""
    share = np.cumsum(1.0 / np.arange(1, size + 1))
    return np.searchsorted(share / share[-1], rng.random(shape)).clip(max=size - 1)


def made_up(count: int) -> NDArray[np.uint8]:
    """Different words of six ASCII letters, at most a million: uint8 [count, 6]."""
    syllables = np.array(
        [[ord(c), ord(v)] for c in "bcdfghjklmnpqrstvwxz" for v in "aeiou"], np.uint8
    )
    number = np.arange(count)
    return np.concatenate([syllables[number // 100**place % 100] for place in (2, 1, 0)], axis=1)


def precision(
    words: Sequence[str], vectors: Vectors, text: Planted, *, sample: int = 1_000
) -> dict[str, float]:
    """band → share of the ten nearest that are of the word's cluster, over ``sample`` words.

    The bands are PLANTED_BANDS; the words asked for are drawn by a fixed seed among those of the
    band that have a cluster and a vector. A stop word among the ten is a miss.
    """
    cluster_of = dict(zip(text.words, text.clusters.tolist(), strict=True))
    count_of = dict(zip(text.words, text.counts.tolist(), strict=True))
    clusters = np.array([cluster_of[word] for word in words])
    order = np.argsort([-count_of[word] for word in words], kind="stable")
    rng = np.random.default_rng(0)
    found = {}
    for band, (begin, end) in PLANTED_BANDS.items():
        candidates = order[int(begin * len(order)) : int(end * len(order))]
        candidates = candidates[clusters[candidates] >= 0]
        asked = rng.choice(candidates, min(sample, len(candidates)), replace=False)
        near = nearest(vectors, asked)
        found[band] = float((clusters[near] == clusters[asked][:, None]).mean())
    return found


def nearest(
    vectors: Vectors, asked: NDArray[np.int64], *, count: int = NEIGHBOURS
) -> NDArray[np.int64]:
    """The ``count`` nearest of each word asked for, by cosine, in no order: [asked, count].

    A word is not its own neighbour. Vectors that are not finite are nobody's neighbour.
    """
    directions = np.nan_to_num(evaluate.unit(vectors), nan=0.0, posinf=0.0, neginf=0.0)
    blocks = []
    for begin in range(0, len(asked), 256):
        block = asked[begin : begin + 256]
        cosines = directions[block] @ directions.T
        cosines[np.arange(len(block)), block] = -np.inf
        blocks.append(np.argpartition(-cosines, count, axis=1)[:, :count])
    return np.concatenate(blocks)


def finite(vectors: Vectors) -> float:
    """The share of vectors whose numbers are all finite: 1.0, or the training diverged."""
    return float(np.isfinite(vectors).all(axis=1).mean())


def centred(vectors: Vectors) -> Vectors:
    """The vectors less their mean, a direction that all words share and that says nothing."""
    return np.asarray(vectors - vectors.mean(axis=0), np.float32)


@dataclass(frozen=True)
class Twinned:
    """A text with twins in it, as a file, and which words are twins: band → pairs."""

    path: Path
    pairs: dict[str, list[tuple[str, str]]]


def twinned(text: str, path: Path, *, seed: int, per_band: int = 150) -> Twinned:
    """Split up to ``per_band`` words of each of TWIN_BANDS in two; write the text to ``path``."""
    rng = np.random.default_rng(seed)
    words, ids = vocabulary.build(text)
    names = list(words.words)
    twin = np.arange(len(words), dtype=np.int32)
    pairs: dict[str, list[tuple[str, str]]] = {}
    for band, (least, most) in TWIN_BANDS.items():
        candidates = np.flatnonzero((words.counts >= least) & (words.counts < most))
        candidates = candidates[candidates >= 20]  # "the" and "of" as twins would change the text
        chosen = rng.choice(candidates, min(per_band, len(candidates)), replace=False)
        pairs[band] = []
        for rank in chosen.tolist():
            twin[rank] = len(names)
            names.append(f"{words.words[rank]}zzb")
            names[rank] = f"{words.words[rank]}zza"
            pairs[band].append((names[rank], names[-1]))
    swapped = np.where(rng.random(len(ids)) < 0.5, twin[ids], ids)
    written = np.array(names, object)[swapped].tolist()
    lines = (
        " ".join(written[begin : begin + SENTENCE]) for begin in range(0, len(written), SENTENCE)
    )
    path.write_text("\n".join(lines), encoding="utf-8")
    return Twinned(path, pairs)


def twins_found(words: Sequence[str], vectors: Vectors, text: Twinned) -> dict[str, float]:
    """band → share of twins that have each other among their ten nearest; no band without twins."""
    index = {word: place for place, word in enumerate(words)}
    found = {}
    for band, pairs in text.pairs.items():
        both = [(index[a], index[b]) for a, b in pairs if a in index and b in index]
        if not both:
            continue
        asked, wanted = np.array(both + [(b, a) for a, b in both], np.int64).reshape(-1, 2).T
        near = nearest(vectors, asked)
        found[band] = float((near == wanted[:, None]).any(axis=1).mean())
    return found


def pairs_expected(counts: NDArray[np.int64], settings: Settings) -> int:
    """(word, neighbour) pairs that all epochs together train, after subsampling, about.

    word2vec draws how far each token looks from 1 … window, so it meets window + 1 neighbours.
    """
    kept = float((counts * sampling.keep_probability(counts, settings.sample)).sum())
    return round(kept * (settings.window + 1) * settings.epochs)


@dataclass(frozen=True)
class Trained:
    """Vectors, and what they cost.

    ``words`` and ``vectors`` (float32 [words, dim]) are in the same order; ``pairs`` were trained,
    as the training itself has counted. ``steady`` is pairs/s once everything is compiled;
    ``training_s`` the whole training, compilation included, ``cpu_s`` its CPU time in all threads
    and processes; ``whole_s`` is from the text to the vectors. Wall clock, but for ``cpu_s``.
    """

    words: Sequence[str]
    vectors: Vectors
    pairs: int
    steady: float
    training_s: float
    cpu_s: float
    whole_s: float


def train_gensim(path: Path, settings: Settings, *, threads: int) -> Trained:
    """gensim on the same tokens, in lines of 1,000. Nothing of it is compiled.

    ``training_s`` is without its vocabulary and the numbers it begins with, ``whole_s`` with.
    """
    from gensim.models import Word2Vec

    begun = time.monotonic()
    words, ids = vocabulary.build(
        corpus.read(path), size=settings.vocabulary, min_count=settings.min_count
    )
    spelled = np.array(words.words, object)[ids].tolist()
    lines = [spelled[begin : begin + 1_000] for begin in range(0, len(spelled), 1_000)]
    model = Word2Vec(
        vector_size=settings.dim,
        window=settings.window,
        sg=1,
        negative=settings.negatives,
        sample=settings.sample,
        alpha=settings.rate,
        min_alpha=settings.least_rate,
        epochs=settings.epochs,
        min_count=1,
        workers=threads,
        seed=settings.seed,
    )
    model.build_vocab(lines)
    prepared, cpu = time.monotonic(), time.process_time()
    kept, _ = model.train(lines, total_words=len(spelled), epochs=settings.epochs)
    done = time.monotonic()
    pairs = kept * (settings.window + 1)
    return Trained(
        words=model.wv.index_to_key,
        vectors=np.asarray(model.wv.vectors, np.float32),
        pairs=pairs,
        steady=pairs / (done - prepared),
        training_s=done - prepared,
        cpu_s=time.process_time() - cpu,
        whole_s=done - begun,
    )


def main() -> int:
    """Plant a text, or score vectors; exit code 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["plant", "score"])
    parser.add_argument("file", type=Path, help="the planted text, written anew")
    parser.add_argument("vectors", type=Path, nargs="?", help="word2vec's text format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    options = parser.parse_args()
    text = planted(options.file, seed=options.seed, tokens=options.tokens)
    if options.what == "score":
        words, vectors = pictures.load_vectors(options.vectors)
        print(f"finite {finite(vectors):.4f}")
        for band, share in precision(words, vectors, text).items():
            print(f"{band} {share:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
