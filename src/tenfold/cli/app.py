"""The table of commands.

Only this module prints errors and determines exit codes.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback

import click

from tenfold import __version__
from tenfold.base import streams
from tenfold.base.secrets import veiled
from tenfold.cli.selection import FILE_PARAMETER, WITHOUT_FILE, file_option
from tenfold.errors import InputError, TenfoldError
from tenfold.launch.signals import hear_of_children

_COMMANDS = {
    "init": "Write a tenfold.yaml for the training here, or an example.",
    "check": "Check a cluster file and list all errors and warnings.",
    "plan": "Show what `up` would start.",
    "render": "Print the files of the cell: compose.yaml, job.sbatch, manifests.",
    "up": "Start a cluster and follow its output.",
    "ps": "List the tasks of a run and their states.",
    "logs": "Show the output of tasks.",
    "open": "Open the dashboard in a browser.",
    "map": "Show the traffic between tasks.",
    "events": "List the events of a run in order.",
    "stacks": "Show stack traces of all tasks.",
    "why": "Explain why a run failed and what to do next.",
    "restart": "Restart tasks.",
    "exec": "Run a command in the environment of a task.",
    "stop": "Stop a run and all its processes. The same as `down`.",
    "down": "Stop a run and all its processes.",
    "tag": "Add tags to a run, or remove them.",
    "note": "Write a note about a run.",
    "rm": "Remove runs that have ended.",
    "prune": "Remove old runs that nothing needs.",
    "doctor": "Check what works on this machine and how to fix the rest.",
    "schema": "Print the JSON Schema of the cluster file.",
    "config": "Show the settings and where they come from.",
    "task": "Run one task of a cluster (used by files that tenfold generates).",
    "completion": "Print the completion script for bash, zsh or fish.",
}


_ELSEWHERE = {
    "status": "ps",
    "list": "ps",
    "ls": "ps",
    "top": "ps",
    "start": "up",
    "run": "up",
    "launch": "up",
    "kill": "down",
    "destroy": "down",
    "delete": "rm",
    "remove": "rm",
    "clean": "prune",
    "gc": "prune",
    "label": "tag",
    "annotate": "note",
    "log": "logs",
    "tail": "logs",
    "shell": "exec",
    "attach": "exec",
    "dashboard": "open",
    "validate": "check",
    "lint": "check",
    "describe": "why",
    "explain": "why",
    "history": "events",
    "graph": "map",
    "trace": "stacks",
    "settings": "config",
    "create": "init",
    "new": "init",
    "template": "render",
    "export": "render",
}
"""Names of commands in other tools, and the tenfold command that does the same."""

_ACTING = ("up", "down", "stop", "restart", "exec", "open", "init", "task", "tag", "note", "rm",
           "prune")  # fmt: skip
"""Commands that change something, and finish even if nobody reads their output."""


class _NobodyReadsError(Exception):
    """The reader of this command's output has closed its end."""


class _Commands(click.Group):
    """Imports a command's module when the command is used. `--help` needs none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"tenfold.cli.{cmd_name.replace('exec', 'exec_')}")
        command: click.Command = module.command
        if cmd_name != "exec" and not any(p.name == "debug" for p in command.params):
            command.params += [_option(*made) for made in _ANYWHERE]
        _add_file_option(cmd_name, command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([item for item in _COMMANDS.items() if item[0] != "task"])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # click itself would make it exit code 1
            raise _NobodyReadsError from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            found = super().resolve_command(ctx, args)
            if found[0] in _ACTING:
                streams.tolerate()
            return found
        except click.UsageError as error:
            from tenfold.base.nearest import nearest

            words = {name: name for name in _COMMANDS if name != "task"} | _ELSEWHERE
            near = nearest(args[0].lower(), words, 0.7)
            if near is None:
                raise
            raise click.UsageError(f"{error.message} Did you mean {words[near]}?", ctx) from error


_ANYWHERE: tuple[tuple[str, click.Choice[str] | None, str], ...] = (
    (
        "--color",
        click.Choice(["auto", "always", "never"]),
        "Colour the output (auto: only on a terminal).",
    ),
    ("--debug", None, "Show the traceback of an error."),
)
"""Options that may stand before the command or after it."""


def _option(name: str, kind: click.Choice[str] | None, meaning: str) -> click.Option:
    def keep(ctx: click.Context, parameter: click.Parameter, value: object) -> object:
        if value:
            ctx.find_root().ensure_object(dict)[parameter.name] = value
        return value

    return click.Option(
        [name], type=kind, is_flag=kind is None, help=meaning, expose_value=False, callback=keep
    )


def _add_file_option(name: str, command: click.Command) -> None:
    """Let a command take `-f FILE`, or `--file FILE` if its `-f` follows the output."""
    if name in WITHOUT_FILE or any(p.name == FILE_PARAMETER for p in command.params):
        return
    follows = any("-f" in option.opts for option in command.params)
    command.params.append(file_option(short=not follows))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tenfold")
def tenfold() -> None:
    """Start and watch a training cluster that is described in one file."""


tenfold.params += [*(_option(*made) for made in _ANYWHERE), file_option()]


def run(arguments: list[str]) -> int:
    """See `tenfold.cli.run`."""
    debug = "--debug" in arguments
    hear_of_children()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # no encoding of a terminal is worth a traceback
    try:
        code = tenfold.main(arguments, prog_name="tenfold", standalone_mode=False)
        sys.stdout.flush()
        if (failure := streams.take_failure()) is not None:
            _tell_unwritten(failure)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return 130
    except TenfoldError as error:
        _show(error, debug)
        return error.exit_code
    except streams.OutputError as error:
        _tell_unwritten(error)
        return 0 if error.nobody_reads else 1
    except (BrokenPipeError, _NobodyReadsError):
        return _read_no_more()
    except Exception as error:
        if isinstance(error, FileNotFoundError) and _directory_is_gone():
            gone = InputError("the working directory no longer exists", cause=error)
            _show(gone, debug)
            return gone.exit_code
        return _show_bug(error, debug)
    return code if isinstance(code, int) else 0


def _read_no_more() -> int:
    """End quietly when the reader has stopped, as in `tenfold logs | head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _directory_is_gone() -> bool:
    """Whether the directory in which the command was started has been deleted."""
    try:
        os.getcwd()  # noqa: PTH109 - it raises where Path.cwd() does, and says no more
    except FileNotFoundError:
        return True
    return False


def _tell_unwritten(error: streams.OutputError) -> None:
    if not error.nobody_reads:
        click.echo(f"tenfold: {error}", err=True)


def _show(error: TenfoldError, debug: bool) -> None:
    if debug:
        _print_traceback(error)
    if isinstance(error, InputError) and _directory_is_gone():
        error.hint = "the working directory has been deleted; cd to an existing directory"
    from tenfold.cli.common import console
    from tenfold.views import terminal
    from tenfold.views.faults import show_error

    try:
        where = console(stderr=True)
    except TenfoldError:  # it may be the setting of the colour that is wrong
        where = terminal.console("auto", stderr=True)
    show_error(where, error)


def _show_bug(error: Exception, debug: bool) -> int:
    if debug:
        _print_traceback(error)
        return 1
    click.echo(veiled(f"tenfold: unexpected {type(error).__name__}: {error}"), err=True)
    click.echo("    hint: this is a bug in tenfold; run tenfold --debug for a traceback", err=True)
    return 1


def _print_traceback(error: BaseException) -> None:
    click.echo(veiled("".join(traceback.format_exception(error))), err=True, nl=False)
