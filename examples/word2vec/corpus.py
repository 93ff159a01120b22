"""Where the text comes from: `docs`, `text8`, or a path to any text file.

    python corpus.py docs|text8|PATH [--relative-to DIRECTORY] [--cache DIRECTORY]

fetches or writes the corpus, checks it, and says what it is. In the cluster this is a job of its
own, outside the cluster's network, which the chief waits for: a corpus that is no good ends the
run before anything was trained, and a download is done where there is an internet.

Owns: the sources and their checks. Leaves to others: words (vocabulary.py).
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import importlib.util
import os
import sys
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from download import DownloadFailed, Report, fetch

TEXT8_URL = "http://mattmahoney.net/dc/text8.zip"
TEXT8_BYTES = 31_344_016

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class CorpusError(Exception):
    """The corpus cannot be used; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def locate(
    name: str,
    *,
    relative_to: Path = Path(),
    cache: Path | None = None,
    report: Report | None = None,
) -> Path:
    """The text file of the corpus; `docs` and `text8` are put into ``cache`` if not yet there.

    A path is relative to ``relative_to``. Raises CorpusError.
    """
    cache = cache or default_cache()
    try:
        if name == "docs":
            return _docs(cache, report)
        if name == "text8":
            return _text8(cache, report)
    except OSError as error:
        raise CorpusError(
            f"{cache} cannot be written: {error.strerror}",
            "set TENFOLD_WORD2VEC_CACHE to a writable directory",
        ) from error
    return relative_to / Path(name).expanduser()


def read(path: Path) -> str:
    """The text of a corpus file. Raises CorpusError if it is missing, empty or not UTF-8 text."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read: {error.strerror}",
            "use docs, text8, or a path relative to your current directory",
        ) from error
    if b"\0" in data:
        raise CorpusError(
            f"{path} is not text: it has a NUL byte at position {data.index(0):,}",
            "if it is UTF-16, convert it: iconv -f UTF-16 -t UTF-8",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at position {error.start:,}",
            "if it is in an older encoding, convert it: iconv -f LATIN1 -t UTF-8",
        ) from error
    if not text.strip():
        raise CorpusError(f"{path} is empty", "use a file with at least a few thousand words")
    return text


def default_cache() -> Path:
    """TENFOLD_WORD2VEC_CACHE, or tenfold/word2vec in the user's cache directory."""
    if chosen := os.environ.get("TENFOLD_WORD2VEC_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tenfold" / "word2vec"


def _docs(cache: Path, report: Report | None) -> Path:
    """The docstrings of the installed TensorFlow: a file of about 8 MB for each version."""
    found = importlib.util.find_spec("tensorflow")  # finds it, does not import it
    if found is None or not found.submodule_search_locations:
        raise CorpusError(
            "the corpus `docs` is TensorFlow's documentation, and TensorFlow is not installed",
            "pip install 'tenfold[tensorflow]'",
        )
    package = Path(found.submodule_search_locations[0])
    target = cache / f"docs-tensorflow-{_version()}.txt"
    if not target.exists():
        files = sorted(package.rglob("*.py"))
        texts = dict.fromkeys(docstrings(files, report))  # many ops repeat another's
        _write_whole(target, "\n\n".join(texts))
    return target


def _version() -> str:
    owners = importlib.metadata.packages_distributions().get("tensorflow", [])
    return importlib.metadata.version(owners[0]) if owners else "unknown"


def docstrings(files: Iterable[Path], report: Report | None = None) -> Iterator[str]:
    """The docstrings of modules, classes and functions, in order; nothing is executed."""
    files = list(files)
    for number, file in enumerate(files, start=1):
        if report:
            report(number, len(files))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # escapes in other people's strings
                tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue  # a template or a test file: not Python, or not this Python's
        for node in ast.walk(tree):
            if isinstance(node, _DOCUMENTED) and (text := ast.get_docstring(node)):
                yield text


def _text8(cache: Path, report: Report | None) -> Path:
    target = cache / "text8.txt"
    if target.exists():
        return target
    archive = cache / "text8.zip"
    url = os.environ.get("TENFOLD_TEXT8_URL", TEXT8_URL)
    try:
        fetch(url, archive, size=TEXT8_BYTES, report=report)
        with zipfile.ZipFile(archive) as opened:
            _write_whole(target, opened.read("text8").decode("ascii"))
    except DownloadFailed as error:
        raise CorpusError(
            str(error), f"run it again to resume the download, or save the file as {archive}"
        ) from error
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        archive.unlink()
        raise CorpusError(
            f"the response of {url} is no text8 archive: {error}", "run it again to retry"
        ) from error
    archive.unlink()
    return target


def _write_whole(target: Path, text: str) -> None:
    """Write and rename: ``target`` is whole or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(target)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when the corpus is there and can be read, 2 when not."""
    parser = argparse.ArgumentParser(description="fetch and check a corpus")
    parser.add_argument("corpus", help="docs, text8, or a path")
    parser.add_argument("--relative-to", type=Path, default=Path(), metavar="DIRECTORY")
    parser.add_argument("--cache", type=Path, metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    unit = "bytes" if options.corpus == "text8" else "files"

    def report(done: int, total: int) -> None:
        import tenfold

        tenfold.progress(done, total, unit=unit, corpus=options.corpus)

    try:
        path = locate(
            options.corpus, relative_to=options.relative_to, cache=options.cache, report=report
        )
        text = read(path)
    except CorpusError as error:
        print(f"corpus: {error}\n  hint: {error.hint}", file=sys.stderr)
        return 2
    print(f"{options.corpus}: {len(text):,} characters in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
