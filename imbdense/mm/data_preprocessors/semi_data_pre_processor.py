"""Data preprocessor: a batch of labelled images and views of unlabelled ones, sorted into branches."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS as HOST_MODELS

from imbdense.mm.views import SUPERVISED, sort_into_branches
from imbdense.registry import MODELS


@MODELS.register_module()
class SemiDataPreProcessor(BaseDataPreprocessor):
    """Sort a mixed batch into branches and hand each to the preprocessor of the host.

    In training, samples packed as always form the branch ``sup``; those of ``imbdense.MultiViewSeg`` the branches
    ``unsup_weak``, ``unsup_strong_1``, .... The result is what mmdet's ``MultiBranchDataPreprocessor`` makes:
    ``inputs`` and ``data_samples``, each a dict of branches. Outside of training it is the host's preprocessor.

    Args:
        base: config of the preprocessor of the host (``SegDataPreProcessor``, ``DetDataPreprocessor``).

    Raises:
        ValueError: a training batch without labelled, or without unlabelled images.
    """

    card = 'semi_segmentor'
    tasks = ('segmentation', 'detection')

    def __init__(self, base: dict[str, Any]) -> None:
        super().__init__()
        self.base = HOST_MODELS.build(base)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return ``inputs`` and ``data_samples`` by branch (training), or as the host does."""
        if not training:
            return self.base(data, False)
        branches = sort_into_branches(data, SUPERVISED)
        if SUPERVISED not in branches or len(branches) < 2:
            missing = 'labelled' if SUPERVISED not in branches else 'unlabelled'
            raise ValueError(
                f'SemiDataPreProcessor: the batch holds no {missing} image. Draw it with imbdense.TwoStreamSampler '
                f'(its batch_size must be that of the data loader) from imbdense.SemiDataset, whose unlabelled '
                f'pipeline ends with imbdense.MultiViewSeg.'
            )
        processed = {name: self.base(branch, True) for name, branch in branches.items()}
        return {
            key: {name: branch[key] for name, branch in processed.items()} for key in ('inputs', 'data_samples')
        }
