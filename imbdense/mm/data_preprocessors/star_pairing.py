"""``imbdense.STARPairing``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import PixelData
from torch import Tensor

from imbdense.core.checks import check_integer, check_number
from imbdense.core.sampling.star_pairs import change_between, change_shares, draw_partners
from imbdense.mm.structures.scd_data_sample import SCDDataSample
from imbdense.registry import MODELS
from imbdense.utils.distributed import rank_and_world


@MODELS.register_module()
class STARPairing:
    """Train change detection with labels of single dates: every image is paired with another one of its batch.

    For ``batch_augments`` of ``imbdense.DenseDataPreProcessor(dates=2)``, whose training pipeline then loads *single*
    images with their land cover (any segmentation data set), while testing takes real pairs. For each image x with
    label y a partner x', y' is drawn: the pair is (x, x'), its change map y != y' (255 where either is ignored), its
    land cover ``gt_sem_t1 = y``, ``gt_sem_t2 = y'``.

    The authors' head (ChangeMixin) is ``fusion='concat', symmetric=True`` of ``imbdense.SiameseSegmentor`` with an
    ``FCNHead`` of four convolutions.

    State: a random generator, not in the checkpoint; each rank draws its own partners among its own images.

    Args:
        least_change: in [0, 1]; where the mean share of changed pixels of the drawn pairs is lower, the pairing with
            the most change in the batch is taken, so that a rare class is seen to change. 0 = the authors' pairing.
        ignore_index: of the labels. seed: of the draw.

    Raises:
        ValueError: a batch of one image.

    Source: Zheng et al., ICCV 2021.
    """

    card = 'siamese_segmentor'
    tasks = ('change_detection',)
    makes_dates = 2
    """The preprocessor gives one image per sample and gets samples of two."""

    def __init__(self, least_change: float = 0.0, ignore_index: int = 255, seed: int = 0) -> None:
        self.least_change = check_number('least_change', least_change, low=0.0, high=1.0, owner='STARPairing')
        self.ignore_index = check_integer('ignore_index', ignore_index, owner='STARPairing')
        self.seed = check_integer('seed', seed, owner='STARPairing')
        self._generator: torch.Generator | None = None

    def __call__(self, inputs: Tensor, data_samples: Sequence[Any]) -> tuple[Tensor, list[SCDDataSample]]:
        """(N, B, H, W) and N samples with ``gt_sem_seg`` to (N, 2 B, H, W) and N samples of pairs."""
        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self.seed + 1_000_003 * rank_and_world()[0])
        labels = torch.stack([sample.gt_sem_seg.data for sample in data_samples])
        shares = change_shares(labels, self.ignore_index)
        partner = draw_partners(shares, self.least_change, self._generator).to(inputs.device)
        others = labels[partner]
        pairs = []
        for sample, first, second in zip(data_samples, labels, others):
            pair = SCDDataSample(metainfo=sample.metainfo)
            pair.gt_cd = PixelData(data=change_between(first, second, self.ignore_index))
            pair.set_data({'gt_sem_t1': PixelData(data=first), 'gt_sem_t2': PixelData(data=second)})
            pairs.append(pair)
        return torch.cat([inputs, inputs[partner]], dim=1), pairs
