"""Registered backbones."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'fc_siam_encoder': (),
        'change_vit_backbone': (),
        'clay_vit': (),
        'prithvi_vit': (),
    },
)
