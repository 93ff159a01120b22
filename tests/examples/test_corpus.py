"""Corpora: where they come from, and what is said about those that are no good."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import corpus
import download

from .conftest import WORD2VEC


def test_a_path_is_relative_to_where_the_user_is(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("some words", encoding="utf-8")
    assert corpus.read(corpus.locate("a b.txt", relative_to=tmp_path)) == "some words"
    absolute = str(tmp_path / "a b.txt")
    assert corpus.locate(absolute, relative_to=Path("/nowhere")) == Path(absolute)


def test_byte_order_mark_is_no_word(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xef\xbb\xbfword")
    assert corpus.read(tmp_path / "t") == "word"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not text: it has a NUL byte at position 8"),
        ("wörter".encode("utf-16"), "not text"),
        ("wörter".encode("latin-1"), "not UTF-8: byte 0xf6 at position 1"),
    ],
)
def test_a_corpus_that_is_no_text_is_an_error(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "corpus"
    path.write_bytes(content)
    with pytest.raises(corpus.CorpusError, match=said) as caught:
        corpus.read(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["missing.txt", ".", "x" * 300])
def test_an_unreadable_corpus_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(corpus.CorpusError, match="cannot be read"):
        corpus.read(corpus.locate(name, relative_to=tmp_path))


def test_the_command_reports_an_error_without_a_traceback(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty.txt").touch()
    done = subprocess.run(
        [sys.executable, "corpus.py", "empty.txt", "--relative-to", str(tmp_path)],
        cwd=WORD2VEC,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "empty.txt is empty\n  hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not cache.exists()


def test_docstrings_are_extracted_from_valid_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '"""Module."""\nclass A:\n    """Class."""\n    async def f(self):\n'
        '        """Function."""\n        "no docstring"\nraise SystemExit\n',
        encoding="utf-8",
    )
    (tmp_path / "broken.py").write_text("def (:", encoding="utf-8")
    (tmp_path / "binary.py").write_bytes(b"\0\xff")
    assert list(corpus.docstrings(sorted(tmp_path.iterdir()))) == [
        "Module.",
        "Class.",
        "Function.",
    ]


def test_docs_are_written_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "tensorflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Tensors flow."""\n1 / 0', encoding="utf-8")
    (package / "same.py").write_text('"""Tensors flow."""', encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    path = corpus.locate("docs")
    assert path.parent == cache
    assert corpus.read(path) == "Tensors flow."
    (package / "__init__.py").unlink()
    assert corpus.locate("docs") == path


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TENFOLD_WORD2VEC_CACHE", str(tmp_path / "file"))
    with pytest.raises(corpus.CorpusError, match="cannot be written") as caught:
        corpus.locate("text8")
    assert "TENFOLD_WORD2VEC_CACHE" in caught.value.hint


def _archive(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("text8", text)


def test_text8_is_unpacked_once_and_cached(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _archive(tmp_path / "source.zip", "anarchism originated")
    _serve(monkeypatch, tmp_path / "source.zip")
    path = corpus.locate("text8")
    assert corpus.read(path) == "anarchism originated"
    assert not (cache / "text8.zip").exists()
    (tmp_path / "source.zip").unlink()
    assert corpus.locate("text8") == path


def test_text8_that_is_no_archive(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source.zip").write_bytes(b"<html>not found</html>")
    _serve(monkeypatch, tmp_path / "source.zip")
    with pytest.raises(corpus.CorpusError, match="no text8 archive"):
        corpus.locate("text8")
    assert not (cache / "text8.txt").exists()
    assert not (cache / "text8.zip").exists(), "it would be taken for the archive next time"


def test_text8_that_does_not_come(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_TEXT8_URL", "http://127.0.0.1:9/text8.zip")
    monkeypatch.setattr(
        corpus,
        "fetch",
        lambda *given, **named: download.fetch(*given, **named, attempts=1),
    )
    with pytest.raises(corpus.CorpusError, match="broke off") as caught:
        corpus.locate("text8")
    assert str(cache / "text8.zip") in caught.value.hint


def _serve(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    """Have the download bring this file."""

    def fetch(url: str, target: Path, *, size: int, report: object) -> None:
        assert (url, size, report) == (corpus.TEXT8_URL, 31_344_016, None)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(corpus, "fetch", fetch)
