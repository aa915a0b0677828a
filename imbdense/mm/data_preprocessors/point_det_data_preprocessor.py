"""``imbdense.PointDetDataPreprocessor``."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor

from imbdense.registry import MODELS


@MODELS.register_module()
class PointDetDataPreprocessor(BaseDataPreprocessor):
    """Join the scenes of a batch: one matrix of points and the number of the scene each belongs to.

    ``inputs`` becomes ``dict(points=(sum N, 3 + F), sample=(sum N,) int64, batch_size=int)`` on the model's device.
    """

    card = 'pillar_detector'
    tasks = ('detection_3d',)

    def __init__(self, non_blocking: bool = False) -> None:
        super().__init__(non_blocking)

    def forward(self, data: Any, training: bool = False) -> dict[str, Any]:
        """Return ``dict(inputs=..., data_samples=...)`` of a collated batch."""
        cast = self.cast_data(data)
        places, features = cast['inputs']['points'], cast['inputs']['features']
        rows = [torch.cat([place, other], dim=1) for place, other in zip(places, features)]
        sample = torch.cat([
            torch.full((len(row),), number, dtype=torch.int64, device=row.device) for number, row in enumerate(rows)
        ])
        inputs = {'points': torch.cat(rows), 'sample': sample, 'batch_size': len(rows)}
        return {'inputs': inputs, 'data_samples': cast.get('data_samples')}
