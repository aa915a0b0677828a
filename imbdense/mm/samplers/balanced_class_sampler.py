"""Sampler: equally many draws for every class."""

from __future__ import annotations

from collections.abc import Sized

from mmengine.logging import print_log

from imbdense.core.sampling import ClassAwareStream
from imbdense.mm.samplers.dataset_table import class_names, dataset_table
from imbdense.mm.samplers.stream_sampler import StreamSampler, check_shuffle
from imbdense.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class BalancedClassSampler(StreamSampler):
    """Give every class equally many draws per epoch, capped per image, with a share of images without any class.

    What mmdet's ``ClassAwareSampler`` leaves open is settled here: one image comes at most ``max_repeat`` times per
    epoch, background images are drawn with their natural (or a given) share, classes without an image are named in
    the log, and start-up is a few array passes. See :class:`StreamSampler` for epochs, ranks and resume.

    Args:
        dataset: an mmseg or mmdet data set, or one with ``get_cat_ids``.
        length: draws per epoch over all ranks; ``None`` = the number of images.
        max_repeat: most draws of one image per epoch.
        background_share: share in [0, 1] of draws for images without any class; ``None`` = their natural share.
        shuffle: must be True; accepted so that only ``type`` changes in a config.
        seed, round_up, infinite: see :class:`StreamSampler`; ``infinite=True`` for iteration-based training.

    Raises:
        ValueError: empty data set, argument out of range, or length > max_repeat * images.
    """

    card = 'balanced_class_sampler'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        dataset: Sized,
        length: int | None = None,
        max_repeat: int = 10,
        background_share: float | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        infinite: bool = False,
    ) -> None:
        check_shuffle(shuffle, self.name)
        table = dataset_table(dataset)
        stream = ClassAwareStream(table, length, max_repeat, background_share)
        super().__init__(dataset, stream, seed, round_up, infinite)
        self.log_effect(table)
        if stream.absent_classes.size:
            absent = class_names(dataset, stream.absent_classes)
            print_log(
                f'{self.name}: no image holds {", ".join(absent)}; the draws are divided over the other classes.',
                logger='current',
            )
