"""Registered selectors: which images to label."""

from imbdense.mm.optional import import_members

import_members(__name__, {'cost_aware': (), 'from_core': (), 'ofds': ()})
