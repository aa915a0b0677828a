"""Registered detectors."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'mean_teacher_detector': ('mmdet',),
        'pillar_detector': (),
        'redb_3d': (),
        'redb_detector': ('mmdet',),
    },
)
