"""``imbdense.FeatureInjectorNeck``."""

from __future__ import annotations

from imbdense.nn.necks.feature_injector import FeatureInjector
from imbdense.registry import MODELS


@MODELS.register_module()
class FeatureInjectorNeck(FeatureInjector):
    """Inject detail maps into the coarse map of a plain transformer by cross-attention, one scale at a time.

    Args:
        detail_channels: of the finer maps. dim: of the coarsest. num_heads: a divisor of ``dim``.
        kv_pool: pool the detail to at most so many rows and columns; ``None`` = all pixels, as the authors do.

    forward: the maps of one date, finest first; the same with the coarsest enriched.

    Source: Zhu et al., ChangeViT, 2024.
    """

    card = 'change_vit'
    tasks = ('change_detection', 'segmentation')
