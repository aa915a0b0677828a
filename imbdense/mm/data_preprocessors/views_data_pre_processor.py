"""Data preprocessor: views of unlabelled images, each branch as the host does it."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS as HOST_MODELS
from torch import nn

from imbdense.mm.views import VIEW, sort_into_branches
from imbdense.registry import MODELS


@MODELS.register_module()
class ViewsDataPreProcessor(BaseDataPreprocessor):
    """Sort a batch of views into branches and hand each to the preprocessor of the host.

    ``inputs`` and ``data_samples`` come back as dicts of the branches ``view_1``, ``view_2``; samples of an ordinary
    pipeline form ``view_1``.

    Args:
        base: config of the preprocessor of the host (``SegDataPreProcessor``, ``DetDataPreprocessor``).

    Raises:
        ValueError: only some images of the batch have several views.
    """

    card = 'self_supervised_pretraining'
    tasks = ('segmentation', 'detection')

    def __init__(self, base: dict[str, Any]) -> None:
        super().__init__()
        self.base: nn.Module = HOST_MODELS.build(base)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return ``inputs`` and ``data_samples`` by branch."""
        branches = sort_into_branches(data, f'{VIEW}1')
        sizes = {name: len(branch['inputs']) for name, branch in branches.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f'ViewsDataPreProcessor: all images need the same views, but the batch has {sizes}.')
        processed = {name: self.base(branch, training) for name, branch in branches.items()}
        return {
            key: {name: branch[key] for name, branch in processed.items()} for key in ('inputs', 'data_samples')
        }
