"""``imbdense.VSSM``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.mm.mapped_weights import fill_module, read_weights
from imbdense.nn.backbones import vssm
from imbdense.registry import MODELS

BAND_INITS = ('mean', 'zero')
STEM = 'stem.first.conv.weight'


@MODELS.register_module()
class VSSM(vssm.VSSM, BaseModule):
    """VMamba's backbone for any segmentor or detector, without a kernel to compile.

    Arguments, shapes and source: :class:`imbdense.nn.backbones.vssm.VSSM`. ``out_channels`` names the channels of the
    maps it returns.

    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='', key_map='vmamba0229')`` reads released weights
    (``prefix='encoder.'`` for whole change-detection models), logs which tensors matched, were missing or unexpected,
    and raises when fewer than 90 % of the backbone's tensors match. Checkpoints of imbdense need no ``key_map``.

    Args:
        band_init: how RGB weights of the first convolution fill a stem of other bands: 'mean' = every band gets their
            mean, times 3 / bands; 'zero' = the first three bands keep theirs, further ones start at zero.
        init_cfg: see above; other initialisers as in mmengine.
        others: see the base class.
    """

    card = 'mamba_fcs'
    tasks = ('segmentation', 'detection', 'change_detection')

    def __init__(
        self,
        arch: str = 'tiny',
        dims: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        in_channels: int = 3,
        d_state: int = 1,
        gated: bool | None = None,
        mlp_ratio: float | None = None,
        drop_path_rate: float | None = None,
        init: str = 'v0',
        out_indices: Sequence[int] = (0, 1, 2, 3),
        scan: str = 'auto',
        band_init: str = 'mean',
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            arch, dims, depths, in_channels, d_state, gated, mlp_ratio, drop_path_rate, init, out_indices, scan
        )
        self.band_init = check_choice('band_init', band_init, BAND_INITS, owner='VSSM')
        self.init_cfg = None if init_cfg is None else dict(init_cfg)
        self.out_channels = tuple(self.dims[i] for i in self.out_indices)

    def init_weights(self) -> None:
        """Read the weights ``init_cfg`` names; without it nothing changes.

        Raises:
            CheckpointError: the file is unreadable or does not fit.
        """
        if not self.init_cfg or self.init_cfg.get('type') != 'Pretrained':
            super().init_weights()
            return
        options = {key: value for key, value in self.init_cfg.items() if key != 'type'}
        weights = read_weights(**options)
        if STEM in weights:
            weights[STEM] = adapt_bands(weights[STEM], self.stem.first.conv.in_channels, self.band_init)
        fill_module(self, weights, str(options['checkpoint']))
        self._is_init = True


def adapt_bands(weight: Tensor, bands: int, how: str) -> Tensor:
    """Weights (C, 3, k, k) of an RGB stem for ``bands`` bands, (C, bands, k, k); unchanged if they fit.

    'mean': the mean over RGB times 3 / bands for every band, so that a grey image gives what it gave. 'zero': RGB
    first, zeros behind; fewer than three bands take the first ones.
    """
    own = weight.shape[1]
    if own == bands:
        return weight
    if how == 'mean':
        return weight.mean(1, keepdim=True).repeat(1, bands, 1, 1) * (own / bands)
    found = weight.new_zeros(weight.shape[0], bands, *weight.shape[2:])
    found[:, : min(own, bands)] = weight[:, :bands]
    return found
