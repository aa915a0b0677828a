"""Registered samplers."""

from imbdense.mm.optional import import_members

import_members(__name__, {'repeat_factor_sampler': (), 'balanced_class_sampler': (), 'balanced_image_sampler': ()})
