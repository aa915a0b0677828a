"""Transform: read a cloud and bring its labels to train ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointReadError
from imbdense.mm.transforms.kept_scenes import KeptScenes
from imbdense.mm.transforms.point_fields import PointTransform
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadPoints(PointTransform):
    """Read the cloud of a record of :class:`imbdense.PointFolderDataset` with its layout and label map.

    Adds ``points``, ``origin``, ``attributes`` (float32; ``rgb`` and ``nir`` in [0, 1], all others as in the file),
    and, where the file has labels, ``gt_semantic`` (train ids, -1 ignored) and ``gt_instance``.

    Args:
        attributes: what to keep; ``None`` = all that the file has.
        fill: name -> value for attributes that some files lack; of 'rgb' it stands for each of the three.
        keep: number of read clouds that each worker keeps in memory (the latest used); 0 = none. With few scenes and
            many crops of each, reading is most of the work otherwise.

    Raises:
        PointReadError: the file cannot be read, lacks a wanted attribute, or holds codes that are no class.
    """

    whole_scene = True

    def __init__(
        self,
        attributes: Sequence[str] | None = None,
        fill: Mapping[str, float] | None = None,
        keep: int = 0,
    ) -> None:
        self.attributes = None if attributes is None else tuple(attributes)
        self.fill = dict(fill or {})
        self.keep = check_integer('keep', keep, low=0, owner='LoadPoints')
        self._kept = KeptScenes(self.keep)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the cloud to the record."""
        loaded = self._kept.get(str(results['points_path']), lambda: self._read(results))
        return {**results, **loaded, 'attributes': dict(loaded['attributes'])}

    def _read(self, results: dict[str, Any]) -> dict[str, Any]:
        """The entries that reading adds."""
        cloud: PointCloud = results['point_source'].read(results['points_path'])
        attributes = self.float_attributes(cloud, results['points_path'])
        found: dict[str, Any] = {'points': cloud.local(), 'origin': cloud.origin, 'attributes': attributes}
        if cloud.semantic is not None:
            found['gt_semantic'] = cloud.semantic
        if cloud.instance is not None:
            found['gt_instance'] = cloud.instance
        return found

    def float_attributes(self, cloud: PointCloud, path: str) -> dict[str, NDArray[np.float32]]:
        """The wanted attributes as float32 (N, k)."""
        given = cloud.attributes
        names = tuple(dict.fromkeys((*given, *self.fill))) if self.attributes is None else self.attributes
        missing = [name for name in names if name not in given and name not in self.fill]
        if missing:
            raise PointReadError(
                path, 'fields', f'has no {", ".join(missing)}; it has {", ".join(given) or "no attributes"}.',
                'Leave them out of attributes, or give a value for such files: LoadPoints(fill=dict(rgb=0.5)).',
            )
        found = {}
        for name in names:
            if name not in given:
                found[name] = np.full((len(cloud), 3 if name == 'rgb' else 1), self.fill[name], np.float32)
                continue
            values = given[name].reshape(len(cloud), -1).astype(np.float32)
            found[name] = values / np.float32(255) if name in ('rgb', 'nir') else values
        return found

    def __repr__(self) -> str:
        return f'LoadPoints(attributes={self.attributes}, fill={self.fill}, keep={self.keep})'
