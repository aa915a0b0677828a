"""``imbdense.ETFLinear`` and ``imbdense.CosineLinear``: last layers for heads that take one from the config."""

from __future__ import annotations

from typing import Any

from torch import nn

from imbdense.mm.class_counts import ClassCountsSource
from imbdense.mm.heads.fixed_frame import frame_classifier
from imbdense.nn import classifiers
from imbdense.registry import MODELS


@MODELS.register_module()
class ETFLinear:
    """Fixed classifier for RoI heads: ``cls_predictor_cfg=dict(type='imbdense.ETFLinear')``; background is a vertex.

    Builds linear layer -> normalisation -> products with fixed vectors, see
    :class:`imbdense.nn.classifiers.FixedFrameClassifier`. Heads with one sigmoid per class should not use it: logits of
    a simplex sum to 0, so they can not all be small where nothing is.

    Args:
        in_features: width of the features (set by the head).
        out_features: vectors, one per logit channel (set by the head; classes + background).
        frame, dim, class_counts, count, gamma, scale, seed: see :class:`ETFSegHead`; with 'gof' the counts need an
            entry for the background too.
        norm_cfg: of the features: BN1d, SyncBN, LN, or ``None`` = BN1d.

    State: the buffer ``etf``, saved and never trained.
    """

    card = 'fixed_classifiers'
    tasks = ('detection',)
    conformance_arguments = {'in_features': 8, 'out_features': 5}

    def __new__(  # type: ignore[misc]
        cls,
        in_features: int,
        out_features: int,
        frame: str = 'etf',
        dim: int | None = None,
        class_counts: ClassCountsSource | None = None,
        count: str | None = None,
        gamma: float = 0.25,
        scale: float = 1.0,
        norm_cfg: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> nn.Module:
        """Build the layer."""
        return frame_classifier(
            in_features, out_features, frame=frame, dim=dim, class_counts=class_counts, count=count, gamma=gamma,
            scale=scale, norm_cfg=norm_cfg or dict(type='BN1d'), seed=seed, spatial=False, owner=cls.__name__,
        )  # fmt: skip


@MODELS.register_module()
class CosineLinear(classifiers.CosineLinear):
    """Cosine classifier for RoI heads: ``cls_predictor_cfg=dict(type='imbdense.CosineLinear')``.

    Bias-free, unlike mmdet's ``NormedLinear``; see :class:`imbdense.nn.classifiers.CosineLinear` for the arguments.
    """

    card = 'fixed_classifiers'
    tasks = ('detection',)


@MODELS.register_module()
class CosineConv2d(classifiers.CosineConv2d):
    """Cosine classifier for mask heads: ``predictor_cfg=dict(type='imbdense.CosineConv2d')``.

    See :class:`imbdense.nn.classifiers.CosineConv2d` for the arguments.
    """

    card = 'fixed_classifiers'
    tasks = ('detection', 'segmentation')
