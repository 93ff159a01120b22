"""What a shell would expand in a command is warned of, and what means itself is not."""

from __future__ import annotations

import json

import pytest

from tenfold.cluster.file import loads
from tenfold.errors import InputError


def warnings(job: dict[str, object], **more: object) -> list[tuple[str, str, str]]:
    """Path, message and hint of every warning of a file with this job."""
    text = json.dumps({"cluster": "x", "jobs": {"a": {"run": "x"} | job}} | more)
    loaded = loads(text, environment={"HOME": "/h", "DATA": "/d", "TOKEN": "a$HOME~"})
    return [(w.path, w.message, w.hint or "") for w in loaded.warnings]


@pytest.mark.parametrize(
    ("run", "position", "what", "hint"),
    [
        ("x $HOME/y", 1, "$HOME", "write ${env.HOME}"),
        ('x "$HOME/y"', 1, "$HOME", "write ${env.HOME}"),
        (
            "x $NOWHERE",
            1,
            "$NOWHERE",
            'for the value of the variable, write run: [sh, -c, "x $NOWHERE"]',
        ),
        ("x ~/y", 1, "~", "write ${env.HOME}"),
        ("x data=~/y", 1, "~", "write ${env.HOME}"),
        ("x ~ann/y", 1, "~ann", "write the full path"),
        ("x *.txt", 1, "*.txt", 'run: [sh, -c, "x *.txt"]'),
        ("x -v f?.txt", 2, "f?.txt", 'run: [sh, -c, "x -v f?.txt"]'),
        ("x ${env.DATA}/[0-9].txt", 1, "${env.DATA}/[0-9].txt", 'run: [sh, -c, "x ${env.DATA}'),
        ("x {1..3}", 1, "{1..3}", 'run: [bash, -c, "x {1..3}"]'),
        ("x {a,b}.txt", 1, "{a,b}.txt", "run: [bash, -c,"),
        ("x a|y", 1, "|", 'run: [sh, -c, "x a|y"]'),
        ("x a>y", 1, ">", "run: [sh, -c,"),
        ('x "$(date)"', 1, "$(", "run: [sh, -c,"),
        (["x", "$HOME"], 1, "$HOME", "write ${env.HOME}"),
        (["x", "~/y"], 1, "~", "write ${env.HOME}"),
        (["x", "&&", "y z"], 1, "&&", "run: [sh, -c, \"x && 'y z'\"]"),
        (["x", ">", "y"], 1, ">", 'run: [sh, -c, "x > y"]'),
        (["bash", "run.sh", "$HOME"], 2, "$HOME", "write ${env.HOME}"),
    ],
)
def test_text_that_only_a_shell_expands_gets_a_warning(
    run: object, position: int, what: str, hint: str
) -> None:
    ((path, message, told),) = warnings({"run": run})
    assert (path, message) == (
        f"jobs.a.run[{position}]",
        f"{what} is not expanded, because no shell is used",
    )
    assert told.startswith(hint)


@pytest.mark.parametrize(
    "run",
    [
        "x '*.txt' \"*.txt\" \\*.txt --glob=*.txt k=*.txt",
        "x '$HOME' \\$HOME '~/y' --data=~/y HEAD~1 a~",
        "x http://h/?a=1&b=2 'a|b' torch>=2 a->b [1,2] [-1,1] '{1..3}'",
        'x {"a":1,"b":2} ${env.DATA}/y',
        "sh -c 'x *.txt > $HOME/y'",
        'bash -ec "x $HOME ~/y"',
        "env A=1 sh -c 'x $HOME'",
        "python -c 'print(\"$HOME\")  # ~'",
        "python train.py 'a # b'",
        ["sh", "-c", "x $HOME && y"],
        ["x", "*.txt", "a|b", "{1..3}", "#", "a\nb"],
        ["test", "a", ">", "b"],
        ["find", ".", "-exec", "x", ";"],
        ["awk", "{print $NF}"],
        "x \\\n  --y 1\n",
    ],
)
def test_literal_text_gets_no_warning(run: object) -> None:
    assert warnings({"run": run}) == []


def test_unexpanded_text_from_a_var_gets_a_warning() -> None:
    ((path, message, _),) = warnings({"run": "x ${data}"}, vars={"data": "~/y"})
    assert (path, message) == ("jobs.a.run[1]", "~ is not expanded, because no shell is used")


def test_overrides_and_settings_are_checked_like_the_job() -> None:
    ((path, message, _),) = warnings({"overrides": {"0": {"run": "x $HOME"}}})
    assert path == 'jobs.a.overrides."0".run[1]' or path.endswith("run[1]")
    assert message.startswith("$HOME is not expanded")
    text = "cluster: x\njobs: {a: {run: x}}"
    with pytest.raises(InputError, match="has 2 lines"):
        loads(text, settings=['jobs.a.run="x\\ny"'])
    assert loads(text, settings=["jobs.a.run=x *"]).warnings


def test_readiness_commands_are_checked_too() -> None:
    ((path, message, hint),) = warnings({"ready": {"command": "test -e *.done"}})
    assert (path, message) == (
        "jobs.a.ready.command",
        "*.done is not expanded, because no shell is used",
    )
    assert hint.startswith("command: \"sh -c 'test -e *.done'\"")
    with pytest.raises(InputError, match="has 2 lines"):
        warnings({"ready": {"command": "a\nb"}})


def test_values_of_variables_are_checked_but_not_of_secrets() -> None:
    told = warnings(
        {"env": {"D": "$HOME/y", "E": "~/y", "PRICE": "$5 $x $NONE", "A_TOKEN": "$HOME"}},
        env={"F": "${env.HOME}:$DATA"},
    )
    assert sorted((path, message.split()[0], hint) for path, message, hint in told) == [
        ("env.F", "$DATA", "write ${env.DATA}"),
        ("jobs.a.env.D", "$HOME", "write ${env.HOME}"),
        ("jobs.a.env.E", "~", "write ${env.HOME}"),
    ]


def test_a_command_that_only_a_shell_has_is_a_fault() -> None:
    with pytest.raises(InputError, match="cd is a built-in command of a shell"):
        warnings({"run": ["cd", "x"]})
    with pytest.raises(InputError, match="export is a built-in command of a shell"):
        warnings({"overrides": {"0": {"run": "export A"}}})


def test_lines_of_slurm_settings_are_lines_however_they_are_written() -> None:
    text = """
cluster: x
jobs: {a: {run: x}}
cells:
  slurm:
    options: |
      --exclusive
      --mem=4G
    setup: ["module load a\\nexport A=1", module load b]
"""
    slurm = loads(text).cluster.cells.slurm
    assert slurm.options == ("--exclusive", "--mem=4G")
    assert slurm.setup == ("module load a", "export A=1", "module load b")
