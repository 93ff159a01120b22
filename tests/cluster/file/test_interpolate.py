"""Vars and environment variables in `${…}`."""

from __future__ import annotations

import pytest

from tenfold.cluster.command_line import split
from tenfold.cluster.file import Loaded, loads
from tenfold.errors import InputError


def load(vars_: str, run: str = "x", rest: str = "", **environment: str) -> Loaded:
    text = f"cluster: x\nvars: {{{vars_}}}\njobs:\n  a:\n    run: {run}\n{rest}"
    return loads(text, environment=environment)


def words(vars_: str, run: str, **environment: str) -> tuple[str, ...] | str | None:
    return load(vars_, run, **environment).cluster.jobs["a"].run


def fault(vars_: str, run: str = "x", rest: str = "", **environment: str) -> tuple[str, str | None]:
    """The one fault: from its path on, and its hint."""
    with pytest.raises(InputError) as caught:
        load(vars_, run, rest, **environment)
    (found,) = caught.value.faults
    return str(found).removeprefix("tenfold.yaml:"), found.hint


def test_a_var_in_a_text_is_as_it_was_written() -> None:
    assert words("a: 1.10, b: no, c: 0777", "x --a=${a} ${b} ${c}") == (
        "x",
        "--a=1.10",
        "no",
        "0777",
    )


def test_a_value_with_spaces_stays_one_argument_and_a_list_becomes_several() -> None:
    made = words('p: "a b", l: [--x, "${p}"]', "x ${p} '${p}' ${l}")
    assert made == ("x", "a b", "a b", "--x", "a b")


def test_a_value_with_spaces_stays_one_argument_of_a_readiness_command() -> None:
    rest = "    ready: {command: \"test -d '${p}' -a -d ${p} ${l} ${task.name}\"}\n"
    ready = load('p: "a b\'c", l: [x, "y z"]', rest=rest).cluster.jobs["a"].ready
    assert ready is not None
    assert ready.command is not None
    made = split(ready.command, "command")
    assert made == ("test", "-d", "a b'c", "-a", "-d", "a b'c", "x", "y z", "${task.name}")


def test_a_var_can_be_a_whole_readiness_command() -> None:
    ready = load("c: test -e x", rest="    ready: {command: '${c}'}\n").cluster.jobs["a"].ready
    assert ready is not None
    assert ready.command == "test -e x"


def test_vars_of_vars() -> None:
    assert words('a: "${b}/c", b: "${d}", d: 3', "x ${a} ${vars.b}") == ("x", "3/c", "3")


def test_environment_variables_are_interpolated() -> None:
    made = words("a: 1", "x ${env.H} ${env.N:-no ne} ${env.E:-empty}", H="${a} $", E="")
    assert made == ("x", "$${a} $", "no ne", "empty")


def test_types_are_kept() -> None:
    rest = "    tasks: ${n}\n    after: ${l}\n  b: {run: y}\n"
    job = load('n: "${env.N}", l: [b]', rest=rest, N="4").cluster.jobs["a"]
    assert job.tasks == 4
    assert job.after == {"b": "ready"}


def test_literal_dollars_are_kept() -> None:
    assert words("d: $", "x $${y} ${d}{z} $5") == ("x", "$${y}", "$${z}", "$5")


@pytest.mark.parametrize(
    ("vars_", "run", "words_", "hint"),
    [
        ("epochs: 1", "x ${epohcs}", "5:12: jobs.a.run[1]: there is no ${epohcs}", "${epochs}?"),
        ("a: 1", "x ${task.indx}", "there is no ${task.indx}", "did you mean ${task.index}?"),
        ("a: 1", "x ${jobs.b.tasks}", "there is no ${jobs.b.tasks}", "${jobs.a.tasks}?"),
        ("a: 1", "x ${task.ports.web}", "there is no ${task.ports.web}", None),
        ("a: 1", "x ${env.HOMEE}", "variable HOMEE is not set", "${env.HOME}"),
        ("a: 1", "x ${a:-2}", "only ${env.NAME:-…} can have a default", "vars.a"),
        ("a: [1]", "x b${a}", "${a} is a list", "whole value"),
        (
            'a: "${b}", b: "${a}"',
            "x",
            "2:8: vars.a: vars refer to each other in a cycle: a → b → a",
            "",
        ),
        ('a: "${', "x", "is not YAML", None),
        ("a: 1", "x ${a", "`${` without its `}`", "$${"),
        ("a: 1", "x ${a b}", '"a b" is not a valid name', "$${"),
    ],
)
def test_invalid_references_are_faults_with_a_hint(
    vars_: str, run: str, words_: str, hint: str | None
) -> None:
    told, given = fault(vars_, run, HOME="/h")
    assert words_ in told
    assert (hint or "") in (given or "")


def test_late_names_are_allowed_only_in_some_fields() -> None:
    told, hint = fault("a: 1", rest='    tasks: "${task.index}"\n')
    assert told == "6:13: jobs.a.tasks: ${task.index} is known only when the tasks start"
    assert hint == "use it only in run, env, workdir and ready"
    assert words('d: "${run.directory}/x"', "y ${d}") == ("y", "${run.directory}/x")


def test_a_late_name_in_a_var_is_checked_where_it_is_used() -> None:
    told, _ = fault('i: "${task.index}"', rest="    tasks: ${i}\n")
    assert "${task.index} is known only when the tasks start" in told


def test_growth_has_an_end() -> None:
    doubling = ", ".join(f'v{i}: "${{v{i + 1}}}${{v{i + 1}}}"' for i in range(40))
    told, _ = fault(f"{doubling}, v40: aaaaaaaa", "x ${v0}")
    assert "the value of this var is too long" in told
