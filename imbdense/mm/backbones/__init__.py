"""Registered backbones."""

from imbdense.mm.optional import import_members

import_members(__name__, {'vssm': ()})
