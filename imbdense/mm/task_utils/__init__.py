"""Registered assigners and samplers of heads."""

from imbdense.mm.optional import import_members

import_members(__name__, {'balanced_class_roi_sampler': ('mmdet',), 'm3c2': (), 'pixel_balanced_sampler': ()})
import_members(
    __name__,
    {
        'frequency_hungarian_assigner': ('mmdet',),
    },
)
