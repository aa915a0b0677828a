"""Registered data preprocessors."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'dense_data_pre_processor': (),
        'point_data_pre_processor': (),
        'point_det_data_preprocessor': (),
        'semi_data_pre_processor': (),
        'star_pairing': ('mmseg',),
        'views_data_pre_processor': (),
    },
)
