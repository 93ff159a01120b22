"""Why a run ended, to follow its state in one line. Pure."""

from __future__ import annotations

from tenfold.views.status import RunView


def because(run: RunView, headline: str | None = None) -> str:
    """Why a run ended: the text of its `headline`, or the reason in status.json.

    Without a `headline` (`views.headline`), as in a list of many runs, no other file is read.
    """
    start = f"{run.cluster} {run.state}: "
    if headline is not None and headline.startswith(start):
        return headline.removeprefix(start)
    words, first = run.reason or "", run.first_failure
    if first is not None and first.exception and words.startswith(f"{first.death.task} "):
        return f'{words}: it says "{first.exception.line}"'
    return words
