"""The per-point entries of a pair of clouds.

Epoch 2 has the names of a single cloud (``points``, ``attributes``, ``gt_semantic``, ``gt_instance``): labels of change
lie there. Epoch 1 has ``points_t1``, ``attributes_t1``, ``gt_semantic_t1``. Both are relative to one ``origin``.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from imbdense.mm.transforms.point_fields import PointTransform, take_points


class PairTransform(PointTransform):
    """Base of the transforms of pairs."""

    card = 'pointcloud_change'
    tasks = ('point change',)

    def require(self, results: dict[str, Any], *keys: str) -> None:
        """Raise ``KeyError`` naming this transform unless ``results`` has ``keys``."""
        missing = [key for key in keys if results.get(key) is None]
        if missing:
            raise KeyError(f'{type(self).__name__}: no {", ".join(missing)} in the sample of '
                           f'{results.get("points_path", "an unnamed pair")}. It works on pairs of clouds with labels, '
                           f'as imbdense.PointPairDataset gives them.')


def take_pair(results: dict[str, Any], index1: NDArray[Any], index2: NDArray[Any]) -> dict[str, Any]:
    """Return the sample with the points ``index1`` of epoch 1 and ``index2`` of epoch 2 in every per-point entry."""
    found = take_points(results, index2)
    found['points_t1'] = results['points_t1'][index1]
    found['attributes_t1'] = {name: values[index1] for name, values in results.get('attributes_t1', {}).items()}
    if results.get('gt_semantic_t1') is not None:
        found['gt_semantic_t1'] = results['gt_semantic_t1'][index1]
    return found
