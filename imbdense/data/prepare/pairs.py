"""The output of recipes for pairs of images: t1/, t2/, label_change/, label_t1/, label_t2/, splits/, dataset.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.change.layout import CHANGE_FOLDER, RECORD
from imbdense.data.prepare.job import IGNORE, Job, PrepareError
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.masks import mask_size
from imbdense.utils.files import atomic_write_json, atomic_write_text

CHANGE_CLASSES = ('unchanged', 'changed')
CHANGE_PALETTE = ((0, 0, 0), (255, 255, 255))
Label = NDArray[np.uint8]


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
