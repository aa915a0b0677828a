"""Registered necks, and fusions of the maps of two dates."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'bit_fusion': (),
        'feature_injector_neck': (),
        'js_fusion_neck': (),
    },
)
