"""Sampler: repeat-factor sampling with stochastic rounding."""

from __future__ import annotations

from collections.abc import Sized
from typing import Literal

from imbdense.core.sampling import RepeatFactorStream, repeat_factors
from imbdense.core.sampling.repeat_factor import Frequency
from imbdense.mm.samplers.dataset_table import dataset_table
from imbdense.mm.samplers.stream_sampler import StreamSampler, check_shuffle
from imbdense.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class RepeatFactorSampler(StreamSampler):
    """Draw images with rare classes more often, by the repeat factor max over classes of sqrt(threshold / frequency).

    Unlike mmengine's ``ClassBalancedDataset`` the factor is rounded at random anew each epoch (1.01 means one more
    draw in a hundred epochs, not twice as many draws), the data set keeps its length, and segmentation data sets need
    no ``get_cat_ids``. See :class:`StreamSampler` for epochs, ranks and resume; its ``length`` is ceil(sum of factors).

    Args:
        dataset: an mmseg or mmdet data set, or one with ``get_cat_ids``.
        threshold: frequency in (0, 1] below which a class is drawn more often; 1e-3 for LVIS, ``'auto'`` for the
            median frequency of the classes.
        frequency: ``'image'`` (share of images with the class), ``'instance'`` (share of objects or pixels) or
            ``'geometric'`` (root of their product).
        shuffle: must be True; accepted so that only ``type`` changes in a config.
        seed, round_up, infinite: see :class:`StreamSampler`; ``infinite=True`` for iteration-based training.

    Raises:
        ValueError: empty data set, threshold or frequency out of range.
    """

    card = 'repeat_factor_sampler'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        dataset: Sized,
        threshold: float | Literal['auto'] = 'auto',
        frequency: Frequency = 'image',
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        infinite: bool = False,
    ) -> None:
        check_shuffle(shuffle, self.name)
        table = dataset_table(dataset)
        stream = RepeatFactorStream(repeat_factors(table, threshold, frequency))
        super().__init__(dataset, stream, seed, round_up, infinite)
        self.log_effect(table)
