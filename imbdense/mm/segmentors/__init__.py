"""Registered segmentors."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'consistency': ('mmseg',),
        'm3c2_change_classifier': (),
        'point_encoder_decoder': (),
        'pointdc_segmentor': (),
        'post_classification_change': ('mmseg',),
        'semantic_change_detector': ('mmseg',),
        'semi_segmentor': ('mmseg',),
        'siamese_point_change': (),
        'siamese_segmentor': ('mmseg',),
        'super_pixel_segmentor': ('mmseg',),
    },
)
