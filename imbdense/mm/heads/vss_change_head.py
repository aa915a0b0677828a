"""``imbdense.VSSChangeHead``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.mm.heads.label_losses import build_losses, label_losses
from imbdense.nn.heads.top_down import VSSTopDown, make_classifier
from imbdense.registry import MODELS

CROSS_ENTROPY = {'type': 'mmseg.CrossEntropyLoss', 'avg_non_ignore': True}


@MODELS.register_module()
class VSSChangeHead(BaseModule):
    """Change decoder of Mamba-FCS: selective-scan blocks from the coarsest fused map to the finest.

    See :class:`imbdense.nn.heads.top_down.VSSTopDown`. Its maps also guide the semantic decoders.

    Args:
        in_channels: channels per stage; ``SemanticChangeDetector`` fills them in from the backbone.
        num_classes: 2 (unchanged, changed).
        classifier: 'conv', or 'pf_official' for the released weights.
        drop_path, mlp_ratio, d_state, gated, scan: of the blocks.
        loss_decode: one or several losses of the change map.
        ignore_index: in the change map.
    """

    card = 'mamba_fcs'
    tasks = ('change_detection',)
    conformance_arguments = {'in_channels': (8, 16)}

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int = 2,
        classifier: str = 'conv',
        drop_path: float = 0.1,
        mlp_ratio: float = 4.0,
        d_state: int = 1,
        gated: bool = False,
        scan: str = 'auto',
        loss_decode: Mapping[str, Any] | Sequence[Mapping[str, Any]] = CROSS_ENTROPY,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_classes = check_integer('num_classes', num_classes, low=2, owner=owner)
        self.ignore_index = ignore_index
        self.decoder = VSSTopDown(
            in_channels, drop_path=drop_path, mlp_ratio=mlp_ratio, d_state=d_state, gated=gated, scan=scan
        )
        self.classifier = make_classifier(classifier, in_channels[0], num_classes, owner)
        self.loss_decode = build_losses(loss_decode)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Fused maps, finest first -> (logits at the size of the finest, the decoder's maps)."""
        guides = self.decoder(maps)
        return self.classifier(guides[0]), guides

    def loss(self, logits: Tensor, change: Tensor) -> dict[str, Tensor]:
        """Losses of logits (N, K, H, W) and labels (N, H, W), named ``change.<loss_name>``."""
        terms = label_losses(self.loss_decode, logits, change, self.ignore_index)
        return {f'change.{name}': value for name, value in terms.items()}
