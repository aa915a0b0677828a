"""Data preprocessor of point clouds: from points to the voxels of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.points import grid_sample, majority_labels
from imbdense.mm.structures.point_seg_data_sample import PointSegDataSample
from imbdense.nn.sparse import SparsePoints
from imbdense.registry import MODELS


@MODELS.register_module()
class PointDataPreProcessor(BaseDataPreprocessor):
    """Make the voxels of a batch of clouds, on the model's device.

    In: ``inputs = dict(points=[(N_i, 3)], features=[(N_i, F)])`` and the samples, as ``imbdense.PackPointInputs`` and
    the host's ``pseudo_collate`` give them. Out: ``inputs``, a :class:`~imbdense.nn.sparse.SparsePoints` of all voxels
    with the mean features of their points, sample by sample; and the samples, each with ``voxel_index`` (N_i,): the
    row of every point's voxel, the way from voxels back to points.

    Args:
        voxel_size: edge in metres.
        mean, std: one number per feature: (x - mean) / std; ``None`` = as they are.
        clip: largest absolute value after that, for attributes with outliers (intensity); ``None`` = none.

    Raises:
        ValueError: argument out of range; a number of features that does not fit ``mean``; NaN or infinite points or
            features (the scene is named).
    """

    card = 'point_segmentor'
    tasks = ('points',)
    conformance_arguments = {'voxel_size': 0.5}

    def __init__(
        self,
        voxel_size: float,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        clip: float | None = None,
    ) -> None:
        super().__init__()
        owner = 'PointDataPreProcessor'
        self.voxel_size = check_number('voxel_size', voxel_size, low=0, low_open=True, owner=owner)
        if (mean is None) != (std is None) or (mean is not None and len(mean) != len(std or ())):
            raise ValueError(f'{owner}: give mean and std, one number per feature each, or neither.')
        if std is not None and not all(value > 0 for value in std):
            raise ValueError(f'{owner}: std must be positive, but is {tuple(std)}.')
        self.clip = None if clip is None else check_number('clip', clip, low=0, low_open=True, owner=owner)
        self.register_buffer('mean', None if mean is None else torch.tensor(mean, dtype=torch.float32), False)
        self.register_buffer('std', None if std is None else torch.tensor(std, dtype=torch.float32), False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Voxels and samples of a batch."""
        data = self.cast_data(data)
        inputs = data['inputs']
        samples = data.get('data_samples') or [PointSegDataSample() for _ in inputs['points']]
        coords, feats, first = [], [], 0
        for points, features, sample in zip(inputs['points'], inputs['features'], samples, strict=True):
            try:
                found = grid_sample(points, self.voxel_size, features=self._normalised(features))
            except ValueError as error:
                raise ValueError(f'{sample.metainfo.get("points_path", "a cloud")}: {error}') from None
            coords.append(found.coords)
            feats.append(found.features)
            sample.voxel_index = found.inverse + first
            first += len(found)
        return {'inputs': SparsePoints.from_samples(coords, feats), 'data_samples': list(samples)}

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected voxels per class and epoch: what the loss counts instead of points.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        from imbdense.mm.transforms.point_prior import expected_point_amounts

        def voxels(sample: dict[str, Any], _: np.random.Generator) -> NDArray[np.int64]:
            inverse = grid_sample(torch.tensor(sample['points']), self.voxel_size).inverse
            labels = torch.tensor(sample['gt_semantic'])
            return majority_labels(labels, inverse, int(inverse.max()) + 1 if len(inverse) else 0).numpy()

        return expected_point_amounts(context, voxels, draws=1)

    def _normalised(self, features: Tensor) -> Tensor:
        """(N, F) after mean, std and clip."""
        if not bool(torch.isfinite(features).all()):
            bad = torch.nonzero(~torch.isfinite(features).all(dim=0)).flatten().tolist()
            raise ValueError(f'the feature columns {bad} hold NaN or infinite values. Clean these attributes.')
        if self.mean is not None:
            if features.shape[1] != len(self.mean):
                raise ValueError(
                    f'PointDataPreProcessor: mean has {len(self.mean)} numbers for {features.shape[1]} features; '
                    f'compare it with features of PackPointInputs.'
                )
            features = (features - self.mean) / self.std
        return features if self.clip is None else features.clamp(-self.clip, self.clip)
