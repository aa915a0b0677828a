"""Registered heads."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'paco_head': (),
        'bal_scl_head': (),
        'region_rebalance_aux': (),
    },
)
