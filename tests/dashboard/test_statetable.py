"""The page has the same table of states as everything else."""

from __future__ import annotations

import re

from tenfold.dashboard import statetable
from tenfold.run.states import State

STATIC = statetable.PATH.parent


def test_the_pages_table_is_the_one_that_is_generated() -> None:
    assert statetable.PATH.read_text() == statetable.script(), (
        "run: python -m tenfold.dashboard.statetable"
    )


def test_the_style_sheet_has_every_states_colour() -> None:
    style = (STATIC / "app.css").read_text()
    for row in statetable.table().values():
        assert f"--{row['colour']}:" in style


def test_no_script_of_the_page_compares_state_names() -> None:
    names = "|".join(State)
    spelled = re.compile(rf'state\)? *[!=]== *"({names})"|(Set\(|= )\[[^]]*"({names})"', re.I)
    for path in STATIC.glob("*.js"):
        if path != statetable.PATH:
            assert not spelled.search(path.read_text()), path.name
