"""Gather image features on the points of scenes, and keep them as files."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.points import FeatureVolume
from imbdense.core.points.feature_volume import REDUCTIONS
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.feature_files import points_digest, volume_path, write_volume
from imbdense.data.points.views import read_views
from imbdense.mm.feature_volume.extractors import build_extractor, features_at


class MultiViewFeatureVolume:
    """The mean (or median) image feature of every point, over the views that see it.

    Each image passes the extractor once, its maps are read at the pixels of the points it sees (depth maps tell what
    is hidden, where there are some), and only sums are kept.

    Args:
        extractor: 'rgb+lbp', or a backbone, see :func:`~imbdense.mm.feature_volume.extractors.build_extractor`.
        reduce: 'mean', 'median' or 'vis_weighted', see :class:`imbdense.core.points.FeatureVolume`.
        tolerance: of the depths, as a share; see :func:`imbdense.core.points.sightings`.
        border: pixels at the edge of an image that are not used.
        every: take each n-th view alone: flights overlap, and each image costs a pass of the backbone.
    """

    def __init__(
        self, extractor: str | Mapping[str, Any] = 'rgb+lbp', reduce: str = 'mean', tolerance: float = 0.05,
        border: int = 10, every: int = 1,
    ) -> None:  # fmt: skip
        name = 'MultiViewFeatureVolume'
        self.settings = {
            'extractor': extractor if isinstance(extractor, str) else dict(extractor),
            'reduce': check_choice('reduce', reduce, REDUCTIONS, owner=name),
            'tolerance': check_number('tolerance', tolerance, low=0.0, owner=name),
            'border': check_integer('border', border, low=0, owner=name),
            'every': check_integer('every', every, low=1, owner=name),
        }
        self._extract: Any = None

    @property
    def tag(self) -> str:
        """Hash of the arguments, in the names of the files."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True, default=str).encode()).hexdigest()[:8]

    def gather(self, folder: Path, xyz: NDArray[Any]) -> FeatureVolume:
        """The volume of (N, 3) points, in the coordinates of the cameras in ``folder``."""
        if self._extract is None:
            self._extract = build_extractor(self.settings['extractor'])
        volume: FeatureVolume | None = None
        for view in itertools.islice(read_views(folder), 0, None, self.settings['every']):
            seen = view.sees(xyz, border=self.settings['border'], tolerance=self.settings['tolerance'])
            maps = self._extract(view.read_image())
            features = features_at(maps, seen.row, seen.column, view.size)
            volume = volume or FeatureVolume(len(xyz), features.shape[1], self.settings['reduce'])
            try:
                volume.add(seen.point, features, seen.agreement)
            except ValueError as error:
                raise PointReadError(str(view.image), 'fields', str(error), 'Look at image and weights.') from None
        if volume is None:
            raise PointReadError(str(folder), 'empty', 'has no views.', 'See cameras.json.')
        return volume

    def write(self, records: Sequence[Mapping[str, Any]], folder: Path, progress: Callable[[str], None] | None = None
              ) -> dict[str, float]:  # fmt: skip
        """Make the volumes of scenes that are not there yet.

        Args:
            records: of :class:`imbdense.PointFolderDataset` and its kin; views lie beside each cloud.
            folder: of the volumes. progress: called with a line per scene.

        Returns:
            share of points that at least one view sees, of each scene that was made now.
        """
        seen = {}
        for record in records:
            scene, cloud_path = record['scene'], Path(record['points_path'])
            path = volume_path(folder, scene, self.tag)
            if path.is_file():
                continue
            cloud = record['point_source'].read(str(cloud_path))
            volume = self.gather(cloud_path.parent, cloud.xyz)
            write_volume(path, volume.result(), np.minimum(volume.count, 65535), points_digest(cloud.local()))
            seen[scene] = float((volume.count > 0).mean())
            if progress is not None:
                progress(f'{scene}: {len(cloud.xyz)} points, {seen[scene]:.1%} seen, '
                         f'{volume.count.mean():.1f} views per point')  # fmt: skip
        return seen
