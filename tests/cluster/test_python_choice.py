"""Which interpreter `python` means: the order, and what environments look like."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tenfold.cluster import settings
from tenfold.cluster.file import load, loads
from tenfold.cluster.python_choice import PythonChoice, activated, is_own, named
from tenfold.cluster.python_probe import chosen, examined, install_command, installed
from tenfold.errors import InputError
from tests import pythons

TEXT = "cluster: x\njobs: {a: {run: python t.py}}\n"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENFOLD_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"):
        monkeypatch.delenv(name, raising=False)


def found(directory: Path, said: str | None = None, **environment: str) -> PythonChoice:
    """The choice for a file in `directory` whose `python:` is `said`."""
    text = TEXT if said is None else f"{TEXT}python: {said}\n"
    return chosen(loads(text, directory=directory), environment)


def test_each_source_precedes_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("file", "venv", "conda", ".venv", "setting")
    made = {name: pythons.venv(tmp_path / name) for name in names if name != "conda"}
    made["conda"] = pythons.conda(tmp_path / "conda")
    active = {"VIRTUAL_ENV": str(tmp_path / "venv"), "CONDA_PREFIX": str(tmp_path / "conda")}
    said = found(tmp_path, "file", **active)
    assert (said.path, said.source) == (str(made["file"]), "the cluster file")
    first = found(tmp_path, **active)
    assert (first.path, first.source) == (str(made["venv"]), "VIRTUAL_ENV")
    del active["VIRTUAL_ENV"]
    second = found(tmp_path, **active)
    assert (second.path, second.source) == (str(made["conda"]), "CONDA_PREFIX")
    third = found(tmp_path)
    assert (third.path, third.source) == (str(made[".venv"]), ".venv")
    (tmp_path / "elsewhere").mkdir()
    last = found(tmp_path / "elsewhere")
    assert (last.path, last.source, last.own) == (sys.executable, "tenfold", True)
    monkeypatch.setenv("TENFOLD_PYTHON", str(tmp_path / "setting"))
    assert found(tmp_path, "file").path == str(made["setting"])
    assert {each.problem for each in (said, first, second, third, last)} == {None}
    assert len({each.version for each in (said, first, second, third, last)}) == 1


def test_set_precedes_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_PYTHON", "/nowhere")
    python = pythons.venv(tmp_path / "mine")
    (tmp_path / "tenfold.yaml").write_text(TEXT)
    loaded = load(tmp_path / "tenfold.yaml", settings=["python=mine"])
    assert chosen(loaded).path == str(python)
    assert chosen(loaded).source == "--set python"


def test_a_home_in_the_variable_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = pythons.venv(tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TENFOLD_PYTHON", "~/mine")
    made = found(tmp_path)
    assert (made.path, made.source) == (str(python), "TENFOLD_PYTHON")


def test_auto_in_the_file_is_the_automatic_order(tmp_path: Path) -> None:
    python = pythons.venv(tmp_path / ".venv")
    assert found(tmp_path, "auto").path == str(python)
    assert settings.SETTINGS["python"].default == "auto"


def test_python_may_be_an_interpreter_an_environment_a_program_or_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = pythons.venv(tmp_path / "my env")
    monkeypatch.setenv("HOME", str(tmp_path))
    for said in (str(python), "'my env'", "./my env/bin/python", "~/my env", "${env.HOME}/my env"):
        assert found(tmp_path, said).path == str(python), said
    pythons.script(tmp_path / "bin" / "python3.99", f'#!/bin/sh\nexec {pythons.base()} "$@"\n')
    for said in ("python3.99", "3.99"):
        made = found(tmp_path, said, PATH=f"{tmp_path}/bin:/usr/bin:/bin")
        assert (made.path, made.problem) == (str(tmp_path / "bin" / "python3.99"), None)


def test_a_version_is_text_and_not_a_number(tmp_path: Path) -> None:
    loaded = loads(f"{TEXT}python: 3.10\n", directory=tmp_path)
    assert loaded.cluster.python == "3.10"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("/no/such/python", "/no/such/python does not exist"),
        ("python9.9", "there is no program python9.9 on PATH"),
        ("./empty", "empty has no bin/python"),
        ("./plain.txt", "plain.txt is not a program that can be started"),
        ("./other", "other is not a Python interpreter that works: I am a teapot"),
        ("./silent", "silent is not a Python interpreter that works: it exited with 7"),
    ],
)
def test_an_interpreter_that_cannot_be_used_has_a_reason(
    tmp_path: Path, said: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "plain.txt").write_text("x")
    pythons.script(tmp_path / "other", "#!/bin/sh\necho I am a teapot >&2\nexit 1\n")
    pythons.script(tmp_path / "silent", "#!/bin/sh\nexit 7\n")
    assert words in str(found(tmp_path, said).problem)


def test_a_deleted_environment_is_passed_over_and_named(tmp_path: Path) -> None:
    made = found(tmp_path, VIRTUAL_ENV=str(tmp_path / "gone"))
    assert made.own
    assert made.notes == (
        f"VIRTUAL_ENV is not used: {tmp_path}/gone has no bin/python that can be started",
    )
    pythons.venv(tmp_path / ".venv").unlink()
    (tmp_path / ".venv" / "bin" / "python3").unlink()
    assert ".venv is not used" in found(tmp_path).notes[0]


def test_an_old_interpreter_is_refused_with_its_path_and_version(tmp_path: Path) -> None:
    old = pythons.of_version("3.9", "3.8", "3.7", "3.6", "2.7")
    if old is None:
        pytest.skip("this machine has no Python before 3.10")
    made = found(tmp_path, old)
    assert made.version is not None
    assert made.problem == (
        f"{old} is Python {made.version}, and tenfold supports tasks in Python 3.10 or later"
    )


def test_a_shim_of_pyenv_is_the_interpreter_that_it_starts(tmp_path: Path) -> None:
    python = pythons.venv(tmp_path / "real")
    text = '#!/bin/sh\nexec ./real/bin/python "$@"\n'
    shim = pythons.script(tmp_path / "shims" / "python", text)
    made = examined(named(str(shim), "x", tmp_path, {}), tmp_path)
    assert (made.problem, made.path) == (None, str(python))


def test_links_are_needed_where_python_is_missing_or_another(tmp_path: Path) -> None:
    python = pythons.venv(tmp_path / "env")
    assert not PythonChoice(str(python), "x").needs_links()
    alone = tmp_path / "bin" / "python3.11"
    alone.parent.mkdir()
    alone.symlink_to(pythons.base())
    assert PythonChoice(str(alone), "x").needs_links()
    for name in ("python", "python3"):
        pythons.script(alone.parent / name, "#!/bin/sh\n")
    assert PythonChoice(str(alone), "x").needs_links()


def test_an_environment_of_the_file_is_activated(tmp_path: Path) -> None:
    shell = {"VIRTUAL_ENV": "/other", "A": "b"}
    venv = PythonChoice(str(pythons.venv(tmp_path / "v")), "the cluster file")
    assert activated(shell, venv) == {"VIRTUAL_ENV": str(tmp_path / "v"), "A": "b"}
    conda = PythonChoice(str(pythons.conda(tmp_path / "c")), "the cluster file")
    assert activated(shell, conda) == {"CONDA_PREFIX": str(tmp_path / "c"), "A": "b"}
    plain = PythonChoice(pythons.base(), "the cluster file")
    assert activated(shell, plain) == {"A": "b"}
    assert activated(shell, PythonChoice("/other/bin/python", "VIRTUAL_ENV")) == shell


def test_an_interpreter_is_tenfolds_own_under_any_of_its_names(tmp_path: Path) -> None:
    assert is_own(sys.executable)
    assert is_own(str(Path(sys.executable).with_name("python3")))
    assert not is_own(str(pythons.venv(tmp_path / "other")))


def test_another_interpreter_is_asked_for_its_packages(tmp_path: Path) -> None:
    python = pythons.venv(tmp_path / "env")
    site = pythons.site_packages(python)
    pythons.distribution(site, "one", "1.2")
    (site / "two").mkdir()
    said = installed(str(python), ("one", "two", "pydantic"), ("one", "pydantic"))
    assert said.problem is None
    assert said.modules == {"one": str(site / "one/__init__.py"), "two": None, "pydantic": None}
    assert said.versions == {"one": "1.2", "pydantic": None}
    (tmp_path / "more").mkdir()
    pythons.distribution(tmp_path / "more", "three", "3")
    assert installed(str(python), ("three",)).modules == {"three": None}
    more = installed(str(python), ("three",), python_path=str(tmp_path / "more"))
    assert more.modules["three"] is not None


def test_the_command_that_installs_suits_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = pythons.venv(tmp_path / "env")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert install_command(str(python), "torch") == (
        f"{python} -m ensurepip && {python} -m pip install torch"
    )
    pythons.script(tmp_path / "bin" / "uv", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    assert install_command(str(python), "torch") == f"uv pip install --python {python} torch"
    other = pythons.venv(tmp_path / "with pip")
    pythons.distribution(pythons.site_packages(other), "pip", "26")
    assert install_command(str(other), "jax[cuda12]") == (f"'{other}' -m pip install 'jax[cuda12]'")


def test_an_unknown_home_in_python_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no user"):
        loads(f"{TEXT}python: ~nobody-of-this-name/x\n", directory=tmp_path)


def test_a_choice_survives_json(tmp_path: Path) -> None:
    made = found(tmp_path, VIRTUAL_ENV="/gone")
    assert PythonChoice.from_json(made.to_json() | {"unknown": 1}) == made
