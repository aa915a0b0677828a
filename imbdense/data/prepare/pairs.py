"""The output of recipes for pairs of images: t1/, t2/, label_change/, label_t1/, label_t2/, splits/, dataset.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.change.layout import CHANGE_FOLDER, GREY_MASK, RECORD, change_label_map
from imbdense.data.geotiff import open_raster, read_window
from imbdense.data.prepare.job import IGNORE, Job, PrepareError
from imbdense.data.prepare.tiles import write_window
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import LabelFormat, read_label
from imbdense.data.readers.masks import mask_size
from imbdense.utils.files import atomic_write_json, atomic_write_text

CHANGE_CLASSES = ('unchanged', 'changed')
CHANGE_PALETTE = ((0, 0, 0), (255, 255, 255))
FAULTS = '.prepare/faults'
Label = NDArray[np.uint8]
Window = tuple[int, int, int, int]
"""(row, column, height, width) in pixels."""


@dataclass
class PairOutput:
    """Files of pairs in the standard layout, as ``imbdense.ChangePairDataset`` reads them.

    Attributes:
        job: the run of the recipe.
        land_cover, land_cover_palette: classes of the maps per date; empty when there is the change map alone.
        classes, palette: of the change map.
        dates: names of the dates; folders are ``t1``, ``t2``, ... whatever these are.
        splits: split -> names, in order, filled by :meth:`add`.
    """

    job: Job
    land_cover: Sequence[str] = ()
    land_cover_palette: Sequence[Sequence[int]] = ()
    classes: Sequence[str] = CHANGE_CLASSES
    palette: Sequence[Sequence[int]] = CHANGE_PALETTE
    dates: int = 2
    splits: dict[str, list[str]] = field(default_factory=dict)

    def add(self, split: str, name: str) -> None:
        """Note that pair ``name`` belongs to ``split``."""
        self.splits.setdefault(split, []).append(name)

    def place(self, name: str, images: Sequence[Path]) -> tuple[int, int]:
        """Link (or copy) the image of every date; return their (height, width).

        Raises:
            PrepareError: a broken image, or dates of different size; the message names the files.
        """
        try:
            sizes = [mask_size(path) for path in images]
        except LabelReadError as error:
            raise PrepareError(str(error)) from error
        for path, size in zip(images[1:], sizes[1:]):
            if size != sizes[0]:
                raise PrepareError(
                    f'{images[0]} is {sizes[0]} and {path} is {size} (rows, columns): they are no pair.'
                )
        for date, path in enumerate(images, 1):
            self.job.place(path, f't{date}/{name}{path.suffix}')
        return sizes[0]

    def done(self, name: str) -> bool:
        """Whether the labels of a pair are written (the change map is the last)."""
        return self.job.done(f'{CHANGE_FOLDER}/{name}.png')

    def write_labels(
        self, name: str, change: NDArray[Any], land_cover: Sequence[NDArray[Any]] = (), size: Sequence[int] = ()
    ) -> None:
        """Write the label maps of a pair as index PNG.

        Raises:
            PrepareError: maps of another size than the images, or values that are no class.
        """
        labels = {f'label_t{date}': label for date, label in enumerate(land_cover, 1)} | {CHANGE_FOLDER: change}
        for folder, label in labels.items():
            if tuple(size) not in ((), label.shape):
                raise PrepareError(f'{name}: {folder} is {label.shape}, but its images are {tuple(size)}.')
            is_change = folder == CHANGE_FOLDER
            highest = len(self.classes if is_change else self.land_cover) - 1
            strange = np.setdiff1d(np.unique(label), [*range(highest + 1), IGNORE])
            if strange.size:
                raise PrepareError(f'{name}: {folder} holds {strange[:8].tolist()}; its classes are 0 to {highest}.')
            palette = self.palette if is_change else self.land_cover_palette
            self.job.write_label(f'{folder}/{name}.png', label, palette)

    def note_fault(self, name: str, pixels: int) -> None:
        """Remember that ``pixels`` of a pair are unclear; kept on disk, so that a run that goes on knows it too."""
        if pixels:
            atomic_write_text(self.job.out / f'{FAULTS}/{name}.txt', f'{pixels}\n')

    def report_faults(self, what: str) -> None:
        """Note all that :meth:`note_fault` remembers: number of pairs and pixels, and the first names."""
        folder = self.job.out / FAULTS
        found = {path.relative_to(folder).with_suffix('').as_posix(): int(path.read_text())
                 for path in sorted(folder.rglob('*.txt'))}  # fmt: skip
        if found:
            shown = ', '.join(f'{name} ({pixels} px)' for name, pixels in list(found.items())[:5])
            self.job.note(f'{what} in {len(found)} pairs, {sum(found.values())} pixels: {shown}')

    def finish(self) -> None:
        """Write the split files and ``dataset.json``; note the numbers of pairs."""
        out = self.job.out
        for split, names in self.splits.items():
            atomic_write_text(out / f'splits/{split}.txt', '\n'.join(names) + '\n')
            self.job.note(f'{split}: {len(names)} pairs')
        record: dict[str, Any] = {
            'classes': list(self.classes),
            'palette': [list(colour) for colour in self.palette],
            'ignore_index': IGNORE,
            'dates': self.dates,
        }
        if self.land_cover:
            record['land_cover'] = list(self.land_cover)
            record['land_cover_palette'] = [list(colour) for colour in self.land_cover_palette]
        atomic_write_json(out / RECORD, record)


def read_change_mask(path: Path) -> Label:
    """A change mask of 0 and 255 (or 0 and 1) as 0 and 1.

    Raises:
        PrepareError: other values, or a broken file; the message names it.
    """
    try:
        form = LabelFormat.of(CHANGE_CLASSES, label_map=change_label_map('to_binary'), palette=GREY_MASK)
        return read_label(path, form)
    except LabelReadError as error:
        raise PrepareError(str(error)) from error


def cut_pair(
    output: PairOutput,
    split: str,
    prefix: str,
    images: Sequence[Path],
    windows: Iterable[Window],
    labels: Callable[[Window], tuple[Label, Sequence[Label]]],
) -> None:
    """Cut rasters of two dates into GeoTIFF tiles ``<prefix>_<row>_<column>``, which keep type and place.

    ``labels`` gives change map and land covers of a window; tiles whose change map is ignored everywhere are left out.
    Only tiles are in memory. Finished tiles are skipped.

    Raises:
        PrepareError: rasters of different size.
    """
    with open_raster(images[0]) as raster:
        shape = (raster.height, raster.width)
    for row, column, height, width in output.job.each(list(windows), f'{prefix} {split}'):
        change, covers = labels((row, column, height, width))
        if np.all(change == IGNORE):
            continue
        name = f'{prefix}_{row}_{column}'
        output.add(split, name)
        if not output.done(name):
            for date, image in enumerate(images, 1):
                box = (row, column, row + height, column + width)
                write_window(image, output.job.out / f't{date}/{name}.tif', box, shape)
            output.write_labels(name, change, covers, (height, width))


def read_band(path: Path, window: Window) -> NDArray[Any]:
    """A window (h, w) of a raster of one band; nodata is as it is stored.

    Raises:
        PrepareError: more bands, no raster, or a window outside; the message names the file.
    """
    try:
        with open_raster(path) as source:
            if source.count != 1:
                raise PrepareError(f'{path} has {source.count} bands; a label of one band was expected.')
            return read_window(source, window)[0][..., 0]
    except (OSError, ValueError) as error:
        raise error if isinstance(error, PrepareError) else PrepareError(str(error)) from error
