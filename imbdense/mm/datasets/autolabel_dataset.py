"""Data set wrapper: what people have labelled, and the labels of a model for all other images."""

from __future__ import annotations

from typing import Any

from mmengine.logging import print_log
from mmengine.registry import DATASETS as HOST_DATASETS

from imbdense.data.overlap import Overlap, find_overlap
from imbdense.mm.dataset_wrappers import ImageSubset, image_files
from imbdense.registry import DATASETS


@DATASETS.register_module()
class AutolabelDataset:
    """Human labels where there are some, autolabels for the other images: to pre-train before fine-tuning.

    Index 0 ... H - 1 is an image that people have labelled, the rest have autolabels. An image that is in both parts
    (the same file, or another with the same content) keeps its human label alone. The parts are any data sets of mmseg
    or mmdet with the same classes, each with its own pipeline. Samplers and statistics see both parts.

    Args:
        human: a data set or its config; ``None`` = nothing is labelled yet.
        autolabels: a data set or its config, for example of what ``imbdense select autolabel`` or
            ``imbdense pseudo-label`` has written.
        lazy_init: build the lists when first used.

    Raises:
        ValueError: the class names of the parts differ; the message shows both.
    """

    card = 'ofds'
    tasks = ('segmentation', 'detection')

    def __init__(self, autolabels: Any, human: Any = None, lazy_init: bool = False) -> None:
        self.human = HOST_DATASETS.build(human) if isinstance(human, dict) else human
        self.autolabels = HOST_DATASETS.build(autolabels) if isinstance(autolabels, dict) else autolabels
        self.overlap: Overlap | None = None
        self.datasets = [part for part in (self.human, self.autolabels) if part is not None]
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """That of the human labels, else of the autolabels."""
        return dict(self.datasets[0].metainfo)

    @property
    def num_human(self) -> int:
        """H, the number of images that people have labelled."""
        return 0 if self.human is None else len(self.human)

    def full_init(self) -> None:
        """Load both lists, and drop the autolabels of images that people have labelled."""
        if self.overlap is not None:
            return
        for part in self.datasets:
            if hasattr(part, 'full_init'):
                part.full_init()
        if self.human is None:
            self.overlap = Overlap((), ())
            return
        names = [tuple(part.metainfo.get('classes') or ()) for part in self.datasets]
        if names[0] != names[1]:
            raise ValueError(f'{type(self).__name__}: human labels have the classes {names[0]}, autolabels {names[1]}. '
                             f'Give both parts the same metainfo.')
        self.overlap = find_overlap(image_files(self.human), image_files(self.autolabels))
        replaced = set(self.overlap.indices)
        kept = [index for index in range(len(self.autolabels)) if index not in replaced]
        self.datasets = [self.human, ImageSubset(self.autolabels, kept)]
        print_log(
            f'{type(self).__name__}: {len(self.human)} images with human labels, {len(kept)} with autolabels; '
            f'{len(replaced)} autolabels were replaced.', logger='current')

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of an image."""
        part, place = self._locate(idx)
        return part.get_data_info(place)  # type: ignore[no-any-return]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes in the label of an image."""
        part, place = self._locate(idx)
        if isinstance(part, ImageSubset):
            part, place = part.dataset, part.indices[place]
        return list(part.get_cat_ids(place))

    def __getitem__(self, idx: int) -> Any:
        part, place = self._locate(idx)
        return part[place]

    def __len__(self) -> int:
        return sum(len(part) for part in self.datasets)

    def _locate(self, idx: int) -> tuple[Any, int]:
        """(part, index in it)."""
        if not -len(self) <= idx < len(self):
            raise IndexError(f'{type(self).__name__}: index {idx} of {len(self)} images.')
        idx %= len(self)
        return (self.datasets[0], idx) if idx < len(self.datasets[0]) else (self.datasets[1], idx - self.num_human)
