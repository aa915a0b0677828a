"""``imbdense.M3C2ChangeClassifier``: the baseline without training, as a model that can be evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from imbdense.core.change3d import M3C2ClassRules, classify_changes
from imbdense.core.points.local_geometry import GEOMETRY, local_geometry
from imbdense.data.points.pairs import CHANGES
from imbdense.mm.structures.pair_inputs import PairInputs
from imbdense.mm.structures.point_seg_data_sample import PointData, PointSegDataSample
from imbdense.mm.task_utils.m3c2 import M3C2
from imbdense.registry import MODELS, TASK_UTILS

Config = Mapping[str, Any]


@MODELS.register_module()
class M3C2ChangeClassifier(BaseModel):
    """Kinds of change from M3C2 distances by rules: significance, size, planarity, volume; nothing is learnt.

    Core points are the cells of epoch 2; see :func:`imbdense.core.change3d.m3c2_classes.classify_changes` for the
    rules. Classes are those of Urb3DCD-V2. The model has no parameter, so ``imbdense test CONFIG`` and
    ``imbdense predict change3d CONFIG A B`` need no checkpoint.

    Args:
        distances: config of :class:`imbdense.M3C2`; its engine is numpy here, which tells where each epoch lies.
        rules: fields of :class:`~imbdense.core.change3d.m3c2_classes.M3C2ClassRules`; ``spacing`` is the cell.
        neighbours: points that the local shape is measured from.
        data_preprocessor, init_cfg: as in mmengine.
    """

    card = 'm3c2'
    tasks = ('point change',)
    classes = CHANGES
    num_classes = len(CHANGES)

    def __init__(
        self,
        distances: Config | None = None,
        rules: Config | None = None,
        neighbours: int = 16,
        data_preprocessor: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(
            None if data_preprocessor is None else dict(data_preprocessor), None if init_cfg is None else dict(init_cfg)
        )
        settings = {'cylinder_radius': 1.5, 'max_distance': 30.0, 'normals': (0.0, 0.0, 1.0), **(distances or {})}
        self.distances: M3C2 = TASK_UTILS.build({'type': 'imbdense.M3C2', **settings, 'engine': 'numpy'})
        self.rules = asdict(M3C2ClassRules(**(rules or {})))
        self.neighbours = int(neighbours)

    def forward(
        self, inputs: Sequence[PairInputs], data_samples: Sequence[PointSegDataSample] | None = None,
        mode: str = 'tensor',
    ) -> list[PointSegDataSample] | list[Tensor]:
        """'predict': samples with ``pred_pts_seg``; 'tensor': classes of the cells. There is no loss."""
        if mode == 'predict':
            return self.predict(inputs, data_samples or [PointSegDataSample() for _ in inputs])
        if mode == 'tensor':
            return [self.classify(sample) for sample in inputs]
        raise ValueError(f"M3C2ChangeClassifier: mode {mode!r} is none of 'predict', 'tensor'; nothing is learnt here.")

    def predict(
        self, inputs: Sequence[PairInputs], data_samples: Sequence[PointSegDataSample]
    ) -> list[PointSegDataSample]:
        """The samples with their predictions at the raw points."""
        for sample, found in zip(inputs, data_samples, strict=True):
            cells = self.classify(sample)
            found.pred_pts_seg = PointData(semantic=cells if sample.full_cell is None else cells[sample.full_cell])
        return list(data_samples)

    def classify(self, sample: PairInputs) -> Tensor:
        """(V,) int64 classes of the cells of epoch 2."""
        first, second = (points.cpu().numpy().astype(np.float64) for points in (sample.points1, sample.points2))
        measured = self.distances(first, second, second)
        rules = M3C2ClassRules(**{**self.rules, 'spacing': sample.voxel})
        return torch.from_numpy(classify_changes(
            second, measured, first, self._shape(first), second, self._shape(second), rules))

    def _shape(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Planarity and verticality of each point (N, 2)."""
        near = cKDTree(points).query(points, k=min(self.neighbours, len(points)))[1].reshape(len(points), -1)
        columns = [GEOMETRY.index(name) for name in ('planarity', 'verticality')]
        return local_geometry(points, near)[:, columns].astype(np.float64)
