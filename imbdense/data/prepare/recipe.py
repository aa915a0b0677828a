"""What a recipe is, and how one is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imbdense.data.prepare.job import Job, PrepareError, Progress, close_job, open_job, silent


@dataclass(frozen=True)
class Recipe:
    """How one data set comes into the layout of the configs.

    Attributes:
        name: what ``imbdense prepare NAME`` says and the folder of its facts sheet.
        summary: one line.
        home: where a person gets the data (a page to look for; nothing is downloaded).
        layout: the expected source layout, shown when something is missing.
        build: does the work; finished outputs are skipped.
        tile, overlap: default window in pixels, 0 = images stay whole.
        cuts: whether ``--tile`` can cut images that stay whole by default.
        sheet: whether the data set has a facts sheet of its own.
    """

    name: str
    summary: str
    home: str
    layout: str
    build: Callable[[Job], None]
    tile: int = 0
    overlap: int = 0
    cuts: bool = False
    sheet: bool = True


def prepare(
    recipe: Recipe,
    source: Path,
    out: Path,
    *,
    copy: bool = False,
    tile: int | None = None,
    overlap: int | None = None,
    progress: Progress = silent,
) -> Job:
    """Bring the data in ``source`` into ``out`` and return the finished job (its notes, its folder).

    Deterministic: files and ids come in sorted order, so two runs give equal bytes. Interrupted runs go on where they
    stopped. The source is only read (files are linked, or copied with ``copy``).

    Raises:
        PrepareError: the layout does not fit, a file is broken, or ``out`` holds something else.
    """
    if tile is not None and not (recipe.tile or recipe.cuts):
        raise PrepareError(f'{recipe.name} keeps its images whole; --tile does not apply.')
    sheet = f' Facts sheet: datasets/{recipe.name}/README.md' if recipe.sheet else ''
    where = f'{recipe.layout.rstrip()}\nGet the data from: {recipe.home}.{sheet}'
    job = Job(
        source, out, where, copy, recipe.tile if tile is None else tile,
        recipe.overlap if overlap is None else overlap, progress,
    )
    open_job(job, recipe.name)
    recipe.build(job)
    close_job(job, recipe.name)
    return job
