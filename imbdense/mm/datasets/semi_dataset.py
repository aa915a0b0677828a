"""Data set wrapper: labelled images, then unlabelled ones, and nothing that is in both."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Collection
from typing import Any, Literal, get_args

from mmengine.logging import print_log
from mmengine.registry import DATASETS as HOST_DATASETS

from imbdense.core.checks import check_choice
from imbdense.data.overlap import Overlap, find_overlap
from imbdense.mm.dataset_wrappers import ImageSubset, image_files
from imbdense.registry import DATASETS

OnOverlap = Literal['drop', 'warn', 'error']
HELD_OUT = 'held out for evaluation'


@DATASETS.register_module()
class SemiDataset:
    """A labelled and an unlabelled data set joined, for semi-supervised training.

    Index 0 ... L - 1 is a labelled image, L ... L + U - 1 an unlabelled one; ``imbdense.TwoStreamSampler`` draws both
    in a fixed ratio. The parts are any data sets of mmseg or mmdet, each with its own pipeline; of the unlabelled one
    only what its pipeline loads is read, never the annotations its records may name. Class names and statistics
    (``imbdense.ClassCountHook``) are those of the labelled part.

    Images that are in both lists would be learned from their own labels and then confirmed by pseudo-labels; they are
    found by path, by file name and by a hash of the content (:func:`imbdense.data.overlap.find_overlap`) when the data
    set is built, equally on every rank. So are images that are held out for evaluation (``held_out``): their pixels
    would be trained on, and what is measured on them would be too good.

    Args:
        labeled: a data set or its config.
        unlabeled: a data set or its config; its class list may differ or be empty.
        overlap: what to do with unlabelled images that are labelled too, or held out: 'drop' them, 'warn' and keep
            them, or 'error'. Their names are logged in any case.
        held_out: what is evaluated on: a data set, its config, or a list of them; ``None`` = not looked at. Only its
            list of images is read.
        lazy_init: build the lists when first used.

    Raises:
        ValueError: an overlap and 'error'; nothing unlabelled is left; a part is empty.
    """

    card = 'semi_segmentor'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        labeled: Any,
        unlabeled: Any,
        overlap: OnOverlap = 'drop',
        held_out: Any = None,
        lazy_init: bool = False,
    ) -> None:
        name = type(self).__name__
        self.on_overlap = check_choice('overlap', overlap, get_args(OnOverlap), owner=name)
        self.labeled = HOST_DATASETS.build(labeled) if isinstance(labeled, dict) else labeled
        self.unlabeled = HOST_DATASETS.build(unlabeled) if isinstance(unlabeled, dict) else unlabeled
        self.datasets = [self.labeled, self.unlabeled]
        given = held_out if isinstance(held_out, (list, tuple)) else [] if held_out is None else [held_out]
        self.held_out = [HOST_DATASETS.build({**item, 'lazy_init': True}) if isinstance(item, dict) else item
                         for item in given]
        self.overlap: Overlap | None = None
        self.held_out_overlap: Overlap | None = None
        self._instead: dict[int, int] = {}
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """That of the labelled part."""
        return self.labeled.metainfo

    @property
    def num_labeled(self) -> int:
        """L, the number of labelled images."""
        return len(self.labeled)

    def full_init(self) -> None:
        """Load both lists and compare them."""
        if self.overlap is not None:
            return
        for part in self.datasets:
            if hasattr(part, 'full_init'):
                part.full_init()
        for what, part in zip(('labelled', 'unlabelled'), self.datasets):
            if len(part) == 0:
                raise ValueError(f'{type(self).__name__}: the {what} data set is empty; check its folders.')
        self.overlap = find_overlap(image_files(self.labeled), image_files(self.unlabeled))
        self._act_on(self.overlap, 'labelled too')
        if self.held_out:
            for part in self.held_out:
                if hasattr(part, 'full_init'):
                    part.full_init()
            files = [file for part in self.held_out for file in image_files(part)]
            self.held_out_overlap = find_overlap(files, image_files(self.unlabeled))
            self._act_on(self.held_out_overlap, HELD_OUT)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of an image; that of an unlabelled one without the place of any label."""
        if idx < self.num_labeled:
            return self.labeled.get_data_info(idx)
        record = dict(self.unlabeled.get_data_info(idx - self.num_labeled))
        record.pop('seg_map_path', None)
        return record

    def __getitem__(self, idx: int) -> Any:
        if idx < self.num_labeled:
            return self.labeled[idx]
        index = idx - self.num_labeled
        return self.unlabeled[self._instead.get(index, index)]

    def leave_out(self, files: Collection[str]) -> None:
        """Hand out no sample of these unlabelled images (files that turned out broken) from now on.

        The number of images stays, so samplers need not know: in the place of one left out stands the next that is
        not. Called again, the files replace those of the call before.

        Raises:
            ValueError: no unlabelled image would be left.
        """
        names, unwanted = image_files(self.unlabeled), set(files)
        left = [index for index, name in enumerate(names) if name not in unwanted]
        if not left:
            raise ValueError(f'{type(self).__name__}: all {len(names)} unlabelled images are to be left out.')
        self._instead = {
            index: left[bisect_left(left, index) % len(left)] for index, name in enumerate(names) if name in unwanted
        }

    def __len__(self) -> int:
        return len(self.labeled) + len(self.unlabeled)

    def _act_on(self, overlap: Overlap, what: str) -> None:
        """Log the overlap, and drop it or raise."""
        name = type(self).__name__
        if overlap.same_name:
            print_log(
                f'{name}: {len(overlap.same_name)} unlabelled images have the name of one that is {what}, but another '
                f'content, for example {overlap.same_name[0]}; they are kept.',
                logger='current',
            )
        if not overlap.same:
            return
        message = (
            f'{name}: {len(overlap.same)} of {len(self.unlabeled)} unlabelled images are {what}:\n'
            f'{overlap.describe()}\n'
        )
        if self.on_overlap == 'error':
            raise ValueError(f"{message}Take them out of the unlabelled list, or set overlap='drop'.")
        if self.on_overlap == 'warn':
            print_log(f"{message}They are kept (overlap='warn').", logger='current', level=logging.WARNING)
            return
        dropped = set(overlap.indices)
        kept = [index for index in range(len(self.unlabeled)) if index not in dropped]
        if not kept:
            raise ValueError(f'{message}No unlabelled image is left.')
        self.unlabeled = ImageSubset(self.unlabeled, kept)
        self.datasets = [self.labeled, self.unlabeled]
        print_log(f"{message}They are dropped (overlap='drop').", logger='current', level=logging.WARNING)
