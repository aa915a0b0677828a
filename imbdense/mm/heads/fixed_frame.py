"""The arguments of a fixed frame as configs write them, and the layer made of them."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import build_norm_layer
from torch import nn

from imbdense.core.representation import fixed_frame
from imbdense.mm.class_counts import ClassCountsSource, class_counts_of
from imbdense.nn.classifiers import FixedFrameClassifier


def frame_classifier(
    in_channels: int,
    num_classes: int,
    *,
    frame: str,
    dim: int | None,
    class_counts: ClassCountsSource | None,
    count: str | None,
    gamma: float,
    scale: float,
    norm_cfg: dict[str, Any],
    seed: int,
    spatial: bool,
    owner: str,
) -> FixedFrameClassifier:
    """Return the classifier; arguments as in :class:`ETFSegHead`."""
    counts = None if class_counts is None else class_counts_of(class_counts, count, owner)
    try:
        vectors = fixed_frame(frame, num_classes, dim, counts=counts, gamma=gamma, seed=seed)
    except ValueError as error:
        raise ValueError(f'{owner}: {error}') from error
    norm = _norm(dict(norm_cfg), vectors.shape[0], spatial, owner)
    return FixedFrameClassifier(in_channels, vectors, norm, spatial=spatial, scale=scale)


def _norm(config: dict[str, Any], dim: int, spatial: bool, owner: str) -> nn.Module:
    """The normalisation of d channels of a map, or of d numbers of a vector."""
    kind = config.get('type')
    if spatial and kind in ('LN', 'BN1d'):
        raise ValueError(f"{owner}: norm_cfg={config} does not fit feature maps; use dict(type='BN') or 'SyncBN'.")
    if not spatial and kind in ('BN', 'BN2d'):
        config['type'] = 'BN1d'
    return build_norm_layer(config, dim)[1]
