"""Transform: pack a pair of clouds for a network: levels, neighbours and links, so that no tree is built in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.change3d import (
    cross_links,
    epoch_pyramid,
    height_above_lowest,
    neighbours_within,
    stability,
)
from imbdense.core.change3d.pyramid import PyramidLevel
from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.points import grid_sample
from imbdense.mm.structures.pair_inputs import PairCrop, PairInputs
from imbdense.mm.structures.point_seg_data_sample import PointData, PointSegDataSample
from imbdense.mm.transforms.pair_fields import PairTransform, take_pair
from imbdense.nn.change3d import Links
from imbdense.nn.point_conv import PointLevel
from imbdense.registry import TRANSFORMS

FEATURES = ('ones', 'count', 'height', 'stability')
META_KEYS = ('scene', 'points_path', 'points_path_t1', 'origin', 'sample_idx')


@TRANSFORMS.register_module()
class PackPointPair(PairTransform):
    """Pack a pair of clouds with its levels, neighbours and links.

    Gives ``inputs``, a :class:`~imbdense.mm.structures.pair_inputs.PairInputs`, and a
    :class:`~imbdense.mm.structures.point_seg_data_sample.PointSegDataSample` of epoch 2. The points of a crop (after
    augmentation) are put into cells of ``voxel`` once more; each level has cells twice as large. Links are the nearest
    point of the other epoch at the same level.

    Args:
        depth: levels below the finest; that of the backbone.
        features: columns, of both epochs alike: 'ones' (1), 'count' (log of the points of the cell), 'height' (metres
            above the lowest point of either epoch within ``ground_cell``), 'stability' (see
            :func:`imbdense.core.change3d.stability`, within ``stability_radius``).
        links: nearest points per link: 1, or 3 for ``neighbor='k3_idw'``.
        max_nn: a partner farther than so many cells of its level is none.
        neighbours: M of ``imbdense.KPConvLite``; 0 for sparse convolutions.
        radius_ratio: neighbours within so many cells: 2.5 times sigma_ratio of ``KPConvLite``.
        stability_radius, ground_cell: metres.
        seed: of the neighbours that are dropped beyond M.
        meta_keys: what goes into the sample's metainfo.

    Raises:
        ValueError: argument out of range. KeyError: something before it is missing.
    """

    def __init__(
        self,
        depth: int = 4,
        features: Sequence[str] = ('ones',),
        links: int = 1,
        max_nn: float = 4.0,
        neighbours: int = 0,
        radius_ratio: float = 2.5,
        stability_radius: float = 2.0,
        ground_cell: float = 10.0,
        seed: int = 0,
        meta_keys: Sequence[str] = META_KEYS,
    ) -> None:
        owner = 'PackPointPair'
        self.depth = check_integer('depth', depth, low=0, owner=owner)
        self.features = (features,) if isinstance(features, str) else tuple(features)
        for name in self.features:
            check_choice('features', name, FEATURES, owner=owner)
        if not self.features:
            raise ValueError(f"{owner}: features is empty; take ('ones',) where only the shape shall count.")
        self.links = check_integer('links', links, low=1, owner=owner)
        self.max_nn = check_number('max_nn', max_nn, low=0.0, low_open=True, owner=owner)
        self.neighbours = check_integer('neighbours', neighbours, low=0, owner=owner)
        self.radius_ratio = check_number('radius_ratio', radius_ratio, low=0.0, low_open=True, owner=owner)
        self.stability_radius = check_number('stability_radius', stability_radius, low=0.0, low_open=True, owner=owner)
        self.ground_cell = check_number('ground_cell', ground_cell, low=0.0, low_open=True, owner=owner)
        self.seed, self.meta_keys = int(seed), tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Pack one sample; ``None`` (another one is drawn) when epoch 2 has no point."""
        self.require(results, 'points', 'points_t1', 'voxel')
        if len(results['points']) == 0:
            return None
        crops = results.get('crops')
        if crops is None:
            crops = [(np.arange(len(results['points_t1'])), np.arange(len(results['points'])))]
        inputs = PairInputs(
            [self._crop(take_pair(results, *crop), crop) for crop in crops],
            torch.tensor(results['points_t1']), torch.tensor(results['points']), float(results['voxel']),
            None if results.get('full_cell') is None else torch.tensor(results['full_cell']),
        )  # fmt: skip
        sample = PointSegDataSample(
            metainfo={key: results[key] for key in self.meta_keys if results.get(key) is not None}
        )
        source = {'semantic': 'full_semantic', 'instance': 'full_instance', 'xyz': 'full_points'}
        if results.get('full_cell') is None:
            source = {'semantic': 'gt_semantic', 'instance': 'gt_instance', 'xyz': 'points'}
        sample.gt_pts_seg = PointData(
            **{name: torch.tensor(results[key]) for name, key in source.items() if results.get(key) is not None})
        return {'inputs': inputs, 'data_samples': sample}

    def _crop(self, crop: dict[str, Any], numbers: tuple[NDArray[np.int64], NDArray[np.int64]]) -> PairCrop:
        """Levels, features, labels and links of one crop."""
        voxel = float(crop['voxel'])
        sides = [self._cells(crop, end, voxel) for end in ('_t1', '')]
        low = np.min([side['coords'].min(axis=0) for side in sides if len(side['coords'])], axis=0)
        rng = np.random.default_rng(self.seed)
        pyramids = [epoch_pyramid(side['coords'] - low, side['points'], self.depth) for side in sides]
        feats = [self._features(side, other) for side, other in (sides, sides[::-1])]
        options = {'voxel': voxel, 'neighbours': self.links, 'max_nn': self.max_nn}
        return PairCrop(
            *(self._levels(pyramid, voxel, rng) for pyramid in pyramids), *feats,
            _tensors(cross_links(pyramids[1], pyramids[0], **options)),
            _tensors(cross_links(pyramids[0], pyramids[1], **options)),
            sides[1]['labels'], sides[0]['labels'], torch.from_numpy(numbers[1]), sides[1]['rows'],
            torch.from_numpy(numbers[0]), sides[0]['rows'],
        )  # fmt: skip

    def _cells(self, crop: dict[str, Any], end: str, voxel: float) -> dict[str, Any]:
        """Cells of one epoch, sorted: coordinates, barycentres, counts, labels, and the cell of each point."""
        labels = crop.get(f'gt_semantic{end}')
        cells = grid_sample(
            torch.tensor(crop[f'points{end}']), voxel, labels=None if labels is None else torch.tensor(labels),
            features=torch.tensor(crop[f'attributes{end}']['count']),
        )  # fmt: skip
        return {'coords': cells.coords.numpy(), 'points': cells.points.numpy(), 'labels': cells.labels,
                'count': cells.features, 'rows': cells.inverse}

    def _features(self, side: dict[str, Any], other: dict[str, Any]) -> Tensor:
        """(N, F) float32."""
        points, columns = side['points'], []
        for name in self.features:
            if name == 'ones':
                columns.append(np.ones(len(points), np.float32))
            elif name == 'count':
                columns.append(np.log(np.maximum(side['count'].numpy()[:, 0], 1.0)))
            elif name == 'height':
                columns.append(height_above_lowest(points, other['points'], self.ground_cell))
            else:
                columns.append(stability(points, other['points'], self.stability_radius))
        return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))

    def _levels(self, pyramid: list[PyramidLevel], voxel: float, rng: np.random.Generator) -> list[PointLevel]:
        """The levels as tensors, with neighbours where they are asked for."""
        found = []
        for number, level in enumerate(pyramid):
            near = pool = None
            if self.neighbours:
                reach = self.radius_ratio * voxel * 2**number
                near = neighbours_within(level.points, level.points, reach, self.neighbours, rng)
                if number < self.depth:
                    pool = neighbours_within(pyramid[number + 1].points, level.points, reach, self.neighbours, rng)
            coords = np.concatenate([np.zeros((len(level), 1), np.int64), level.coords], axis=1)
            found.append(PointLevel(
                torch.from_numpy(coords), torch.from_numpy(level.points), torch.from_numpy(level.parent),
                None if near is None else torch.from_numpy(near), None if pool is None else torch.from_numpy(pool),
            ))  # fmt: skip
        return found

    def __repr__(self) -> str:
        return f'PackPointPair(depth={self.depth}, features={self.features}, neighbours={self.neighbours})'


def _tensors(links: list[Any]) -> list[Links]:
    """Links as tensors."""
    return [Links(torch.from_numpy(item.index), torch.from_numpy(item.weight)) for item in links]
