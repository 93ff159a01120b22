"""What `cells:` and `build:` of a cluster file can say: how it runs on each kind of cell.

Each cell has the model of its settings in `settings.py` of its package. This module collects them
into the model of `cells:`. Leaves to others: the rest of the file (`spec`), and what a cell does
with its settings (`cells`). A cell without settings, as the local one, has no such module.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, create_model

from tenfold.cluster.cell_table import CELLS
from tenfold.cluster.units import CellSettings, EnvName, EnvValue, FileModel, Text


def _build(value: object) -> object:
    return {"context": value} if isinstance(value, str) else value


class Build(FileModel):
    """How to build the image."""

    context: Text = "."
    """The directory that is sent to the engine, relative to the directory of the file."""

    dockerfile: Text | None = None
    """The Dockerfile, relative to the context. The default is `Dockerfile`."""

    args: dict[EnvName, EnvValue] = {}
    """Values for `ARG`s in the Dockerfile."""


BuildValue = Annotated[Build, BeforeValidator(_build, json_schema_input_type=Text | Build)]


def _of_cells() -> Iterator[tuple[str, type[CellSettings]]]:
    for name, package in CELLS.items():
        if importlib.util.find_spec(f"{package}.settings") is not None:
            yield name, importlib.import_module(f"{package}.settings").SETTINGS


CELL_SETTINGS = dict(_of_cells())
"""The model of the settings of each cell that has any, by the cell's name."""


class _Cells(FileModel):
    """Settings of single cells."""

    def jobs_named(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Names of jobs in the settings of all cells, and where each stands below `cells`."""
        for cell in CELL_SETTINGS:
            for path, job in getattr(self, cell).jobs_named():
                yield (cell, *path), job

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


if TYPE_CHECKING:
    Cells = _Cells
else:
    Cells = create_model(
        "Cells",
        __base__=_Cells,
        __doc__=_Cells.__doc__,
        **{
            name: (model, Field(model(), description=model.summary))
            for name, model in CELL_SETTINGS.items()
        },
    )
