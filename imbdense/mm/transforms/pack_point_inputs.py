"""Transform: pack a cloud for a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.mm.structures.point_seg_data_sample import PointData, PointSegDataSample
from imbdense.mm.transforms.point_fields import PointTransform
from imbdense.registry import TRANSFORMS

META_KEYS = ('scene', 'points_path', 'origin', 'sample_idx')


@TRANSFORMS.register_module()
class PackPointInputs(PointTransform):
    """Pack a cloud and its labels for a model.

    ``inputs = dict(points=float32 (N, 3), features=float32 (N, F))`` and ``data_samples``, a
    :class:`~imbdense.mm.structures.point_seg_data_sample.PointSegDataSample`.

    An empty cloud becomes ``None``, so that the data set draws another sample and no batch is empty.

    Args:
        features: what stands in the columns of ``features``, in this order: names of attributes ('rgb' gives three
            columns; 'height' needs ``imbdense.PointHeight``), 'ones' (1, occupancy alone), 'xyz' (metres from the
            middle of the cloud's bounding box, z from its lowest point).
        info: attributes and ``supervoxel`` that a model needs per point beside its input: they go into
            ``data_samples.point_info``, float32 (N, k) and int64 (N,).
        meta_keys: what of the results goes into the sample's metainfo, where it is there.

    Raises:
        KeyError: a feature that the sample does not have. ValueError: per-point entries of different length.
    """

    def __init__(self, features: Sequence[str] = ('ones',), info: Sequence[str] = (),
                 meta_keys: Sequence[str] = META_KEYS) -> None:  # fmt: skip
        self.features = (features,) if isinstance(features, str) else tuple(features)
        if not self.features:
            raise ValueError("PackPointInputs: features is empty; take ('ones',) where only the shape shall count.")
        self.info = tuple(info)
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Pack one sample."""
        self.require(results, 'points')
        points = results['points']
        if len(points) == 0:
            return None
        columns = [self._column(name, results) for name in self.features]
        labels = {key[3:]: results[key] for key in ('gt_semantic', 'gt_instance') if results.get(key) is not None}
        info = {name: results[name] if name == 'supervoxel' and name in results else self._column(name, results)
                for name in self.info}  # fmt: skip
        for name, values in (*zip(self.features, columns), *labels.items(), *info.items()):
            if len(values) != len(points):
                raise ValueError(
                    f'PackPointInputs: {results.get("points_path", "a cloud")} has {len(points)} points but '
                    f'{len(values)} of {name}. A transform of the pipeline does not know this entry.'
                )
        sample = PointSegDataSample(
            metainfo={key: results[key] for key in self.meta_keys if results.get(key) is not None}
        )
        # torch.tensor copies: the arrays may be those of a cache, which must not be written into.
        sample.gt_pts_seg = PointData(**{name: torch.tensor(values) for name, values in labels.items()})
        if info:
            sample.point_info = PointData(**{name: torch.tensor(values) for name, values in info.items()})
        inputs = {
            'points': torch.tensor(points, dtype=torch.float32),
            'features': torch.tensor(np.concatenate(columns, axis=1), dtype=torch.float32),
        }
        return {'inputs': inputs, 'data_samples': sample}

    def _column(self, name: str, results: dict[str, Any]) -> NDArray[np.float32]:
        """(N, k) of one feature."""
        points, attributes = results['points'], results.get('attributes', {})
        if name in attributes:
            return attributes[name]
        if name == 'ones':
            return np.ones((len(points), 1), np.float32)
        if name == 'xyz':
            low, high = points.min(axis=0), points.max(axis=0)
            return points - np.array([*((low + high) / 2)[:2], low[2]], np.float32)
        hint = ' Add imbdense.PointHeight after LoadPoints.' if name == 'height' else ''
        raise KeyError(
            f"PackPointInputs: the sample of {results.get('points_path', 'a cloud')} has no '{name}'; it has "
            f"{', '.join(attributes) or 'no attributes'}, and 'ones' and 'xyz' can be made.{hint}"
        )

    def __repr__(self) -> str:
        return f'PackPointInputs(features={self.features})'
