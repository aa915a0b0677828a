"""``imbdense.JSFusionNeck``."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from imbdense.nn.necks.js_fusion import JSFusion
from imbdense.registry import MODELS


@MODELS.register_module()
class JSFusionNeck(BaseModule):
    """Fuse the pyramids of two dates, stage by stage, in space and in frequency.

    See :class:`imbdense.nn.necks.js_fusion.JSFusion`. With ``freq`` the result depends on the size of the tile:
    predict on tiles of the size trained on (``SemanticChangeDetector`` warns otherwise).

    Args:
        in_channels: channels per stage; ``SemanticChangeDetector`` fills them in from the backbone.
        freq: 'log_amplitude' or ``None``.
        use_diff: with ``|A - B|``.
        symmetric: the result does not depend on the order of the dates.
    """

    card = 'mamba_fcs'
    tasks = ('change_detection',)
    conformance_arguments = {'in_channels': (8, 16)}

    def __init__(
        self,
        in_channels: Sequence[int],
        freq: str | None = 'log_amplitude',
        use_diff: bool = True,
        symmetric: bool = False,
    ) -> None:
        super().__init__()
        self.fusions = nn.ModuleList(JSFusion(channels, freq, use_diff, symmetric) for channels in in_channels)
        self.depends_on_size = freq is not None

    def forward(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
        """One (N, C_i, H_i, W_i) per stage and date -> one fused map of the same shape per stage."""
        return [fuse(a, b) for fuse, a, b in zip(self.fusions, first, second)]
