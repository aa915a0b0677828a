"""The per-point entries of a sample, and the one way to pick points from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from imbdense.core.sampling import class_histogram

IGNORE = -1
"""Train id of a point that counts nothing."""
LABELS = ('gt_semantic', 'gt_instance', 'supervoxel')
"""Whole numbers per point, -1 = none; ``supervoxel`` is made by :class:`imbdense.SuperVoxel`."""


class PointTransform(BaseTransform):
    """Base of the transforms of point clouds.

    What a sample holds: ``points`` float32 (N, 3) metres relative to ``origin`` float64 (3,); ``attributes``, name ->
    float32 (N, k); ``gt_semantic`` int64 (N,) train ids, -1 ignored; ``gt_instance`` int64 (N,), -1 none; ``scene``,
    ``points_path``. Arrays may be shared with a cache: they are replaced, never written into.

    Attributes:
        whole_scene: acts on a whole scene, the same way every time; the prior ledger then sees its result.
    """

    card = 'point_data'
    tasks = ('points',)
    whole_scene = False

    def require(self, results: dict[str, Any], *keys: str) -> None:
        """Raise ``KeyError`` naming this transform unless ``results`` has ``keys``."""
        missing = [key for key in keys if results.get(key) is None]
        if missing:
            raise KeyError(
                f'{type(self).__name__}: no {", ".join(missing)} in the sample of '
                f'{results.get("points_path", "an unnamed cloud")}. Put it after imbdense.LoadPoints of a cloud that '
                f'has them.'
            )


def take_points(results: dict[str, Any], index: NDArray[Any]) -> dict[str, Any]:
    """Return the sample with the points ``index`` (numbers, repeated or not, or a mask) in every per-point entry.

    ``results`` itself is not changed; what is not per point is shared.
    """
    found = {**results, 'points': results['points'][index]}
    found['attributes'] = {name: values[index] for name, values in results.get('attributes', {}).items()}
    found.update({key: results[key][index] for key in LABELS if results.get(key) is not None})
    return found


def join_points(results: dict[str, Any], parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the sample with the points of ``parts`` (same attributes and labels as it) behind its own."""
    if not parts:
        return results
    everyone = [results, *parts]
    found = {**results, 'points': np.concatenate([part['points'] for part in everyone])}
    found['attributes'] = {
        name: np.concatenate([part['attributes'][name] for part in everyone]) for name in results['attributes']
    }
    for key in LABELS:
        if results.get(key) is not None:
            found[key] = np.concatenate([part.get(key, np.full(len(part['points']), IGNORE)) for part in everyone])
    return found


def label_amounts(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(classes that occur, points of each), without the ignored ones."""
    return class_histogram(labels, IGNORE)


def part_table(results: dict[str, Any]) -> NDArray[np.float32]:
    """(N, 3 + k) x, y, z and all attributes, in the order of their names: how parts lie in an instance bank."""
    attributes = results.get('attributes', {})
    return np.concatenate([results['points'], *(attributes[name] for name in sorted(attributes))], axis=1)


def table_parts(table: NDArray[np.float32], like: dict[str, Any]) -> dict[str, Any]:
    """``points`` and ``attributes`` of a :func:`part_table`, with the attributes that ``like`` has.

    Raises:
        ValueError: another number of columns.
    """
    attributes = like.get('attributes', {})
    names = sorted(attributes)
    widths = [attributes[name].shape[1] for name in names]
    if table.shape[1] != 3 + sum(widths):
        raise ValueError(
            f'the part has {table.shape[1]} columns, the cloud {3 + sum(widths)} (x, y, z and {", ".join(names)}). '
            f'Make the bank with the config that loads the clouds so.'
        )
    parts = np.split(table[:, 3:], np.cumsum(widths)[:-1], axis=1) if names else []
    return {'points': table[:, :3], 'attributes': dict(zip(names, parts))}
