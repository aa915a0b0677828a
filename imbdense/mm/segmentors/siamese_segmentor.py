"""``imbdense.SiameseSegmentor``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS as HOST_MODELS
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.inference.slide_mean import slide_mean
from imbdense.mm.segmentors.both_orders import in_both_orders
from imbdense.mm.segmentors.date_exchange import attach_exchange
from imbdense.nn.necks.fusion import FUSIONS, fuse
from imbdense.registry import MODELS

EARLY = 'early'


@MODELS.register_module()
class SiameseSegmentor(EncoderDecoder):
    """Change detection with any backbone, neck and head of mmseg: one encoder for both dates, fusion, one head.

    ::

        features_t = neck(backbone(image_t))            the same weights at both dates
        logits     = head(fuse(features_1, features_2)) of the change map, gt_sem_seg

    The image is (N, 2 B, H, W), date 1 in the first B channels. Since the change map is the host's segmentation, all
    losses, samplers and metrics of segmentation work on it. Both dates go through the encoder in one batch; batch
    norms see both.

    With ``symmetric=True`` the logits are ``g(a, b) + g(b, a)``: swapping the dates changes nothing (in evaluation to
    the last bit), at the price of a second pass of the head. ``fusion='diff'`` is symmetric without it.

    Args:
        backbone, decode_head, neck, auxiliary_head, train_cfg, test_cfg, data_preprocessor, init_cfg: as in the host.
            The channels of backbone (``in_channels`` = B) and neck are those of one date, those of the heads what the
            fusion leaves.
        fusion: 'early' (the backbone sees all 2 B channels), 'diff' (|a - b|, C channels), 'concat' (2 C), 'conc+diff'
            ([a, b, |a - b|], 3 C), 'last' (b alone); a list with one of them per feature map ('early' excepted); or
            the config of a module called as ``(maps of date 1, maps of date 2)`` that gives the maps of the head.
        symmetric: see above.
        exchange: per stage of the backbone 'channel', 'spatial' or ``None``: every ``exchange_step``-th channel or
            column changes places between the dates (Changer), without parameters.
        exchange_step: p >= 1.

    Raises:
        ValueError: an unknown fusion or exchange, an odd number of channels, or a list that does not fit the maps.

    Source: Daudt et al., ICIP 2018 (siamese fusion); Fang et al., TGRS 2023 (exchange); Zheng et al., ISPRS J. 2022
    (ChangeMask: temporal symmetry).
    """

    card = 'siamese_segmentor'
    tasks = ('change_detection',)

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        neck: Mapping[str, Any] | None = None,
        auxiliary_head: Any = None,
        fusion: str | Sequence[str] | Mapping[str, Any] = 'concat',
        symmetric: bool = False,
        exchange: Sequence[str | None] | None = None,
        exchange_step: int = 2,
        train_cfg: Any = None,
        test_cfg: Any = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        name = type(self).__name__
        super().__init__(
            backbone, decode_head, neck, auxiliary_head, train_cfg, test_cfg, data_preprocessor, init_cfg=init_cfg
        )
        self.fusion: Any = fusion
        if isinstance(fusion, Mapping):
            self.fusion = HOST_MODELS.build(dict(fusion))
        elif isinstance(fusion, str):
            check_choice('fusion', fusion, (EARLY, *FUSIONS), owner=name)
        else:
            self.fusion = tuple(check_choice('fusion', kind, FUSIONS, owner=name) for kind in fusion)
        self.symmetric = bool(symmetric)
        if self.symmetric:
            self._make_symmetric()
        if exchange is not None:
            if fusion == EARLY:
                raise ValueError(f"{name}: exchange needs features per date; with fusion='early' there are none.")
            step = check_integer('exchange_step', exchange_step, low=1, owner=name)
            attach_exchange(self.backbone, exchange, step)

    def extract_feat(self, inputs: Tensor) -> Any:
        """The fused maps of both dates; with ``symmetric`` those of [a, b] and of [b, a], (2 N, ...)."""
        channels = inputs.shape[1]
        if channels % 2:
            raise ValueError(
                f'{type(self).__name__}: the image must hold the bands of two dates, but has {channels} channels.'
            )
        if self.fusion == EARLY:
            return super().extract_feat(self._joined(*inputs.chunk(2, dim=1)))
        levels = super().extract_feat(torch.cat(inputs.chunk(2, dim=1)))
        first, second = zip(*(level.chunk(2) for level in levels))
        if not self.symmetric:
            return self._fused(first, second)
        return [torch.cat(pair) for pair in zip(self._fused(first, second), self._fused(second, first))]

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Mean logits of all windows; each is added into its place, so that work grows with the area alone."""

        def window(images: Tensor) -> Tensor:
            metas = [{**meta, 'img_shape': images.shape[2:]} for meta in batch_img_metas]
            return self.encode_decode(images, metas)

        return slide_mean(window, inputs, self.test_cfg['crop_size'], self.test_cfg['stride'])

    def _joined(self, first: Tensor, second: Tensor) -> Tensor:
        """Both dates on the channels, in both orders where asked."""
        joined = torch.cat([first, second], dim=1)
        return torch.cat([joined, torch.cat([second, first], dim=1)]) if self.symmetric else joined

    def _fused(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
        """One map per level."""
        if isinstance(self.fusion, nn.Module):
            return list(self.fusion(first, second))
        kinds = (self.fusion,) * len(first) if isinstance(self.fusion, str) else self.fusion
        if len(kinds) != len(first):
            raise ValueError(
                f'{type(self).__name__}: fusion names {len(kinds)} maps, but there are {len(first)}. Give one kind '
                f'per map of the backbone (or neck), or a single one.'
            )
        return [fuse(a, b, kind) for a, b, kind in zip(first, second, kinds)]

    def _make_symmetric(self) -> None:
        """All heads add both orders."""
        auxiliary = self.auxiliary_head if self.with_auxiliary_head else ()
        for head in (self.decode_head, *(auxiliary if isinstance(auxiliary, (nn.ModuleList, tuple)) else (auxiliary,))):
            in_both_orders(head)
