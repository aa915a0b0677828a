"""Transform: what a detector of boxes in space is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from imbdense.mm.structures.point_det_data_sample import PointDetDataSample, annotated
from imbdense.registry import TRANSFORMS

META = ('scene', 'points_path', 'calib_path', 'lift', 'labelled', 'pseudo')


@TRANSFORMS.register_module()
class PackPointDetInputs(BaseTransform):
    """Pack a scene: ``inputs`` with ``points`` (N, 3) and ``features`` (N, F), and a ``PointDetDataSample``.

    Args:
        features: names of the ``attributes`` that the model sees, in this order.

    Raises:
        ValueError: a scene lacks one of them.
    """

    card = 'pillar_detector'
    tasks = ('detection_3d',)

    def __init__(self, features: Sequence[str] = ('intensity',)) -> None:
        self.features = tuple(features)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack one scene."""
        points, attributes = results['points'], results.get('attributes') or {}
        missing = [name for name in self.features if name not in attributes]
        if missing:
            raise ValueError(
                f'PackPointDetInputs: {results.get("points_path")} has no {missing}; its attributes are '
                f'{sorted(attributes)}.'
            )
        columns = [np.asarray(attributes[name], np.float32).reshape(len(points), -1) for name in self.features]
        features = np.concatenate([np.zeros((len(points), 0), np.float32), *columns], axis=1)
        known = {key: results[key] for key in META if key in results}
        sample = PointDetDataSample(metainfo={'labelled': True, **known})
        if 'gt_boxes_3d' in results:
            sample.set_metainfo({'gt_ignored': np.array(results['gt_ignored_3d'])})
            for name, chosen in (('gt_instances_3d', ~results['gt_ignored_3d']),
                                 ('ignored_instances_3d', results['gt_ignored_3d'])):
                parts = (results[key][chosen] for key in ('gt_boxes_3d', 'gt_labels_3d', 'gt_difficulty'))
                setattr(sample, name, annotated(*parts))
        inputs = {'points': torch.from_numpy(np.array(points, np.float32)), 'features': torch.from_numpy(features)}
        return {'inputs': inputs, 'data_samples': sample}

    def __repr__(self) -> str:
        return f'PackPointDetInputs(features={self.features})'
