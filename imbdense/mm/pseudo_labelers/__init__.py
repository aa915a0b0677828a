"""Registered rules that make pseudo-labels, and refiners of their class distribution."""

from imbdense.mm.optional import import_members

import_members(__name__, {'rules': ()})
