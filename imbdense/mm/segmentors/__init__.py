"""Registered segmentors."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'consistency': ('mmseg',),
        'pointdc_segmentor': (),
        'point_encoder_decoder': (),
        'semi_segmentor': ('mmseg',),
        'semantic_change_detector': ('mmseg',),
        'siamese_segmentor': ('mmseg',),
        'post_classification_change': ('mmseg',),
    },
)
