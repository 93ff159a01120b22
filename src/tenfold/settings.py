"""Settings of the person at the keyboard, and which of several sources wins.

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

from tenfold.cell_table import DEFAULT
from tenfold.errors import InputError
from tenfold.paths import user_path


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its default, what it is for, and the values it may have (empty: any)."""

    default: str
    meaning: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value and where it was found."""

    value: str
    origin: str


SETTINGS = {
    "runs": Setting(".tenfold/runs", "directory where runs are kept"),
    "cell": Setting(DEFAULT, "where to run"),
    "color": Setting("auto", "colour in the output", ("auto", "always", "never")),
    "isolation": Setting(
        "auto", "how local runs are kept from others", ("auto", "namespace", "loopback", "none")
    ),
    "keep": Setting("no", "keep a cluster up after its chief ended well", ("yes", "no")),
    "dashboard": Setting("yes", "start the dashboard with `tenfold up`", ("yes", "no")),
}

_YES = {"1": "yes", "true": "yes", "yes": "yes", "0": "no", "false": "no", "no": "no"}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"TENFOLD_{name.upper()}"


def resolve(
    name: str, flag: str | None = None, file: Mapping[str, str | None] | None = None
) -> Resolved:
    """The value of the setting `name` that wins.

    Args:
        flag: what the command line said, None if nothing.
        file: what the cluster file says of settings, by name.

    Raises InputError, naming the source, for a value that cannot be.
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
    return Resolved(str(user_path(checked, origin)) if name == "runs" else checked, origin)


def _checked(name: str, value: str, origin: str) -> str:
    choices = SETTINGS[name].choices
    if choices == ("yes", "no"):
        value = _YES.get(value.lower(), value)
    if not value:
        raise InputError(f"{origin}: {name} is empty", hint=SETTINGS[name].meaning)
    if choices and value not in choices:
        raise InputError(f"{origin}: {name} is {value!r}", hint="one of: " + ", ".join(choices))
    return value


def user_file() -> Path | None:
    """The user's own settings file, whether or not it is there; None for a user without a home."""
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
        raise InputError(f"{path} cannot be read: {error}", cause=error) from error
    import yaml

    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{path} is no YAML: {error}", cause=error) from error
    if not isinstance(values, dict):
        raise InputError(f"{path} has to be a mapping of settings")
    unknown = values.keys() - SETTINGS.keys()
    if unknown:
        raise InputError(
            f"{path}: unknown setting {min(map(str, unknown))}",
            hint="settings: " + ", ".join(SETTINGS),
        )
    return {name: _text(path, name, value) for name, value in values.items()}


def _is_out_of_reach(path: Path) -> bool:
    """Whether this user may not even look for it: HOME is another user's, after `su` say."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _text(path: Path, name: str, value: object) -> str:
    if isinstance(value, (dict, list)):
        raise InputError(f"{path}: {name} has to be one value")
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
