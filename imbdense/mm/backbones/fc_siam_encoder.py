"""``imbdense.FCSiamEncoder``."""

from __future__ import annotations

from imbdense.nn.backbones.fc_encoder import FCEncoder
from imbdense.registry import MODELS


@MODELS.register_module()
class FCSiamEncoder(FCEncoder):
    """Encoder of FC-EF, FC-Siam-conc and FC-Siam-diff: 16 to 128 channels at full size to 1/8, and the last pooled.

    With ``imbdense.FCSiamHead`` in ``imbdense.SiameseSegmentor``: FC-EF is ``fusion='early'`` and all bands here;
    FC-Siam-conc ``fusion=['concat'] * 4 + ['last']``; FC-Siam-diff ``fusion=['diff'] * 4 + ['last']``.

    Args:
        in_channels: bands of one date (FC-EF: of both).

    forward: (N, C, H, W) to five maps, see :class:`imbdense.nn.backbones.fc_encoder.FCEncoder`.

    Source: Daudt, Le Saux, Boulch, ICIP 2018.
    """

    card = 'siamese_segmentor'
    tasks = ('change_detection', 'segmentation')
