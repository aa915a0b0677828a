"""Registered necks."""

from imbdense.mm.optional import import_members

import_members(__name__, {'js_fusion_neck': ()})
