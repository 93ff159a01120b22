"""User settings, and the precedence of their sources.

From strongest to weakest: a flag, a TENFOLD_* variable, the cluster file, the user's own
`config.yaml` in the XDG configuration directory, the default. `tenfold config --show-origin` says
where each value comes from.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tenfold.base.paths import user_path
from tenfold.base.secrets import remember, secrets_of_url, shown_url
from tenfold.cluster.cell_table import DEFAULT
from tenfold.errors import InputError


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: default, meaning and allowed values (empty: any value).

    A URL in a `secret` one is shown by its host alone.
    """

    default: str
    meaning: str
    choices: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Resolved:
    """The value of a setting and its source."""

    value: str
    origin: str
    hidden: bool = False

    @property
    def shown(self) -> str:
        """The value as output shows it: a URL of a secret setting without its path."""
        return shown_url(self.value) if "://" in self.value and self.hidden else self.value


SETTINGS = {
    "runs": Setting(".tenfold/runs", "directory where runs are kept"),
    "cell": Setting(DEFAULT, "cell to run on"),
    "python": Setting("auto", "interpreter that `python` in a command means"),
    "color": Setting("auto", "when to colour the output", ("auto", "always", "never")),
    "isolation": Setting(
        "auto", "how local runs are isolated", ("auto", "namespace", "loopback", "none")
    ),
    "keep": Setting("no", "keep the cluster running after its chief succeeds", ("yes", "no")),
    "notify": Setting(
        "none", "URL to notify, or command to run, when a run ends, fails or hangs", secret=True
    ),
    "notify_on": Setting(
        "ended,failed,hung", "events that `notify` reports: ended, failed, hung, restarted"
    ),
    "dashboard": Setting("yes", "start the dashboard with `tenfold up`", ("yes", "no")),
}

_YES = {"1": "yes", "true": "yes", "yes": "yes", "0": "no", "false": "no", "no": "no"}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"TENFOLD_{name.upper()}"


def resolve(
    name: str, flag: str | None = None, file: Mapping[str, str | None] | None = None
) -> Resolved:
    """Resolve the setting `name` from all sources.

    The source with the highest precedence is first.

    Args:
        flag: the value on the command line, or None.
        file: the settings in the cluster file, by name.

    Raises InputError, which names the source, for an invalid value.
    """
    sources = (
        (f"--{name}", flag),
        (variable(name), os.environ.get(variable(name)) or None),
        ("the cluster file", (file or {}).get(name)),
        (str(user_file()), _user_settings().get(name)),
        ("default", SETTINGS[name].default),
    )
    origin, value = next((o, v) for o, v in sources if v is not None)
    checked = _checked(name, value, origin)
    if SETTINGS[name].secret:
        remember(secrets_of_url(checked) if "://" in checked else ())
        return Resolved(checked, origin, hidden=True)
    return Resolved(str(user_path(checked, origin)) if name == "runs" else checked, origin)


def _checked(name: str, value: str, origin: str) -> str:
    choices = SETTINGS[name].choices
    if choices == ("yes", "no"):
        value = _YES.get(value.lower(), value)
    if not value:
        raise InputError(f"{origin}: {name} is empty", hint=SETTINGS[name].meaning)
    if choices and value not in choices:
        raise InputError(
            f"{origin}: invalid value for {name}: {value!r}", hint="use " + ", ".join(choices)
        )
    return value


def user_file() -> Path | None:
    """The path of the user's settings file. None without a home directory."""
    import platformdirs

    try:
        return Path(platformdirs.user_config_dir("tenfold")) / "config.yaml"
    except RuntimeError:  # no entry in /etc/passwd and no HOME
        return None


@functools.cache
def _user_settings() -> dict[str, str]:
    path = user_file()
    if path is None or _is_out_of_reach(path):
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}", cause=error) from error
    import yaml

    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {_where(error)}", cause=error) from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must be a mapping of settings")
    unknown = values.keys() - SETTINGS.keys()
    if unknown:
        raise InputError(
            f"{path}: unknown setting {min(map(str, unknown))}",
            hint="settings: " + ", ".join(SETTINGS),
        )
    return {name: _text(path, name, value) for name, value in values.items()}


def _where(error: Exception) -> str:
    """What is wrong, and in which line. The line itself may hold a secret."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return "it contains characters that YAML does not allow"
    return f"line {mark.line + 1}: {problem}"


def _is_out_of_reach(path: Path) -> bool:
    """Whether the user may not read the file.

    For example because HOME belongs to another user.
    """
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _text(path: Path, name: str, value: object) -> str:
    if isinstance(value, (dict, list)):
        raise InputError(f"{path}: {name} must be a single value")
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
