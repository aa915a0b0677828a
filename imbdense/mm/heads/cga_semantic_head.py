"""``imbdense.CGASemanticHead``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.mm.heads.label_losses import build_losses, label_losses
from imbdense.mm.heads.vss_change_head import CROSS_ENTROPY
from imbdense.nn.heads.change_guided import ChangeGuidedAttention
from imbdense.nn.heads.top_down import VSSTopDown, make_classifier
from imbdense.registry import MODELS


@MODELS.register_module()
class CGASemanticHead(BaseModule):
    """Land cover at each of two dates, decoded from that date's features as the change decoder guides them.

    Two decoders (or one, ``share_decoder``) and one classifier for both. See
    :class:`imbdense.nn.heads.change_guided.ChangeGuidedAttention` for the guidance.

    Args:
        num_classes: S land-cover classes.
        in_channels: channels per stage; ``SemanticChangeDetector`` fills them in from the backbone.
        cga: 'mul', 'residual', 'prob' or ``None``.
        grad_to_bcd: whether the semantic losses reach the change decoder through the guidance.
        share_decoder: one decoder for both dates.
        unchanged_channel: a further channel 0, "unchanged at this date", as the released weights have it. It is never
            a target; where it wins the prediction is 255.
        classifier: 'conv', or 'pf_official' for the released weights.
        drop_path, mlp_ratio, d_state, gated, scan: of the blocks.
        loss_decode: one or several losses of a land-cover map, applied at each date.
        ignore_index: in the land-cover maps.
    """

    card = 'mamba_fcs'
    tasks = ('change_detection',)
    conformance_arguments = {'in_channels': (8, 16), 'num_classes': 3}
    classes_of_its_own = True  # land cover, where the classes of the data set are those of the change map

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int],
        cga: str | None = 'mul',
        grad_to_bcd: bool = True,
        share_decoder: bool = False,
        unchanged_channel: bool = False,
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
        self.num_classes = check_integer('num_classes', num_classes, low=1, owner=owner)
        self.unchanged_channel = bool(unchanged_channel)
        self.ignore_index = ignore_index
        self.guide = ChangeGuidedAttention(in_channels, cga, grad_to_bcd)
        self.decoders = nn.ModuleList(
            VSSTopDown(in_channels, True, drop_path, mlp_ratio, d_state=d_state, gated=gated, scan=scan)
            for _ in range(1 if share_decoder else 2)
        )
        self.classifier = make_classifier(classifier, in_channels[0], num_classes + self.unchanged_channel, owner)
        self.loss_decode = build_losses(loss_decode)

    def forward(
        self, first: Sequence[Tensor], second: Sequence[Tensor], guides: Sequence[Tensor], change_logits: Tensor
    ) -> list[Tensor]:
        """Maps of both dates, the change decoder's maps and logits -> logits per date, at the size of the finest map.

        Both dates pass a shared decoder, and always the classifier, as one batch: their normalisation sees both.
        """
        dates = [self.guide(maps, guides, change_logits) for maps in (first, second)]
        if len(self.decoders) == 1:
            fine = self.decoders[0]([torch.cat(pair) for pair in zip(*dates)])[0]
        else:
            fine = torch.cat([decoder(maps)[0] for decoder, maps in zip(self.decoders, dates)])
        return list(self.classifier(fine).chunk(2))

    def loss(self, logits: Sequence[Tensor], semantics: Sequence[Tensor]) -> dict[str, Tensor]:
        """Losses of logits (N, S (+ 1), H, W) and labels (N, H, W) per date, named ``t1.<loss_name>``, ``t2...``."""
        found = {}
        for date, (own, land) in enumerate(zip(logits, semantics), start=1):
            target = torch.where(land == self.ignore_index, land, land + self.unchanged_channel)
            terms = label_losses(self.loss_decode, own, target, self.ignore_index)
            found.update({f't{date}.{name}': value for name, value in terms.items()})
        return found

    def predict(self, logits: Tensor) -> Tensor:
        """Land cover (N, H, W), int64, 0 ... S - 1; 255 where "unchanged" wins."""
        label = logits.argmax(1)
        return torch.where(label == 0, 255, label - 1) if self.unchanged_channel else label
