"""Transform: the pseudo-boxes of an unlabelled scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from imbdense.data.pseudo import PseudoBoxes
from imbdense.mm.transforms.point_frame import EMPTY_BOXES
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PseudoBoxes3d(BaseTransform):
    """Give a scene the boxes of the current round of pseudo-labels, instead of annotated ones.

    :class:`~imbdense.mm.hooks.PseudoLabelRoundHook` hands them over between two epochs. Boxes of the ignore band become
    ignored ones. As long as there are none, and for a scene that could not be predicted, ``labelled`` is ``False``:
    such a scene has no loss. Put it right after the loading transform, so that what follows moves points and boxes
    alike and pasted objects keep clear of them.
    """

    card = 'redb_3d'
    tasks = ('detection_3d',)

    def __init__(self) -> None:
        self._labels: Mapping[str, PseudoBoxes] | None = None

    def set_labels(self, labels: Mapping[str, PseudoBoxes]) -> None:
        """Use these from the next scene on: path of the points -> boxes (N, 7) in the coordinates of loaded scenes."""
        self._labels = labels

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Label one scene."""
        results.update({name: values.copy() for name, values in EMPTY_BOXES.items()})
        known = (self._labels or {}).get(str(results['points_path']))
        results.update(pseudo=True, labelled=known is not None)
        if known is not None:
            results['gt_boxes_3d'] = known.boxes.astype(np.float32)
            results['gt_labels_3d'] = known.labels.copy()
            results['gt_ignored_3d'] = known.ignored.copy()
            results['gt_difficulty'] = np.zeros(len(known.labels), np.int64)
        return results

    def __repr__(self) -> str:
        return 'PseudoBoxes3d()'
