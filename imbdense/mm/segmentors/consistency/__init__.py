"""Registered consistency rules: what a semi-supervised segmentor learns from unlabelled images."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'cross_pseudo': ('mmseg',),
        'fix_match': ('mmseg',),
        'u2pl': ('mmseg',),
        'uni_match': ('mmseg',),
    },
)
