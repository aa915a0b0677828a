"""Feature volumes on disk: one file per cloud, bound to its points."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.errors import PointReadError
from imbdense.utils.files import atomic_open

CURE = 'Make them with `imbdense pointdc CONFIG --stage features`.'


def points_digest(xyz: NDArray[Any]) -> str:
    """sha256 of (N, 3) float32 local coordinates, 16 digits: features of other points are never taken by mistake."""
    return hashlib.sha256(np.ascontiguousarray(xyz, np.float32).tobytes()).hexdigest()[:16]


def volume_path(folder: str | Path, scene: str, tag: str) -> Path:
    """``<folder>/<scene>.<tag>.npz``; the tag is a hash of what made it."""
    return Path(folder) / f'{scene}.{tag}.npz'


def write_volume(path: Path, features: NDArray[Any], views: NDArray[Any], digest: str) -> None:
    """(N, C) features as float16, (N,) numbers of views and the digest of the points; whole or not at all."""
    with atomic_open(path) as handle:
        np.savez(handle, features=features.astype(np.float16), views=views.astype(np.uint16), digest=np.array(digest))


def read_volume(folder: str | Path, scene: str, digest: str, tag: str | None = None
                ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:  # fmt: skip
    """(N, C) features and (N,) numbers of views of a cloud.

    Raises:
        PointReadError: no file, several without a ``tag``, a damaged one, one of other points, or features that are
            NaN; the scene is named.
    """
    found = sorted(Path(folder).glob(f'{scene}.{tag or "*"}.npz'))
    if len(found) != 1:
        seen = ', '.join(path.name for path in found) or 'none'
        raise PointReadError(str(folder), 'missing' if not found else 'schema',
                             f'must hold one feature volume of scene {scene}, but has {seen}.',
                             CURE if not found else 'Give tag=... to LoadFeatureVolume, or remove the old ones.')
    path = found[0]
    try:
        with np.load(path) as archive:
            features, views, own = archive['features'], archive['views'], str(archive['digest'])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise PointReadError(str(path), 'unreadable', f'is no feature volume ({error}).', CURE) from error
    if own != digest:
        raise PointReadError(str(path), 'schema', f'was made from other points than those of scene {scene}.',
                             f'Put LoadFeatureVolume right behind LoadPoints, or remove the file. {CURE}')
    values = features.astype(np.float32)
    if not np.isfinite(values).all():
        raise PointReadError(str(path), 'fields', f'holds NaN or infinite features of scene {scene}.', CURE)
    return values, views.astype(np.int64)
