"""Files of a run directory that are read repeatedly."""

from __future__ import annotations

from pathlib import Path

from tenfold.run.jsonfiles import Problems, read_json, write_json
from tenfold.views.knownfiles import KnownFiles


def test_a_file_is_parsed_once_until_it_is_another(tmp_path: Path) -> None:
    files, problems, path = KnownFiles(), Problems(), tmp_path / "x.json"

    def read(path: Path, problems: Problems) -> dict[str, object] | None:
        return files.read(path, problems, read_json)

    assert read(path, problems) is None
    write_json(path, {"a": 1})
    first = read(path, problems)
    assert read(path, problems) is first
    write_json(path, {"a": 2})
    assert read(path, problems) == {"a": 2}
    path.write_text("{")
    for _ in range(2):
        assert read(path, seen := Problems()) is None
        assert path in seen.found
    assert read(Path("a\0b"), problems) is None
