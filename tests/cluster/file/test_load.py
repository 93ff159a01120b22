"""Files → Cluster: what is read, what is merged, and how faults are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenfold.cluster.file import dump, find, load, loads
from tenfold.cluster.spec import Cluster, Job
from tenfold.errors import InputError

DEMO = """\
cluster: word2vec
framework: tensorflow
jobs:
  chief:  {run: python train.py --corpus docs}
  ps:     {tasks: 4}
  worker: {tasks: 8}
tensorboard: true
jupyter: true
"""


def faults(text: str | bytes, *settings: str, **environment: str) -> list[str]:
    """Every fault of `text` as it is shown, the file's name left out."""
    with pytest.raises(InputError) as caught:
        loads(text, settings=settings, environment=environment)
    return [str(fault).removeprefix("tenfold.yaml:") for fault in caught.value.faults]


def hints(text: str, *settings: str, **environment: str) -> list[str | None]:
    with pytest.raises(InputError) as caught:
        loads(text, settings=settings, environment=environment)
    return [fault.hint for fault in caught.value.faults]


def job(text: str, *settings: str, **environment: str) -> Job:
    """The job `a` of a file that says this of it."""
    loaded = loads(f"cluster: x\njobs:\n  a: {text}\n", settings=settings, environment=environment)
    return loaded.cluster.jobs["a"]


def test_the_demo_of_the_design() -> None:
    cluster = loads(DEMO).cluster
    assert cluster.cluster == "word2vec"
    assert list(cluster.jobs) == ["chief", "ps", "worker"]
    assert cluster.jobs["chief"].run == ("python", "train.py", "--corpus", "docs")
    assert cluster.jobs["ps"].run is None
    assert cluster.jobs["worker"].tasks == 8
    assert cluster.tensorboard is not None
    assert cluster.jupyter is not None


def test_seven_errors_have_seven_positions() -> None:
    text = """\
cluster: Word2vec
framwork: tensorflow
jobs:
  chief: {run: python train.py, after: [wroker]}
  worker:
    run: python work.py
    tasks: two
    restart: sometimes
    resources: {memory: 2gb}
    env: {A: ${B}}
"""
    text = text.replace("${B}", '"${B}"')
    assert faults(text) == [
        "1:10: cluster: expected a name of at most 63 lower-case letters, digits and -, "
        'beginning with a letter, got "Word2vec"',
        "2:1: framwork: unknown key",
        '4:41: jobs.chief.after[0]: there is no job "wroker"',
        '7:12: jobs.worker.tasks: expected a positive integer, got "two"',
        '8:14: jobs.worker.restart: expected one of never, on-failure, always, got "sometimes"',
        '9:25: jobs.worker.resources.memory: expected a size such as 2GiB or 512MiB, got "2gb"',
        "10:15: jobs.worker.env.A: there is no ${B}",
    ]
    assert hints(text)[:6] == [
        "write word2vec",
        "did you mean framework?",
        "did you mean worker?",
        None,
        None,
        "write 2GiB",
    ]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("two", '"two"'),
        ("0", "0"),
        ("-1", "-1"),
        ("1.5", "1.5"),
        ("1e3", "1e3"),
        ("0777", '"0777"'),
        ("no", '"no"'),
        ("true", "true"),
        ("'8'", '"8"'),
        ("[1]", "a list"),
        ("{a: 1}", "a mapping"),
        ("9" * 400, f'"{"9" * 79}…"'),
    ],
)
def test_an_invalid_number_of_tasks_is_an_error(value: str, got: str) -> None:
    (fault,) = faults(f"cluster: x\njobs:\n  a:\n    run: x\n    tasks: {value}\n")
    assert fault == f"5:12: jobs.a.tasks: expected a positive integer, got {got}"


def test_too_many_tasks() -> None:
    (fault,) = faults("cluster: x\njobs: {a: {run: x, tasks: 1000000000}}")
    assert "expected at most 100000, got 1000000000" in fault
    (fault,) = faults("cluster: x\njobs: {a: {run: x, tasks: 60000}, b: {run: x, tasks: 60000}}")
    assert "the cluster has 120000 tasks, but the limit is 100000" in fault


def test_texts_reach_the_task_as_they_are_written() -> None:
    env = job("{run: x, env: {A: 0777, B: 22:22, C: 1e3, D: 1.10, E: no, F: true, G: 0x1F}}").env
    assert list(env.values()) == ["0777", "22:22", "1e3", "1.10", "no", "true", "0x1F"]
    assert job("{run: [python, x.py, --lr, 1.10, --on, no]}").run == (
        *("python", "x.py", "--lr"),
        *("1.10", "--on", "no"),
    )
    assert job("{run: true}").run == ("true",)


def test_values_keep_their_types() -> None:
    made = job("{run: x, tasks: '${n}', ports: {http: '${p}', other: auto}}", *_vars(n="3", p="80"))
    assert made.tasks == 3
    assert made.ports == {"http": 80, "other": "auto"}


def _vars(**values: str) -> list[str]:
    given = ", ".join(f"{name}: {value}" for name, value in values.items())
    return [f"vars={{{given}}}"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10.0), ("500ms", 0.5), ("1m30s", 90.0), ("2h", 7200.0), ("3", 3.0)],
)
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    loaded = loads(f"cluster: x\nstop_grace: {text}\njobs: {{a: {{run: x}}}}")
    assert loaded.cluster.stop_grace == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GiB", 2 << 30), ("512Mi", 512 << 20), ("1.5GB", 1_500_000_000), ("4096", 4096)],
)
def test_memory_sizes_are_read_as_bytes(text: str, size: int) -> None:
    assert job(f"{{run: x, resources: {{memory: {text}}}}}").resources.memory == size


def test_short_forms_are_expanded() -> None:
    made = job("{run: x, restart: always, ready: tcp, preload: none, secret: A, env: {A: b}}")
    assert made.restart is not None
    assert made.restart.policy == "always"
    assert made.ready is not None
    assert made.ready.tcp == "main"
    assert made.preload == ()
    assert made.secret == ("A",)


def test_a_job_without_a_value_gets_a_hint_how_to_write_it() -> None:
    text = "cluster: x\nframework: tensorflow\njobs:\n  chief: {run: x}\n  ps:\n"
    assert faults(text) == ["5:3: jobs.ps: has no value"]
    assert hints(text) == ["write ps: {} for a job with default settings"]


def test_two_jobs_with_one_name_are_an_error() -> None:
    text = "cluster: x\njobs:\n  a: {run: x}\n  a: {run: y}\n"
    assert faults(text) == ['4:3: "a" occurs twice, first in line 3']


def test_an_unknown_key_that_belongs_to_a_job() -> None:
    text = "cluster: x\njobs: {a: {run: x}}\ntasks: 3\n"
    assert hints(text) == ["it belongs to a job: move it below jobs.NAME"]


def test_a_misspelt_framework_brings_no_other_faults() -> None:
    assert faults("cluster: x\nframewrok: tensorflow\njobs: {ps: {}, worker: {}}") == [
        "2:1: framewrok: unknown key"
    ]


def test_missing_keys_have_hints_with_lines_to_paste() -> None:
    assert faults("{}") == ["1:1: cluster: is missing", "1:1: jobs: is missing"]
    assert all("\n" in (hint or "") for hint in hints("{}"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "1:1: the file is empty"),
        (b"# nothing\n", "1:1: the file is empty"),
        (b"- a\n", "1:1: expected a mapping of keys, got a list"),
        (b"hello", "1:1: expected a mapping of keys, got a single text"),
        ("a: é".encode("latin-1"), "1:4: is not UTF-8 text (byte 0xe9)"),
        ("a: b".encode("utf-16"), "1:1: is UTF-16, but must be UTF-8"),
        (b"a: b\nc: \x00", "2:4: has a character that YAML does not allow (U+0000)"),
        (b"a: [1,\nb: 2", "2:5: is not YAML: a list or mapping in brackets that is not closed"),
        (b"a: b: c", "1:5: is not YAML: a second `: ` in one line"),
        (b"a: 'x", "1:6: is not YAML: the file ends inside a quoted text"),
        (b"a: 1\n---\nb: 2\n", "2:1: a second document begins here"),
        (b"a: !!python/name:os.system x", '1:4: unknown tag "!!python/name:os.system"'),
        (b"a: *b", '1:4: no anchor "b" is defined before this alias'),
        (b"a: &a [*a]", '1:8: anchor "a" contains itself'),
        (b"? [a]\n: b", "1:3: a key must be text"),
        (b"[" * 60, "1:51: lists and mappings are nested more than 50 deep"),
    ],
)
def test_data_that_is_no_cluster_file_is_an_error(data: bytes, words: str) -> None:
    assert any(fault.startswith(words) for fault in faults(data))


def test_a_byte_order_mark_is_no_fault() -> None:
    assert loads(b"\xef\xbb\xbf" + DEMO.encode()).cluster.cluster == "word2vec"


def test_yaml_merge_keys_are_applied() -> None:
    text = "cluster: x\njobs:\n  a: &a {run: x, tasks: 2}\n  b: {<<: *a, tasks: 3}\n"
    cluster = loads(text).cluster
    assert cluster.jobs["b"].run == ("x",)
    assert cluster.jobs["b"].tasks == 3


# Files.


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory / "tenfold.yaml"


def test_extends_merges_replaces_and_removes(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        base="cluster: base\nvars: {n: 1}\njobs:\n"
        "  a: {run: x, tasks: '${n}', env: {A: 1, B: 2}}\n  b: {run: y}\n",
        tenfold="extends: base.yaml\nvars: {n: 3}\njobs: {a: {env: {A: null, C: 3}}, b: null}\n",
    )
    cluster = load(file).cluster
    assert cluster.cluster == "base"
    assert list(cluster.jobs) == ["a"]
    assert cluster.jobs["a"].tasks == 3
    assert cluster.jobs["a"].env == {"B": "2", "C": "3"}
    assert cluster.extends == ()


def test_later_files_win(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        one="cluster: one\nstop_grace: 1s\n",
        two="cluster: two\n",
        tenfold="extends: [one.yaml, two.yaml]\njobs: {a: {run: x}}\n",
    )
    loaded = load(file, settings=["cluster=three"])
    assert loaded.cluster.cluster == "three"
    assert loaded.cluster.stop_grace == 1
    assert load(file).cluster.cluster == "two"


def test_an_error_has_the_position_in_the_file_that_contains_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path,
        base="cluster: x\njobs:\n  a: {run: x, tasks: zero}\n",
        tenfold="extends: base.yaml\njobs: {a: {restart: maybe}}\n",
    )
    with pytest.raises(InputError) as caught:
        load("tenfold.yaml", settings=["stop_grace=soon"])
    assert [str(fault).split(": expected")[0] for fault in caught.value.faults] == [
        "tenfold.yaml:2:21: jobs.a.restart",
        "--set stop_grace=soon: stop_grace",
        "base.yaml:3:22: jobs.a.tasks",
    ]


@pytest.mark.parametrize(
    ("extends", "words"),
    [
        ("nowhere.yaml", "1:10: extends: cannot read nowhere.yaml: No such file or directory"),
        ("tenfold.yaml", "files extend each other in a cycle: tenfold.yaml → tenfold.yaml"),
        ("circle.yaml", "cycle: tenfold.yaml → circle.yaml → tenfold.yaml"),
        ("code.py", "a YAML file cannot extend a Python file"),
        ("'${x}'", "extends is read before vars"),
        (".", "is a directory"),
    ],
)
def test_an_invalid_extends_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extends: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path,
        circle="extends: tenfold.yaml\n",
        tenfold=f"extends: {extends}\ncluster: x\njobs: {{a: {{run: x}}}}\n",
    )
    with pytest.raises(InputError) as caught:
        load("tenfold.yaml")
    (fault,) = caught.value.faults
    assert words in str(fault)


@pytest.mark.parametrize(
    "extends", ["../base.yaml", "/etc/hostname", "link.yaml", "a/../../base.yaml"]
)
def test_a_file_outside_of_the_project_cannot_be_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extends: str
) -> None:
    inner = tmp_path / "project" / "clusters"
    inner.mkdir(parents=True)
    base, file = inner.parent / "base.yaml", inner / "tenfold.yaml"
    base.write_text("stop_grace: 7s\n")
    (inner / "a").mkdir()
    (inner / "link.yaml").symlink_to(base)
    file.write_text(f"extends: {extends}\ncluster: x\njobs: {{a: {{run: x}}}}\n")
    with pytest.raises(InputError) as caught:
        load(file)
    assert f'1:10: extends: "{extends}" is outside the project' in str(caught.value.faults[0])
    monkeypatch.setenv("TENFOLD_EXTENDS", "anywhere")
    if extends != "/etc/hostname":
        assert load(file).cluster.stop_grace == 7


def test_a_project_is_the_whole_checkout(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "clusters"
    inner.mkdir(parents=True)
    (inner.parent / ".git").mkdir()
    (inner.parent / "base.yaml").write_text("extends: clusters/common.yaml\ncluster: x\n")
    (inner / "common.yaml").write_text("stop_grace: 1s\n")
    file = inner / "tenfold.yaml"
    file.write_text("extends: ../base.yaml\njobs: {a: {run: x}}\n")
    assert load(file).cluster.stop_grace == 1
    (tmp_path / "far.yaml").write_text("cluster: far\n")
    file.write_text("extends: ../../far.yaml\njobs: {a: {run: x}}\n")
    with pytest.raises(InputError, match="outside the project"):
        load(file)


def test_a_diamond_is_no_circle(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        root="cluster: x\njobs: {a: {run: x}}\n",
        left="extends: root.yaml\nstop_grace: 1s\n",
        right="extends: root.yaml\n",
        tenfold="extends: [left.yaml, right.yaml]\n",
    )
    assert load(file).cluster.stop_grace == 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("jobs.worker.tasks", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("jobs.wroker.tasks=3", 'there is no job "wroker"'),
        ("vars.epohcs=3", 'there is no var "epohcs"'),
        ("jobs.worker.taks=3", "unknown key"),
        ("jobs.worker.tasks=[", "is not YAML"),
        ("jobs.worker.tasks=two", 'expected a positive integer, got "two"'),
    ],
)
def test_faults_of_settings(setting: str, words: str) -> None:
    (fault,) = faults(DEMO + "vars: {epochs: 1}\n", setting)
    assert words in fault
    assert fault.startswith(f"--set {setting}: ")


def test_settings_are_yaml() -> None:
    text = "cluster: x\nvars: {a: 1, b: 2}\njobs: {a: {run: 'x ${a} ${b}'}}\n"
    loaded = loads(
        text, settings=["vars.a=", "vars.b=[1, two]", "jobs.b={run: y}", "jobs.b.tasks=2"]
    )
    assert loaded.cluster.jobs["a"].run == ("x", "", "1", "two")
    assert loaded.cluster.jobs["b"].tasks == 2


def test_the_file_is_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tenfold\.yaml in this directory"):
        find(tmp_path)
    (tmp_path / "a.tenfold.yaml").touch()
    assert find(tmp_path).name == "a.tenfold.yaml"
    (tmp_path / "b.tenfold.yaml").touch()
    with pytest.raises(InputError, match=r"a\.tenfold\.yaml, b\.tenfold\.yaml"):
        find(tmp_path)
    (tmp_path / "tenfold.yaml").touch()
    assert find(tmp_path).name == "tenfold.yaml"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name, words in (("no", "No such file"), ("", "is a directory"), ("a\0b", "not a valid")):
        with pytest.raises(InputError, match=words):
            load(f"{tmp_path}/{name}")
    large = tmp_path / "large.yaml"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(InputError, match="too large: 50 MB; the limit is 512 KiB"):
        load(large)
    with pytest.raises(InputError, match="not a regular file"):
        load("/dev/zero")


# Dumps, places, secrets.


def test_a_dumped_cluster_loads_as_the_same_cluster() -> None:
    cluster = loads(DEMO).cluster
    assert loads(dump(cluster)).cluster == cluster
    odd = Cluster(
        cluster="x", jobs={"a": Job(run=["x", "1e3", "no", "~", "a: b"], env={"A": "007"})}
    )
    assert loads(dump(odd)).cluster.jobs == odd.jobs


def test_a_path_is_mapped_to_its_line_and_column() -> None:
    loaded = loads(DEMO)
    assert str(loaded.place("jobs.worker.tasks")) == "tenfold.yaml:6:19"
    assert loaded.place("jobs.nobody") is None


def test_secrets_are_not_in_faults() -> None:
    text = 'cluster: x\njobs:\n  a: {run: x, taks: 1, env: {API_KEY: "hush hush", TOKEN: [hush]}}\n'
    with pytest.raises(InputError) as caught:
        loads(text)
    told = "".join(f"{fault}{fault.hint}{fault.excerpt()}" for fault in caught.value.faults)
    assert "taks: 1" in told
    assert "hush" not in told


def test_values_of_secret_variables_are_known() -> None:
    text = "cluster: x\njobs: {a: {run: 'x ${env.MY_TOKEN}'}}"
    assert loads(text, environment={"MY_TOKEN": "geheim"}).secrets == {"geheim"}


@pytest.mark.parametrize("kind", ["directory", "pipe", "link"])
def test_a_tenfold_yaml_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "tenfold.yaml"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    with pytest.raises(InputError, match=r"tenfold\.yaml"):
        load(find(tmp_path))
