"""Registered necks."""

from imbdense.mm.optional import import_members

import_members(__name__, {})
