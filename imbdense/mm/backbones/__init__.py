"""Registered backbones."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'change_vit_backbone': (),
        'fc_siam_encoder': (),
        'vssm': (),
    },
)
