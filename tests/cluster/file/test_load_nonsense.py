"""Whatever is fed to the loader: an answer or an InputError, nothing else, and nothing written."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from tenfold.cluster.file import Loaded, dump, load, loads
from tenfold.errors import InputError
from tenfold.planning.plan import Plan
from tenfold.planning.planner import plan

GOOD = """\
# The whole of it.
cluster: word2vec
framework: tensorflow
vars: {corpus: docs, epochs: 1, lr: 1.10, flags: [--a, "--b c"]}
env: {MODE: "0777", WHEN: 22:22, ON: no, RATE: 1e3}
jobs:
  chief:
    run: python train.py --corpus ${corpus} --lr=${lr} ${flags}
    after: {ps: ready, worker: started}
    env: {NAME: "${task.name}", LITERAL: "$${x} $5"}
  ps: {tasks: 4, resources: {cpu: 0.5, memory: 1GiB}}
  worker:
    tasks: 8
    restart: {policy: on-failure, backoff: 500ms}
    ports: {http: auto}
    ready: {http: /health, port: http, timeout: 1m30s}
    overrides:
      "0": {env: {FIRST: "yes"}}
      2-5: {workdir: sub}
tensorboard: {port: 6006}
stop_grace: 3s
"""

ANY_TIME = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

_TRAPS = [
    r"no",
    r"0777",
    r"0o17",
    r"0x1F",
    r"22:22",
    r"1e3",
    r"1.5",
    r"-1",
    r"0",
    r"10000000000",
    r".inf",
    r".nan",
    r"~",
    r"null",
    r"true",
    r"''",
    r'""',
    r"[]",
    r"{}",
    r"1_000",
    r"2001-01-01",
    r"=",
    r"<<",
    r"*a",
    r"&a",
    r"!t",
    r"../x",
    r"-n",
    r"<script>alert(1)</script>",
    r"a/b",
    r"a\b",
    r"A",
    r"_",
    r"é",
    r"日本",
    r"10",
    r"10s",
    r"-1s",
    r"1h30",
    r"2GB",
    r"-1GiB",
    r"1e30GiB",
    r"${",
    r"${}",
    r"${x}",
    r"${env.}",
    r"${task.index}",
    r"${jobs.a.addresses}",
    r"$${x}",
    r"$",
    r"${env.NOT_SET:-1}",
    r"'\0'",
    r'"\0"',
    r'"\ud800"',
    r'"\x1b[2J"',
    r"python",
    r'"a',
]
_LONGER_TRAPS = (
    "!!python/object:os.system x", "!!binary aGk=", "&a x", "&a [*a]", "| x", "500 ms", "2 gib",
    "a" * 300, "9" * 5000, "\u2028", "\ufeff", "'a b' c", "a && b",
)  # fmt: skip
_KEYS = [
    "cluster",
    "framework",
    "jobs",
    "vars",
    "env",
    "extends",
    "tensorboard",
    "success",
    "cells",
    "run",
    "tasks",
    "after",
    "ready",
    "restart",
    "ports",
    "overrides",
    "resources",
    "workdir",
    "worker",
    "ps",
    "chief",
    "a",
    "a-1",
    "0",
    "0-3",
    "tcp",
    "http",
    "log",
    "policy",
    "cpu",
    "memory",
]
_SETTINGS = [
    "cluster",
    "framework",
    "cell",
    "stop_grace",
    "success",
    "runs",
    "jobs",
    "vars",
    "extends",
    "jobs.worker",
    "jobs.worker.tasks",
    "jobs.worker.run",
    "jobs.worker.after",
    "env.A",
    "jobs.worker.resources.memory",
    "jobs.worker.restart",
    "vars.lr",
    "jobs.worker.ready",
    "jobs.chief.overrides",
    "jobs.worker.ports.http",
    "tensorboard",
    ".",
    "jobs.",
    "x.y.z",
]

TRAPS = st.sampled_from([*_TRAPS, *_LONGER_TRAPS])
KEYS = st.sampled_from(_KEYS) | TRAPS.filter(lambda text: not set(text) & set("\n*&!|'\"[{"))


def check_words(error: InputError) -> None:
    """An error that can be shown: at least one fault, and nothing that a terminal would obey."""
    assert error.exit_code == 2
    assert error.faults
    for fault in error.faults:
        assert fault.message
        assert "\x1b" not in f"{fault}{fault.hint}{fault.excerpt()}"
        fault.to_json()


def answer(data: str | bytes, **more: object) -> Loaded | None:
    """What the loader says; None for a clear refusal."""
    try:
        loaded = loads(data, environment={"HOME": "/h"}, **more)  # type: ignore[arg-type]
    except InputError as error:
        check_words(error)
        return None
    made = plan(loaded)
    assert Plan.from_json(made.to_json(hide_secrets=False)).tasks == made.tasks
    return loaded


def flow(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """YAML of lists and mappings in brackets."""
    lists = st.lists(children, max_size=4).map(lambda items: f"[{', '.join(items)}]")
    pairs = st.lists(st.tuples(KEYS, children), max_size=5)
    maps = pairs.map(lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items) + "}")
    return lists | maps


VALUES = st.recursive(TRAPS, flow, max_leaves=12)


@ANY_TIME
@given(st.binary(max_size=300))
def test_any_bytes_give_a_cluster_or_faults(data: bytes) -> None:
    answer(data)


@ANY_TIME
@given(st.text(max_size=300))
def test_any_text_gives_a_cluster_or_faults(text: str) -> None:
    answer(text)


@ANY_TIME
@given(st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7"]))
def test_any_encoding_gives_a_cluster_or_faults(encoding: str) -> None:
    loaded = answer((GOOD + "# é").encode(encoding))
    if encoding == "utf-8-sig":
        assert loaded is not None


@ANY_TIME
@given(st.integers(0, len(GOOD)), st.binary(max_size=4))
def test_a_good_file_with_something_put_in(position: int, extra: bytes) -> None:
    data = GOOD.encode()
    answer(data[:position] + extra + data[position:])


@ANY_TIME
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_a_good_file_with_something_taken_out(start: int, end: int) -> None:
    answer(GOOD[:start] + GOOD[end:])


def test_truncation_at_every_byte() -> None:
    data = GOOD.encode()
    for end in range(len(data)):
        answer(data[:end])


@ANY_TIME
@given(st.lists(st.tuples(KEYS, VALUES), max_size=8))
def test_any_keys_and_values(pairs: list[tuple[str, str]]) -> None:
    answer("".join(f"{key}: {value}\n" for key, value in pairs))


@ANY_TIME
@given(st.lists(st.tuples(KEYS, VALUES), max_size=6))
def test_any_keys_and_values_of_a_job(pairs: list[tuple[str, str]]) -> None:
    inner = "".join(f"    {key}: {value}\n" for key, value in pairs)
    answer(f"cluster: x\nframework: tensorflow\njobs:\n  worker:\n{inner}  ps: {{}}\n")


@ANY_TIME
@given(
    st.sampled_from([*_SETTINGS, ""]),
    VALUES,
)
def test_any_setting_gives_a_cluster_or_faults(key: str, value: str) -> None:
    answer(GOOD, settings=[f"{key}={value}"])


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "a: " * 100_000,
        "&a " * 50_000,
        "!" * 100_000,
        "#" * 500_000,
        "\n" * 500_000,
        "'" * 100_001,
        '"' + "\\x41" * 100_000,
        "a: |\n" + " x\n" * 100_000,
        "a: &a [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1 or ''}, *a]\n" for i in range(1, 40)),
        "vars:\n" + "".join(f"  a{i}: '${{a{i + 1}}}${{a{i + 1}}}'\n" for i in range(60)),
        "cluster: x\njobs: {a: {run: x, after: " + "a" * 500_000 + "}}",
        "cluster: x\njobs: {a: {run: '" + "$" * 400_000 + "{'}}",
        "cluster: x\njobs: {a: {run: '" + "${a" * 100_000 + "'}}",
        "success: [" + "a, " * 20_000 + "]",
        "".join(f"  {'x' * 50}{i}: 1\n" for i in range(8_000)),
        "cluster: x\njobs:\n"
        + "".join(
            f"  j{i}: {{run: x, after: [{', '.join(f'j{k}' for k in range(100))}]}}\n"
            for i in range(100)
        ),
    ],
    ids=range(20),
)
@pytest.mark.timeout(20)
def test_malicious_yaml_is_handled_quickly(text: str) -> None:
    answer(text)


def test_nothing_is_written_and_nothing_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the loader started a process")

    for name in ("os.system", "os.fork", "os.posix_spawn", "subprocess.Popen", "os.execve"):
        monkeypatch.setattr(name, refuse)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    file = tmp_path / "tenfold.yaml"
    for text in (GOOD, "a: !!python/object/apply:os.system [touch x]", "jobs: {a: {run: touch x}}"):
        file.write_text(text)
        before = sorted(tmp_path.rglob("*"))
        with contextlib.suppress(InputError):
            plan(load(file))
        assert sorted(tmp_path.rglob("*")) == before


# What holds of any valid file.


def shuffled(value: object, generator: random.Random) -> object:
    """The same value with the keys of all its mappings in another order."""
    if isinstance(value, list):
        return [shuffled(item, generator) for item in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    generator.shuffle(keys)
    return {key: shuffled(value[key], generator) for key in keys}


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
ENV = st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), TEXTS, max_size=3)
DURATIONS = st.sampled_from(["10s", "1m30s", "500ms", 3, 0.25, "1h"])
RESTARTS = st.sampled_from(["never", "on-failure", "always", {"policy": "always", "limit": 7}])
READY = st.sampled_from(
    ["tcp", {"log": "up.*"}, {"http": "/", "timeout": "3s"}, {"command": "true"}]
)
WORDS = st.lists(TEXTS, min_size=1, max_size=4).map(lambda words: ["python", *words])
RESOURCES = st.sampled_from([{}, {"cpu": 1.5}, {"memory": "2GiB", "gpu": 1}, {"memory": 4096}])


@st.composite
def clusters(draw: st.DrawFn) -> dict[str, object]:
    """What a valid file says, as plain values; texts are literal."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    jobs: dict[str, object] = {}
    for position, name in enumerate(names):
        job: dict[str, object] = {"run": draw(WORDS), "tasks": draw(st.integers(1, 5))}
        for key, strategy in (
            ("env", ENV),
            ("restart", RESTARTS),
            ("ready", READY),
            ("resources", RESOURCES),
            ("network", st.sampled_from(["cluster", "host"])),
            (
                "after",
                st.lists(st.sampled_from(names[:position] or ["-"]), max_size=2, unique=True),
            ),
            ("overrides", ENV.map(lambda env: {"0": {"env": env}})),
            ("workdir", st.sampled_from(["sub", "/tmp", "a b"])),
        ):
            if draw(st.booleans()):
                job[key] = draw(strategy)
        if job.get("after") == ["-"]:
            del job["after"]
        jobs[name] = job
    top: dict[str, object] = {"cluster": draw(NAMES), "jobs": jobs, "env": draw(ENV)}
    if draw(st.booleans()):
        top["stop_grace"] = draw(DURATIONS)
    return top


def escaped(value: object) -> object:
    """Literal texts as a file has to write them."""
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) and "$$" not in value else value


def loaded_or_refused(text: str) -> Loaded | None:
    loaded = answer(text)
    if loaded is None:
        with pytest.raises(InputError) as caught:
            loads(text, environment={})
        # The only thing that can be wrong with these: names that stand for two things.
        assert all("is also the name of" in fault.message for fault in caught.value.faults)
    return loaded


@ANY_TIME
@given(clusters(), st.randoms(use_true_random=False))
def test_key_order_and_comments_do_not_change_the_plan(
    data: dict[str, object], generator: random.Random
) -> None:
    data = escaped(data)  # type: ignore[assignment]
    text = yaml.safe_dump(data, allow_unicode=True, default_style='"')
    other = yaml.safe_dump(
        shuffled(data, generator), allow_unicode=True, sort_keys=False, default_style='"'
    )
    other = "# one\n" + other.replace('\n"jobs"', '\n# two\n"jobs"') + "\n# three\n"
    loaded, again = loaded_or_refused(text), loaded_or_refused(other)
    assert (loaded is None) == (again is None)
    if loaded is not None and again is not None:
        assert plan(loaded) == plan(again)


@ANY_TIME
@given(clusters())
def test_the_same_bytes_give_the_same_plan_and_so_does_a_dump(data: dict[str, object]) -> None:
    text = yaml.safe_dump(escaped(data), allow_unicode=True, default_style='"')
    loaded = loaded_or_refused(text)
    if loaded is None:
        return
    made = plan(loaded)
    assert made == plan(answer(text) or loaded)
    dumped = dump(loaded.cluster)
    again = answer(dumped)
    assert again is not None, dumped
    assert again.cluster == loaded.cluster
    assert plan(again) == made
    assert plan(loaded.cluster, directory=loaded.directory).tasks == made.tasks


def test_the_long_example_survives_all_of_it() -> None:
    loaded = answer(GOOD)
    assert loaded is not None
    again = answer(dump(loaded.cluster))
    assert again is not None
    assert plan(again) == plan(loaded)
