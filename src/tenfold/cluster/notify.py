"""Whom to tell about a run: `notify` of a cluster file and of the settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tenfold.cluster.units import FileModel, Text, wrong

NotifyEvent = Literal["ended", "failed", "hung", "restarted"]
NotifyFormat = Literal["json", "slack", "discord", "ntfy"]
USUAL: tuple[NotifyEvent, ...] = ("ended", "failed", "hung")

_URL = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)


def is_url(text: str) -> bool:
    """Whether a text is meant as a URL, and not as a command."""
    return text.lower().startswith(("http://", "https://"))


def _notify(value: object) -> object:
    """Convert a URL, a command or `none` to a mapping."""
    if value == "none" or value is False:
        return {}
    if isinstance(value, str):
        return {"url": value} if is_url(value) else {"command": value}
    return {"command": value} if isinstance(value, (list, tuple)) else value


def _events(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _whole_url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise wrong("a URL that starts with http:// or https://")
    return text


class Notify(FileModel):
    """Whom to tell when a run ended, failed, hangs or was restarted."""

    url: Annotated[Text, AfterValidator(_whole_url)] | None = None
    """A URL that gets a POST request with JSON. Output never shows more of it than the host."""

    command: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """A command that runs where the supervisor runs. It gets the facts in `TENFOLD_*` variables,
    and as JSON on its standard input."""

    on: Annotated[
        tuple[NotifyEvent, ...],
        Field(min_length=1),
        BeforeValidator(_events, json_schema_input_type=NotifyEvent | list[NotifyEvent]),
    ] = USUAL
    """The events to tell about: `ended` (succeeded or stopped), `failed`, `hung`, `restarted`."""

    format: NotifyFormat | None = None
    """The form of the request: `json`, `slack`, `discord` or `ntfy`. The default depends on the
    host of the URL."""

    @model_validator(mode="after")
    def _one_of(self) -> Notify:
        if self.url is not None and self.command is not None:
            raise wrong("url or command, and not both")
        if self.model_fields_set and self.url is None and self.command is None:
            raise wrong("a url or a command", "write notify: none to tell nobody")
        if self.format is not None and self.url is None:
            raise wrong("`format` only together with url")
        return self


NotifyValue = Annotated[
    Notify,
    BeforeValidator(
        _notify, json_schema_input_type=Text | Annotated[list[Text], Field(min_length=1)] | Notify
    ),
]


def from_setting(target: str, events: str) -> Notify:
    """The same from the settings `notify` and `notify_on`.

    Raises pydantic's ValidationError for a value that a cluster file could not have.
    """
    made = _notify(target)
    on = [event.strip() for event in events.split(",") if event.strip()]
    told = dict(made) if isinstance(made, Mapping) else {}
    return Notify.model_validate({**told, "on": on} if told else {})
