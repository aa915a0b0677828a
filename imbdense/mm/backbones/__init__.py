"""Registered backbones."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'change_vit_backbone': (),
        'clay_vit': (),
        'fc_siam_encoder': (),
        'kp_conv_lite': (),
        'prithvi_vit': (),
        'sparse_fpn18': (),
        'sparse_unet': (),
        'vssm': (),
    },
)
