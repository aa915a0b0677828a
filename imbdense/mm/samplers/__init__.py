"""Registered samplers."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'balanced_class_sampler': (),
        'balanced_image_sampler': (),
        'repeat_factor_sampler': (),
        'two_stream_sampler': (),
    },
)
